import { compile } from '../harness/compile.ts';
import { Child } from '../harness/processes.ts';
import type { TestFile } from '../harness/testfiles.ts';
import type { RunningServer } from '../servers/index.ts';
import type { Load, LoadResult } from './load.ts';

function parse(output: string): LoadResult {
  return JSON.parse(output.slice(output.indexOf('{')));
}

/** The client of drain.c: reads answers of any size cheaply and to their end. */
export const drain: Load = {
  name: 'drain',
  prepare: () => {
    compile('drain');
  },
  run: async ({ server, file, connections, seconds }) => {
    const options = ['-c', `${connections}`, '-d', `${seconds}`];
    const child = new Child('load', compile('drain'), [
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

  constructor(server: RunningServer, file: TestFile, connections: number, requests: number) {
    const options = ['-w', '-c', `${connections}`, '-n', `${requests}`];
    const args = [...options, `${server.port}`, file.path, `${file.bytes}`];
    this.#child = new Child('load', compile('drain'), args);
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
