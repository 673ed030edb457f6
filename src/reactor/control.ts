import { RyegateError } from '../errors.ts';
import { toMilliseconds } from '../milliseconds.ts';
import { type NativeWaker, native } from '../native.ts';
import {
  checkDrainOptions,
  DRAIN_PHASES,
  type DrainOptions,
  type DrainPhase,
  type DrainProgress,
  type DrainSummary,
} from './drain.ts';

// The control block's words, the first four as native/control.cc has them. SERVING is odd while the
// server serves, and never the same in two servings.
const REQUESTED = 2;
const SERVING = 3;
// What a drain is to do, in milliseconds, -1 for the default.
const DELAY = 4;
const DEADLINE = 5;
const GRACE = 6;
// How far it has come. PHASE counts the phases from 1 on; 0 is none.
const PHASE = 7;
const OPEN = 8;
const FINISHED = 9;
const ABORTED = 10;
const MILLISECONDS = 11;
const WORDS = 12;

// What is asked for: bits.
const SHUTDOWN = 1;
const DRAIN = 2;

/** The blocks of this thread's servers. */
const ours = new WeakSet<SharedArrayBuffer>();

/**
 * How often a wait for another thread's server looks for itself, in milliseconds: a worker that is
 * terminated while it serves ends without a notification.
 */
const RECHECK = 1000;

/** What a `ShutdownHandle` becomes when it is posted to another thread. */
export interface PostedShutdownHandle {
  readonly control: SharedArrayBuffer;
}

/**
 * Reaches a server from another thread of the process. It is posted as it is, by `postMessage` or
 * in `workerData`, and made usable at the other end by `ShutdownHandle.from()`. It stays good for
 * any number of servings.
 */
export class ShutdownHandle implements PostedShutdownHandle {
  readonly control: SharedArrayBuffer;

  constructor(control: SharedArrayBuffer) {
    this.control = control;
  }

  /** Throws `ERR_RYEGATE_SHUTDOWN_HANDLE` for anything that was not a handle before it was posted. */
  static from(posted: PostedShutdownHandle): ShutdownHandle {
    const control = posted?.control;
    if (control instanceof SharedArrayBuffer && control.byteLength === 4 * WORDS) {
      return new ShutdownHandle(control);
    }
    throw new RyegateError(
      'ERR_RYEGATE_SHUTDOWN_HANDLE',
      'this is no shutdown handle: post the value of server.shutdownHandle itself',
    );
  }

  /** Whether the server is serving. */
  get serving(): boolean {
    return isServing(this.#words);
  }

  /** As the server's `shutdown()`: resolves when it has ended serving. */
  async shutdown(): Promise<void> {
    const words = this.#words;
    const serving = native.controlRequest(words, SHUTDOWN);
    if (serving !== 0) await changed(words, SERVING, serving);
  }

  /** Resolves when the server has ended serving, whoever ends it; at once when it is not serving. */
  async wait(): Promise<void> {
    const words = this.#words;
    const serving = Atomics.load(words, SERVING);
    if ((serving & 1) === 1) await changed(words, SERVING, serving);
  }

  /**
   * As the server's `drain()`: resolves when all its connections have ended and it is closed. A
   * drain that is under way goes on as it is. `progress` is told the latest when it has changed.
   *
   * @throws (rejects) RyegateError `ERR_RYEGATE_NOT_SERVING` when the server is not serving, or its
   *   thread has ended before the drain has; `ERR_RYEGATE_OPTION`; what `progress` throws, while the
   *   drain goes on
   */
  async drain(options: DrainOptions = {}): Promise<DrainSummary> {
    const words = this.#words;
    checkDrainOptions(options);
    if (Atomics.load(words, PHASE) === 0) {
      Atomics.store(words, DELAY, toWord(options.delay));
      Atomics.store(words, DEADLINE, toWord(options.deadline));
      Atomics.store(words, GRACE, toWord(options.grace));
    }
    const serving = native.controlRequest(words, DRAIN);
    if (serving === 0 && Atomics.load(words, PHASE) === 0) throw notServing();
    for (let phase = 0; phase !== DRAIN_PHASES.length; ) {
      await changed(words, PHASE, phase, servingChecker(words));
      const next = Atomics.load(words, PHASE);
      if (next === phase) throw notServing();
      phase = next;
      options.progress?.(readProgress(words));
    }
    const { finished, aborted, seconds } = readProgress(words);
    return { finished, aborted, seconds };
  }

  /**
   * As `shutdown()`, blocking this thread. False when `timeout` seconds passed first. Throws
   * `ERR_RYEGATE_DEADLOCK` on the thread that serves, which it would keep from ending.
   */
  shutdownSync(timeout: number = Infinity): boolean {
    const words = this.#words;
    if (ours.has(this.control) && isServing(words)) throw deadlock();
    const deadline = performance.now() + timeout * 1000;
    const serving = native.controlRequest(words, SHUTDOWN);
    while (serving !== 0 && Atomics.load(words, SERVING) === serving) {
      const left = deadline - performance.now();
      if (left <= 0) return false;
      Atomics.wait(words, SERVING, serving, Math.min(left, RECHECK));
    }
    return true;
  }

  get #words(): Int32Array<SharedArrayBuffer> {
    return new Int32Array(this.control);
  }
}

