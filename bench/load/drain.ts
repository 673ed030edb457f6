import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError, Child } from '../harness/processes.ts';
import type { TestFile } from '../harness/testfiles.ts';
import { root } from '../paths.ts';
import type { RunningServer } from '../servers/index.ts';
import type { Load, LoadResult } from './load.ts';

const source = join(root, 'bench', 'load', 'drain.c');
const binary = join(root, 'build-bench', 'drain');

/** Compiles the client unless that is done. */
function compile(): void {
  const compiled = statSync(binary, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (compiled > statSync(source).mtimeMs) return;
  const { status, error, stderr } = spawnSync('cc', ['-O2', '-o', binary, source]);
  if (status === 0) return;
  throw new BenchError(`cc (Debian: apt-get install gcc): ${error?.message ?? stderr}`);
}

function parse(output: string): LoadResult {
  return JSON.parse(output.slice(output.indexOf('{')));
}

/** The client of drain.c: reads answers of any size cheaply and to their end. */
export const drain: Load = {
  name: 'drain',
  prepare: compile,
  run: async ({ server, file, connections, seconds }) => {
    const options = ['-c', `${connections}`, '-d', `${seconds}`];
    const child = new Child('load', binary, [
      ...options,
      `${server.port}`,
      file.path,
      `${file.bytes}`,
    ]);
    await child.succeeds();
    return parse(child.stdout);
  },
};

/** An exact number of requests on connections that are open before and afterwards. */
export class Requests {
  readonly #child: Child;

  /** `drain.prepare()` comes first. */
  constructor(server: RunningServer, file: TestFile, connections: number, requests: number) {
    const options = ['-w', '-c', `${connections}`, '-n', `${requests}`];
    const args = [...options, `${server.port}`, file.path, `${file.bytes}`];
    this.#child = new Child('load', binary, args);
  }

  async connected(): Promise<void> {
    await this.#child.says(/connected/);
  }

  /** Sends the requests; resolves when all have been answered. */
  async run(): Promise<LoadResult> {
    this.#child.process.stdin?.write('\n');
    await this.#child.says(/\}/, 'stdout', 120);
    return parse(this.#child.stdout);
  }

  async disconnect(): Promise<void> {
    this.#child.process.stdin?.end();
    await this.#child.succeeds();
  }
}
