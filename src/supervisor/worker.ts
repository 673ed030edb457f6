import { monotonic } from '../clock.ts';
import { isInstance, RyegateError } from '../errors.ts';
import { toMilliseconds } from '../milliseconds.ts';
import type { DrainSummary } from '../reactor/drain.ts';
import { formatException } from '../socketserver/formatexception.ts';
import { attempt } from '../thenable.ts';
import type { Application } from '../wsgi/types.ts';
import { logToStandardError } from './faultlog.ts';
import { importModule } from './importmodule.ts';
import {
  type DrainTimes,
  type Envelope,
  type InheritedListener,
  type Report,
  type Retirement,
  readInstruction,
  type StartMessage,
  unhurried,
} from './messages.ts';
import { dropPrivileges } from './privileges.ts';
import type { ResolvedSettings } from './settings.ts';
import type { WorkerContext, WorkerModule, WorkerParts } from './workermodule.ts';

/** Seconds between two heartbeats at most. */
const LONGEST_BEAT = 1;
/** As gunicorn's worker that fails to boot. */
const BOOT_FAILURE = 3;
/** Of the terminal, whose every process gets them, or of no use here: they are the supervisor's. */
const NOT_OURS = ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;

/** A worker process from within: serves until it is told to drain, or its supervisor is gone. */
export class Worker implements WorkerContext {
  readonly settings: ResolvedSettings;
  readonly listeners: readonly InheritedListener[];
  readonly #check: boolean;
  readonly #startedAt = monotonic();
  readonly #mostRequests: number;
  #parts: WorkerParts = { servers: [] };
  #requests = 0;
  #retiring = false;
  #draining: DrainTimes | null = null;
  #ending = false;
  #started = false;
  /** Whether logs are to be reopened once it has started. */
  #reopening = false;

  constructor({ check, settings, listeners }: StartMessage) {
    this.settings = settings;
    this.listeners = listeners;
    this.#check = check;
    const { maxRequests, maxRequestsJitter } = settings;
    this.#mostRequests = maxRequests + Math.floor(Math.random() * (maxRequestsJitter + 1));
  }

  /** Starts, tells how that went, and serves. */
  async run(): Promise<void> {
    this.#listen();
    this.#beat();
    try {
      await this.#start();
    } catch (error) {
      this.#leave({ type: 'failed', message: describe(error) }, BOOT_FAILURE);
    }
  }

  async #start(): Promise<void> {
    // Before anything of the application runs.
    dropPrivileges(this.settings);
    const module = await this.#module();
    if (this.#check) {
      await module.checkWorker?.(this);
      this.#leave(ready(), 0);
      return;
    }
    this.#parts = await module.startWorker(this);
    this.#started = true;
    if (this.#reopening) this.#reopenLogs();
    for (const server of this.#parts.servers) {
      await server.start();
      server.ended.catch((error) => this.#fail(error));
    }
    tell(ready());
  }

  #module(): Promise<WorkerModule> {
    const { workerModule, cwd } = this.settings;
    if (workerModule === undefined) return import('./applicationworker.ts');
    return importModule(workerModule, cwd);
  }

  /** Without its supervisor a worker would be nobody's: it ends, and whoever restarts can bind. */
  #listen(): void {
    const alone = unhurried(this.settings);
    for (const signal of NOT_OURS) process.on(signal, () => {});
    process.on('SIGTERM', () => {
      if (this.#draining === null) tell({ type: 'draining' });
      this.#drain(alone);
    });
    process.on('disconnect', () => {
      this.#ending = true;
      this.#drain({ ...alone, delay: 0 });
    });
    process.on('message', (message: unknown) => {
      const instruction = readInstruction(message);
      if (instruction?.type === 'drain') {
        this.#ending ||= instruction.ending;
        this.#drain(instruction.times);
      } else if (instruction?.type === 'reopen') this.#reopen();
    });
    // Its reader may be gone, with the supervisor.
    process.stderr.on('error', () => {});
  }

  /** While the application is loaded, logs may be open already: it is made up for afterwards. */
  #reopen(): void {
    if (this.#started) this.#reopenLogs();
    else this.#reopening = true;
  }

