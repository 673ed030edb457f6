import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Fact, type Native, native } from '../../src/native.ts';
import { descriptorKeeper } from '../support/descriptors.ts';

/** Nothing here may crash: a wrong type is a TypeError, a wrong value a negative errno. */
const wrong: unknown[] = [undefined, null, 'text', {}, [], () => {}, Symbol('no'), 1n, true];
const notStrings: unknown[] = [undefined, null, 1, {}, [], () => {}, 1n];
const isNegative = (value: unknown): boolean => typeof value === 'number' && value < 0;

type AnyFunction = (...args: unknown[]) => unknown;
const functions = native as unknown as Record<string, AnyFunction>;
const call =
  (name: string, ...args: unknown[]) =>
  () =>
    (functions[name] as AnyFunction)(...args);

describe('functions refuse arguments of the wrong type', () => {
  const numbers: Record<string, number> = {
    socket: 1,
    listen: 2,
    adopt: 1,
    address: 1,
    formatIPv6: 4,
    shutdown: 1,
    finish: 1,
    close: 1,
    socketError: 1,
    isOpen: 1,
    lockFile: 1,
    duplicate: 1,
    reap: 1,
  };

  it.each(Object.entries(numbers))('%s', (name, count) => {
    for (let position = 0; position < count; position += 1) {
      for (const value of wrong) {
        const args: unknown[] = new Array(count).fill(-1);
        args[position] = value;
        expect(call(name, ...args)).toThrow(TypeError);
        expect(call(name, ...args)).toThrow(`argument ${position + 1}`);
      }
    }
    expect(call(name)).toThrow(TypeError);
  });

  it('address, which takes a boolean', () => {
    for (const value of [undefined, null, 0, 1, 'true']) {
      expect(call('address', -1, value)).toThrow(TypeError);
    }
  });

  it('those that take text', () => {
    for (const value of notStrings) {
      expect(call('setOption', -1, value, 1)).toThrow(TypeError);
      expect(call('bind', -1, 2, value, 0)).toThrow(TypeError);
      expect(call('bindPath', -1, value, -1)).toThrow(TypeError);
      expect(call('probePath', value)).toThrow(TypeError);
      expect(call('notify', value, 'x')).toThrow('argument 1');
      expect(call('notify', '/x', value)).toThrow('argument 2');
    }
    for (const value of wrong) {
      expect(call('bind', value, 2, '', 0)).toThrow(TypeError);
      expect(call('bind', -1, 2, '', value)).toThrow(TypeError);
      expect(call('bindPath', -1, '/x', value)).toThrow(TypeError);
    }
    expect(call('setOption', -1, 'keepAlive', 1)).toThrow('a socket option');
  });

  it.each(['findUser', 'findGroup'])('%s, which takes a name or a number', (name) => {
    for (const value of [undefined, null, true, {}, [], () => {}, 1n, Symbol('no')]) {
      expect(call(name, value)).toThrow('argument 1');
    }
  });

  it.each(['controlAttach', 'controlDetach', 'controlRequest'])('%s', (name) => {
    const waker = new native.Waker();
    const arrays = [...wrong, new Int32Array(3), new Uint8Array(64), new Float64Array(4)];
    for (const array of arrays) expect(call(name, array, waker)).toThrow(TypeError);
    waker.close();
  });

  it('controlAttach without a Waker', () => {
    const control = new Int32Array(new SharedArrayBuffer(16));
    for (const value of [...wrong, new native.Poller('poll', new Int32Array(2))]) {
      expect(call('controlAttach', control, value)).toThrow(TypeError);
    }
    expect(native.controlRequest(control, 1)).toBe(0);
  });
});

describe('the handover refuses arguments of the wrong type', () => {
  const words = new Int32Array(new SharedArrayBuffer(64));

  it.each(['handoverOpen', 'handoverClose', 'handoverPut', 'handoverTake'])(
    '%s, for its words',
    (name) => {
      const waker = new native.Waker();
      for (const array of [...wrong, new Int32Array(6), new Uint8Array(64)]) {
        expect(call(name, array, waker, 0)).toThrow(TypeError);
      }
      waker.close();
    },
  );

  it('the rest', () => {
    for (const value of wrong) {
      expect(call('handoverOpen', words, value)).toThrow(TypeError);
      expect(call('handoverPut', words, value, 0)).toThrow(TypeError);
      expect(call('handoverPut', words, 0, value)).toThrow(TypeError);
      expect(call('handoverTake', words, value)).toThrow(TypeError);
    }
  });
});

