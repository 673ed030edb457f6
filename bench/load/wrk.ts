import { BenchError, Child, isInstalled } from '../harness/processes.ts';
import type { Load, LoadResult } from './load.ts';

function parse(output: string): LoadResult {
  const trouble = /^\s*(Socket errors|Non-2xx).*$/m.exec(output);
  if (trouble) throw new BenchError(`wrk: ${trouble[0].trim()}`);
  const [, requests, seconds] = /(\d+) requests in ([\d.]+)s/.exec(output) ?? [];
  if (!requests || !seconds) throw new BenchError(`wrk said something else: ${output}`);
  return { requests: Number(requests), seconds: Number(seconds) };
}

/** wrk with one thread. What is under way at its end is not counted: for many small answers only. */
export const wrk: Load = {
  name: 'wrk',
  prepare: () => {
    if (isInstalled('wrk')) return;
    throw new BenchError('wrk is not installed (Debian: apt-get install wrk)');
  },
  run: async ({ server, file, connections, seconds }) => {
    const url = `${server.origin}${file.path}`;
    const child = new Child('load', 'wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, url]);
    await child.succeeds();
    return parse(child.stdout);
  },
};
