import { writeSync } from 'node:fs';
import { expect, it } from 'vitest';
import { native } from '../../src/native.ts';
import { EVENT_READ, EVENT_WRITE, type SelectorName } from '../../src/selectors/index.ts';
import { describeBackends, eventsByDescriptor, selectorMaker } from '../support/backends.ts';
import { descriptorKeeper, drain, openDescriptors } from '../support/descriptors.ts';

const BOTH = EVENT_READ | EVENT_WRITE;
const RING_ENTRIES = 1024;

/** `wanted` pairs of descriptors, or what select's range of 1024 has room for. */
function pairs(name: SelectorName, wanted: number): number {
  const room = Math.floor((1024 - openDescriptors() - 64) / 2);
  return name === 'select' ? Math.min(wanted, room) : wanted;
}

describeBackends('many descriptors', (name) => {
  const makeSelector = selectorMaker(name);
  const descriptors = descriptorKeeper();

  it('finds each of 500 pipes (fewer for select) when it is ready', () => {
    const selector = makeSelector();
    const pipes = Array.from({ length: pairs(name, 500) }, () => descriptors.pipe());
    for (const { reader } of pipes) selector.register(reader, EVENT_READ);
    expect(selector.select(0)).toEqual([]);
    for (const { reader, writer } of pipes) {
      writeSync(writer, 'x');
      expect(selector.select(0).map(([key]) => key.fd)).toEqual([reader]);
      drain(reader);
    }
    for (const { writer } of pipes) writeSync(writer, 'x');
    expect(new Set(selector.select(0).map(([key]) => key.fd))).toEqual(
      new Set(pipes.map(({ reader }) => reader)),
    );
  });

  it('keeps the others in order while every second one is unregistered', () => {
    const selector = makeSelector();
    const pipes = Array.from({ length: 100 }, () => descriptors.pipe());
    for (const { reader } of pipes) selector.register(reader, EVENT_READ);
    for (const { writer } of pipes) writeSync(writer, 'x');
    const [gone, left] = [0, 1].map((rest) => pipes.filter((_, i) => i % 2 === rest));
    for (const { reader } of gone ?? []) selector.unregister(reader);
    const readers = new Set(left?.map(({ reader }) => reader));
    expect(new Set(selector.select(0).map(([key]) => key.fd))).toEqual(readers);
    for (const { reader } of gone ?? []) selector.register(reader, EVENT_READ);
    expect(selector.select(0)).toHaveLength(pipes.length);
  });

  it('finds 1200 that are ready (fewer for select) over a few selects', () => {
    const selector = makeSelector();
    const ends = Array.from({ length: pairs(name, 600) }, () => descriptors.socketPair()).flat();
    for (const end of ends) selector.register(end, EVENT_WRITE);
    const found = new Set<number>();
    for (let turn = 0; turn < 2; turn += 1) {
      const ready = selector.select(0);
      expect(ready).toHaveLength(Math.min(ends.length, RING_ENTRIES));
      for (const [key] of ready) found.add(key.fd);
    }
    expect(found).toEqual(new Set(ends));
  });

  it('finds 600 that are ready both ways (fewer for select) over a few selects', () => {
    const selector = makeSelector();
    const ends = Array.from({ length: pairs(name, 300) }, () => descriptors.socketPair()).flat();
    for (const end of ends) writeSync(end, 'x');
    for (const end of ends) selector.register(end, BOTH);
    const found = new Map<number, number>();
    for (let turn = 0; turn < 4; turn += 1) {
      for (const [fd, events] of eventsByDescriptor(selector.select(0))) {
        found.set(fd, (found.get(fd) ?? 0) | events);
      }
    }
    expect(found).toEqual(new Map(ends.map((end) => [end, BOTH])));
  });

  it('is fair to all when the ring is smaller than the number of the ready', () => {
    const ring = new Int32Array(2 * 8);
    const poller = new native.Poller(name, ring);
    const ends = Array.from({ length: 20 }, () => descriptors.socketPair()).flat();
    for (const end of ends) expect(poller.add(end, EVENT_WRITE)).toBe(0);
    for (let round = 0; round < 3; round += 1) {
      const found = new Set<number>();
      for (let turn = 0; turn < ends.length / 8; turn += 1) {
        const count = poller.wait(0);
        expect(count).toBe(8);
        for (let i = 0; i < count; i += 1) found.add(ring[2 * i] as number);
      }
      expect(found).toEqual(new Set(ends));
    }
    poller.close();
  });

  it('is fair to both directions when the ring has one entry', () => {
    const ring = new Int32Array(2);
    const poller = new native.Poller(name, ring);
    const [near, far] = descriptors.socketPair();
    writeSync(near, 'x');
    writeSync(far, 'x');
    for (const end of [near, far]) expect(poller.add(end, BOTH)).toBe(0);
    const found = new Map<number, number>();
    for (let turn = 0; turn < 4; turn += 1) {
      expect(poller.wait(0)).toBe(1);
      const [fd, events] = ring as unknown as [number, number];
      found.set(fd, (found.get(fd) ?? 0) | events);
    }
    expect(found).toEqual(new Map([near, far].map((end) => [end, BOTH])));
    poller.close();
  });

  it('stays fair while descriptors come and go', () => {
    const ring = new Int32Array(2 * 4);
    const poller = new native.Poller(name, ring);
    const ends = Array.from({ length: 10 }, () => descriptors.socketPair()).flat();
    const [steady, passing] = [ends.slice(0, 10), ends.slice(10)];
    for (const end of steady) poller.add(end, EVENT_WRITE);
    const found = new Set<number>();
    for (let turn = 0; turn < 40; turn += 1) {
      const guest = passing[turn % passing.length] as number;
      poller.add(guest, EVENT_WRITE);
      const count = poller.wait(0);
      for (let i = 0; i < count; i += 1) found.add(ring[2 * i] as number);
      poller.remove(guest);
    }
    expect([...found].filter((fd) => steady.includes(fd)).sort()).toEqual([...steady].sort());
    poller.close();
  });
});
