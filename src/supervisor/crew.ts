import { monotonic } from '../clock.ts';
import { RyegateError } from '../errors.ts';
import { toMilliseconds } from '../milliseconds.ts';
import { Crashes, type CrashLimits } from './crashes.ts';
import type { DrainTimes, InheritedListener, Retirement } from './messages.ts';
import { EarlyRetirements } from './retirements.ts';
import type { ResolvedSettings } from './settings.ts';
import { type WorkerEnding, type WorkerOwner, WorkerProcess } from './workerprocess.ts';

/** `info`: what the operator asked for. `warning`: what was mended. `error`: what was not. */
export type LogLevel = 'info' | 'warning' | 'error';

/** What a crew tells of: its supervisor. */
export interface CrewOwner {
  log(level: LogLevel, text: string): void;
  /** Workers crash without end: there is no use in going on. */
  gaveUp(error: RyegateError): void;
  workerWrote(text: string): void;
}

/** Seconds between two looks for workers that are hung, at most. */
const LOOK_EVERY = 1;
/**
 * Seconds that a worker which is replaced leaves its idle connections open: a client that uses one
 * of them meanwhile is answered and told to connect anew, which closing could not tell it in time.
 */
export const REPLACED_GRACE = 2;
/** Seconds until a worker is tried again that was to replace another, which serves on. */
const REPLACE_AGAIN = 5;
/** Why a worker is stale that a reload is to replace, or that a failed one had started. */
const RELOADED = 'is replaced by a reload';
const TAKEN_BACK = 'has settings that were taken back';

/** What workers are started with, and how many. */
interface Staffing {
  readonly target: number;
  readonly settings: ResolvedSettings;
  readonly listeners: readonly InheritedListener[];
}

/** A reload that is under way. */
interface Reload {
  /** What counts again when it fails. */
  readonly before: Staffing;
  /** The workers that it has started. */
  readonly started: Set<WorkerProcess>;
  /** Whether one of them has served. Until then none of the old ones is given up. */
  proven: boolean;
}

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

/** How the workers ended that were told to. */
export interface CrewSummary {
  finished: number;
  aborted: number;
  /** Workers that were killed, or crashed, before they had finished. */
  killed: number;
}

/**
 * The workers of a supervisor. It is told how many there should be, which of them are to be
 * replaced, and does what is missing: `#manage()`, as gunicorn's `manage_workers`.
 */
export class Crew implements WorkerOwner {
  readonly #owner: CrewOwner;
  readonly #crashes: Crashes;
  readonly #workers = new Set<WorkerProcess>();
  readonly summary: CrewSummary = { finished: 0, aborted: 0, killed: 0 };
  #settings: ResolvedSettings;
  #listeners: readonly InheritedListener[];
  #early = new EarlyRetirements();
  #target = 0;
  #reload: Reload | null = null;
  /** Until it has passed, no worker is started. */
  #rest: NodeJS.Timeout | null = null;
  #looking: NodeJS.Timeout | null = null;
  #lookedAt = 0;
  #ending = false;
  /** Until all workers were ready once, an application that does not load is the end. */
  #begun = false;
  #waiters: Waiter[] = [];
  #ended: (() => void)[] = [];

  constructor(owner: CrewOwner, settings: ResolvedSettings, limits: CrashLimits) {
    this.#owner = owner;
    this.#settings = settings;
    this.#listeners = [];
    this.#crashes = new Crashes(limits);
  }

  get workers(): ReadonlySet<WorkerProcess> {
    return this.#workers;
  }

  get target(): number {
    return this.#target;
  }

  get crashes(): number {
    return this.#crashes.total;
  }

  // Orders.

  /** What workers are started with from now on. */
  use(settings: ResolvedSettings, listeners: readonly InheritedListener[]): void {
    this.#settings = settings;
    this.#listeners = listeners;
    this.#early = new EarlyRetirements();
    this.#look();
  }

