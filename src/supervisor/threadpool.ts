import { setTimeout as sleep } from 'node:timers/promises';
import { isInstance, RyegateError } from '../errors.ts';
import type { HTTPServerStats } from '../httpserver/index.ts';
import { standardError } from '../io/errorstream.ts';
import { toMilliseconds } from '../milliseconds.ts';
import { type NativeWaker, native } from '../native.ts';
import { checkDrainOptions } from '../reactor/drain.ts';
import type { ServerAddress } from '../socketserver/index.ts';
import { attempt } from '../thenable.ts';
import { AcceptedQueue, openQueue } from './acceptedqueue.ts';
import { Acceptor } from './acceptor.ts';
import { logToStandardError } from './faultlog.ts';
import { PoolBoard } from './poolboard.ts';
import { sumStats } from './poolcounters.ts';
import { hung, notStarted, stopped } from './poolfaults.ts';
import {
  checkCount,
  type PoolDrainOptions,
  type PoolSettings,
  poolSettings,
  type ThreadPoolOptions,
} from './poolsettings.ts';
import { type PoolStats, type PoolSummary, poolStats } from './poolstats.ts';
import { PoolThread } from './poolthread.ts';
import { Workload } from './workload.ts';

/** Seconds between two looks at the threads, at most; and where a queue is looked at as well. */
const TICK = 1;
const QUEUE_TICK = 0.1;
/** Looks, or beats of a thread, within its timeout. */
const LOOKS = 8;
/** Seconds that a thread may take to begin to serve, if its timeout is not longer. */
const STARTING = 30;
/** A thread that served so long (ms) is replaced at once, another after a while (s). */
const STABLE = 1000;
const FIRST_DELAY = 0.1;
const LONGEST_DELAY = 10;
/** Places on the board for each thread: those that end still need theirs. */
const PLACES = 4;
/** Milliseconds between two looks at a queue that is to become empty. */
const DRAIN_CHECK = 5;

/**
 * Worker threads that serve a WSGI application, each with an instance of its own: CherryPy's
 * `ThreadPool`. One that hangs or fails is replaced. The address is bound at once; clients are
 * served from `start()` on.
 *
 * @throws RyegateError `ERR_RYEGATE_OPTION`, and as `WSGIServer` what is wrong with an address
 */
export class ThreadPool implements AsyncDisposable {
  readonly #settings: PoolSettings;
  readonly #queue: AcceptedQueue;
  readonly #board: PoolBoard;
  readonly #waker: NativeWaker | null = null;
  readonly #acceptor: Acceptor;
  readonly #threads = new Set<PoolThread>();
  readonly #workload: Workload;
  /** So many threads there should be. */
  #wanted: number;
  #running = false;
  #starting: Promise<void> | null = null;
  #stopping: Promise<PoolSummary> | null = null;
  /** Ends the delay of a drain. */
  readonly #hurry = new AbortController();
  /** Seconds that what was begun has at the end. */
  #patience: number;
  #replaced = 0;
  /** What threads have counted that have ended. */
  #past: HTTPServerStats = sumStats([]);
  /** Threads in a row that did not serve for long. */
  #failures = 0;
  #monitor: NodeJS.Timeout | undefined;
  #refill: NodeJS.Timeout | undefined;
  #lookedAt = 0;

