import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** How often the timers are due, in milliseconds. */
export const TIMER = 10;
/** Stalls that a witness can write down; each is two numbers. */
const MOST_STALLS = 10_000;

/** From when a timer was due until it ran, in milliseconds that all threads share. */
type Stall = readonly [due: number, ran: number];

const WITNESS = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { stalls, counter, timer } = workerData;
  const now = () => performance.timeOrigin + performance.now();
  let due = now() + timer;
  setInterval(() => {
    const ran = now();
    const at = Atomics.load(counter, 0);
    if (ran > due && 2 * at < stalls.length) {
      stalls[2 * at] = due;
      stalls[2 * at + 1] = ran;
      Atomics.store(counter, 0, at + 1);
    }
    due = ran + timer;
  }, timer);
  parentPort.postMessage('ready');
`;

/** The lateness of a timer of this thread, and of one in a thread that has nothing else to do. */
export interface Lateness {
  /** How often the timer of this thread has run. */
  readonly ticks: number;
  /** How late it was at most, in milliseconds. */
  readonly latest: number;
  /**
   * The same without what the other thread was late at the same moment: that much the machine, which
   * is busy with other tests and processes, has held everybody up.
   */
  readonly latestOfOurs: number;
}

/** Begins to watch; what it returns ends that. */
export async function watchLateness(): Promise<() => Promise<Lateness>> {
  const stalls = new Float64Array(new SharedArrayBuffer(16 * MOST_STALLS));
  const counter = new Int32Array(new SharedArrayBuffer(4));
  const workerData = { stalls, counter, timer: TIMER };
  const witness = new Worker(WITNESS, { eval: true, workerData });
  await once(witness, 'message');
  const ours: Stall[] = [];
  const now = (): number => performance.timeOrigin + performance.now();
  let ticks = 0;
  let due = now() + TIMER;
  const timer = setInterval(() => {
    const ran = now();
    ticks++;
    ours.push([due, ran]);
    due = ran + TIMER;
  }, TIMER);
  return async () => {
    clearInterval(timer);
    // A stall of the witness that is not over yet is written down by its next tick.
    await new Promise((resolve) => setTimeout(resolve, 5 * TIMER));
    await witness.terminate();
    const theirs = Array.from({ length: counter[0] as number }, (_, index): Stall => {
      return [stalls[2 * index] as number, stalls[2 * index + 1] as number];
    });
    return {
      ticks,
      latest: Math.max(0, ...ours.map(([from, to]) => to - from)),
      latestOfOurs: Math.max(0, ...ours.map((stall) => duration(stall) - overlap(stall, theirs))),
    };
  };
}

function duration([due, ran]: Stall): number {
  return ran - due;
}

/** How much of `stall` was covered by `others`, which do not overlap each other. */
function overlap([due, ran]: Stall, others: readonly Stall[]): number {
  let sum = 0;
  for (const [from, to] of others) sum += Math.max(0, Math.min(ran, to) - Math.max(due, from));
  return sum;
}
