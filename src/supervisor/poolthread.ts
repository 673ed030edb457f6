import { setTimeout as sleep } from 'node:timers/promises';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { RyegateError } from '../errors.ts';
import type { HTTPServerStats } from '../httpserver/index.ts';
import { toMilliseconds } from '../milliseconds.ts';
import { native } from '../native.ts';
import { ShutdownHandle } from '../reactor/control.ts';
import type { DrainSummary } from '../reactor/drain.ts';
import { duplicateListener } from './duplicatelistener.ts';
import type { PoolBoard, ThreadBoard } from './poolboard.ts';
import { afterEnd } from './poolcounters.ts';
import type { ReadyMessage, ThreadData } from './threadmain.ts';

/**
 * - `starting`: loads the application.
 * - `serving`: accepts connections.
 * - `retiring`: accepts none, and finishes what it has begun.
 * - `ended`
 */
export type ThreadState = 'starting' | 'serving' | 'retiring' | 'ended';

/** How a thread came to its end: by itself when it had been told to, by force, or unexpectedly. */
export type ThreadEnd = 'drained' | 'terminated' | 'failed';

/**
 * Seconds that a thread has to begin to serve, before it is terminated: Node leaks the descriptors
 * of modules that are being loaded then. So long, whatever it may take to finish: it has no client.
 */
const LOADING = 1;
/** Seconds that it has to break off what it has not finished in time. */
const FORCING = 0.4;
/** Seconds that the end of a terminated thread is waited for: a native call may never return. */
const LONGEST_TERMINATION = 5;

/** One thread of a pool, as the thread that made the pool sees it. */
export class PoolThread {
  readonly threadId: number;
  readonly board: ThreadBoard;
  readonly begun: number = performance.now();
  /** Resolves when it accepts; rejects with what kept it from that. */
  readonly ready: Promise<void>;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  /** Resolves when its server begins to serve. */
  readonly #loaded: Promise<void>;
  #load: () => void = () => {};
  /** Rejects `ready`. */
  #refuse: (error: unknown) => void = () => {};
  /** A copy of the pool's listener, which may be closed while this thread loads; null afterwards. */
  #listener: number | null = null;
  /** When it began to serve, in milliseconds; null before. */
  servingSince: number | null = null;
  /** What it failed with, when it has. */
  error: unknown = null;
  /** Whether it ended unasked. */
  failed = false;
  /** What its server has counted, when it has ended. */
  counted: HTTPServerStats | null = null;
  /** Its exit status, when it has ended. */
  status: number | null = null;
  readonly #worker: Worker;
  #state: ThreadState = 'starting';
  #handle: ShutdownHandle | null = null;
  #terminated = false;
  #draining: Promise<DrainSummary | null> | null = null;
  /** Seconds that it has to finish what it has begun. */
  #patience = 0;
  #beats = 0;
  /** Seconds without a beat. */
  #silence = 0;

