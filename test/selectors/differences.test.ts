import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { RyegateError, SystemCallError } from '../../src/errors.ts';
import { native } from '../../src/native.ts';
import {
  EVENT_READ,
  EVENT_WRITE,
  type NativeSelector,
  type SelectorName,
} from '../../src/selectors/index.ts';
import { describeBackends, selectorMaker } from '../support/backends.ts';
import { descriptorKeeper } from '../support/descriptors.ts';

const BOTH = EVENT_READ | EVENT_WRITE;

/** Where the backends honestly differ. An error shows as its code and the system's name for it. */
const DIFFERENCES: Record<string, Record<SelectorName, unknown>> = {
  'a regular file is': {
    epoll: 'ERR_RYEGATE_SYSTEM EPERM',
    kqueue: [EVENT_READ, EVENT_WRITE],
    poll: [BOTH],
    select: [BOTH],
  },
  'a socket that is ready both ways is': {
    epoll: [BOTH],
    kqueue: [EVENT_READ, EVENT_WRITE],
    poll: [BOTH],
    select: [BOTH],
  },
  'a hung-up pipe, waited for to be written at its reading end, is': {
    epoll: [EVENT_WRITE],
    kqueue: [EVENT_WRITE],
    poll: [EVENT_WRITE],
    select: [],
  },
  'a descriptor of 1024 or more is': {
    epoll: [EVENT_WRITE],
    kqueue: [EVENT_WRITE],
    poll: [EVENT_WRITE],
    select: 'ERR_RYEGATE_FD_RANGE',
  },
  'its own descriptor is': {
    epoll: 'open',
    kqueue: 'open',
    poll: 'none',
    select: 'none',
  },
};

function outcome(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    const { code, systemCode } = error as RyegateError & Partial<SystemCallError>;
    if (code === undefined) throw error;
    return systemCode === undefined ? code : `${code} ${systemCode}`;
  }
}

describeBackends('differences', (name) => {
  const makeSelector = selectorMaker(name);
  const descriptors = descriptorKeeper();

  /** Events of the entries, sorted; kqueue gives one for each direction. */
  const readyEvents = (selector: NativeSelector): number[] =>
    selector
      .select(0)
      .map(([, events]) => events)
      .sort();

  function pin(title: string, action: () => unknown): void {
    const expected = DIFFERENCES[title]?.[name];
    it(`${title}: ${JSON.stringify(expected)}`, () => {
      expect(outcome(action)).toEqual(expected);
    });
  }

  pin('a regular file is', () => {
    const selector = makeSelector();
    const folder = mkdtempSync(join(tmpdir(), 'ryegate-'));
    const path = join(folder, 'file');
    writeFileSync(path, 'content');
    const fd = openSync(path, 'r+');
    try {
      selector.register(fd, BOTH);
      return readyEvents(selector);
    } catch (error) {
      expect((error as Error).message).toContain('regular files');
      expect(selector.getMap()?.size).toBe(0);
      throw error;
    } finally {
      selector.close();
      closeSync(fd);
      rmSync(folder, { recursive: true });
    }
  });

  pin('a socket that is ready both ways is', () => {
    const selector = makeSelector();
    const [near, far] = descriptors.socketPair();
    writeSync(far, 'x');
    selector.register(near, BOTH);
    return readyEvents(selector);
  });

  pin('a hung-up pipe, waited for to be written at its reading end, is', () => {
    const selector = makeSelector();
    const { reader, writer } = descriptors.pipe();
    selector.register(reader, EVENT_WRITE);
    descriptors.close(writer);
    return readyEvents(selector);
  });

  pin('a descriptor of 1024 or more is', () => {
    const selector = makeSelector();
    const high = highDescriptor();
    expect(high).toBeGreaterThanOrEqual(1024);
    try {
      selector.register(high, EVENT_WRITE);
      return readyEvents(selector);
    } finally {
      expect(selector.getMap()?.has(high)).toBe(name !== 'select');
    }
  });

  pin('its own descriptor is', () => (makeSelector().fileno() >= 0 ? 'open' : 'none'));

  it('watches the last descriptor in range, 1023', () => {
    const selector = makeSelector();
    const last = Array.from({ length: 1024 }, () => openEnd()).find((fd) => fd === 1023) as number;
    const key = selector.register(last, EVENT_WRITE);
    expect(selector.select(0)).toEqual([[key, EVENT_WRITE]]);
  });

  it('goes on with the others after a descriptor was closed while registered', () => {
    const selector = makeSelector();
    const gone = descriptors.pipe().reader;
    const { reader, writer } = descriptors.pipe();
    selector.register(gone, EVENT_READ);
    const key = selector.register(reader, EVENT_READ);
    writeSync(writer, 'x');
    descriptors.close(gone);
    outcome(() => selector.select(0));
    selector.unregister(gone);
    expect(selector.select(0)).toEqual([[key, EVENT_READ]]);
  });

  /** A descriptor that is ready to be written. */
  function openEnd(): number {
    return descriptors.keep(native.socket(native.AF_UNIX));
  }

  function highDescriptor(): number {
    for (let opened = 0; opened < 1100; opened += 1) {
      const [near, far] = descriptors.socketPair();
      if (Math.min(near, far) >= 1024) return near;
    }
    throw new Error('no descriptor of 1024 or more among 2200');
  }
});
