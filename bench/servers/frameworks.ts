import { existsSync, readFileSync } from 'node:fs';
import { Child } from '../harness/processes.ts';
import { installed, script } from '../paths.ts';
import { ALL_ROUTES, announcedServer, type Peer, PRODUCTION } from './server.ts';

function installedVersion(name: string): string {
  return JSON.parse(readFileSync(installed(name, 'package.json'), 'utf8')).version;
}

/** A server of npm's `packages` that runs on node:http; the first of them is the server itself. */
function framework(name: string, packages: readonly [string, ...string[]], how: string): Peer {
  return {
    name,
    description: `${how}, on Node.js ${process.version.slice(1)}`,
    routes: ALL_ROUTES,
    missing: () => {
      const absent = packages.filter((each) => !existsSync(installed(each)));
      if (absent.length === 0) return null;
      return `${absent.join(', ')} not installed: run npm ci --prefix bench`;
    },
    version: () => installedVersion(packages[0]),
    start: (root) => {
      const args = [script(`${name}.mjs`), root];
      return announcedServer(new Child('server', process.execPath, args, PRODUCTION));
    },
  };
}

export const frameworks: readonly Peer[] = [
  framework('fastify', ['fastify', '@fastify/static'], 'reply.send(), @fastify/static'),
  framework('express', ['express'], 'response.send(), express.static(), no ETag of answers'),
  framework('hono', ['hono', '@hono/node-server'], '@hono/node-server, serveStatic()'),
];
