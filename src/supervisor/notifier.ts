import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { showValue } from '../errors.ts';
import { native } from '../native.ts';
import { checkOption, isWhole } from '../options.ts';
import { warn } from '../warn.ts';
import type { EnvironmentOptions } from './listendescriptors.ts';

const { EAGAIN, ENOBUFS } = constants.errno;
/** Milliseconds until a message that found the queue of the service manager full is sent again. */
const RETRY = 50;
const MOST_WAITING = 16;
/** Characters of a status: systemd leaves out messages of more than 4096 bytes. */
const LONGEST_STATUS = 1000;
/** systemd takes microseconds in 64 bits, of which all stands for no limit. */
export const LONGEST_TIME: number = Number.MAX_SAFE_INTEGER / 1e6;

/**
 * Tells the service manager how this process is, by the socket in NOTIFY_SOCKET: sd_notify(3), for
 * units of `Type=notify`. Does nothing where there is no such socket. Messages are sent in order,
 * one datagram each, without waiting. A failure is told by one warning of the process with the code
 * `ERR_RYEGATE_SYSTEMD`; nothing is thrown for it.
 */
export class Notifier {
  readonly #path: string | null;
  readonly #waiting: string[] = [];
  #retry: NodeJS.Timeout | null = null;
  #failed = false;

  constructor(env: NodeJS.ProcessEnv = process.env, { unset = false }: EnvironmentOptions = {}) {
    this.#path = this.#socketPath(env.NOTIFY_SOCKET);
    if (unset) delete env.NOTIFY_SOCKET;
  }

  /** Whether there is a service manager to tell. */
  get enabled(): boolean {
    return this.#path !== null;
  }

  /** The service is up, or has loaded its configuration again. */
  ready(): void {
    this.notify('READY=1');
  }

  /** It begins to load its configuration again; `ready()` has to follow. */
  reloading(): void {
    // Node's clock is CLOCK_MONOTONIC, which systemd compares with its own.
    this.notify(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  /** It begins to shut down. */
  stopping(): void {
    this.notify('STOPPING=1');
  }

  /** A line for `systemctl status`; line ends become spaces, and what is too long is cut. */
  status(text: string): void {
    const line = text.slice(0, LONGEST_STATUS).replace(/[\0\r\n]+/g, ' ');
    this.notify(`STATUS=${line}`);
  }

  /** The service is alive: see `Watchdog`. */
  watchdog(): void {
    // It is one of many, and those that wait show as much.
    if (this.#waiting.length === 0) this.notify('WATCHDOG=1');
  }

  /** Another process is the service's main one from now on, as after an upgrade. */
  mainPid(pid: number): void {
    checkOption('pid', pid, (value) => isWhole(value, 1, 2 ** 31 - 1), 'a process id');
    this.notify(`MAINPID=${pid}`);
  }

  /**
   * Starting, reloading or stopping, whichever is under way, takes `seconds` more from now on. To be
   * repeated before they are over.
   */
  extendTimeout(seconds: number): void {
    const isTime = (value: number): boolean => value > 0 && value <= LONGEST_TIME;
    checkOption('seconds', seconds, isTime, 'a time above 0');
    this.notify(`EXTEND_TIMEOUT_USEC=${Math.ceil(seconds * 1e6)}`);
  }

  /** Sends assignments of sd_notify(3), a line each. */
  notify(state: string): void {
    if (this.#path === null) return;
    if (this.#waiting.length === MOST_WAITING) {
      this.#tell('too many messages wait to be read');
      return;
    }
    this.#waiting.push(state);
    if (this.#retry === null) this.#send(this.#path);
  }

  #send(path: string): void {
    this.#retry = null;
    for (;;) {
      const [state] = this.#waiting;
      if (state === undefined) return;
      const result = native.notify(path, state);
      if (result === -EAGAIN || result === -ENOBUFS) {
        this.#retry = setTimeout(() => this.#send(path), RETRY).unref();
        return;
      }
      if (result < 0) this.#tell(getSystemErrorName(result));
      this.#waiting.shift();
    }
  }

  /** What the addon takes; a leading @ stands for the NUL of an abstract name. */
  #socketPath(value: string | undefined): string | null {
    if (value === undefined || value === '') return null;
    if (value.startsWith('/')) return value;
    if (value.startsWith('@')) return `\0${value.slice(1)}`;
    this.#tell(`NOTIFY_SOCKET is ${showValue(value)}: expected an absolute path, or @NAME`);
    return null;
  }

  #tell(problem: string): void {
    if (this.#failed) return;
    this.#failed = true;
    warn('ERR_RYEGATE_SYSTEMD', `the service manager cannot be told: ${problem}`);
  }
}
