import { RyegateError } from '../errors.ts';
import { formatURL } from '../reactor/address.ts';
import type { LogLevel } from './crew.ts';
import type { Inheritance } from './inheritance.ts';
import type { Listeners } from './listeners.ts';
import { LONGEST_TIME, type Notifier } from './notifier.ts';
import type { PidFile } from './pidfile.ts';
import type { Start } from './startfolder.ts';
import { Successor, type SuccessorOwner } from './successor.ts';
import type { Watchdog } from './watchdog.ts';

/** The supervisor. */
export interface SuccessionOwner {
  readonly isRunning: boolean;
  log(level: LogLevel, text: string): void;
}

export interface SuccessionParts {
  readonly listeners: Listeners;
  readonly inheritance: Inheritance;
  readonly start: Start;
  readonly pidFile: PidFile | null;
  readonly notifier: Notifier | undefined;
  readonly watchdog: Pick<Watchdog, 'start' | 'stop'> | undefined;
}

/**
 * Old masters and new ones. The service manager is told which of them is the main process: the new
 * one once it serves, and the other one when either ends before the other.
 */
export class Succession implements SuccessorOwner {
  readonly #owner: SuccessionOwner;
  readonly #parts: SuccessionParts;
  readonly #path: string;
  #successor: Successor | null = null;

  constructor(owner: SuccessionOwner, parts: SuccessionParts) {
    this.#owner = owner;
    this.#parts = parts;
    this.#path = parts.pidFile?.path ?? '';
  }

  /** The new master; null without one. */
  get heir(): number | null {
    return this.#successor?.lives ? this.#successor.pid : null;
  }

  /** The new master or the old one, with whom everything is shared; null without one. */
  get other(): number | null {
    return this.heir ?? this.#parts.inheritance.master;
  }

  /** Starts a new master. Returns its process id. */
  start(): number {
    const { pidFile, listeners, start } = this.#parts;
    if (this.heir !== null) {
      throw misused(`process ${this.heir} takes over already`);
    }
    // As nginx has it: the name is for the new one.
    pidFile?.rename(`${this.#path}.oldbin`);
    try {
      this.#successor = new Successor(listeners, start, this);
    } catch (error) {
      this.#takePidFileBack();
      throw error;
    }
    listeners.handOver(this.#successor);
    const { pid } = this.#successor;
    this.#owner.log('info', `process ${pid} takes over`);
    return pid;
  }

  /** This process serves. */
  async serving(): Promise<void> {
    // By default the service manager listens to nobody but the main process, which it is then.
    await this.#parts.inheritance.announce();
    const { notifier, listeners } = this.#parts;
    if (!this.#owner.isRunning) return;
    notifier?.ready();
    notifier?.status(`serving on ${listeners.addresses.map(formatURL).join(', ')}`);
  }

  /** This process ends, and takes so many seconds at most. The service may go on. */
  ending(seconds: number): void {
    const { notifier } = this.#parts;
    if (this.other !== null) notifier?.mainPid(this.other);
    else {
      notifier?.stopping();
      if (seconds > 0 && seconds <= LONGEST_TIME) notifier?.extendTimeout(seconds);
    }
  }

  // What the successor tells.

  successorFailed({ message }: Error): void {
    this.#owner.log('error', `no process could take over: ${message}`);
  }

  successorReady(): void {
    const pid = this.heir;
    if (pid === null) return;
    this.#parts.notifier?.mainPid(pid);
    // Whoever pings for the service would hide that the new process is hung.
    this.#parts.watchdog?.stop();
    this.#owner.log('info', `process ${pid} is ready: this one can be ended by SIGTERM`);
  }

  successorDied(how: string): void {
    const { pid } = this.#successor as Successor;
    if (this.#owner.isRunning) {
      this.#parts.notifier?.mainPid(process.pid);
      this.#parts.watchdog?.start();
      this.#takePidFileBack();
    }
    // Last: whoever reads it may look at the pid file, or start another one.
    this.#owner.log('error', `process ${pid}, which was to take over, ${how}`);
  }

  #takePidFileBack(): void {
    try {
      this.#parts.pidFile?.rename(this.#path);
    } catch (error) {
      this.#owner.log('error', (error as Error).message);
    }
  }
}

/** An order that the supervisor cannot follow now. */
export function misused(problem: string): RyegateError {
  return new RyegateError('ERR_RYEGATE_SUPERVISOR', `the supervisor refuses: ${problem}`);
}
