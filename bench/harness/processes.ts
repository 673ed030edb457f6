import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';

/** What keeps a measurement from being made, said so that the reader can mend it. */
export class BenchError extends Error {
  override readonly name = 'BenchError';
}

/** What the version option of a program prints, or null when there is no such program. */
export function versionOf(command: string, ...args: string[]): string | null {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? `${stdout}${stderr}`.trim() : null;
}

export function isInstalled(command: string): boolean {
  return spawnSync('which', [command]).status === 0;
}

/** The numbers in a list such as `0-2,5`. */
function expand(list: string): number[] {
  return list.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/**
 * The processors of the servers and of the load: with two or more they do not share one, so that
 * the load does not take turns with the server that it measures.
 */
function chooseProcessors(): { server: number; load: number } | null {
  const status = readFileSync('/proc/self/status', 'utf8');
  const [, list = '0'] = /^Cpus_allowed_list:\s*(\S+)/m.exec(status) ?? [];
  const [server, load] = expand(list);
  if (server === undefined || load === undefined || !isInstalled('taskset')) return null;
  return { server, load };
}

export const processors: { server: number; load: number } | null = chooseProcessors();

const running = new Set<ChildProcess>();

/** However the bench ends, nothing of it goes on running: servers end their workers themselves. */
function terminateAll(): void {
  for (const child of running) child.kill('SIGTERM');
}

process.on('exit', terminateAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.exit(130));
}

/** A child process on the processor of its role, and what it has said. */
export class Child {
  readonly process: ChildProcess;
  readonly command: string;
  readonly #closed: Promise<unknown>;
  stdout = '';
  stderr = '';
  #ended = false;

  /** `env` is added to this process's own environment. */
  constructor(
    role: 'server' | 'load' | 'free',
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ) {
    const pin =
      processors === null || role === 'free' ? [] : ['taskset', '-c', `${processors[role]}`];
    const [file, ...rest] = [...pin, command, ...args] as [string, ...string[]];
    this.command = command;
    this.process = spawn(file, rest, { stdio: 'pipe', env: { ...process.env, ...env } });
    running.add(this.process);
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.#closed = new Promise<void>((resolve) => {
      const over = (): void => {
        this.#ended = true;
        running.delete(this.process);
        resolve();
      };
      this.process.once('close', over).once('error', over);
    });
  }

  get pid(): number {
    if (this.process.pid === undefined) throw new BenchError(`cannot run ${this.command}`);
    return this.process.pid;
  }

  /** Waits for up to so many seconds until its output matches. */
  async says(
    pattern: RegExp,
    on: 'stdout' | 'stderr' = 'stdout',
    seconds = 20,
  ): Promise<RegExpExecArray> {
    const deadline = AbortSignal.timeout(seconds * 1000);
    for (;;) {
      const match = pattern.exec(this[on]);
      if (match !== null) return match;
      if (this.#ended || deadline.aborted) {
        throw new BenchError(`${this.command} did not say ${pattern}: ${this.stderr}`);
      }
      const data = once(this.process[on] as NonNullable<ChildProcess['stdout']>, 'data', {
        signal: deadline,
      });
      await Promise.race([data.catch(() => {}), this.#closed]);
    }
  }

  /** Its end. Fails unless its status is 0. */
  async succeeds(): Promise<void> {
    await this.#closed;
    if (this.process.exitCode === 0) return;
    const how = this.process.signalCode ?? `status ${this.process.exitCode}`;
    throw new BenchError(`${this.command} ended with ${how}: ${this.stderr}${this.stdout}`);
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.#ended) this.process.kill(signal);
    await this.#closed;
  }
}

/** The fields of `/proc/PID/stat` from the third on: the second may contain anything. */
function statFields(pid: number | 'self'): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** A process and all that descend from it. */
export function processTree(pid: number): number[] {
  const children = readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return Number(statFields(Number(name))[1]) === pid;
    } catch {
      // It has ended since the folder was read.
      return false;
    }
  });
  return [pid, ...children.flatMap((name) => processTree(Number(name)))];
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

function microseconds(...ticks: (string | undefined)[]): number {
  const sum = ticks.reduce((total, field) => total + Number(field), 0);
  return (sum * 1e6) / ticksPerSecond;
}

/** CPU time of the processes so far, all their threads, user and system, in microseconds. */
export function cpuTime(pids: readonly number[]): number {
  return pids.reduce((total, pid) => {
    const [utime, stime] = statFields(pid).slice(11, 13);
    return total + microseconds(utime, stime);
  }, 0);
}

/** CPU time of all children of this process that have ended, in microseconds. */
export function endedChildrenTime(): number {
  const [utime, stime] = statFields('self').slice(13, 15);
  return microseconds(utime, stime);
}
