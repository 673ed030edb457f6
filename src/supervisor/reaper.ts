import { readFileSync, readlinkSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { SystemCallError } from '../errors.ts';
import { native } from '../native.ts';
import { warn } from '../warn.ts';

/** Milliseconds between two looks. */
const INTERVAL = 1000;

export interface ReaperOptions {
  /**
   * Takes in the orphans of this process's descendants, also if it is not process 1
   * (`PR_SET_CHILD_SUBREAPER`, Linux). Default false.
   */
  subreaper?: boolean | undefined;
}

/**
 * Reaps orphans, as process 1 has to: those whose parents have ended become its children, and stay
 * zombies until it asks for their status. Node asks only for that of the children which it has
 * started itself.
 *
 * Those are never taken from it. A child is reaped only if it belongs to the main thread (where Linux
 * puts orphans; the children of worker threads are kept apart), and if it was dead a second ago and
 * Node's loop has polled since, when libuv reaps what is its own. An addon that waits for children by
 * itself has that second.
 */
export class Reaper {
  /** Orphans reaped so far. */
  reaped = 0;
  readonly #subreaper: boolean;
  #running = false;
  /** The children that were dead at the last look. */
  #dead = new Set<string>();
  #timer: NodeJS.Timeout | null = null;
  readonly #lookSoon = (): void => {
    // Between two immediates the loop polls, also when it was blocked for longer than the timer.
    this.#timer ??= setTimeout(() => setImmediate(() => this.#look()), INTERVAL).unref();
  };

  constructor({ subreaper = false }: ReaperOptions = {}) {
    this.#subreaper = subreaper;
  }

  /**
   * Begins to reap, on SIGCHLD. False, and nothing is done, in a process that gets no orphans, and
   * (with a warning `ERR_RYEGATE_REAPER`) where the system does not tell whose children are whose:
   * there the container needs an init, as `docker run --init` has one.
   *
   * @throws SystemCallError where there are no subreapers
   */
  start(): boolean {
    if (this.#running) return true;
    if (process.pid !== 1 && !this.#subreaper) return false;
    const problem = obstacle();
    if (problem !== null) {
      warn('ERR_RYEGATE_REAPER', `orphans are not reaped: ${problem}; use \`docker run --init\``);
      return false;
    }
    if (this.#subreaper) becomeSubreaper();
    this.#running = true;
    process.on('SIGCHLD', this.#lookSoon);
    this.#lookSoon();
    return true;
  }

  stop(): void {
    this.#running = false;
    process.off('SIGCHLD', this.#lookSoon);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #look(): void {
    if (!this.#running) return;
    this.#timer = null;
    const before = this.#dead;
    const dead = deadChildren();
    if (dead === null) {
      this.#lookSoon();
      return;
    }
    this.#dead = new Set();
    for (const child of dead) {
      if (before.has(child) && native.reap(Number.parseInt(child, 10)) > 0) this.reaped++;
      else this.#dead.add(child);
    }
    if (this.#dead.size > 0) this.#lookSoon();
  }
}

function becomeSubreaper(): void {
  const failure = native.becomeSubreaper();
  if (failure === 0) return;
  throw new SystemCallError(
    failure,
    'prctl',
    'this system knows no subreapers: leave the option out',
  );
}

/** The children of the main thread, a list that kernels have with CONFIG_PROC_CHILDREN. */
const CHILDREN = `/proc/${process.pid}/task/${process.pid}/children`;

/** Why it cannot be known which children are orphans. */
function obstacle(): string | null {
  if (!isMainThread) return 'only the main thread can do it';
  try {
    // In a namespace of processes without a /proc of its own the numbers are those of others.
    if (readlinkSync('/proc/self') !== String(process.pid)) return '/proc is of another namespace';
    readFileSync(CHILDREN);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * Each with the time of its start behind the number, which may be used again. Null when it cannot be
 * told now, for want of descriptors say.
 */
function deadChildren(): string[] | null {
  const children = tryRead(CHILDREN);
  if (children === null) return null;
  const dead: string[] = [];
  for (const pid of children.split(' ')) {
    if (pid === '') continue;
    const [state, started] = statusOf(pid);
    if (state === 'Z') dead.push(`${pid} ${started}`);
  }
  return dead;
}

/** Fields 3 and 22 of proc_pid_stat(5); before them is a name, in which everything may be. */
function statusOf(pid: string): [state: string | undefined, started: string | undefined] {
  const text = tryRead(`/proc/${pid}/stat`);
  // It has been reaped meanwhile.
  if (text === null) return [undefined, undefined];
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return [fields[0], fields[19]];
}

function tryRead(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}
