import { construct, type NativeWaker, native } from '../native.ts';

// The words of a handover, as native/handover.cc has them: the number of descriptors, and where the
// places begin.
const COUNT = 4;
const HEAD = 5;
const PLACE = 2;

/** Milliseconds in a step of the clock by which waiting is measured: 31 bits last for years. */
const STEP = 100;
const ANY = 2 ** 31 - 1;

/**
 * Connections that were accepted and wait for a thread to take them: the queue of a thread pool.
 * The acceptor puts, the threads take, each whenever its loop turns. It lies in shared memory.
 */
export class AcceptedQueue {
  readonly words: Int32Array<SharedArrayBuffer>;

  constructor(words: Int32Array<SharedArrayBuffer>) {
    this.words = words;
  }

  static ofSize(size: number): AcceptedQueue {
    const words = HEAD + PLACE * size;
    return new AcceptedQueue(new Int32Array(new SharedArrayBuffer(4 * words)));
  }

  /** How many connections wait. */
  get size(): number {
    return Atomics.load(this.words, COUNT);
  }

  /** Gives a descriptor away. False when the queue is full or closed. */
  put(fd: number): boolean {
    return native.handoverPut(this.words, fd, Math.ceil(performance.now() / STEP)) === 0;
  }

  /** The descriptor that has waited longest, which is the caller's from now on; -1 for none. */
  take(): number {
    return Math.max(native.handoverTake(this.words, ANY), -1);
  }

  /** The same, if it has waited for so many seconds. Only where it was put. */
  takeLate(seconds: number): number {
    const newest = Math.floor((performance.now() - seconds * 1000) / STEP);
    return Math.max(native.handoverTake(this.words, Math.max(newest, -1)), -1);
  }
}

/** Opens the queue; the waker is readable while there is something in it. */
export function openQueue({ words }: AcceptedQueue): NativeWaker {
  const waker = construct(() => new native.Waker(), 'a pool needs descriptors of its own');
  native.handoverOpen(words, waker);
  return waker;
}
