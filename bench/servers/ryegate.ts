import { type SelectorName, VERSION } from '../../dist/index.js';
import { Child } from '../harness/processes.ts';
import type { Route } from '../harness/workload.ts';
import { program } from '../paths.ts';
import { ALL_ROUTES, announcedServer, type Peer, PRODUCTION } from './server.ts';

/** Those that wait for nothing. */
const SYNC_ROUTES: ReadonlySet<Route> = new Set<Route>(['hello', 'echo', 'chunked', 'file']);

function ryegate(
  name: string,
  serve: 'forever' | 'sync',
  selector: SelectorName,
  memory = false,
): Peer {
  const method = serve === 'sync' ? 'serveForeverSync' : 'serveForever';
  const what = memory ? 'files from memory' : 'a WSGI application and staticFiles()';
  const served = serve === 'sync' ? SYNC_ROUTES : ALL_ROUTES;
  const options = [`--serve=${serve}`, `--selector=${selector}`, ...(memory ? ['--memory'] : [])];
  return {
    name,
    description: `${what}, ${method}(), ${selector}`,
    routes: memory ? new Set<Route>(['file']) : served,
    missing: () => null,
    version: () => VERSION,
    start: (root) => {
      const args = [program('ryegate'), ...options, root];
      return announcedServer(new Child('server', process.execPath, args, PRODUCTION));
    },
  };
}

export const ryegatePeers: readonly Peer[] = [
  ryegate('ryegate', 'forever', 'epoll'),
  ryegate('ryegate-poll', 'forever', 'poll'),
  ryegate('ryegate-select', 'forever', 'select'),
  ryegate('ryegate-sync', 'sync', 'epoll'),
  ryegate('ryegate-sync-poll', 'sync', 'poll'),
  ryegate('ryegate-sync-select', 'sync', 'select'),
  // The same bytes without the static application: what that costs shows as the difference.
  ryegate('ryegate-buffer', 'forever', 'epoll', true),
  ryegate('ryegate-buffer-sync', 'sync', 'epoll', true),
];
