import {
  closeSync,
  constants as fileConstants,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { RyegateError, showValue } from '../errors.ts';
import { native } from '../native.ts';
import { isWhole } from '../options.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fileConstants;

/** Others may take and leave the path at the same time; nobody does so often. */
const ATTEMPTS = 20;
/** Milliseconds until the next attempt when another process has the lock, for less than one. */
const LOCKED_WAIT = 10;

/**
 * A file with the number of this process in it, for scripts that send it signals; gunicorn's
 * `Pidfile`. It appears under its name complete, and is never replaced while its process lives.
 *
 * All methods throw RyegateError `ERR_RYEGATE_PIDFILE`, with the system's error as `cause`, except
 * `unlink()`.
 */
export class PidFile {
  #path: string;

  constructor(path: string) {
    // Servers change their folder.
    this.#path = resolve(path);
  }

  get path(): string {
    return this.#path;
  }

  /**
   * Makes the file. One that a process left behind is replaced; one of a process that lives, or
   * with anything but a number in it, is refused.
   */
  create(): void {
    const path = this.#path;
    const mine = `${path}.${process.pid}`;
    try {
      rmSync(mine, { force: true });
      writeFileSync(mine, `${process.pid}\n`, { flag: 'wx', mode: 0o644 });
      try {
        place(mine, path);
      } finally {
        rmSync(mine, { force: true });
      }
    } catch (error) {
      throw asFault(error, path);
    }
  }

  /** Gives the file another name, as the old process of an upgrade does; refuses as `create()`. */
  rename(path: string): void {
    const to = resolve(path);
    if (to === this.#path) return;
    const other = new PidFile(to);
    other.create();
    this.unlink();
    this.#path = to;
  }

  /** Removes the file if it is this process's. False if it is not, or cannot be removed. */
  unlink(): boolean {
    try {
      const fd = openIfThere(this.#path);
      if (fd === null) return false;
      try {
        if (readPid(fd) !== process.pid) return false;
        rmSync(this.#path);
        return true;
      } finally {
        closeSync(fd);
      }
    } catch {
      return false;
    }
  }
}

function place(mine: string, path: string): void {
  for (let attempt = 0; !linked(mine, path) && !replacedStale(mine, path); attempt++) {
    if (attempt === ATTEMPTS) throw new Error('other processes keep replacing it');
  }
}

/** Whether the name was free: link(2) replaces nothing. */
function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Puts `mine` in the place of the file of a dead process; throws if that lives. False when another
 * process was quicker. Whoever replaces a file has its lock, so that no two replace the same one.
 */
function replacedStale(mine: string, path: string): boolean {
  const fd = openIfThere(path);
  if (fd === null) return false;
  try {
    refuseLiving(path, readPid(fd));
    if (native.lockFile(fd) === -constants.errno.EAGAIN) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCKED_WAIT);
      return false;
    }
    // Somebody may have had the lock, and replaced it, since it was opened.
    if (lstatSync(path, { throwIfNoEntry: false })?.ino !== fstatSync(fd).ino) return false;
    renameSync(mine, path);
    return true;
  } finally {
    closeSync(fd);
  }
}

/** Null where there is no file. */
function openIfThere(path: string): number | null {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  if (facts === undefined) return null;
  if (!facts.isFile()) throw new Error('it is no regular file');
  try {
    // Should it be none any more, it is neither followed nor waited for.
    return openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** 0 for an empty one, of somebody who was killed while writing it. */
function readPid(fd: number): number {
  // What is longer is no number.
  const text = fstatSync(fd).size > 32 ? '...' : readFileSync(fd, 'latin1').trim();
  if (text === '') return 0;
  const pid = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (isWhole(pid, 1, 2 ** 31 - 1)) return pid;
  throw new Error('it holds something other than the number of a process');
}

function refuseLiving(path: string, pid: number): void {
  // A number of ours that somebody else has left: in containers every start has the same.
  if (pid === 0 || pid === process.pid || !isAlive(pid)) return;
  throw fault(
    path,
    `process ${pid} runs, which it names; stop it, or remove the file if it is not a server`,
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function asFault(error: unknown, path: string): RyegateError {
  if (error instanceof RyegateError) return error;
  return fault(path, (error as Error).message, { cause: error });
}

function fault(path: string, problem: string, options?: ErrorOptions): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_PIDFILE',
    `the pid file ${showValue(path)} cannot be made: ${problem}`,
    options,
  );
}
