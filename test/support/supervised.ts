import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach } from 'vitest';
import type { ServerAddress, SupervisorSettings } from '../../src/index.ts';
import { Load, type LoadOptions } from './load.ts';
import { type Program, programStarter, root } from './programs.ts';

const PROGRAMS = join(root, 'test/supervisor/programs');

/** The parent of a process, and whether it has only to be reaped; null when there is none. */
function statusOf(pid: number | string): { isZombie: boolean; parent: number } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // The other threads may end after the first one, and its children are its own until then.
    const isZombie = fields[0] === 'Z' && fields[17] === '1';
    return { isZombie, parent: Number(fields[1]) };
  } catch {
    return null;
  }
}

export function isAlive(pid: number): boolean {
  const status = statusOf(pid);
  return status !== null && !status.isZombie;
}

/** The processes that `pid` has started and not reaped, and which of these are zombies. */
export function childrenOf(pid: number): { alive: number[]; zombies: number[] } {
  const alive: number[] = [];
  const zombies: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const status = statusOf(name);
    if (status?.parent === pid) (status.isZombie ? zombies : alive).push(Number(name));
  }
  return { alive, zombies };
}

export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Megabytes of memory (resident set size). */
export function memoryOf(pid: number): number {
  const [, kilobytes] =
    /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}

/** Waits until `condition` holds; fails after `seconds`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string | (() => string),
  seconds = 10,
): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (!(await condition())) {
    if (performance.now() > deadline) {
      throw new Error(`waited ${seconds} s until ${typeof what === 'string' ? what : what()}`);
    }
    await sleep(10);
  }
}

/**
 * The status of a supervisor that was told to end quickly and had nothing to break off: not 0 where
 * the machine has held a worker up for so long that it was killed, which it has `said` then.
 */
export function quickStatus(said: string): number {
  return said.includes('did not end in time') ? 1 : 0;
}

/** A supervisor in a process of its own. */
export class Supervised {
  readonly program: Program;
  /** Where it listens. */
  address: ServerAddress = ['127.0.0.1', 0];
  readonly #file: string;
  /** One that takes over may hold its output open for longer. */
  readonly #exit: Promise<unknown[]>;

  constructor(program: Program, file: string) {
    this.program = program;
    this.#file = file;
    this.#exit = once(program.child, 'exit');
  }

  get pid(): number {
    return this.program.child.pid as number;
  }

  get said(): string {
    return this.program.stderr;
  }

  /** Its workers. */
  get workers(): number[] {
    return childrenOf(this.pid).alive;
  }

  /** How often it has said `text`. */
  count(text: string): number {
    return this.said.split(text).length - 1;
  }

  /** Resolves when it has said `text` so many times. */
  async says(text: string, times = 1, seconds = 10): Promise<void> {
    await until(
      () => this.count(text) >= times,
      () => `it says ${text} ${times} times, not: ${this.said}`,
      seconds,
    );
  }

  /** Resolves when it has so many workers and has said nothing for a while. */
  async settled(workers: number): Promise<void> {
    let said = '';
    while (said !== this.said || this.workers.length !== workers) {
      said = this.said;
      await sleep(500);
    }
  }

  /** What a reload reads. */
  reconfigure(settings: Partial<SupervisorSettings>): void {
    const before = JSON.parse(readFileSync(this.#file, 'utf8'));
    writeFileSync(this.#file, JSON.stringify({ ...before, ...settings }));
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** The status that it ends with. */
  async ended(): Promise<unknown> {
    const [status] = await this.#exit;
    return status;
  }

  /** The status that it ends with after `signal`. */
  end(signal: NodeJS.Signals = 'SIGTERM'): Promise<unknown> {
    this.signal(signal);
    return this.ended();
  }

  /** The processes that have taken over from it. */
  get successors(): number[] {
    return [...this.said.matchAll(/process (\d+) takes over/g)].map(([, pid]) => Number(pid));
  }

  url(path: string): string {
    const { address } = this;
    return typeof address === 'string' ? path : `http://${address[0]}:${address[1]}${path}`;
  }

  /** Asks over a connection of its own; the body, or null when there is no answer. */
  async ask(path = '/', seconds = 10): Promise<string | null> {
    try {
      const response = await fetch(this.url(path), {
        headers: { Connection: 'close' },
        signal: AbortSignal.timeout(seconds * 1000),
      });
      return await response.text();
    } catch {
      return null;
    }
  }

  load(options: LoadOptions): Load {
    return new Load(this.address, options);
  }
}

export interface SupervisorStarter {
  /** A supervisor that is to serve test/supervisor/programs/app.mjs. */
  launch(settings?: Partial<SupervisorSettings>): Supervised;
  /** The same, when all its workers serve. */
  start(settings?: Partial<SupervisorSettings>): Promise<Supervised>;
  /** A server of the same application without a supervisor. */
  single(): Promise<Supervised>;
  /** A folder that is removed after the test. */
  folder(): string;
}

/** Makes supervisors, which are killed after each test; their workers end by themselves. */
export function supervisorStarter(): SupervisorStarter {
  const run = programStarter();
  const folders: string[] = [];
  const started: Supervised[] = [];
  afterEach(() => {
    for (const pid of started.splice(0).flatMap(({ successors }) => successors)) {
      if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    }
    for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true });
  });
  const folder = (): string => {
    const path = mkdtempSync(join(tmpdir(), 'ryegate-supervisor-'));
    folders.push(path);
    return path;
  };
  const launch = (settings: Partial<SupervisorSettings> = {}): Supervised => {
    const file = join(folder(), 'settings.json');
    const program = join(PROGRAMS, 'supervised.mjs');
    const all = { application: './app.mjs', cwd: PROGRAMS, bind: [['127.0.0.1', 0]], ...settings };
    writeFileSync(file, JSON.stringify(all));
    const supervised = new Supervised(run(process.execPath, [program, file]), file);
    started.push(supervised);
    return supervised;
  };
  const start = async (settings: Partial<SupervisorSettings> = {}): Promise<Supervised> => {
    const supervised = await listening(launch(settings));
    await supervised.says(' serves\n', settings.workers ?? 1);
    return supervised;
  };
  const single = (): Promise<Supervised> => {
    return listening(new Supervised(run(process.execPath, [join(PROGRAMS, 'single.mjs')]), ''));
  };
  return { launch, start, single, folder };
}

async function listening(supervised: Supervised): Promise<Supervised> {
  const [, address = ''] = await supervised.program.says(/listening on (\S+)\n/);
  supervised.address = parse(address);
  return supervised;
}

function parse(text: string): ServerAddress {
  if (text.startsWith('unix:')) return text.slice('unix:'.length);
  const { hostname, port } = new URL(text);
  return [hostname, Number(port)];
}
