import { type SelectorName, VERSION } from '../../dist/index.js';
import { Child } from '../harness/processes.ts';
import type { Route } from '../harness/workload.ts';
import { program } from '../paths.ts';
import { ALL_ROUTES, announcedServer, type Peer, PRODUCTION } from './server.ts';

/** Those that wait for nothing. */
const SYNC_ROUTES: ReadonlySet<Route> = new Set<Route>(['hello', 'echo', 'chunked', 'file']);

/** What the application is told apart from the usual. */
const VARIANTS = {
  none: { what: 'a WSGI application and staticFiles()', options: [] },
  memory: { what: 'files from memory', options: ['--memory'] },
  signal: { what: 'as ryegate, and each environ has its ryegate.signal', options: ['--signal'] },
} as const;

function ryegate(
  name: string,
  serve: 'forever' | 'sync',
  selector: SelectorName,
  variant: keyof typeof VARIANTS = 'none',
): Peer {
  const method = serve === 'sync' ? 'serveForeverSync' : 'serveForever';
  const { what } = VARIANTS[variant];
  const memory = variant === 'memory';
  const served = serve === 'sync' ? SYNC_ROUTES : ALL_ROUTES;
  const options = [`--serve=${serve}`, `--selector=${selector}`, ...VARIANTS[variant].options];
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
  ryegate('ryegate-buffer', 'forever', 'epoll', 'memory'),
  ryegate('ryegate-buffer-sync', 'sync', 'epoll', 'memory'),
  // The others' application says that it does not use the signal.
  ryegate('ryegate-signal', 'forever', 'epoll', 'signal'),
];