  constructor(serverAddress: ServerAddress, options: ThreadPoolOptions) {
    const settings = poolSettings(serverAddress, options);
    this.#settings = settings;
    // Node has a listener on it for each thread, and warns of a leak when another one comes later.
    standardError();
    this.#wanted = settings.min;
    this.#patience = settings.closeTimeout;
    this.#workload = new Workload(settings.idleTimeout);
    this.#board = new PoolBoard(PLACES * settings.max);
    this.#queue = AcceptedQueue.ofSize(settings.acceptedQueueSize);
    this.#acceptor = new Acceptor(serverAddress, this.#queue, {
      ...settings.server,
      bindAndActivate: !this.#ownListeners,
    });
    try {
      // It keeps the port for the threads.
      if (this.#ownListeners) this.#acceptor.serverBind();
      if (settings.mode === 'acceptor') this.#waker = openQueue(this.#queue);
    } catch (error) {
      this.#acceptor.serverClose();
      throw error;
    }
  }

  get #ownListeners(): boolean {
    const { mode, server } = this.#settings;
    return mode === 'listener' && server.allowReusePort === true;
  }

  /** The real address, with the port that the system chose for port 0. */
  get serverAddress(): ServerAddress {
    return this.#acceptor.serverAddress;
  }

  /** Threads, without those that are about to end. */
  get size(): number {
    return this.#working.length;
  }

  /** Threads without a connection. */
  get idle(): number {
    return this.#working.filter((thread) => thread.idle).length;
  }

  /** What the pool counts: it asks no thread, so that none can hold it up. */
  stats(): PoolStats {
    const { min, max } = this.#settings;
    return poolStats([...this.#threads], this.#past, {
      min,
      max,
      queued: this.#queue.size,
      refused: this.#acceptor.refused,
      replaced: this.#replaced,
    });
  }

  get #working(): PoolThread[] {
    return [...this.#threads].filter(({ state }) => state === 'starting' || state === 'serving');
  }

  /**
   * Starts `min` threads and resolves when all of them accept connections.
   *
   * @throws (rejects) what kept a thread from serving, such as `ERR_RYEGATE_APPLICATION`, or
   *   `ERR_RYEGATE_THREAD_HUNG` when it loads for too long; the pool is then stopped.
   *   `ERR_RYEGATE_SERVER_CLOSED` after `stop()`
   */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    if (this.#stopping !== null) throw stopped();
    try {
      const threads = Array.from({ length: this.#wanted }, () => this.#spawn());
      this.#watch();
      await Promise.all(threads.map(({ ready }) => ready));
      if (this.#stopping !== null) throw stopped();
    } catch (error) {
      // What ends while the pool is being stopped has not failed.
      const why = this.#stopping === null ? error : stopped();
      await this.stop(0);
      throw why;
    }
    this.#running = true;
    this.#fill();
    if (this.#settings.mode === 'acceptor') {
      this.#acceptor.serveForever().catch((error) => this.#log(error));
    }
  }

  #spawn(): PoolThread {
    const { cwd, server, blocking, closeTimeout, daemonThreads } = this.#settings;
    const { application, threadModule, threadData } = this.#settings;
    const { execArgv, resourceLimits } = this.#settings;
    const isShared = this.#waker === null && !this.#ownListeners;
    const data = {
      application: application ?? null,
      threadModule: threadModule ?? null,
      threadData,
      cwd,
      address: this.serverAddress,
      server,
      blocking,
      closeTimeout,
      beat: this.#interval(TICK),
      board: this.#board.memory,
      queue: this.#waker && { words: this.#queue.words, fd: this.#waker.fileno() },
      listener: isShared ? this.#acceptor.fileno() : null,
    };
    const options = {
      ...(execArgv !== undefined && { execArgv: [...execArgv] }),
      ...(resourceLimits !== undefined && { resourceLimits }),
    };
    const thread = new PoolThread(data, this.#board, options);
    this.#threads.add(thread);
    // Until then it is waited for.
    if (daemonThreads) thread.ready.then(() => thread.unref()).catch(() => {});
    thread.ended.then(() => this.#ended(thread));
    return thread;
  }

  #interval(most: number): number {
    return Math.min((this.#settings.timeout ?? Infinity) / LOOKS, most);
  }

  #ended(thread: PoolThread): void {
    this.#threads.delete(thread);
    if (thread.counted !== null) this.#past = sumStats([this.#past, thread.counted]);
    if (!this.#running) return;
    if (thread.error !== null || thread.failed) this.#log(thread.fault);
    if (!thread.failed) return;
    this.#replaced++;
    const { servingSince } = thread;
    if (servingSince !== null && performance.now() - servingSince > STABLE) {
      this.#failures = 0;
      this.#fill();
    } else {
      this.#fillLater();
    }
  }

  #log(error: unknown): void {
    const fault = isInstance(error, RyegateError) ? error : notStarted(error);
    attempt(
      () => this.#settings.logError(fault),
      (failure) => {
        logToStandardError(fault);
        logToStandardError(failure);
      },
    );
  }

  /** Those that fail at once would keep the machine busy with failing. */
  #fillLater(): void {
    const delay = Math.min(FIRST_DELAY * 2 ** this.#failures, LONGEST_DELAY);
    this.#failures++;
    clearTimeout(this.#refill);
    this.#refill = setTimeout(() => this.#fill(), toMilliseconds(delay));
    if (this.#settings.daemonThreads) this.#refill.unref();
  }

  /** Starts what is missing. */
  #fill(): void {
    try {
      while (this.#running && this.size < this.#wanted) this.#spawn();
    } catch (error) {
      this.#log(error);
      this.#fillLater();
    }
  }

  /**
   * Starts up to `count` threads more, `max` at most; resolves with how many when they accept
   * connections.
   *
   * @throws (rejects) as `start()`
   */
  async grow(count = 1): Promise<number> {
    checkCount(count);
    if (!this.#running) throw stopped();
    const before = this.#working;
    this.#wanted = Math.min(this.#wanted + count, this.#settings.max);
    this.#fill();
    const added = this.#working.filter((thread) => !before.includes(thread));
    await Promise.all(added.map(({ ready }) => ready));
    return added.length;
  }

  /**
   * Retires up to `count` threads, idle ones first, so that `min` are left; resolves with how many
   * when they have finished what they had begun.
   */
  async shrink(count = 1): Promise<number> {
    checkCount(count);
    const working = this.#working.sort((a, b) => a.board.connections - b.board.connections);
    this.#wanted = Math.max(this.#wanted - count, this.#settings.min);
    const retired = working.slice(0, Math.max(working.length - this.#wanted, 0));
    const ends = retired.map((thread) => thread.retire(this.#settings.closeTimeout, false));
    await Promise.all(ends);
    return retired.length;
  }

  /**
   * Has `reopenLogs()` of the thread module called in every thread, when its loop turns: at once,
   * unless it is blocked.
   */
  reopenLogs(): void {
    this.#board.reopen();
    for (const thread of this.#threads) thread.wake();
  }

  // Watching.

  #watch(): void {
    const isQueued = this.#settings.mode === 'acceptor';
    const interval = this.#interval(isQueued ? QUEUE_TICK : TICK);
    this.#lookedAt = performance.now();
    this.#monitor = setInterval(() => this.#look(interval), toMilliseconds(interval));
    this.#monitor.unref();
  }

  #look(interval: number): void {
    const now = performance.now();
    // While the process was stopped, or this thread was busy, the others may have been as well.
    const passed = Math.min((now - this.#lookedAt) / 1000, 2 * interval);
    this.#lookedAt = now;
    const { acceptedQueueTimeout, mode } = this.#settings;
    const timeout = this.#settings.timeout ?? Infinity;
    for (const thread of this.#working) {
      const silence = thread.silenceAfter(passed);
      const patience = thread.state === 'starting' ? Math.max(timeout, STARTING) : timeout;
      if (silence >= patience) this.#replaceHung(thread, patience);
    }
    if (mode === 'listener' || !this.#running) return;
    this.#acceptor.refuseLate(acceptedQueueTimeout);
    this.#scale(passed);
  }

  #replaceHung(thread: PoolThread, timeout: number): void {
    const isStarting = thread.state === 'starting';
    if (isStarting) thread.giveUp(timeout);
    else thread.terminate();
    // start() rejects with it.
    if (isStarting && !this.#running) return;
    this.#replaced++;
    this.#log(hung(thread, timeout));
    this.#fill();
  }

  #scale(passed: number): void {
    const isStarting = this.#working.some(({ state }) => state === 'starting');
    const step = this.#workload.after(passed, this.#queue.size, this.idle);
    if (step > 0 && !isStarting) this.grow().catch(() => {});
    else if (step < 0) this.shrink();
  }

  // The end.

  /**
   * Stops accepting, lets the threads finish what they have begun for up to `timeout` seconds, and
   * ends them. Resolves when all is closed; calling it again gives the same promise. It ends the
   * delay of a `drain()`, whose deadline it may shorten until that is over. With `daemonThreads`, or
   * without `blockOnClose`, it resolves when nobody is accepted any more, and the threads, which the
   * summary leaves out, go on.
   *
   * @param timeout default `closeTimeout`
   * @throws RyegateError `ERR_RYEGATE_OPTION`
   */
  stop(timeout: number = this.#settings.closeTimeout): Promise<PoolSummary> {
    checkDrainOptions({ deadline: timeout });
    this.#patience = Math.min(this.#patience, timeout);
    this.#hurry.abort();
    return this.drain({ deadline: timeout });
  }

  /**
   * Serves on for `delay` seconds, during which thread modules are told that the pool drains, for
   * readiness checks to tell; and then does what `stop()` does. Calling it again gives the same
   * promise, whatever the options.
   *
   * @throws RyegateError `ERR_RYEGATE_OPTION`
   */
  drain(options: PoolDrainOptions = {}): Promise<PoolSummary> {
    checkDrainOptions(options);
    const { delay = 0, deadline = this.#settings.closeTimeout } = options;
    this.#stopping ??= this.#drain(delay, deadline);
    return this.#stopping;
  }

  async #drain(delay: number, deadline: number): Promise<PoolSummary> {
    this.#board.drain();
    this.#patience = deadline;
    // Before it runs, nobody asks whether it is ready.
    if (this.#running && delay > 0 && !this.#hurry.signal.aborted) {
      await sleep(toMilliseconds(delay), null, this.#hurry).catch(() => {});
    }
    return await this.#stop(this.#patience);
  }

  async #stop(timeout: number): Promise<PoolSummary> {
    const begun = performance.now();
    const passed = (): number => (performance.now() - begun) / 1000;
    this.#running = false;
    clearInterval(this.#monitor);
    clearTimeout(this.#refill);
    await this.#drainQueue(() => passed() < timeout);
    const summary = { drained: 0, terminated: 0, failed: 0, finished: 0, aborted: 0 };
    const ending = this.#endThreads(Math.max(timeout - passed(), 0), summary);
    await this.#acceptor.serverClose();
    const { daemonThreads, blockOnClose } = this.#settings;
    if (daemonThreads || !blockOnClose) return { ...summary, seconds: passed() };
    await ending;
    return { ...summary, seconds: passed() };
  }

  async #endThreads(timeout: number, summary: Omit<PoolSummary, 'seconds'>): Promise<void> {
    const end = async (thread: PoolThread): Promise<void> => {
      summary[await thread.retire(timeout, true)]++;
      const { finished, aborted } = await thread.connectionsEnded();
      summary.finished += finished;
      summary.aborted += aborted;
    };
    await Promise.all([...this.#threads].map(end));
    native.handoverClose(this.#queue.words);
    this.#waker?.close();
  }

  /** The threads still get what has been accepted; who has not been taken in time gets 503. */
  async #drainQueue(isTime: () => boolean): Promise<void> {
    this.#acceptor.closeDoor(this.#settings.mode === 'acceptor');
    while (this.#queue.size > 0 && this.size > 0 && isTime()) await sleep(DRAIN_CHECK);
    this.#acceptor.refuseWaiting();
  }

  /** `await using pool = ...`: stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