  /** Resolves when there are so many workers, and all are ready. */
  scale(target: number): Promise<void> {
    this.#target = target;
    return this.#managed();
  }

  /**
   * Resolves when every worker of now has been replaced by one with these settings and has begun to
   * drain. Rejects when one of these cannot start: then all is as it was before.
   */
  replace(settings: ResolvedSettings, listeners: readonly InheritedListener[]): Promise<void> {
    for (const worker of this.#active()) worker.stale ??= RELOADED;
    this.#stopResting();
    const before = { target: this.#target, settings: this.#settings, listeners: this.#listeners };
    this.#reload = { before, started: new Set(), proven: false };
    this.use(settings, listeners);
    this.#target = settings.workers;
    return this.#managed();
  }

  /** Has all workers end. Resolves when there are none. `isLast`: nobody else goes on serving. */
  end(times: DrainTimes, isLast: boolean): Promise<void> {
    // What was cut off by reloads is told already.
    if (!this.#ending) Object.assign(this.summary, { finished: 0, aborted: 0, killed: 0 });
    this.#ending = true;
    this.#stopResting();
    this.#fail(stopped());
    for (const worker of this.#workers) worker.drain(times, isLast);
    return new Promise((resolve) => {
      this.#ended.push(resolve);
      this.#endIfDone();
    });
  }

  /** Until the last worker has ended, one may hang. */
  #endIfDone(): void {
    if (!this.#ending || this.#workers.size > 0) return;
    if (this.#looking !== null) clearInterval(this.#looking);
    this.#looking = null;
    for (const resolve of this.#ended.splice(0)) resolve();
  }

  kill(): void {
    for (const worker of this.#workers) worker.kill();
  }

  reopen(): void {
    for (const worker of this.#workers) worker.reopen();
  }

  // Management.

  #active(): WorkerProcess[] {
    return [...this.#workers].filter(isActive);
  }

  #managed(): Promise<void> {
    const managed = new Promise<void>((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
    this.#manage();
    return managed;
  }

  #manage(): void {
    if (this.#ending) return;
    const active = this.#active();
    const fresh = active.filter(({ stale }) => stale === null);
    const stale = active.filter((worker) => worker.stale !== null);
    this.#dismiss(fresh, stale);
    if (this.#rest === null) this.#recruit(fresh, active.length);
    const ready = fresh.filter(({ state }) => state === 'ready').length;
    const isStarting = fresh.some(({ state }) => state === 'starting');
    if (ready !== this.#target || isStarting || stale.some(isActive)) return;
    this.#begun = true;
    this.#reload = null;
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  /**
   * Drains those who are too many, first who does not serve yet, then the oldest; and of those who
   * are to be replaced as many as the others can do without.
   */
  #dismiss(fresh: readonly WorkerProcess[], stale: readonly WorkerProcess[]): void {
    const excess = Math.max(0, fresh.length - this.#target);
    const starting = fresh.filter(({ state }) => state === 'starting');
    const serving = fresh.filter(({ state }) => state === 'ready');
    for (const worker of [...starting, ...serving].slice(0, excess)) this.#drain(worker);
    if (this.#reload?.proven === false && this.#target > 0) return;
    const ready = [...fresh, ...stale].filter(({ state }) => state === 'ready').length;
    const spare = Math.max(0, ready - this.#target);
    for (const worker of stale.slice(0, spare)) this.#drain(worker);
  }

  #drain(worker: WorkerProcess): void {
    const why = worker.stale ?? 'is not needed any more';
    this.#owner.log('info', `${worker.name} ${why}`);
    const { gracefulTimeout: deadline } = this.#settings;
    worker.drain({ delay: 0, deadline, grace: REPLACED_GRACE }, false);
  }

  /** Starts those who are missing at once, and one at a time of those who replace others. */
  #recruit(fresh: readonly WorkerProcess[], active: number): void {
    const lacking = this.#target - active;
    for (let i = 0; i < lacking; i++) this.#start();
    if (lacking > 0 || fresh.length >= this.#target) return;
    const draining = this.#workers.size - active;
    const isStarting = fresh.some(({ state }) => state === 'starting');
    // However long they take to drain, there are never many more than twice as many as wanted.
    if (!isStarting && draining <= this.#target) this.#start();
  }

  #start(): void {
    const settings = this.#settings;
    const start = { settings, listeners: this.#listeners, check: false };
    const worker = new WorkerProcess(this, start);
    this.#workers.add(worker);
    this.#reload?.started.add(worker);
  }

  /** Starts no worker for a while. */
  #restFor(seconds: number): void {
    this.#stopResting();
    this.#rest = setTimeout(() => {
      this.#rest = null;
      this.#manage();
    }, toMilliseconds(seconds));
  }

  #stopResting(): void {
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#rest = null;
  }

  /** Whoever waits for the crew waits in vain. */
  #fail(error: Error): void {
    this.#reload = null;
    for (const { reject } of this.#waiters.splice(0)) reject(error);
  }

  // What workers tell.

  workerReady(worker: WorkerProcess): void {
    this.#crashes.ready();
    if (this.#reload?.started.has(worker)) this.#reload.proven = true;
    this.#owner.log('info', `${worker.name} serves`);
    this.#manage();
  }

  workerRetires(worker: WorkerProcess, { limit, reason }: Retirement): void {
    const wait = limit === 'memory' ? this.#early.add(worker.age) : null;
    if (wait === null) this.#owner.log('info', `${worker.name} ${reason}: it is replaced`);
    else this.#owner.log('warning', tooMuch(worker, reason, this.#settings.maxRss, wait));
    const replace = (): void => {
      worker.retirement = reason;
      worker.stale ??= reason;
      this.#manage();
    };
    if (wait) setTimeout(replace, toMilliseconds(wait)).unref();
    else replace();
  }

  workerDrains(worker: WorkerProcess): void {
    if (this.#ending) return;
    this.#owner.log('warning', `${worker.name} was told to end by somebody else`);
    this.#stopResting();
    this.#manage();
  }

  workerWrote(text: string): void {
    this.#owner.workerWrote(text);
  }

  workerEnded(worker: WorkerProcess, ending: WorkerEnding): void {
    this.#workers.delete(worker);
    const { finished = 0, aborted = 0 } = ending.summary ?? {};
    this.summary.finished += finished;
    this.summary.aborted += aborted;
    if (worker.endedWhile !== 'draining') this.#crashed(worker, ending);
    else if (ending.summary === null && worker.served) this.#brokenOff(worker, ending);
    else this.#owner.log('info', `${worker.name} ended`);
    this.#manage();
    this.#endIfDone();
  }

  #brokenOff(worker: WorkerProcess, ending: WorkerEnding): void {
    this.summary.killed += 1;
    const isLate = ending.signal === 'SIGKILL' && !ending.hung;
    const how = isLate ? 'did not end in time, and was killed' : howEnded(worker, ending);
    this.#owner.log('warning', `${worker.name} ${how}`);
  }

  #crashed(worker: WorkerProcess, ending: WorkerEnding): void {
    const what = `${worker.name} ${howEnded(worker, ending)}`;
    if (this.#ending) return;
    if (!worker.served && this.#begun) {
      const before = ending.failure === null ? `${what} before it served` : what;
      if (this.#notStarted(worker, before)) return;
    }
    const wait = this.#crashes.add(worker.served);
    const { hopeless } = this.#crashes;
    if (ending.failure !== null && !this.#begun) {
      this.#giveUp('ERR_RYEGATE_WORKER_BOOT', `no worker can start: ${ending.failure}`);
    } else if (hopeless !== null) {
      const words = ending.failure === null ? lastWords(ending) : '';
      this.#giveUp('ERR_RYEGATE_CRASH_LOOP', `${hopeless}: the last, ${what}${words}`);
    } else {
      this.#owner.log('error', `${what}; it is replaced ${when(wait)}`);
      if (wait > 0) this.#restFor(wait);
      else this.#stopResting();
    }
  }

  /** A worker has ended before it served. Whether that is all that is to be done about it. */
  #notStarted(worker: WorkerProcess, what: string): boolean {
    if (worker.stale === RELOADED) {
      this.#owner.log('info', `${what}; it was to be replaced anyway`);
      return true;
    }
    if (this.#reload?.started.has(worker)) {
      this.#takeBack(this.#reload);
      this.#fail(new RyegateError('ERR_RYEGATE_WORKER_BOOT', what));
      return true;
    }
    // The others serve on: that is worth more than to have it replaced.
    const isServed = this.#active().some(({ state }) => state === 'ready');
    if (!isServed) return false;
    this.#owner.log('error', `${what}; another one is tried later`);
    this.#restFor(REPLACE_AGAIN);
    return true;
  }

  /** At once: whoever is started next is to have the old settings. */
  #takeBack({ before, started }: Reload): void {
    this.use(before.settings, before.listeners);
    this.#target = before.target;
    for (const worker of this.#active()) {
      if (worker.stale === RELOADED) worker.stale = worker.retirement;
      if (!started.has(worker)) continue;
      worker.stale = TAKEN_BACK;
      if (worker.state === 'starting') this.#drain(worker);
    }
  }

  #giveUp(code: string, message: string): void {
    const error = new RyegateError(code, message);
    this.#fail(error);
    this.#owner.gaveUp(error);
  }

  // Workers that are hung.

  #look(): void {
    if (this.#looking !== null) clearInterval(this.#looking);
    const interval = toMilliseconds(Math.min(LOOK_EVERY, this.#settings.timeout / 4));
    this.#lookedAt = monotonic();
    this.#looking = setInterval(() => this.#findHung(interval), interval);
  }

  #findHung(interval: number): void {
    const { timeout } = this.#settings;
    const now = monotonic();
    const late = now - this.#lookedAt > 2 * interval;
    this.#lookedAt = now;
    for (const worker of this.#workers) {
      // Nothing could be heard while this process itself was held up.
      if (late) worker.excuse();
      else if (worker.silence > timeout) worker.abort();
      else if (worker.state === 'starting' && worker.age > timeout) worker.abort();
    }
  }
}

function isActive({ state }: WorkerProcess): boolean {
  return state === 'starting' || state === 'ready';
}

function howEnded(worker: WorkerProcess, { code, signal, failure, hung }: WorkerEnding): string {
  const { timeout, served } = worker;
  if (hung && !served)
    return `had not loaded the application in ${timeout} seconds, and was killed`;
  if (hung) return `was not heard of for ${timeout} seconds, and was killed`;
  if (failure !== null) return `could not start: ${failure}`;
  return signal === null ? `ended with status ${code}` : `was ended by ${signal}`;
}

/** The limit may be below what every worker needs. */
function tooMuch(worker: WorkerProcess, reason: string, limit: number, wait: number): string {
  return (
    `${worker.name} ${reason} after ${worker.age.toFixed(1)} s, and used ${worker.firstRss} before ` +
    `its first request: it is replaced ${when(wait)}; raise maxRss, ${limit}, if this goes on`
  );
}

function when(wait: number): string {
  return wait === 0 ? 'at once' : `in ${wait.toFixed(1)} s`;
}

function lastWords({ lastLines }: WorkerEnding): string {
  return lastLines.length === 0 ? '' : `, said:\n  ${lastLines.join('\n  ')}`;
}

function stopped(): RyegateError {
  return new RyegateError('ERR_RYEGATE_SUPERVISOR', 'the supervisor was stopped meanwhile');
}
