import { join } from 'node:path';
import { Child, versionOf } from '../harness/processes.ts';
import { program, root as project } from '../paths.ts';
import { announcedServer, type Peer } from './server.ts';

function ryegate(name: string, application: 'static' | 'buffer', serve: 'forever' | 'sync'): Peer {
  const method = serve === 'sync' ? 'serveForeverSync' : 'serveForever';
  const what = application === 'static' ? 'staticFiles()' : 'a WSGI application, from memory';
  return {
    name,
    description: `${what}, ${method}()`,
    missing: () => null,
    version: () => versionOf(process.execPath, join(project, 'dist/cli/main.js'), '-V') ?? '',
    start: (root) => {
      const args = [program('ryegate'), `--application=${application}`, `--serve=${serve}`, root];
      return announcedServer(new Child('server', process.execPath, args));
    },
  };
}

export const ryegatePeers: readonly Peer[] = [
  ryegate('ryegate', 'static', 'forever'),
  ryegate('ryegate-sync', 'static', 'sync'),
  // The same bytes without the static application: what that costs shows as the difference.
  ryegate('ryegate-buffer', 'buffer', 'forever'),
  ryegate('ryegate-buffer-sync', 'buffer', 'sync'),
];
