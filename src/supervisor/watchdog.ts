import { toMilliseconds } from '../milliseconds.ts';
import { formatException } from '../socketserver/formatexception.ts';
import type { BaseServer } from '../socketserver/index.ts';
import { warn } from '../warn.ts';
import { type EnvironmentOptions, readNumber } from './listendescriptors.ts';
import type { Notifier } from './notifier.ts';

export interface WatchdogOptions extends EnvironmentOptions {
  /** Default `process.env`. */
  env?: NodeJS.ProcessEnv | undefined;
  /** Servers whose reactors have to turn while they serve. Default none. */
  servers?: readonly Pick<BaseServer, 'reactor' | 'shutdownEvent'>[] | undefined;
  /** Asked before every ping: no, a failure or no answer holds it back. */
  healthy?: (() => boolean | Promise<boolean>) | undefined;
}

/**
 * Tells the service manager twice in each WATCHDOG_USEC (`WatchdogSec=` of the unit) that the
 * process is alive: sd_watchdog_enabled(3). The pings come from Node's loop, and from there only
 * while the reactors of `servers` turn, so that a blocked loop or a dead reactor sends none and the
 * process is killed and started again. Does nothing where WATCHDOG_USEC is missing or meant for
 * another process.
 */
export class Watchdog {
  /** Seconds without a ping after which the service manager acts; null where it does not watch. */
  readonly timeout: number | null;
  readonly #notifier: Notifier;
  readonly #servers: NonNullable<WatchdogOptions['servers']>;
  readonly #healthy: NonNullable<WatchdogOptions['healthy']>;
  /** How often each reactor had turned when it was last woken; null for one that did not serve. */
  #turns: (number | null)[];
  #timer: NodeJS.Timeout | undefined;
  #asking = false;
  #withheld = false;

  /** @throws RyegateError `ERR_RYEGATE_SYSTEMD` for variables that make no sense */
  constructor(notifier: Notifier, options: WatchdogOptions = {}) {
    const { env = process.env, unset = false, servers = [], healthy = () => true } = options;
    this.#notifier = notifier;
    this.#servers = servers;
    this.#healthy = healthy;
    this.#turns = servers.map(() => null);
    this.timeout = watchdogTimeout(env);
    if (!unset) return;
    delete env.WATCHDOG_USEC;
    delete env.WATCHDOG_PID;
  }

  /** Begins to ping. The timer does not keep the process alive. */
  start(): void {
    if (this.timeout === null || this.#timer !== undefined) return;
    this.#wakeAll();
    // After the poll that an immediate waits for, what woke a reactor has been seen by it, even if
    // the loop was blocked for longer than the interval.
    const tick = (): void => void setImmediate(() => this.#tick());
    this.#timer = setInterval(tick, toMilliseconds(this.timeout / 2)).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #tick(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const problem = await this.#problem();
      if (this.#timer === undefined) return;
      if (problem === null) this.#notifier.watchdog();
      this.#tell(problem);
    } finally {
      this.#asking = false;
    }
  }

  /** What keeps the process from being called alive. */
  async #problem(): Promise<string | null> {
    const turned = this.#haveTurned();
    this.#wakeAll();
    if (!turned) return 'the reactor of a server does not turn';
    try {
      return (await this.#healthy()) ? null : 'healthy() says no';
    } catch (error) {
      return `healthy() failed: ${formatException(error)}`;
    }
  }

  #haveTurned(): boolean {
    return this.#servers.every(({ reactor, shutdownEvent }, index) => {
      const before = this.#turns[index] ?? null;
      return before === null || shutdownEvent.isSet() || reactor.turns > before;
    });
  }

  #wakeAll(): void {
    this.#turns = this.#servers.map(({ reactor, shutdownEvent }) => {
      if (shutdownEvent.isSet()) return null;
      reactor.waker.wake();
      return reactor.turns;
    });
  }

  /** Once each time that the pings cease. */
  #tell(problem: string | null): void {
    const before = this.#withheld;
    this.#withheld = problem !== null;
    if (before || problem === null) return;
    warn('ERR_RYEGATE_SYSTEMD', `no ping is sent to the watchdog: ${problem}`);
  }
}

/** In seconds. */
function watchdogTimeout({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv): number | null {
  if (WATCHDOG_USEC === undefined) return null;
  const most = Number.MAX_SAFE_INTEGER;
  const microseconds = readNumber('WATCHDOG_USEC', WATCHDOG_USEC, most);
  if (WATCHDOG_PID !== undefined) {
    if (readNumber('WATCHDOG_PID', WATCHDOG_PID, 2 ** 31 - 1) !== process.pid) return null;
  }
  return microseconds / 1e6;
}
