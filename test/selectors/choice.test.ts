import { afterEach, describe, expect, it, vi } from 'vitest';
import type { RyegateError } from '../../src/errors.ts';
import { construct, native } from '../../src/native.ts';
import {
  DefaultSelector,
  EpollSelector,
  EVENT_READ,
  isNative,
  KqueueSelector,
  makeSelector,
  PollSelector,
  SELECTOR_NAMES,
  type Selector,
  type SelectorName,
  SelectSelector,
} from '../../src/selectors/index.ts';
import { codeOf, errorOf } from '../support/backends.ts';
import { descriptorKeeper } from '../support/descriptors.ts';

const CLASSES = {
  kqueue: KqueueSelector,
  epoll: EpollSelector,
  poll: PollSelector,
  select: SelectSelector,
};

describe('choice of a selector', () => {
  const descriptors = descriptorKeeper();

  it('prefers kqueue, epoll, poll and select in this order', () => {
    expect(SELECTOR_NAMES).toEqual(['kqueue', 'epoll', 'poll', 'select']);
    expect(native.backends).toEqual(SELECTOR_NAMES.filter((n) => native.backends.includes(n)));
  });

  for (const name of SELECTOR_NAMES) {
    const available = native.backends.includes(name);
    it(`${name} ${available ? 'opens' : 'is unavailable here, and says so'}`, () => {
      for (const open of [() => new CLASSES[name](), () => makeSelector(name)]) {
        if (available) {
          const selector = open();
          expect(selector).toBeInstanceOf(CLASSES[name]);
          expect(selector.backend).toBe(name);
          selector.close();
        } else {
          const error = errorOf(open) as RyegateError;
          expect(error.code).toBe('ERR_RYEGATE_SELECTOR_UNAVAILABLE');
          expect(error.message).toContain(native.backends.join(', '));
        }
      }
    });
  }

  it('takes the best as the default', () => {
    const best = native.backends[0] as SelectorName;
    expect(DefaultSelector).toBe(CLASSES[best]);
    const selector = makeSelector('auto');
    expect(selector).toBeInstanceOf(DefaultSelector);
    selector.close();
  });

  it.each(['devpoll', '', 'EPOLL', 'toString', '__proto__'])('refuses the name "%s"', (name) => {
    expect(codeOf(() => makeSelector(name as SelectorName))).toBe('ERR_RYEGATE_SELECTOR');
  });

  it('tells its own selectors from those of a user', () => {
    const own = new DefaultSelector();
    expect(isNative(own)).toBe(true);
    const users: Selector = {
      register: (...all) => own.register(...all),
      unregister: (fileobj) => own.unregister(fileobj),
      modify: (...all) => own.modify(...all),
      select: (timeout) => own.select(timeout),
      getKey: (fileobj) => own.getKey(fileobj),
      getMap: () => own.getMap(),
      close: () => own.close(),
      [Symbol.dispose]: () => own.close(),
    };
    expect(isNative(users)).toBe(false);
    const { reader } = descriptors.pipe();
    expect(users.register(reader, EVENT_READ)).toBe(own.getKey(reader));
    users.close();
    expect(own.getMap()).toBeNull();
  });
});

describe('a facility that the system refuses', () => {
  afterEach(() => {
    vi.doUnmock('../../src/native.ts');
    vi.resetModules();
  });

  /** The selectors as they are where `refused` are compiled in but cannot be opened. */
  async function selectorsWithout(
    refused: string[],
  ): Promise<typeof import('../../src/selectors/index.ts')> {
    class Poller extends native.Poller {
      constructor(backend: string, ring: Int32Array) {
        if (refused.includes(backend)) {
          throw Object.assign(new Error(backend), { errno: -24, syscall: backend });
        }
        super(backend, ring);
      }
    }
    vi.resetModules();
    vi.doMock('../../src/native.ts', () => ({
      construct,
      native: Object.create(native, { Poller: { value: Poller } }),
    }));
    return await import('../../src/selectors/index.ts');
  }

  it('is passed over by the default', async () => {
    const selectors = await selectorsWithout(['kqueue', 'epoll']);
    expect(selectors.DefaultSelector).toBe(selectors.PollSelector);
  });

  it('is reported with the system error when it is asked for by name', async () => {
    const name = native.backends[0] as SelectorName;
    const selectors = await selectorsWithout([name]);
    const error = errorOf(() => selectors.makeSelector(name));
    expect(error).toMatchObject({
      code: 'ERR_RYEGATE_SYSTEM',
      systemCode: 'EMFILE',
      syscall: name,
    });
  });
});
