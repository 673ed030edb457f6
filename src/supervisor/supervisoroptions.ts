import type { CrashLimits } from './crashes.ts';
import type { LogLevel } from './crew.ts';
import type { Notifier } from './notifier.ts';
import type { SupervisorSettings } from './settings.ts';
import type { Watchdog } from './watchdog.ts';

/** What a `Supervisor` works with that no reload changes. */
export interface SupervisorOptions {
  /** Gives the settings anew, for `reload()`. Default: they stay, and the application is loaded anew. */
  reload?: (() => SupervisorSettings | Promise<SupervisorSettings>) | undefined;
  /** Takes back what `reload` has changed beside: what it gave is faulty, and the old settings stay. */
  revert?: (() => unknown) | undefined;
  /** Gets what the supervisor does, a line each. Default: lines on standard error. */
  log?: ((level: LogLevel, text: string) => void) | undefined;
  /** Reopens the log files of this process, for SIGUSR1. */
  reopenLogs?: (() => unknown) | undefined;
  /** Tells the service manager that it is ready, reloads and stops. Default: nobody is told. */
  notifier?: Notifier | undefined;
  /** Stopped while a new master serves, who pings for the service then. Default none. */
  watchdog?: Pick<Watchdog, 'start' | 'stop'> | undefined;
  /**
   * The folder that the program was started in, for `upgrade()`, and to look up `cwd` from. Default:
   * the current one, by its name in PWD where that is the same: it may lead elsewhere by then.
   */
  folder?: string | undefined;
  /**
   * The environment that the program was started with, for `upgrade()`. Default `process.env`, which
   * lacks what was `unset`.
   */
  env?: NodeJS.ProcessEnv | undefined;
  /** When to give up. */
  crashLimits?: Partial<CrashLimits> | undefined;
}
