import { RyegateError } from '../errors.ts';
import { type NativeWaker, native } from '../native.ts';

// The control block's words, as native/control.cc has them. SERVING is odd while the server serves,
// and never the same in two servings.
const REQUESTED = 2;
const SERVING = 3;
const WORDS = 4;

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
    const serving = native.controlRequest(words);
    while (serving !== 0 && Atomics.load(words, SERVING) === serving) {
      const { value } = Atomics.waitAsync(words, SERVING, serving, RECHECK);
      // A pending waitAsync does not keep Node's loop alive; a timer does.
      const alive = setInterval(() => {}, RECHECK);
      await value;
      clearInterval(alive);
    }
  }

  /**
   * As `shutdown()`, blocking this thread. False when `timeout` seconds passed first. Throws
   * `ERR_RYEGATE_DEADLOCK` on the thread that serves, which it would keep from ending.
   */
  shutdownSync(timeout: number = Infinity): boolean {
    const words = this.#words;
    if (ours.has(this.control) && isServing(words)) throw deadlock();
    const deadline = performance.now() + timeout * 1000;
    const serving = native.controlRequest(words);
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
    return Atomics.load(this.#words, REQUESTED) === 1;
  }

  request(): void {
    native.controlRequest(this.#words);
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

function deadlock(): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_DEADLOCK',
    'shutdownSync() was called on the thread that serves, which cannot end while it waits: ' +
      'call shutdown() there',
  );
}
