import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, expect } from 'vitest';
import { type Exchange, get } from './exchange.ts';
import { bounded, eventually, text } from './rawclient.ts';

const source = fileURLToPath(new URL('slowfs.c', import.meta.url));
/** What the sanitizers' run puts into every process is not for this program. */
const { LD_PRELOAD: _, ...env } = process.env;

/** The bytes that a file of this size has from `start` on. */
export function slowBytes(size: number, start = 0, end: number = size): Buffer {
  const bytes = Buffer.allocUnsafe(end - start);
  for (let at = start; at < end; at++) {
    bytes[at - start] = size + at + 3 * (at >>> 8) + 5 * (at >>> 16) + 7 * (at >>> 24);
  }
  return bytes;
}

/** What the kernel has asked for: `['read', NAME, OFFSET, SIZE]`, see slowfs.c. */
export type SlowEvent = readonly [what: string, name: string, ...numbers: number[]];

/**
 * A file system in a folder of its own whose reads are slow, are held or fail. It has a file for
 * every name that begins with digits: so many bytes it has, and they are `slowBytes()`. What was
 * read before is forgotten when a file is opened again, unless it is told to `keep`.
 */
export class SlowFS {
  readonly folder: string;
  /** All since it was mounted or reset, up to the last command. */
  readonly events: SlowEvent[] = [];
  readonly #child: ChildProcess;
  #text = '';
  #said = '';
  #ended = false;
  #answers: ((line: string) => void)[] = [];

  private constructor(program: string, folder: string) {
    this.folder = folder;
    this.#child = spawn(program, [folder], { env, stdio: 'pipe' });
    this.#child.stdout?.setEncoding('latin1').on('data', (text) => this.#take(text));
    this.#child.stderr?.setEncoding('latin1').on('data', (text) => {
      this.#said += text;
    });
    this.#child.on('close', () => {
      this.#ended = true;
    });
  }

  /** Compiles the program and mounts it; throws with what it said where that cannot be. */
  static async mount(): Promise<SlowFS> {
    const place = mkdtempSync(join(tmpdir(), 'ryegate-slowfs-'));
    const program = `${place}.program`;
    execFileSync('gcc', ['-O2', '-Wall', '-o', program, source], { env });
    const fs = new SlowFS(program, place);
    await eventually(() => fs.#ended || fs.events.length > 0, 'the slow file system is mounted');
    rmSync(program);
    if (!fs.#ended) return fs;
    rmSync(place, { recursive: true });
    throw new Error(fs.#said.trim());
  }

  #take(text: string): void {
    const lines = (this.#text + text).split('\n');
    this.#text = lines.pop() as string;
    for (const line of lines) {
      const [what = '', name = '', ...numbers] = line.split(' ');
      if (what === 'state') this.#answers.shift()?.(line);
      else this.events.push([what, name, ...numbers.map(Number)]);
    }
  }

  async #command(line: string): Promise<[held: number, expired: number]> {
    const answer = new Promise<string>((resolve) => this.#answers.push(resolve));
    this.#child.stdin?.write(`${line}\n`);
    const [, held, expired] = (await bounded(answer, `slowfs: ${line}`)).split(' ');
    return [Number(held), Number(expired)];
  }

  path(name: string | number): string {
    return join(this.folder, String(name));
  }

  /** Reads that end behind `offset` are not answered until `release()`, or for 15 seconds. */
  async hold(offset = 0): Promise<void> {
    await this.#command(`hold ${offset}`);
  }

  async release(): Promise<void> {
    await this.#command('release');
  }

  /** Every read takes so many milliseconds. */
  async delay(milliseconds: number): Promise<void> {
    await this.#command(`delay ${milliseconds}`);
  }

  /** Reads fail when they are due; 0: they do not. */
  async fail(errno: number): Promise<void> {
    await this.#command(`fail ${errno}`);
  }

  /** Whether what was read stays in the page cache when a file is opened again. */
  async keep(kept: boolean): Promise<void> {
    await this.#command(`keep ${Number(kept)}`);
  }

  /** Whether reads of files that are opened from now on go past the page cache. */
  async direct(past: boolean): Promise<void> {
    await this.#command(`direct ${Number(past)}`);
  }

  /** How many reads are held. */
  async held(): Promise<number> {
    return (await this.#command('state'))[0];
  }

  /** Reads that were held so long, since `hold()`, that they were answered before `release()`. */
  async expired(): Promise<number> {
    return (await this.#command('state'))[1];
  }

  /** Waits until so many reads are held. */
  async untilHeld(count = 1): Promise<void> {
    await this.#until(async () => (await this.held()) >= count, `${count} reads are held`);
  }

  /** Other clients, who ask for /hello, are answered while reads are held. */
  async expectOthersServed(exchange: Exchange): Promise<void> {
    for (let i = 0; i < 3; i++) expect(text(await exchange.ask(get('/hello')))).toBe('hello');
    expect(await this.held()).toBeGreaterThan(0);
    expect(await this.expired()).toBe(0);
  }

  /** The events of one kind and file until now. */
  async of(what: string, name: string | number): Promise<SlowEvent[]> {
    await this.#command('state');
    return this.events.filter((event) => event[0] === what && event[1] === String(name));
  }

  /** Waits until nobody has any of its files open. */
  async untilClosed(): Promise<void> {
    const count = (what: string): number => this.events.filter(([kind]) => kind === what).length;
    const closed = async (): Promise<boolean> => {
      await this.#command('state');
      return count('open') <= count('close');
    };
    await this.#until(closed, 'all files are closed');
  }

  async #until(condition: () => Promise<boolean>, what: string): Promise<void> {
    const deadline = performance.now() + 10_000;
    while (!(await condition())) {
      if (performance.now() > deadline) throw new Error(`slowfs: waited in vain until ${what}`);
    }
  }

  /** As it was at first, for when nobody has any of its files open. */
  async reset(): Promise<void> {
    this.events.length = 0;
    for (const command of ['delay 0', 'fail 0', 'keep 0', 'direct 0', 'release']) {
      await this.#command(command);
    }
  }

  /** Reads that are under way fail. */
  async unmount(): Promise<void> {
    this.#child.stdin?.end();
    await eventually(() => this.#ended, 'the slow file system is gone').catch(() => {
      this.#child.kill('SIGKILL');
      execFileSync('umount', ['-l', this.folder], { env });
    });
    rmSync(this.folder, { recursive: true });
  }
}

/**
 * A slow file system for the tests of a file, as it was at first before each test; null, with the
 * reason on standard error, where none can be mounted.
 */
export async function slowFileSystem(): Promise<SlowFS | null> {
  try {
    const mounted = await SlowFS.mount();
    beforeEach(() => mounted.reset());
    afterAll(() => mounted.unmount());
    return mounted;
  } catch (error) {
    const { message } = error as Error;
    if (!message.startsWith('slowfs: ')) throw error;
    console.warn(`${message} (needs FUSE and CAP_SYS_ADMIN): slow files are not tested`);
    return null;
  }
}