describe('calls on files refuse arguments of the wrong type', () => {
  const facts = new Float64Array(Fact.count);
  const done = (): void => {};
  const buffer = new Uint8Array(1);
  const notBytes = [...notStrings, '\u0100', 'a\u20ac'];
  const notFacts = [...wrong, new Float64Array(Fact.count - 1), new Float32Array(64), buffer];
  const notBuffers = [...wrong, facts, new ArrayBuffer(1), new DataView(new ArrayBuffer(1))];
  const notFunctions = wrong.filter((value) => typeof value !== 'function');
  const calls: Record<string, [right: unknown, wrong: unknown[]][]> = {
    openBeneath: [
      [-1, wrong],
      ['x', notBytes],
      [true, wrong.filter((value) => value !== true)],
      [facts, notFacts],
    ],
    openBeneathLater: [
      [-1, wrong],
      ['x', notBytes],
      [facts, notFacts],
      [done, notFunctions],
    ],
    openFolder: [['x', notBytes]],
    statBeneath: [
      [-1, wrong],
      ['x', notBytes],
      [facts, notFacts],
    ],
    fileFacts: [
      [-1, wrong],
      [facts, notFacts],
    ],
    readNow: [
      [-1, wrong],
      [buffer, notBuffers],
      [0, wrong],
    ],
    readLater: [
      [-1, wrong],
      [buffer, notBuffers],
      [0, wrong],
      [done, notFunctions],
    ],
    readAhead: [
      [-1, wrong],
      [0, wrong],
      [0, wrong],
      [done, notFunctions],
    ],
    copyRange: [
      [-1, wrong],
      [0, wrong],
      [-1, wrong],
      [0, wrong],
      [0, wrong],
      [done, notFunctions],
    ],
    openUnnamed: [['x', notBytes]],
    linkUnnamed: [
      [-1, wrong],
      ['x', notBytes],
    ],
  };

  it.each(Object.entries(calls))('%s', (name, parameters) => {
    const right = parameters.map(([value]) => value);
    parameters.forEach(([, values], position) => {
      for (const value of values) {
        const args = right.with(position, value);
        expect(call(name, ...args)).toThrow(TypeError);
        expect(call(name, ...args)).toThrow(`argument ${position + 1}`);
      }
    });
    expect(call(name)).toThrow(TypeError);
    expect(call(name, ...right)).not.toThrow();
  });
});

describe('constructors refuse arguments of the wrong type', () => {
  const make =
    (name: keyof Native, ...args: unknown[]) =>
    () =>
      new (native[name] as unknown as new (...args: unknown[]) => unknown)(...args);
  const slabs = () => ({
    input: new Uint8Array(8192),
    output: new Uint8Array(64),
    receives: new Int32Array(3),
    sends: new Int32Array(6),
    accepts: new Int32Array(7),
  });

  it('Poller', () => {
    for (const value of notStrings) {
      expect(make('Poller', value, new Int32Array(2))).toThrow(TypeError);
    }
    for (const name of ['', 'EPOLL', 'devpoll', '__proto__', 'poll\0']) {
      expect(make('Poller', name, new Int32Array(2))).toThrow('a backend of this build');
    }
    for (const ring of [...wrong, new Int32Array(1), new Uint32Array(8)]) {
      expect(make('Poller', 'poll', ring)).toThrow(TypeError);
    }
  });

  it('LoopHook', () => {
    const turn = () => {};
    const closed = new native.Poller('poll', new Int32Array(2));
    closed.close();
    const sources = [...wrong, closed, new native.Waker(), Object.create(closed)];
    for (const source of sources) expect(make('LoopHook', source, turn, turn)).toThrow(TypeError);
    const poller = new native.Poller('poll', new Int32Array(2));
    for (const value of wrong.filter((one) => typeof one !== 'function')) {
      expect(make('LoopHook', poller, value, turn)).toThrow(TypeError);
      expect(make('LoopHook', poller, turn, value)).toThrow(TypeError);
    }
    // A refused hook leaves the poller free.
    poller.close();
  });

  it('LoopHook on a descriptor that cannot be watched', () => {
    const turn = () => {};
    expect(make('LoopHook', 1_000_000, turn, turn)).toThrow('uv_poll');
  });

  it('SocketBatch', () => {
    for (const value of wrong) expect(make('SocketBatch', value)).toThrow(TypeError);
    for (const key of Object.keys(slabs())) {
      for (const value of [...wrong, new Float64Array(8)]) {
        expect(make('SocketBatch', { ...slabs(), [key]: value })).toThrow(TypeError);
      }
    }
    const batch = new native.SocketBatch(slabs());
    for (const value of wrong) {
      const bad = value as number;
      expect(() => batch.acceptMany(bad, 1)).toThrow(TypeError);
      expect(() => batch.acceptMany(-1, bad)).toThrow(TypeError);
      expect(() => batch.receiveMany(bad)).toThrow(TypeError);
      expect(() => batch.sendMany(bad, [])).toThrow(TypeError);
    }
    for (const external of wrong) {
      expect(() => batch.sendMany(0, [external as Uint8Array])).toThrow(TypeError);
    }
    expect(() => batch.sendMany(0, [new Uint16Array(2) as unknown as Uint8Array])).toThrow(
      TypeError,
    );
  });

  it.each(['Poller', 'Waker', 'LoopHook', 'SocketBatch'] as const)('%s without new', (name) => {
    expect(call(name)).toThrow(TypeError);
  });
});

