import { isMainThread } from 'node:worker_threads';
import { monotonic } from '../clock.ts';
import type { Harvester } from './harvester.ts';
import type { Reactor } from './reactor.ts';
import { callActions, type Serving } from './serving.ts';

/**
 * Seconds that a native call may block a worker's thread: `terminate()`, and the end of the process,
 * wait until it returns. Nothing ends the main thread that way.
 */
const LONGEST_BLOCK = isMainThread ? Infinity : 0.25;

/** Makes turns of `reactor`, and nothing else, until `serving.done()`. */
export function serveBlocking(reactor: Reactor, harvester: Harvester, serving: Serving): void {
  const { deadlines } = reactor;
  reactor.flush();
  while (!serving.done()) {
    // What came while a handler blocked is received before anybody is found to be late.
    const isDue = deadlines.next <= monotonic();
    if (isDue || !reactor.serveAtOnce()) {
      reactor.harvest(() => wait(harvester, longestWait(reactor, serving)));
      reactor.serve();
    }
    reactor.flush();
    callActions(serving);
    if (isDue) deadlines.sweep(monotonic());
    reactor.flush();
  }
}

/** In seconds. */
function longestWait(reactor: Reactor, serving: Serving): number {
  if (!reactor.isIdle()) return 0;
  const sweep = (reactor.deadlines.next - performance.now()) / 1000;
  const wait = serving.actions === null ? sweep : Math.min(sweep, serving.pollInterval);
  return Math.max(wait, 0);
}

function wait(harvester: Harvester, seconds: number): void {
  for (let left = seconds; ; left -= LONGEST_BLOCK) {
    if (harvester.wait(Math.min(left, LONGEST_BLOCK))) return;
    if (left <= LONGEST_BLOCK) return;
  }
}
