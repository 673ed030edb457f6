import { readSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { native } from '../../src/native.ts';
import { EVENT_READ, EVENT_WRITE } from '../../src/selectors/index.ts';
import { describeBackends, eventsByDescriptor, selectorMaker } from '../support/backends.ts';
import { descriptorKeeper, drain, fill } from '../support/descriptors.ts';

const BOTH = EVENT_READ | EVENT_WRITE;

describeBackends('readiness', (name) => {
  const makeSelector = selectorMaker(name);
  const descriptors = descriptorKeeper();

  it('reports a pipe as readable once there is a byte', () => {
    const selector = makeSelector();
    const { reader, writer } = descriptors.pipe();
    const key = selector.register(reader, EVENT_READ, 'data');
    expect(selector.select(0)).toEqual([]);
    writeSync(writer, 'x');
    const ready = selector.select(1);
    expect(ready).toEqual([[key, EVENT_READ]]);
    expect(ready[0]?.[0]).toBe(key);
  });

  it('reports again and again until the pipe is drained', () => {
    const selector = makeSelector();
    const { reader, writer } = descriptors.pipe();
    const key = selector.register(reader, EVENT_READ);
    writeSync(writer, 'two');
    for (let i = 0; i < 3; i += 1) expect(selector.select(0)).toEqual([[key, EVENT_READ]]);
    readSync(reader, Buffer.alloc(1));
    expect(selector.select(0)).toEqual([[key, EVENT_READ]]);
    expect(drain(reader)).toBe(2);
    expect(selector.select(0)).toEqual([]);
  });

  it('reports an empty pipe as writable', () => {
    const selector = makeSelector();
    const { writer } = descriptors.pipe();
    const key = selector.register(writer, EVENT_WRITE);
    expect(selector.select(0)).toEqual([[key, EVENT_WRITE]]);
    expect(selector.select(0)).toEqual([[key, EVENT_WRITE]]);
  });

  it('reports a full pipe as writable only after it was drained', () => {
    const selector = makeSelector();
    const { reader, writer } = descriptors.pipe();
    const key = selector.register(writer, EVENT_WRITE);
    const taken = fill(writer);
    expect(selector.select(0)).toEqual([]);
    expect(drain(reader)).toBe(taken);
    expect(selector.select(0)).toEqual([[key, EVENT_WRITE]]);
  });

  it('reports a full socket as writable only after it was drained', () => {
    const selector = makeSelector();
    const [near, far] = descriptors.socketPair();
    selector.register(near, BOTH);
    const taken = fill(near);
    expect(selector.select(0)).toEqual([]);
    expect(drain(far)).toBe(taken);
    expect(eventsByDescriptor(selector.select(0)).get(near)).toBe(EVENT_WRITE);
  });

  it.each([EVENT_READ, EVENT_WRITE, BOTH])('reports no more than the events %i', (events) => {
    const selector = makeSelector();
    const [near, far] = descriptors.socketPair();
    writeSync(far, 'x');
    selector.register(near, events);
    expect(eventsByDescriptor(selector.select(0))).toEqual(new Map([[near, events]]));
  });

  it('follows modify in both directions', () => {
    const selector = makeSelector();
    const [near, far] = descriptors.socketPair();
    writeSync(far, 'x');
    selector.register(near, EVENT_READ);
    for (const events of [EVENT_WRITE, BOTH, EVENT_READ, BOTH, EVENT_WRITE, EVENT_READ]) {
      selector.modify(near, events);
      expect(eventsByDescriptor(selector.select(0))).toEqual(new Map([[near, events]]));
    }
  });

  it('reports nothing of a direction that modify has taken away', () => {
    const selector = makeSelector();
    const [near] = descriptors.socketPair();
    for (const before of [EVENT_WRITE, BOTH]) {
      selector.register(near, before);
      selector.modify(near, EVENT_READ);
      expect(selector.select(0)).toEqual([]);
      selector.unregister(near);
    }
  });

  it('reports nothing of an unregistered descriptor', () => {
    const selector = makeSelector();
    const [near, far] = descriptors.socketPair();
    const other = descriptors.pipe();
    writeSync(far, 'x');
    writeSync(other.writer, 'x');
    selector.register(near, BOTH);
    const key = selector.register(other.reader, EVENT_READ);
    selector.unregister(near);
    expect(selector.select(0)).toEqual([[key, EVENT_READ]]);
  });

  it('reports only those that are ready', () => {
    const selector = makeSelector();
    const pipes = Array.from({ length: 10 }, () => descriptors.pipe());
    for (const { reader } of pipes) selector.register(reader, EVENT_READ);
    const chosen = [1, 4, 9].map((i) => pipes[i] as (typeof pipes)[number]);
    for (const { writer } of chosen) writeSync(writer, 'x');
    expect(new Set(selector.select(0).map(([key]) => key.fd))).toEqual(
      new Set(chosen.map(({ reader }) => reader)),
    );
  });

  it('reports one descriptor to two selectors', () => {
    const first = makeSelector();
    const second = makeSelector();
    const { reader, writer } = descriptors.pipe();
    const keys = [first.register(reader, EVENT_READ, 1), second.register(reader, EVENT_READ, 2)];
    writeSync(writer, 'x');
    expect(first.select(0)).toEqual([[keys[0], EVENT_READ]]);
    expect(second.select(0)).toEqual([[keys[1], EVENT_READ]]);
    first.unregister(reader);
    expect(second.select(0)).toEqual([[keys[1], EVENT_READ]]);
  });

  it('starts afresh with a descriptor number that is used again', () => {
    const selector = makeSelector();
    const { reader, writer } = descriptors.pipe();
    writeSync(writer, 'x');
    selector.register(reader, EVENT_READ, 'old');
    selector.unregister(reader);
    descriptors.close(reader);
    const again = reopen(reader);
    const key = selector.register(again.reader, EVENT_READ, 'new');
    expect(selector.select(0)).toEqual([]);
    writeSync(again.writer, 'x');
    expect(selector.select(0)).toEqual([[key, EVENT_READ]]);
  });

  it('recovers when a number is used again before it was unregistered', () => {
    const selector = makeSelector();
    const { reader, writer } = descriptors.pipe();
    writeSync(writer, 'x');
    const old = selector.register({ fileno: () => reader }, EVENT_READ);
    descriptors.close(reader);
    const again = reopen(reader);
    expect(selector.unregister(old.fileobj)).toBe(old);
    const key = selector.register(again.reader, EVENT_READ);
    expect(selector.select(0)).toEqual([]);
    writeSync(again.writer, 'x');
    expect(selector.select(0)).toEqual([[key, EVENT_READ]]);
  });

  describe('of a waker', () => {
    it('is readable from wake() to drain(), however often it was woken', () => {
      const selector = makeSelector();
      const waker = new native.Waker();
      const key = selector.register(waker, EVENT_READ);
      try {
        expect(selector.select(0)).toEqual([]);
        for (let i = 0; i < 100; i += 1) waker.wake();
        expect(selector.select(0)).toEqual([[key, EVENT_READ]]);
        expect(selector.select(0)).toEqual([[key, EVENT_READ]]);
        waker.drain();
        expect(selector.select(0)).toEqual([]);
        waker.wake();
        expect(selector.select(null)).toEqual([[key, EVENT_READ]]);
      } finally {
        selector.close();
        waker.close();
      }
    });

    it('does not block on drain() without wake()', () => {
      const waker = new native.Waker();
      waker.drain();
      waker.close();
      expect(waker.fileno()).toBe(-1);
    });
  });

  // poll and select have no descriptor of their own.
  if (name === 'epoll' || name === 'kqueue') {
    it('shows by its own descriptor that something is ready', () => {
      const selector = makeSelector();
      const { reader, writer } = descriptors.pipe();
      const [near] = descriptors.socketPair();
      selector.register(reader, EVENT_READ);
      const outer = makeSelector();
      const key = outer.register(selector, EVENT_READ);
      expect(outer.select(0)).toEqual([]);
      writeSync(writer, 'x');
      expect(outer.select(0)).toEqual([[key, EVENT_READ]]);
      drain(reader);
      expect(outer.select(0)).toEqual([]);
      selector.register(near, EVENT_WRITE);
      expect(outer.select(0)).toEqual([[key, EVENT_READ]]);
    });
  }

  /** A pipe whose reader has the number `fd`. */
  function reopen(fd: number): { reader: number; writer: number } {
    for (let tries = 0; tries < 100; tries += 1) {
      const pipe = descriptors.pipe();
      if (pipe.reader === fd) return pipe;
    }
    throw new Error(`descriptor ${fd} was not given out again`);
  }
});
