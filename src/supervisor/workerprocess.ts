import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { monotonic } from '../clock.ts';
import { toMilliseconds } from '../milliseconds.ts';
import type { DrainSummary } from '../reactor/drain.ts';
import {
  type DrainTimes,
  type Envelope,
  type Heartbeat,
  type InheritedListener,
  type Instruction,
  type Retirement,
  readReport,
  unhurried,
} from './messages.ts';
import { OutputLines } from './outputlines.ts';
import type { ResolvedSettings } from './settings.ts';

const PROGRAM = fileURLToPath(new URL('workermain.js', import.meta.url));
/** The first descriptor of a worker behind standard input, output, error and the channel. */
const FIRST_DESCRIPTOR = 4;
/** A worker that cannot keep to its deadline is killed so many seconds later. */
const GRACE = 0.4;
/** A hung worker gets SIGABRT, which may write a core dump, and so many seconds later SIGKILL. */
const ABORTING = 1;
/**
 * Milliseconds that the last words of a dead worker are waited for: a child of its own may hold its
 * standard error open.
 */
const LAST_WORDS = 200;

/**
 * - `starting`: it loads the application.
 * - `ready`: it serves.
 * - `draining`: it has been told to end, or ends by itself.
 * - `ended`.
 */
export type WorkerState = 'starting' | 'ready' | 'draining' | 'ended';

/** How a worker came to its end. */
export interface WorkerEnding {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not start; null when it did not say. */
  readonly failure: string | null;
  /** It had not been heard of for the timeout. */
  readonly hung: boolean;
  /** The last lines of its standard error. */
  readonly lastLines: readonly string[];
  /** What it told of its drain; null without one. */
  readonly summary: DrainSummary | null;
}

/** What a worker tells of: its supervisor. */
export interface WorkerOwner {
  workerReady(worker: WorkerProcess): void;
  /** It wants to be replaced. */
  workerRetires(worker: WorkerProcess, retirement: Retirement): void;
  /** It has begun to drain, without having been told. */
  workerDrains(worker: WorkerProcess): void;
  /** Called once; the process has been reaped. */
  workerEnded(worker: WorkerProcess, ending: WorkerEnding): void;
  /** It has written lines to its standard error. */
  workerWrote(text: string): void;
}

/** How a worker is started. */
export interface WorkerStart {
  readonly settings: ResolvedSettings;
  readonly listeners: readonly InheritedListener[];
  /** It is to load the application and to end. */
  readonly check: boolean;
}

/** A worker process, as its supervisor sees it. */
export class WorkerProcess {
  readonly startedAt: number = monotonic();
  state: WorkerState = 'starting';
  /** Why it is to be replaced; null when it is not. */
  stale: string | null = null;
  /** Why it has asked to be replaced, which it does once; null when it has not. */
  retirement: string | null = null;
  /** Whether it has been ready. */
  served = false;
  /** What it was doing when it ended. */
  endedWhile: WorkerState = 'starting';
  /** Seconds of silence after which it counts as hung. */
  readonly timeout: number;
  heartbeat: Heartbeat = { requests: 0, rss: 0 };
  /** Bytes of memory that it had when it was ready. */
  firstRss = 0;
  readonly #owner: WorkerOwner;
  readonly #cwd: string;
  /** How it ends when somebody else tells it to. */
  readonly #alone: DrainTimes;
  /** Null where the system refused to start one. */
  readonly #child: ChildProcess | null;
  readonly #lines: OutputLines;
  #heardAt = monotonic();
  #failure: string | null = null;
  #summary: DrainSummary | null = null;
  #hung = false;
  #killing: NodeJS.Timeout | null = null;

  constructor(owner: WorkerOwner, start: WorkerStart) {
    this.#owner = owner;
    this.timeout = start.settings.timeout;
    this.#cwd = start.settings.cwd;
    this.#alone = unhurried(start.settings);
    this.#lines = new OutputLines((text) => owner.workerWrote(text));
    this.#child = this.#spawn(start);
    const ended = this.#watch(this.#child);
    this.#begin(start);
    ended.then((ending) => this.#end(ending));
  }

  /** -1 when there is none, as the system could not start it. */
  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  /** For messages. */
  get name(): string {
    return this.pid < 0 ? 'a worker' : `worker ${this.pid}`;
  }

  /** Seconds since it was started. */
  get age(): number {
    return (monotonic() - this.startedAt) / 1000;
  }

  /** Seconds since it was last heard of. */
  get silence(): number {
    return (monotonic() - this.#heardAt) / 1000;
  }

  /** It counts as heard of: its reports could not be read. */
  excuse(): void {
    this.#heardAt = monotonic();
  }

  #begin({ settings, listeners, check }: WorkerStart): void {
    const places = listeners.map(({ address }, index) => {
      return { fd: FIRST_DESCRIPTOR + index, address };
    });
    this.#tell({ type: 'start', check, settings, listeners: places });
  }

  /** Some failures come as an event, others are thrown: neither may end the supervisor. */
  #spawn(start: WorkerStart): ChildProcess | null {
    try {
      return spawnWorker(start);
    } catch (error) {
      this.#notSpawned(error as Error);
      return null;
    }
  }