  /** @throws what `new Worker()` throws */
  constructor(data: Omit<ThreadData, 'place'>, pool: PoolBoard, options: WorkerOptions) {
    this.board = pool.take();
    try {
      if (data.listener !== null) this.#listener = duplicateListener(data.listener);
      const listener = this.#listener;
      const workerData: ThreadData = { ...data, listener, place: this.board.place };
      this.#worker = new Worker(new URL('./threadmain.js', import.meta.url), {
        ...options,
        workerData,
      });
    } catch (error) {
      this.#releaseListener();
      pool.free(this.board);
      throw error;
    }
    this.threadId = this.#worker.threadId;
    this.ended = new Promise((resolve) => {
      this.#worker.once('exit', (status) => {
        this.#exited(status);
        pool.free(this.board);
        resolve();
      });
    });
    this.#worker.on('error', (error) => {
      this.error = ofThisThread(error);
    });
    this.#loaded = new Promise((resolve) => {
      this.#load = resolve;
    });
    this.ready = this.#untilReady();
    // It may be of interest to nobody.
    this.ready.catch(() => {});
  }

  #untilReady(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#worker.on('message', (message: ReadyMessage | undefined) => {
        if (message?.ryegate !== 'ready') return;
        this.#handle = ShutdownHandle.from(message.handle);
        this.#releaseListener();
        this.#load();
        if (this.#state === 'retiring') {
          this.#drain();
          return;
        }
        this.#enter('serving');
        this.servingSince = performance.now();
        // It could not turn its loop before.
        this.#silence = 0;
        resolve();
      });
      this.#refuse = reject;
      this.ended.then(() => reject(this.error ?? this.fault));
    });
  }

  #exited(status: number): void {
    this.failed = this.#state === 'starting' || this.#state === 'serving';
    this.status = status;
    this.counted = afterEnd(this.board.stats);
    this.#releaseListener();
    this.#enter('ended');
  }

  #enter(state: ThreadState): void {
    this.#state = state;
    this.board.serving = state === 'serving';
  }

  /** What its end was, for the operator. */
  get fault(): RyegateError {
    const { threadId, status, error } = this;
    const what = `thread ${threadId} ended with status ${status}`;
    return error === null
      ? fault(`${what}: its application must not call process.exit()`)
      : fault(`${what}: see the cause`, { cause: error });
  }

  get state(): ThreadState {
    return this.#state;
  }

  /** Whether it serves, and has no connection. */
  get idle(): boolean {
    return this.#state === 'serving' && this.board.connections === 0;
  }

  /** Does not keep the process alive. */
  unref(): void {
    this.#worker.unref();
  }

  /** Another `seconds` have passed: how many there have been now since its loop turned. */
  silenceAfter(seconds: number): number {
    const { beats } = this.board;
    this.#silence = beats === this.#beats ? this.#silence + seconds : 0;
    this.#beats = beats;
    return this.#silence;
  }

  /**
   * Ends it once it has finished what it has begun, or when so many seconds have passed. `isLast`:
   * all threads of the pool are ended. One that is retired already gets no more time than it had.
   */
  async retire(seconds: number, isLast: boolean): Promise<ThreadEnd> {
    if (this.#state === 'retiring') {
      this.#patience = Math.min(this.#patience, seconds);
      this.board.hurry(seconds);
      this.wake();
    } else {
      this.#patience = seconds;
    }
    if (this.#state !== 'ended') {
      this.#enter('retiring');
      this.board.last = isLast;
      this.#drain();
    }
    const isLoaded = this.#handle !== null || (await this.#loadsWithin(LOADING));
    if (!isLoaded || !(await this.#endsWithin(seconds + FORCING))) return this.terminate();
    if (this.#terminated) return 'terminated';
    return this.error === null ? 'drained' : 'failed';
  }

  /** What it does not finish in time, it breaks off. */
  #drain(): void {
    // Null when it has ended before.
    this.#draining = this.#handle?.drain({ deadline: this.#patience }).catch(() => null) ?? null;
  }

  /** What became of its connections, when it has ended. */
  async connectionsEnded(): Promise<{ finished: number; aborted: number }> {
    const summary = this.#terminated ? null : await this.#draining;
    return summary ?? { finished: 0, aborted: this.board.connections };
  }

  /** Ends it at once; its connections are closed. */
  async terminate(): Promise<ThreadEnd> {
    if (this.#state !== 'ended') {
      this.#enter('retiring');
      this.#terminated = true;
      this.#worker.terminate();
      if (!(await this.#endsWithin(LONGEST_TERMINATION))) {
        this.unref();
        this.#releaseListener();
      }
    }
    return 'terminated';
  }

  /** Ends it at once, since it has been loading for so long. */
  giveUp(seconds: number): void {
    this.#refuse(notLoaded(this.threadId, seconds));
    this.terminate();
  }

  #releaseListener(): void {
    if (this.#listener !== null) native.close(this.#listener);
    this.#listener = null;
  }

  /** Has its loop turn, so that it sees what the board tells. */
  wake(): void {
    // To ask for nothing wakes as well.
    if (this.#handle !== null) native.controlRequest(new Int32Array(this.#handle.control), 0);
  }

  #loadsWithin(seconds: number): Promise<boolean> {
    return within(seconds, Promise.race([this.#loaded, this.ended]));
  }

  #endsWithin(seconds: number): Promise<boolean> {
    return within(seconds, this.ended);
  }
}

/** Whether it is resolved in time. */
async function within(seconds: number, awaited: Promise<void>): Promise<boolean> {
  const waiting = new AbortController();
  const { signal } = waiting;
  const late = sleep(toMilliseconds(seconds), false, { signal }).catch(() => false);
  const inTime = await Promise.race([awaited.then(() => true), late]);
  waiting.abort();
  return inTime;
}

function fault(message: string, options?: ErrorOptions): RyegateError {
  return new RyegateError('ERR_RYEGATE_THREAD_ENDED', message, options);
}

function notLoaded(threadId: number, seconds: number): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_THREAD_HUNG',
    `thread ${threadId} did not begin to serve in ${seconds} seconds: its application has to load ` +
      'faster, or the timeout of the pool has to be raised',
  );
}

/** What comes from another thread has lost its class. */
function ofThisThread(error: unknown): unknown {
  const { code, message, stack } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  if (!code?.startsWith('ERR_RYEGATE_') || message === undefined) return error;
  return Object.assign(new RyegateError(code, message, { cause: error }), { stack });
}
