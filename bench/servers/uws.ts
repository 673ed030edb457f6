import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Child } from '../harness/processes.ts';
import type { Route } from '../harness/workload.ts';
import { script } from '../paths.ts';
import { announcedServer, type Peer, PRODUCTION } from './server.ts';

const VARIABLE = 'RYEGATE_BENCH_UWS';

function packageFile(): string {
  return join(process.env[VARIABLE] ?? '', 'package.json');
}

export const uws: Peer = {
  name: 'uws',
  description: `uWebSockets.js on Node.js ${process.version.slice(1)}`,
  // It sends no files.
  routes: new Set<Route>(['hello', 'echo', 'chunked', 'promise', 'timer']),
  missing: () => {
    const folder = process.env[VARIABLE];
    if (folder === undefined) {
      return `${VARIABLE} is not set: unpack github.com/uNetworking/uWebSockets.js, a tag with binaries, and name its folder there`;
    }
    if (!existsSync(packageFile())) return `${VARIABLE} is ${folder}: no package.json is there`;
    return null;
  },
  version: () => JSON.parse(readFileSync(packageFile(), 'utf8')).version,
  start: () => {
    const env = { ...PRODUCTION, [VARIABLE]: resolve(process.env[VARIABLE] ?? '') };
    return announcedServer(new Child('server', process.execPath, [script('uws.mjs')], env));
  },
};