describe('methods of one class on another', () => {
  it('are refused', () => {
    const poller = new native.Poller('poll', new Int32Array(2));
    const waker = new native.Waker();
    expect(() => poller.wait.call(waker as never, 0)).toThrow();
    expect(() => poller.close.call({} as never)).toThrow();
    expect(() => waker.wake.call({} as never)).toThrow();
    waker.close();
    poller.close();
  });
});

describe('values that the system refuses', () => {
  const descriptors = descriptorKeeper();

  it('are negative errnos', () => {
    for (const fd of [-1, 999_999, 2 ** 31 - 1, -(2 ** 31), 2 ** 40 - 1]) {
      expect(isNegative(native.listen(fd, 1))).toBe(true);
      expect(isNegative(native.shutdown(fd))).toBe(true);
      expect(isNegative(native.finish(fd))).toBe(true);
      expect(isNegative(native.socketError(fd))).toBe(true);
      expect(isNegative(native.adopt(fd))).toBe(true);
      expect(isNegative(native.address(fd, false))).toBe(true);
      expect(isNegative(native.setOption(fd, 'noDelay', 1))).toBe(true);
      expect(native.isOpen(fd)).toBe(false);
    }
    expect(isNegative(native.close(-1))).toBe(true);
    expect(isNegative(native.close(999_999))).toBe(true);
    expect(isNegative(native.socket(12_345))).toBe(true);
  });

  it('closing twice is EBADF', () => {
    const [first, second] = descriptors.socketPair();
    expect(native.isOpen(first)).toBe(true);
    expect(native.close(first)).toBe(0);
    expect(native.isOpen(first)).toBe(false);
    expect(isNegative(native.close(first))).toBe(true);
    expect(native.isOpen(second)).toBe(true);
  });

  it('addresses that are none', () => {
    const fd = descriptors.keep(native.socket(native.AF_INET));
    for (const host of ['nowhere', '1.2.3', '::1', '1.2.3.4.5', ' 127.0.0.1', '127.0.0.1\0']) {
      expect(isNegative(native.bind(fd, native.AF_INET, host, 0))).toBe(true);
    }
    const unix = descriptors.keep(native.socket(native.AF_UNIX));
    expect(isNegative(native.bindPath(unix, `/tmp/${'x'.repeat(200)}`, -1))).toBe(true);
    expect(isNegative(native.bindPath(unix, '/tmp/ryegate\0socket', -1))).toBe(true);
    expect(isNegative(native.bindPath(unix, '/no/such/folder/socket', -1))).toBe(true);
    expect(isNegative(native.bindPath(unix, `\0${'x'.repeat(200)}`, -1))).toBe(true);
    expect(isNegative(native.probePath('/no/such/folder/socket'))).toBe(true);
    expect(isNegative(native.probePath('x'.repeat(100_000)))).toBe(true);
  });

  it('sockets that nobody can be told by', () => {
    const notify = (path: string): string => {
      const result = native.notify(path, 'x');
      return result < 0 ? getSystemErrorName(result) : String(result);
    };
    expect(notify('/no/such/folder/socket')).toBe('ENOENT');
    expect(notify('/tmp')).toBe('ECONNREFUSED');
    expect(notify('\0nobody has this name')).toBe('ECONNREFUSED');
    expect(notify('')).toBe('ENAMETOOLONG');
    expect(notify(`/${'x'.repeat(107)}`)).toBe('ENAMETOOLONG');
    expect(notify(`/${'x'.repeat(106)}`)).toBe('ENOENT');
    expect(notify('/tmp/a\0b')).toBe('EINVAL');
  });

  it('processes that are no children, and groups of them', () => {
    const { ECHILD, EINVAL } = constants.errno;
    for (const pid of [process.pid, process.ppid, 1]) expect(native.reap(pid)).toBe(-ECHILD);
    for (const pid of [0, -1, -process.pid, -(2 ** 31)]) expect(native.reap(pid)).toBe(-EINVAL);
  });

  it('accounts that are not there', () => {
    const { EINVAL, ENOENT } = constants.errno;
    for (const find of [native.findUser, native.findGroup]) {
      for (const name of ['', 'no-such-name', 'root\0', 'x'.repeat(100_000), 4_000_000_000]) {
        expect(find(name)).toBe(-ENOENT);
      }
      for (const id of [-1, 2 ** 32, 2 ** 53, -(2 ** 53)]) {
        expect(find(id)).toBe(-EINVAL);
      }
    }
  });
});