  /** What cannot be logged is no reason to serve no more. */
  #reopenLogs(): void {
    attempt(() => this.#parts.reopenLogs?.(), logToStandardError);
  }

  get ending(): boolean {
    return this.#ending;
  }

  // Counting.

  served(): void {
    this.#requests += 1;
    if (this.#requests === this.#mostRequests) {
      this.#retire({ limit: 'requests', reason: `served ${this.#requests} requests` });
    }
  }

  counted(application: Application): Application {
    const multiprocess = this.settings.workers > 1;
    const counting: Application = (environ, startResponse) => {
      this.served();
      environ['wsgi.multiprocess'] = multiprocess;
      return application(environ, startResponse);
    };
    return Object.assign(counting, { usesSignal: application.usesSignal });
  }

  /** Sent by a timer of the loop: while a handler blocks it, there are none. */
  #beat(): void {
    const interval = Math.min(LONGEST_BEAT, this.settings.timeout / 4);
    setInterval(() => {
      const rss = process.memoryUsage.rss();
      tell({ type: 'heartbeat', requests: this.#requests, rss });
      if (this.#started) this.#checkLimits(rss);
    }, toMilliseconds(interval));
  }

  #checkLimits(rss: number): void {
    const { maxRss, maxAge } = this.settings;
    const age = (monotonic() - this.#startedAt) / 1000;
    if (rss > maxRss) this.#retire({ limit: 'memory', reason: `uses ${rss} bytes of memory` });
    else if (age > maxAge) {
      this.#retire({ limit: 'age', reason: `is ${Math.round(age)} seconds old` });
    }
  }

  /** Asks to be replaced. */
  #retire(retirement: Retirement): void {
    if (this.#retiring || this.#draining !== null) return;
    this.#retiring = true;
    tell({ type: 'retire', ...retirement });
  }

  // The end.

  #fail(error: unknown): void {
    process.stderr.write(`ryegate[${process.pid}]: ${formatException(error)}\n`);
    process.exit(1);
  }

  async #drain(times: DrainTimes): Promise<void> {
    if (this.#draining !== null) {
      if (isShorter(times, this.#draining)) this.#hurry(times);
      return;
    }
    this.#draining = times;
    try {
      const { servers } = this.#parts;
      // One that fails is no reason to break off what clients of the others wait for.
      const outcomes = await Promise.allSettled(servers.map(async (one) => one.drain(times)));
      await this.#parts.close?.();
      const summary = add(outcomes.map(fulfilled));
      this.#leave({ type: 'drained', summary }, summary.aborted > 0 ? 1 : 0);
    } catch (error) {
      this.#fail(error);
    }
  }

  #hurry(times: DrainTimes): void {
    this.#draining = times;
    for (const server of this.#parts.servers) server.hurry(times.deadline);
  }

  /** Ends the process once the last report has gone. An application may have timers of its own. */
  #leave(report: Report, status: number): void {
    if (!process.connected) process.exit(status);
    send(report, () => process.exit(status));
  }
}

function isShorter(times: DrainTimes, others: DrainTimes): boolean {
  const { delay, deadline, grace } = times;
  return delay < others.delay || deadline < others.deadline || grace < others.grace;
}

/** What it has come to, or throws what it has failed with. */
function fulfilled<Value>(outcome: PromiseSettledResult<Value>): Value {
  if (outcome.status === 'rejected') throw outcome.reason;
  return outcome.value;
}

function add(summaries: readonly DrainSummary[]): DrainSummary {
  const sum = { finished: 0, aborted: 0, seconds: 0 };
  for (const { finished, aborted, seconds } of summaries) {
    sum.finished += finished;
    sum.aborted += aborted;
    sum.seconds = Math.max(sum.seconds, seconds);
  }
  return sum;
}

function ready(): Report {
  return { type: 'ready', rss: process.memoryUsage.rss() };
}

function tell(report: Report): void {
  if (process.connected) send(report, () => {});
}

function send(report: Report, sent: () => void): void {
  const envelope: Envelope<Report> = { ryegate: report };
  process.send?.(envelope, undefined, undefined, sent);
}

function describe(error: unknown): string {
  return isInstance(error, RyegateError) ? error.message : formatException(error);
}
