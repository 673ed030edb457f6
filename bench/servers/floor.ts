import { compile } from '../harness/compile.ts';
import { Child, versionOf } from '../harness/processes.ts';
import type { Workload } from '../harness/workload.ts';
import { ALL_ROUTES, announcedServer, type Peer, type RunningServer } from './server.ts';

/**
 * The least that an answer costs: floor.c, which looks at nothing that it is sent.
 *
 * @param answer what it sends for each request of the workload: another server's whole answer
 */
export function floor(answer: Buffer, { request, close }: Workload): Peer {
  return {
    name: 'floor',
    description: `C, parses nothing, answers ${request.length} bytes with ${answer.length}`,
    routes: ALL_ROUTES,
    missing: () =>
      versionOf('cc', '--version') === null ? 'no C compiler (Debian: apt-get install gcc)' : null,
    version: () => versionOf('cc', '--version')?.split('\n')[0] ?? '',
    start: async () => {
      const args = ['--answer', '-', '--request-size', `${request.length}`];
      if (close) args.push('--close');
      const child = new Child('server', compile('floor'), args);
      // Where it fails before it has read them, its output says so.
      child.process.stdin?.on('error', () => {}).end(answer);
      return await announcedServer(child);
    },
  };
}

export function startFloor(answer: Buffer, workload: Workload): Promise<RunningServer> {
  // It serves no files.
  return floor(answer, workload).start('');
}
