import { once } from 'node:events';
import { constants } from 'node:os';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { type NativeWaker, native } from '../../src/native.ts';
import { withAddon } from '../support/addonscripts.ts';
import { descriptorKeeper, openDescriptors } from '../support/descriptors.ts';
import { settledDescriptors } from '../support/workers.ts';

const EAGAIN = -constants.errno.EAGAIN;
const EBADF = -constants.errno.EBADF;
const HEAD = 5;
const LATEST = 2 ** 31 - 1;

const descriptors = descriptorKeeper();
const wakers: NativeWaker[] = [];
afterEach(() => {
  for (const waker of wakers.splice(0)) waker.close();
});

function makeHandover(places: number): { words: Int32Array; waker: NativeWaker } {
  const words = new Int32Array(new SharedArrayBuffer(4 * (HEAD + 2 * places)));
  const waker = new native.Waker();
  wakers.push(waker);
  native.handoverOpen(words, waker);
  return { words, waker };
}

/** Whether the waker tells that there is something to take. */
function tells({ waker }: { waker: NativeWaker }): boolean {
  const poller = new native.Poller('poll', new Int32Array(2));
  poller.add(waker.fileno(), 1);
  const count = poller.wait(0);
  poller.close();
  return count === 1;
}

/** Both ends of a pair, which somebody else is to close. */
function give(words: Int32Array, stamp = 0): number {
  const [fd] = descriptors.socketPair();
  const copy = native.duplicate(fd);
  expect(native.handoverPut(words, copy, stamp)).toBe(0);
  return copy;
}

describe('a handover', () => {
  it('gives what was put in its order, and tells whether there is something', () => {
    const handover = makeHandover(3);
    const { words } = handover;
    expect([native.handoverTake(words, LATEST), tells(handover)]).toEqual([EAGAIN, false]);
    for (let round = 0; round < 4; round++) {
      const put = [give(words), give(words)];
      expect(tells(handover)).toBe(true);
      expect(descriptors.keep(native.handoverTake(words, LATEST))).toBe(put[0]);
      expect(tells(handover)).toBe(true);
      expect(descriptors.keep(native.handoverTake(words, LATEST))).toBe(put[1]);
      expect([native.handoverTake(words, LATEST), tells(handover)]).toEqual([EAGAIN, false]);
    }
  });

  it('refuses what it has no place for, and everything once it is closed', () => {
    const { words } = makeHandover(2);
    const put = [give(words), give(words)];
    const { reader } = descriptors.pipe();
    expect(native.handoverPut(words, reader, 0)).toBe(EAGAIN);
    native.handoverClose(words);
    expect(native.handoverPut(words, reader, 0)).toBe(EBADF);
    // What it has can still be taken.
    for (const fd of put) expect(descriptors.keep(native.handoverTake(words, LATEST))).toBe(fd);
  });

  it('gives only what is old enough, when asked for that', () => {
    const { words } = makeHandover(4);
    const [first, second] = [give(words, 10), give(words, 20)];
    expect(native.handoverTake(words, 9)).toBe(EAGAIN);
    expect(descriptors.keep(native.handoverTake(words, 10))).toBe(first);
    expect(native.handoverTake(words, 19)).toBe(EAGAIN);
    expect(descriptors.keep(native.handoverTake(words, LATEST))).toBe(second);
  });

  it('memory that is no open handover takes nothing', () => {
    const words = new Int32Array(new SharedArrayBuffer(64));
    expect(native.handoverPut(words, 1, 0)).toBe(EBADF);
    expect(native.handoverTake(words, LATEST)).toBe(EAGAIN);
    words.fill(LATEST).fill(0, 0, 1);
    expect(native.handoverPut(words, 1, 0)).toBe(EAGAIN);
  });

  it('a thread that is terminated closes what it has taken, and leaves the rest', async () => {
    const { words } = makeHandover(4);
    const before = openDescriptors();
    const [taken, left] = [give(words), give(words)];
    const script = `${withAddon}
      const { parentPort, workerData } = require('node:worker_threads');
      parentPort.postMessage(native.handoverTake(workerData, ${LATEST}));
      setInterval(() => {}, 1000);`;
    const worker = new Worker(script, { eval: true, workerData: words, execArgv: [] });
    expect(await once(worker, 'message')).toEqual([taken]);
    await worker.terminate();
    expect(native.isOpen(taken)).toBe(false);
    expect(descriptors.keep(native.handoverTake(words, LATEST))).toBe(left);
    // The pairs of give(), and what is left of the two copies.
    expect(await settledDescriptors(before + 5)).toBeLessThanOrEqual(before + 5);
  });

  it('many threads take from: each descriptor goes to one of them', async () => {
    const { words, waker } = makeHandover(64);
    const script = `${withAddon}
      const { parentPort, workerData } = require('node:worker_threads');
      const { words, fd, done } = workerData;
      const poller = new native.Poller('poll', new Int32Array(2));
      poller.add(fd, 1);
      let taken = 0;
      for (let over = false; !over; ) {
        // Asked first: nothing is put afterwards.
        over = Atomics.load(done, 0) === 1;
        poller.wait(over ? 0 : 100);
        const fd = native.handoverTake(words, ${LATEST});
        if (fd >= 0) over = false;
        if (fd >= 0 && native.close(fd) === 0) taken++;
      }
      poller.close();
      parentPort.postMessage(taken);`;
    const done = new Int32Array(new SharedArrayBuffer(4));
    const workerData = { words, fd: waker.fileno(), done };
    const workers = [1, 2, 3].map(
      () => new Worker(script, { eval: true, workerData, execArgv: [] }),
    );
    const told = workers.map((worker) => once(worker, 'message'));
    await Promise.all(workers.map((worker) => once(worker, 'online')));
    const [source] = descriptors.socketPair();
    let put = 0;
    for (
      const deadline = performance.now() + 10_000;
      put < 2000 && performance.now() < deadline;
    ) {
      const copy = native.duplicate(source);
      if (native.handoverPut(words, copy, 0) === 0) put++;
      else native.close(copy);
      if (put % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    Atomics.store(done, 0, 1);
    const counts = (await Promise.all(told)).flat() as number[];
    expect(put).toBe(2000);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(put);
  });
});
