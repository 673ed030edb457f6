import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach } from 'vitest';

export const root: string = resolve(import.meta.dirname, '../..');
/** The command line as it is installed. */
export const main: string = resolve(root, 'dist/cli/main.js');
/** Options of `node` with which every application that the program serves is validated. */
export const validating: readonly string[] = [
  '--import',
  new URL('validating.mjs', import.meta.url).href,
];

/** What the tests' own environment says to the package, and to its build, is not for their children. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !name.startsWith('RYEGATE_'));
  return Object.fromEntries(entries);
}

/** A running program and what it has said so far. */
export class Program {
  readonly child: ChildProcess;
  /** `[status, signal]`, once it has ended and all its output is here. */
  readonly exit: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  stdout = '';
  stderr = '';
  ended = false;

  constructor(command: string, args: readonly string[], options: SpawnOptions) {
    this.child = spawn(command, args, { env: cleanEnvironment(), ...options });
    this.child.stdout?.setEncoding('utf8').on('data', (text) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.stderr += text;
    });
    this.exit = once(this.child, 'close').then(([code, signal]) => {
      this.ended = true;
      return [code, signal];
    });
  }

  /** Waits until the output matches, and returns the match. Fails when the program ends before. */
  async says(pattern: RegExp, on: 'stdout' | 'stderr' = 'stderr', ms = 20_000): Promise<string[]> {
    const deadline = performance.now() + ms;
    for (;;) {
      // Whether it has ended is asked first: nothing more can come afterwards.
      const { ended } = this;
      const match = pattern.exec(this[on]);
      if (match !== null) return [...match];
      if (ended || performance.now() > deadline) {
        const how = ended ? 'ended' : `ran ${ms} ms`;
        throw new Error(`the program ${how} without ${pattern} on ${on}: ${this.stderr}`);
      }
      await sleep(5);
    }
  }

  /** The address in its line of output. */
  async url(on: 'stdout' | 'stderr' = 'stderr'): Promise<string> {
    const [, url = ''] = await this.says(/(http:\/\/[^\s/]+)\/?[^\n]*\n/, on);
    return url;
  }

  /** Sends a signal and waits for the end. */
  async stop(
    signal: NodeJS.Signals = 'SIGTERM',
  ): Promise<[code: number | null, signal: NodeJS.Signals | null]> {
    this.child.kill(signal);
    return await this.exit;
  }
}

export type Start = (command: string, args?: readonly string[], options?: SpawnOptions) => Program;

/** A function that starts programs, which are killed after each test. */
export function programStarter(): Start {
  const running: Program[] = [];
  afterEach(async () => {
    for (const program of running.splice(0)) {
      if (!program.ended) program.child.kill('SIGKILL');
      await program.exit;
    }
  });
  return (command, args = [], options = {}) => {
    const program = new Program(command, args, options);
    running.push(program);
    return program;
  };
}