  #notSpawned({ message }: Error): void {
    this.#failure ??= `${message}, in the folder ${this.#cwd}`;
  }

  #watch(child: ChildProcess | null): Promise<[number | null, NodeJS.Signals | null]> {
    if (child === null) return Promise.resolve([null, null]);
    child.on('message', (message: unknown) => this.#hear(message));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#lines.write(text));
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | null = null;
      const done = (code: number | null, signal: NodeJS.Signals | null): void => {
        if (timer !== null) clearTimeout(timer);
        resolve([code, signal]);
      };
      child.once('exit', (code, signal) => {
        timer = setTimeout(() => {
          child.stderr?.destroy();
          done(code, signal);
        }, LAST_WORDS);
      });
      child.once('close', done);
      child.on('error', (error) => {
        if (child.pid !== undefined) return;
        this.#notSpawned(error);
        done(null, null);
      });
    });
  }

  #tell(instruction: Instruction): void {
    // It may have ended; then its end is told anyway.
    const envelope: Envelope<Instruction> = { ryegate: instruction };
    if (this.#child?.connected) this.#child.send(envelope, () => {});
  }

  #hear(message: unknown): void {
    this.#heardAt = monotonic();
    const report = readReport(message);
    switch (report?.type) {
      case 'heartbeat':
        this.heartbeat = { requests: report.requests, rss: report.rss };
        break;
      case 'ready':
        if (this.state !== 'starting') break;
        this.state = 'ready';
        this.served = true;
        this.firstRss = report.rss;
        this.heartbeat = { requests: 0, rss: report.rss };
        this.#owner.workerReady(this);
        break;
      case 'failed':
        this.#failure = report.message;
        break;
      case 'retire':
        this.#owner.workerRetires(this, report);
        break;
      case 'draining':
        if (this.state !== 'ready') break;
        this.state = 'draining';
        this.#killLate(this.#alone);
        this.#owner.workerDrains(this);
        break;
      case 'drained':
        this.#summary = report.summary;
        break;
    }
  }

  /** Has it reopen its logs. */
  reopen(): void {
    this.#tell({ type: 'reopen' });
  }

  /** Has it finish what it is answering, and end; kills it when it does not. */
  drain(times: DrainTimes, ending: boolean): void {
    // Whoever does not serve yet has nothing to finish.
    if (this.state === 'starting') this.kill();
    else this.#tell({ type: 'drain', times, ending });
    if (this.state !== 'ended') this.state = 'draining';
    this.#killLate(times);
  }

  /** It is hung: ends it at once. */
  abort(): void {
    if (this.#hung) return;
    this.#hung = true;
    this.#child?.kill('SIGABRT');
    this.#killAfter(ABORTING);
  }

  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  /** One that is hung is killed sooner. */
  #killLate({ delay, grace, deadline }: DrainTimes): void {
    if (!this.#hung) this.#killAfter(delay + grace + deadline + GRACE);
  }

  #killAfter(seconds: number): void {
    if (this.#killing !== null) clearTimeout(this.#killing);
    this.#killing = null;
    if (this.state === 'ended' || seconds === Infinity) return;
    this.#killing = setTimeout(() => this.kill(), toMilliseconds(seconds));
  }

  #end([code, signal]: [number | null, NodeJS.Signals | null]): void {
    this.#lines.end();
    if (this.#killing !== null) clearTimeout(this.#killing);
    if (this.#child?.connected) this.#child.disconnect();
    this.endedWhile = this.state;
    this.state = 'ended';
    this.#owner.workerEnded(this, {
      code,
      signal,
      failure: this.#failure,
      hung: this.#hung,
      lastLines: this.#lines.last,
      summary: this.#summary,
    });
  }
}

function spawnWorker({ settings, listeners }: WorkerStart): ChildProcess {
  const stdio = ['ignore', 'inherit', 'pipe', 'ipc', ...listeners.map(({ fd }) => fd)] as const;
  return spawn(process.execPath, [...settings.nodeOptions, PROGRAM], {
    cwd: settings.cwd,
    env: settings.env,
    stdio: [...stdio],
    // JSON knows no Infinity.
    serialization: 'advanced',
  });
}
