import { monotonic } from '../clock.ts';
import type { RyegateError } from '../errors.ts';
import { standardError } from '../io/errorstream.ts';
import { formatURL, isSocketFile, type ServerAddress } from '../reactor/address.ts';
import { IDLE_GRACE } from '../reactor/drain.ts';
import { attempt } from '../thenable.ts';
import { CRASH_LIMITS } from './crashes.ts';
import { Crew, type CrewOwner, type LogLevel, REPLACED_GRACE } from './crew.ts';
import { faultText, messageOf } from './faultlog.ts';
import { Inheritance } from './inheritance.ts';
import { Listeners } from './listeners.ts';
import { type DrainTimes, unhurried } from './messages.ts';
import { PidFile } from './pidfile.ts';
import { checkApplication } from './preload.ts';
import { giveSocket } from './privileges.ts';
import { type ResolvedSettings, resolveSettings, type SupervisorSettings } from './settings.ts';
import { handleSignals } from './signals.ts';
import { Start, startFolder } from './startfolder.ts';
import { misused, Succession, type SuccessionOwner } from './succession.ts';
import type { SupervisorOptions } from './supervisoroptions.ts';
import type { WorkerState } from './workerprocess.ts';

/** `stop({ graceful: false })`. */
const QUICK: DrainTimes = { delay: 0, deadline: 0.5, grace: IDLE_GRACE };

/** Seconds after the deadline of the workers until it has ended. */
const LAST_WORK = 1;

/** Exit statuses; 3 is gunicorn's for workers that fail to boot. */
const EXIT = { done: 0, failed: 1, hopeless: 3 } as const;

/** What became of the workers, and of what they were answering. */
export interface StopSummary {
  readonly finished: number;
  readonly aborted: number;
  /** Workers that had to be killed, or crashed, before they had finished. */
  readonly killed: number;
  readonly seconds: number;
}

export interface WorkerStats {
  readonly pid: number;
  readonly state: WorkerState;
  /** As of its last heartbeat. */
  readonly requests: number;
  readonly rss: number;
  /** Seconds since it was started. */
  readonly age: number;
}

export interface SupervisorStats {
  readonly pid: number;
  /** Workers that there should be. */
  readonly target: number;
  /** Workers that crashed, of all times. */
  readonly crashes: number;
  /** Reloads that succeeded. */
  readonly reloads: number;
  readonly workers: readonly WorkerStats[];
}

type Phase = 'new' | 'starting' | 'running' | 'stopping' | 'stopped';

/**
 * Serves an application by worker processes, as gunicorn's arbiter does: binds the addresses, hands
 * the listening sockets to its workers, replaces those that end, and does what signals ask for.
 * Clients are not refused while it reloads, as the sockets stay open.
 */
export class Supervisor implements CrewOwner, SuccessionOwner {
  readonly #options: SupervisorOptions;
  readonly #folder: string;
  readonly #inheritance = new Inheritance();
  readonly #listeners = new Listeners(this.#inheritance);
  readonly #crew: Crew;
  readonly #pidFile: PidFile | null;
  readonly #succession: Succession;
  #given: SupervisorSettings;
  #settings: ResolvedSettings;
  #phase: Phase = 'new';
  #status: number = EXIT.done;
  #reloads = 0;
  #reloading: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  #stopping: Promise<StopSummary> | null = null;
  readonly #stopped = new AbortController();
  #begin: () => void = () => {};
  /** @internal Resolves when it runs, or is stopped before. */
  readonly begun: Promise<void> = new Promise((resolve) => {
    this.#begin = resolve;
  });
  #end: (status: number) => void = () => {};
  /** Resolves when all has ended, with the exit status that the process should have. */
  readonly ended: Promise<number> = new Promise((resolve) => {
    this.#end = resolve;
  });