/** `threading.Event`, as far as a server offers it: set while the server is not serving. */
export interface ShutdownEvent {
  isSet(): boolean;
  wait(): Promise<void>;
}

/** The serving thread's side of the control block. */
export class Control implements ShutdownEvent {
  readonly handle: ShutdownHandle = new ShutdownHandle(new SharedArrayBuffer(4 * WORDS));
  readonly #words = new Int32Array(this.handle.control);
  #waiting: (() => void)[] = [];

  constructor() {
    ours.add(this.handle.control);
  }

  /** Serving begins; requests made earlier are forgotten. */
  attach(waker: NativeWaker): void {
    native.controlAttach(this.#words, waker);
  }

  /** Serving has ended. */
  detach(): void {
    native.controlDetach(this.#words);
    Atomics.notify(this.#words, SERVING);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** Whether any thread has asked for the end. */
  get requested(): boolean {
    return (Atomics.load(this.#words, REQUESTED) & SHUTDOWN) !== 0;
  }

  request(): void {
    native.controlRequest(this.#words, SHUTDOWN);
  }

  /** What a drain is to do that another thread has asked for; null when none has. */
  get drainRequested(): DrainOptions | null {
    const words = this.#words;
    if ((Atomics.load(words, REQUESTED) & DRAIN) === 0) return null;
    const read = (word: number): number | undefined => fromWord(Atomics.load(words, word));
    return { delay: read(DELAY), deadline: read(DEADLINE), grace: read(GRACE) };
  }

  /** Tells other threads how far a drain has come. */
  tell({ phase, open, finished, aborted, seconds }: DrainProgress): void {
    const words = this.#words;
    Atomics.store(words, OPEN, open);
    Atomics.store(words, FINISHED, finished);
    Atomics.store(words, ABORTED, aborted);
    Atomics.store(words, MILLISECONDS, Math.round(seconds * 1000));
    Atomics.store(words, PHASE, DRAIN_PHASES.indexOf(phase) + 1);
    Atomics.notify(words, PHASE);
  }

  isSet(): boolean {
    return !isServing(this.#words);
  }

  wait(): Promise<void> {
    if (this.isSet()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}

function isServing(words: Int32Array): boolean {
  return (Atomics.load(words, SERVING) & 1) === 1;
}

/** Waits until `word` is no longer `value`, or `goesOn` says no. */
async function changed(
  words: Int32Array,
  word: number,
  value: number,
  goesOn: () => boolean = () => true,
): Promise<void> {
  while (Atomics.load(words, word) === value && goesOn()) {
    const waiting = Atomics.waitAsync(words, word, value, RECHECK);
    // A pending waitAsync does not keep Node's loop alive; a timer does.
    const alive = setInterval(() => {}, RECHECK);
    await waiting.value;
    clearInterval(alive);
  }
}

/** A drain outlives the serving that it began in: for a moment, nobody serves. */
function servingChecker(words: Int32Array): () => boolean {
  let missed = 0;
  return () => isServing(words) || missed++ < 2;
}

function readProgress(words: Int32Array): DrainProgress {
  return {
    phase: DRAIN_PHASES[Atomics.load(words, PHASE) - 1] as DrainPhase,
    open: Atomics.load(words, OPEN),
    finished: Atomics.load(words, FINISHED),
    aborted: Atomics.load(words, ABORTED),
    seconds: Atomics.load(words, MILLISECONDS) / 1000,
  };
}

/** Those that are longer than a word can tell are for ever. */
const FOR_EVER = 2 ** 31 - 1;

function toWord(seconds: number | undefined): number {
  return seconds === undefined ? -1 : toMilliseconds(seconds);
}

function fromWord(word: number): number | undefined {
  if (word < 0) return undefined;
  return word === FOR_EVER ? Infinity : word / 1000;
}

function notServing(): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_NOT_SERVING',
    'there is nothing to drain: the server is not serving, or its thread has ended; drain it ' +
      'once it serves',
  );
}

function deadlock(): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_DEADLOCK',
    'shutdownSync() was called on the thread that serves, which cannot end while it waits: ' +
      'call shutdown() there',
  );
}
