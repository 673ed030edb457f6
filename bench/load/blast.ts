import { compile } from '../harness/compile.ts';
import type { Workload } from '../harness/workload.ts';
import { generate } from './generator.ts';
import type { Load, LoadResult, WorkloadSettings } from './load.ts';

/**
 * The client of blast.c: as many small requests as the server answers. What has begun is finished
 * and counted. Where the server does not keep connections, each request has one of its own.
 */
export const blast: Load<WorkloadSettings> = {
  name: 'blast',
  prepare: () => {
    compile('blast');
  },
  run: ({ server, workload, seconds }) => {
    const args = [...blastOptions(workload), '-d', `${seconds}`, `${server.port}`];
    return generate<LoadResult>('blast', args, workload.request);
  },
};

/** What the program is told of a load. */
export function blastOptions({ connections, pipelined, close, varied }: Workload): string[] {
  const options = ['-c', `${connections}`, '-p', `${pipelined}`];
  if (close) options.push('-x');
  if (varied !== null) options.push('-v', varied);
  return options;
}