  /** @throws RyegateError `ERR_RYEGATE_OPTION`, `ERR_RYEGATE_ADDRESS` for senseless settings */
  constructor(settings: SupervisorSettings, options: SupervisorOptions = {}) {
    const { folder = startFolder(), env = process.env, notifier, watchdog } = options;
    this.#given = settings;
    this.#folder = folder;
    this.#settings = resolveSettings(settings, folder);
    this.#options = options;
    const { pidfile } = this.#settings;
    this.#pidFile = pidfile === undefined ? null : new PidFile(pidfile);
    this.#succession = new Succession(this, {
      listeners: this.#listeners,
      inheritance: this.#inheritance,
      start: new Start(folder, env),
      pidFile: this.#pidFile,
      notifier,
      watchdog,
    });
    this.#crew = new Crew(this, this.#settings, { ...CRASH_LIMITS, ...options.crashLimits });
  }

  /** The addresses that it listens on, with the ports that the system chose. */
  get addresses(): readonly ServerAddress[] {
    return this.#listeners.addresses;
  }

  stats(): SupervisorStats {
    const workers = [...this.#crew.workers].map(({ pid, state, heartbeat, age }) => {
      return { pid, state, ...heartbeat, age };
    });
    const { target, crashes } = this.#crew;
    return { pid: process.pid, target, crashes, reloads: this.#reloads, workers };
  }

  // Life.

  /**
   * Binds the addresses and starts the workers. Resolves when all accept.
   *
   * @throws (rejects) SystemCallError `ERR_RYEGATE_SYSTEM` when an address is refused; RyegateError
   *   `ERR_RYEGATE_WORKER_BOOT` when the application cannot be loaded, `ERR_RYEGATE_CRASH_LOOP`,
   *   `ERR_RYEGATE_SUPERVISOR` when it has been started already. Then everything is stopped again
   */
  async start(): Promise<void> {
    if (this.#phase !== 'new') throw misused('start it once: make another supervisor');
    this.#phase = 'starting';
    try {
      await this.#start();
      if (this.#phase !== 'starting') return;
      this.#phase = 'running';
      this.log('info', `ready: ${count(this.#settings.workers)}`);
      this.#succession.serving();
      this.#begin();
    } catch (error) {
      // Whoever has stopped it knows, and it is theirs to say how.
      if (this.#stopping !== null) {
        told.add(error as Error);
        await this.#stopping;
      } else {
        this.#status = statusOf(error);
        await this.stop({ graceful: false });
      }
      throw error;
    }
  }

  async #start(): Promise<void> {
    // First, as the workers get the environment that it leaves.
    this.#inheritance.read();
    this.#settings = resolveSettings(this.#given, this.#folder);
    const { bind, server, workers, preload } = this.#settings;
    this.#listeners.update(bind, server);
    this.#inheritance.closeRest();
    for (const address of this.addresses) {
      if (isSocketFile(address)) giveSocket(address, this.#settings);
    }
    this.#pidFile?.create();
    for (const address of this.addresses) this.log('info', `listening on ${formatURL(address)}`);
    if (preload) await this.#check(this.#settings);
    if (this.#phase !== 'starting') return;
    this.#crew.use(this.#settings, this.#listeners.descriptors);
    await this.#crew.scale(workers);
  }

  #check(settings: ResolvedSettings): Promise<void> {
    return checkApplication(settings, this, this.#stopped.signal);
  }

  /**
   * Starts, does what signals ask for, and resolves with the exit status when all has ended: 0, 1
   * when requests had to be cut off or an address was refused, 3 when no worker would stay alive.
   */
  async run(): Promise<number> {
    const release = handleSignals(this);
    try {
      await this.start();
    } catch (error) {
      if (!told.has(error as Error)) this.log('error', messageOf(error));
    }
    const status = await this.ended;
    release();
    return status;
  }

  /**
   * Ends everything: stops listening, has the workers finish what they are answering within
   * `gracefulTimeout`, or else within half a second, and kills those that do not end. Called again
   * while it stops, it can only make it shorter.
   */
  stop({ graceful = true }: { graceful?: boolean } = {}): Promise<StopSummary> {
    const times = graceful ? this.#graceful : QUICK;
    if (this.#stopping === null) this.#stopping = this.#stop(times);
    else if (!graceful) this.#crew.end(times, this.#isLast);
    return this.#stopping;
  }

  get #graceful(): DrainTimes {
    const times = unhurried(this.#settings);
    // Where another master serves, clients had better find it than be sent away.
    return this.#isLast ? times : { ...times, delay: 0, grace: REPLACED_GRACE };
  }

  /** Whether the service ends with this process. */
  get #isLast(): boolean {
    return this.#succession.other === null;
  }

  async #stop(times: DrainTimes): Promise<StopSummary> {
    const since = monotonic();
    this.#phase = 'stopping';
    this.#begin();
    this.#succession.ending(times.delay + times.grace + times.deadline + LAST_WORK);
    this.#stopped.abort();
    // First, so that whoever connects until the last worker closes is served.
    const removeFiles = this.#listeners.close();
    await this.#crew.end(times, this.#isLast);
    removeFiles();
    this.#pidFile?.unlink();
    this.#phase = 'stopped';
    const { summary } = this.#crew;
    if (summary.aborted + summary.killed > 0) this.#status ||= EXIT.failed;
    this.#end(this.#status);
    return { ...summary, seconds: (monotonic() - since) / 1000 };
  }

  /** Kills all workers. For the impatient: what they are answering breaks off. */
  kill(): void {
    this.#crew.kill();
  }

  // While it runs.

  /**
   * Asks for the settings anew, and replaces the workers one by one: each new one accepts before an
   * old one begins to drain. Resolves when the last old one has begun to. Calls during a reload are
   * joined into one more. When the settings or the application are faulty, the old workers stay.
   *
   * @throws (rejects) as `start()`, and what the callback `reload` throws
   */
  reload(): Promise<void> {
    if (this.#phase !== 'running') return Promise.reject(misused('it does not run'));
    if (this.#reloading === null) {
      const { notifier } = this.#options;
      notifier?.reloading();
      this.#reloading = this.#reload().finally(() => {
        this.#reloading = null;
        // Also when the old workers stay.
        if (this.#phase === 'running') notifier?.ready();
      });
      return this.#reloading;
    }
    this.#next ??= this.#reloading
      .catch(() => {})
      .then(() => {
        this.#next = null;
        return this.reload();
      });
    return this.#next;
  }

  async #reload(): Promise<void> {
    const given = (await this.#options.reload?.()) ?? this.#given;
    try {
      await this.#replace(given);
    } catch (error) {
      await this.#revert();
      throw error;
    }
  }

  async #revert(): Promise<void> {
    try {
      await this.#options.revert?.();
    } catch (error) {
      this.log('error', `what the reload had changed stays: ${messageOf(error)}`);
    }
  }

  async #replace(given: SupervisorSettings): Promise<void> {
    const settings = resolveSettings(given, this.#folder);
    if (settings.preload) await this.#check(settings);
    if (this.#phase !== 'running') throw misused('it does not run any more');
    const replaced = this.#listeners.update(settings.bind, settings.server);
    try {
      await this.#crew.replace(settings, this.#listeners.descriptors);
    } catch (error) {
      // Else all is closed already.
      if (this.#phase === 'running') replaced.restore();
      throw error;
    }
    replaced.close();
    this.#given = given;
    this.#settings = settings;
    this.#reloads += 1;
    this.log('info', `reloaded: ${count(settings.workers)}`);
  }

  /** So many workers from now on, until a reload. Resolves when they are there and ready. */
  scale(workers: number): Promise<void> {
    if (this.#phase !== 'running') return Promise.reject(misused('it does not run'));
    return this.#crew.scale(Math.max(0, workers));
  }

  /** Has the workers reopen their logs: `reopenLogs()` of the worker module. */
  reopenLogs(): void {
    attempt(
      () => this.#options.reopenLogs?.(),
      (error) => this.log('error', `the logs were not reopened: ${messageOf(error)}`),
    );
    this.#crew.reopen();
  }

  /**
   * Starts this program anew, as another process that takes over the listening sockets: for a new
   * version of it. This one serves on beside it until it is stopped.
   *
   * @throws RyegateError `ERR_RYEGATE_SUPERVISOR` while one that was started so lives, and when none
   *   can be started
   */
  upgrade(): number {
    if (this.#phase !== 'running') throw misused('it does not run');
    return this.#succession.start();
  }

  // What the crew tells.

  log(level: LogLevel, text: string): void {
    if (this.#options.log === undefined) {
      logLine(text);
      return;
    }
    attempt(
      () => this.#options.log?.(level, text),
      (failure) => {
        logLine(text);
        logLine(faultText(failure));
      },
    );
  }

  /** @internal */
  get isRunning(): boolean {
    return this.#phase === 'running';
  }

  /** @internal */
  gaveUp(error: RyegateError): void {
    this.#status = EXIT.hopeless;
    this.log('error', error.message);
    told.add(error);
    this.stop();
  }

  /** @internal Lines of a worker's standard error go to this one's. */
  workerWrote(text: string): void {
    standardError().write(text);
  }
}

/** Errors that need not be logged any more. */
const told = new WeakSet<Error>();

function statusOf(error: unknown): number {
  const { code } = error as { code?: unknown };
  return code === 'ERR_RYEGATE_WORKER_BOOT' ? EXIT.hopeless : EXIT.failed;
}

function logLine(text: string): void {
  standardError().write(`ryegate[${process.pid}]: ${text}\n`);
}

function count(workers: number): string {
  return workers === 1 ? '1 worker' : `${workers} workers`;
}
