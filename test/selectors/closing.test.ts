import { expect, it } from 'vitest';
import { native } from '../../src/native.ts';
import { EVENT_READ, EVENT_WRITE } from '../../src/selectors/index.ts';
import { codeOf, describeBackends, selectorMaker } from '../support/backends.ts';
import { descriptorKeeper, openDescriptors } from '../support/descriptors.ts';

// Other threads of the process open and close descriptors too; a leak would be far above.
const STRAY = 20;

describeBackends('closing', (name) => {
  const makeSelector = selectorMaker(name);
  const descriptors = descriptorKeeper();

  it('closes any number of times', () => {
    const selector = makeSelector();
    selector.close();
    expect(() => selector.close()).not.toThrow();
  });

  it('closes at the end of a using block', () => {
    const selector = makeSelector();
    selector[Symbol.dispose]();
    expect(codeOf(() => selector.select(0))).toBe('ERR_RYEGATE_SELECTOR_CLOSED');
    expect(() => selector[Symbol.dispose]()).not.toThrow();
  });

  it('refuses every call once closed', () => {
    const selector = makeSelector();
    const { reader, writer } = descriptors.pipe();
    selector.register(reader, EVENT_READ);
    selector.close();
    const calls = [
      () => selector.register(writer, EVENT_WRITE),
      () => selector.unregister(reader),
      () => selector.modify(reader, EVENT_WRITE),
      () => selector.select(0),
      () => selector.select(),
      () => selector.getKey(reader),
    ];
    expect(calls.map(codeOf)).toEqual(calls.map(() => 'ERR_RYEGATE_SELECTOR_CLOSED'));
  });

  it('has no map once closed, and an earlier view is empty', () => {
    const selector = makeSelector();
    const { reader } = descriptors.pipe();
    selector.register(reader, EVENT_READ);
    const map = selector.getMap();
    selector.close();
    expect(selector.getMap()).toBeNull();
    expect([map?.size, map?.has(reader)]).toEqual([0, false]);
    expect(selector.fileno()).toBe(-1);
  });

  it('leaves the registered descriptors open', () => {
    const selector = makeSelector();
    const { reader, writer } = descriptors.pipe();
    selector.register(reader, EVENT_READ);
    selector.register(writer, EVENT_WRITE);
    selector.close();
    expect([native.isOpen(reader), native.isOpen(writer)]).toEqual([true, true]);
  });

  it('closes its own descriptor', () => {
    const selector = makeSelector();
    const fd = selector.fileno();
    expect(fd >= 0).toBe(name === 'epoll' || name === 'kqueue');
    selector.close();
    if (fd >= 0) expect(native.isOpen(fd)).toBe(false);
  });

  it('leaks no descriptor over 1000 selectors', () => {
    const { reader } = descriptors.pipe();
    const before = openDescriptors();
    for (let i = 0; i < 1000; i += 1) {
      const selector = makeSelector();
      selector.register(reader, EVENT_READ);
      selector.select(0);
      selector.close();
    }
    expect(openDescriptors() - before).toBeLessThan(STRAY);
  });

  it('leaks no descriptor over 1000 registrations', () => {
    const selector = makeSelector();
    const before = openDescriptors();
    for (let i = 0; i < 1000; i += 1) {
      const { reader, writer } = descriptors.pipe();
      selector.register(reader, EVENT_READ);
      selector.modify(reader, EVENT_READ | EVENT_WRITE);
      selector.unregister(reader);
      descriptors.close(reader);
      descriptors.close(writer);
    }
    expect(openDescriptors() - before).toBeLessThan(STRAY);
  });
});
