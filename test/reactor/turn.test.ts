import { once } from 'node:events';
import { closeSync, writeSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { native } from '../../src/native.ts';
import { Listener } from '../../src/reactor/listener.ts';
import type { StreamSocket } from '../../src/reactor/streamsocket.ts';
import {
  EpollSelector,
  type FileObject,
  makeSelector,
  type NativeSelector,
  type Selector,
  type SelectorKey,
} from '../../src/selectors/index.ts';
import { describeBackends } from '../support/backends.ts';
import { descriptorKeeper } from '../support/descriptors.ts';
import { benchMaker, isAtEnd, Recorder, readAvailable } from '../support/reactors.ts';

/** Splits what it watches over two selectors, so that more are ready at once than one ring holds. */
class DoubleSelector implements Selector {
  readonly #halves: [NativeSelector, NativeSelector] = [makeSelector('poll'), makeSelector('poll')];

  #half(fd: FileObject): NativeSelector {
    return this.#halves[((fd as number) >> 1) % 2] as NativeSelector;
  }

  register(fd: FileObject, events: number, data?: unknown): SelectorKey {
    return this.#half(fd).register(fd, events, data);
  }

  unregister(fd: FileObject): SelectorKey {
    return this.#half(fd).unregister(fd);
  }

  modify(fd: FileObject, events: number, data?: unknown): SelectorKey {
    return this.#half(fd).modify(fd, events, data);
  }

  select(timeout?: number | null): [SelectorKey, number][] {
    const ready = this.#halves.flatMap((half) => half.select(0));
    return ready.length > 0 ? ready : this.#halves[0].select(timeout);
  }

  getKey(fd: FileObject): SelectorKey {
    return this.#half(fd).getKey(fd);
  }

  getMap(): ReadonlyMap<FileObject, SelectorKey> | null {
    return null;
  }

  close(): void {
    for (const half of this.#halves) half.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const makeBench = benchMaker();

describeBackends('the turn', (name) => {
  it('answers nobody before everybody who was ready has been served', () => {
    const bench = makeBench(name);
    const connections = [bench.connect(), bench.connect(), bench.connect()];
    const answered: boolean[] = [];
    for (const { socket, protocol } of connections) {
      protocol.onData = (text) => {
        answered.push(connections.some(({ peer }) => readAvailable(peer).length > 0));
        socket.writeLatin1(`re: ${text}`);
      };
    }
    for (const { peer } of connections) writeSync(peer, `from ${peer}`);
    bench.step();
    expect(answered).toEqual([false, false, false]);
    for (const { peer } of connections) expect(`${readAvailable(peer)}`).toBe(`re: from ${peer}`);
    expect(bench.reactor.output.sends).toBe(3);
  });

  it('receives from everybody before anybody is served', () => {
    const bench = makeBench(name);
    const connections = [bench.connect(), bench.connect()];
    for (const { protocol } of connections) {
      protocol.onData = () => {
        for (const { peer } of connections) writeSync(peer, ' too late for this turn');
      };
    }
    for (const { peer } of connections) writeSync(peer, 'in time');
    bench.step();
    expect(connections.map(({ protocol }) => protocol.received)).toEqual(['in time', 'in time']);
  });

  it('does not deliver what came for a connection that a handler has just closed', () => {
    const bench = makeBench(name);
    const connections = [bench.connect(), bench.connect()];
    // Whichever is first closes the other.
    for (const { socket, protocol } of connections) {
      protocol.onData = () => {
        for (const other of connections) if (other.socket !== socket) other.socket.abort();
      };
    }
    for (const { peer } of connections) writeSync(peer, 'x');
    bench.step();
    const logs = connections.map(({ protocol }) => protocol.log.join());
    expect(logs.sort()).toEqual(['data', 'lost']);
    const closed = connections.find(({ socket }) => socket.closed);
    expect(closed?.protocol.lost).toEqual([null]);
    expect(isAtEnd(closed?.peer ?? -1)).toBe(true);
  });

  it('closes descriptors in the flush, so that none is used again in the same turn', () => {
    const bench = makeBench(name);
    const first = bench.connect();
    const second = bench.connect();
    const later: ReturnType<typeof bench.connect>[] = [];
    const closeAndReplace = (mine: typeof first, other: typeof first) => () => {
      if (later.length > 0) return;
      other.socket.abort();
      later.push(bench.connect());
      writeSync(mine.peer, 'again');
    };
    first.protocol.onData = closeAndReplace(first, second);
    second.protocol.onData = closeAndReplace(second, first);
    writeSync(first.peer, 'x');
    writeSync(second.peer, 'y');
    bench.step();
    expect(later).toHaveLength(1);
    expect([first.socket.fd, second.socket.fd]).not.toContain(later[0]?.socket.fd);
    expect(later[0]?.protocol.log).toEqual([]);
  });

  it('never delivers an old event to the next user of a descriptor', () => {
    const bench = makeBench(name);
    const old = bench.connect();
    const { fd } = old.socket;
    writeSync(old.peer, 'for the old one');
    // Not harvested yet: it is closed with the event pending.
    old.socket.abort();
    bench.step(0);
    expect(old.protocol.log).toEqual(['lost']);
    const next = bench.connect();
    expect([next.socket.fd, next.peer]).toContain(fd);
    writeSync(next.peer, 'for the new one');
    bench.step(2);
    expect(old.protocol.log).toEqual(['lost']);
    expect(next.protocol.received).toBe('for the new one');
  });

  it('serves what was deferred in the next turn', () => {
    const bench = makeBench(name);
    const { socket, protocol, peer } = bench.connect();
    const turns: number[] = [];
    let left = 3;
    const item = {
      proceed: () => {
        turns.push(bench.reactor.turns);
        if (--left > 0) socket.defer(item);
      },
    };
    protocol.onData = () => socket.defer(item);
    writeSync(peer, 'x');
    const first = bench.reactor.turns + 1;
    bench.step(4);
    // What the first turn deferred is gone on with at its end, the rest once a turn.
    expect(turns).toEqual([first, first + 1, first + 2]);
  });

  it('receives more than its slab holds within one turn', () => {
    const bench = makeBench(name);
    const size = 64 * 1024;
    const connections = Array.from({ length: 40 }, () => bench.connect());
    connections.forEach(({ peer }, index) => {
      expect(writeSync(peer, Buffer.alloc(size, 65 + index))).toBe(size);
    });
    bench.step();
    connections.forEach(({ protocol }, index) => {
      expect(protocol.received === String.fromCharCode(65 + index).repeat(size)).toBe(true);
    });
  });
});

describeBackends('a callback that acts on another connection', (name) => {
  it('by pausing it loses none of the bytes that were received in the same turn', () => {
    const bench = makeBench(name);
    const connections = [bench.connect(), bench.connect(), bench.connect()];
    for (const { protocol } of connections) {
      protocol.onData = () => {
        for (const { socket } of connections) socket.pause();
      };
    }
    for (const { peer } of connections) writeSync(peer, `from ${peer}, `);
    bench.step();
    for (const { peer } of connections) writeSync(peer, 'later');
    bench.step(2);
    for (const { socket } of connections) socket.resume();
    // A resume takes effect in the flush of a turn.
    bench.step(2);
    for (const { protocol, peer } of connections) {
      expect(protocol.received).toBe(`from ${peer}, later`);
    }
  });

  it('by writing to it and aborting it sends before the descriptor is closed', () => {
    const bench = makeBench(name);
    const first = bench.connect();
    const second = bench.connect();
    const later: ReturnType<typeof bench.connect>[] = [];
    first.protocol.onLost = () => {
      second.socket.writeLatin1('last words');
      second.socket.abort();
    };
    // Takes the number of the descriptor that has just been closed.
    second.protocol.onLost = () => {
      later.push(bench.connect());
    };
    bench.step(0);
    // Both are looked at in the same flush, the first before the second.
    first.socket.abort();
    second.socket.pause();
    bench.step(2);
    expect([first.protocol.log, second.protocol.log]).toEqual([['lost'], ['lost']]);
    expect(`${readAvailable(second.peer)}`).toBe('last words');
    const [next] = later as [(typeof later)[0]];
    expect([next.socket.fd, next.peer]).toContain(second.socket.fd);
    expect(`${readAvailable(next.peer)}`).toBe('');
    expect(next.protocol.log).toEqual([]);
  });
});

describeBackends('the turn with many ready', (name) => {
  it.skipIf(name === 'select')(
    'finds all of 1100 ready connections (not select: its descriptors end at 1023)',
    () => {
      const bench = makeBench(name);
      const connections = Array.from({ length: 1100 }, () => bench.connect());
      bench.step(0);
      for (const { peer } of connections) writeSync(peer, 'x');
      bench.step(2);
      expect(connections.filter(({ protocol }) => protocol.received === 'x')).toHaveLength(1100);
    },
  );
});

it('serves more connections in one turn than one native call takes', () => {
  const selector = new DoubleSelector();
  const bench = makeBench(selector);
  const connections = Array.from({ length: 1500 }, () => bench.connect());
  for (const { socket, protocol } of connections) {
    protocol.onData = (text) => {
      // Two runs for each: more than one call sends.
      socket.write(Buffer.alloc(40_000, text));
      socket.writeLatin1('!');
    };
  }
  bench.step(0);
  for (const { peer } of connections) writeSync(peer, 'x');
  bench.step();
  for (const { protocol, peer } of connections) {
    expect(protocol.received).toBe('x');
    expect(readAvailable(peer).length).toBe(40_001);
  }
});

describeBackends('accepting', (name) => {
  const descriptors = descriptorKeeper();
  const clients: Socket[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });

  it('receives in the turn that accepts, and watches no connection in vain', async () => {
    const bench = makeBench(name);
    const fd = descriptors.keep(native.socket(native.AF_INET));
    native.bind(fd, native.AF_INET, '127.0.0.1', 0);
    native.listen(fd, 16);
    const [, , port] = native.address(fd, false) as [number, string, number];
    const send = (text: string): Promise<void> => {
      const client = createConnection(port, '127.0.0.1');
      clients.push(client);
      return new Promise((resolve) => client.write(text, () => resolve()));
    };
    const heard: [text: string, watched: boolean, turns: number][] = [];
    const listener: Listener = new Listener(bench.reactor, fd, () => {
      const socket = listener.take() as StreamSocket;
      const protocol = new Recorder();
      const { turns } = bench.reactor;
      protocol.onData = (text) => {
        const watched = bench.reactor.selector.getMap()?.has(socket.fd) === true;
        heard.push([text, watched, bench.reactor.turns - turns]);
        if (text === 'end') socket.finish();
        if (text === 'begin') writeSync(socket.fd, 'go on');
      };
      socket.attach(protocol);
    });
    listener.open();
    await send('end');
    bench.step();
    expect(heard).toEqual([['end', false, 0]]);
    expect(bench.reactor.sockets.size).toBe(0);
    await send('begin');
    clients.at(-1)?.once('data', () => clients.at(-1)?.write('end'));
    await bench.serve(() => heard.length === 3);
    expect(heard[1]).toEqual(['begin', false, 0]);
    expect(heard[2]?.slice(0, 2)).toEqual(['end', true]);
    listener.close();
    expect(bench.errors).toEqual([]);
  });

  /** 300 clients that wait, and how many of them each turn accepts when one takes so long. */
  async function accepted(milliseconds: number): Promise<number[]> {
    const bench = makeBench(name);
    const fd = descriptors.keep(native.socket(native.AF_INET));
    expect(native.bind(fd, native.AF_INET, '127.0.0.1', 0)).toBe(0);
    expect(native.listen(fd, 1024)).toBe(0);
    const [, , port] = native.address(fd, false) as [number, string, number];
    await Promise.all(
      Array.from({ length: 300 }, () => {
        const client = createConnection(port, '127.0.0.1');
        clients.push(client);
        return new Promise((resolve, reject) => {
          client.once('connect', resolve).once('error', reject);
        });
      }),
    );
    const addresses = new Set<string>();
    const listener: Listener = new Listener(bench.reactor, fd, () => {
      const socket = listener.take();
      addresses.add(String(socket?.clientAddress));
      socket?.abort();
    });
    listener.open();
    const counts: number[] = [];
    while (addresses.size < 300 && counts.length < 300) {
      const before = addresses.size;
      bench.step();
      counts.push(addresses.size - before);
      const end = performance.now() + milliseconds;
      while (performance.now() < end);
    }
    expect(addresses).toEqual(new Set(clients.map((client) => `127.0.0.1,${client.localPort}`)));
    listener.close();
    expect(bench.errors).toEqual([]);
    return counts;
  }

  it('takes more waiting connections in a turn as more wait', async () => {
    const counts = await accepted(0);
    expect(counts[0]).toBe(1);
    // 1, 1, 1, 1, 4 and so on, unless the machine was held up in between.
    expect(counts.length).toBeLessThanOrEqual(16);
  });

  it('takes as many as one call can where turns are long', async () => {
    expect(await accepted(2)).toEqual([1, 256, 43]);
  });
});

describeBackends('a descriptor that somebody else closes', (name) => {
  const descriptors = descriptorKeeper();

  it('and that is accepted again in the same turn belongs to its new connection', async () => {
    const bench = makeBench(name);
    const fd = descriptors.keep(native.socket(native.AF_INET));
    native.bind(fd, native.AF_INET, '127.0.0.1', 0);
    native.listen(fd, 1);
    const [, , port] = native.address(fd, false) as [number, string, number];
    const old = bench.connect();
    bench.step();
    const client = createConnection(port, '127.0.0.1');
    await once(client, 'connect');
    client.write('for the new one');
    const protocol = new Recorder();
    const listener: Listener = new Listener(bench.reactor, fd, () => {
      const socket = listener.take();
      expect(socket?.fd).toBe(old.socket.fd);
      socket?.attach(protocol);
    });
    listener.open();
    writeSync(old.peer, 'for the old one');
    closeSync(old.socket.fd);
    bench.step(3);
    client.destroy();
    expect(protocol.log).toEqual(['data']);
    expect(protocol.received).toBe('for the new one');
    expect(old.protocol.log).toEqual(['lost']);
    expect(bench.reactor.sockets.size).toBe(1);
    listener.close();
  });
});

it('leaves open a selector that it was given', () => {
  const selector = new EpollSelector();
  const bench = makeBench(selector);
  bench.connect();
  bench.step(0);
  bench.reactor.close();
  expect(selector.getMap()?.size).toBe(0);
  selector.close();
});
