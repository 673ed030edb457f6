import { Child } from '../harness/processes.ts';
import { program } from '../paths.ts';
import { ALL_ROUTES, announcedServer, type Peer, PRODUCTION } from './server.ts';

export const nodeHTTP: Peer = {
  name: 'node',
  description: 'node:http, stat(), createReadStream(), pipe()',
  routes: ALL_ROUTES,
  missing: () => null,
  version: () => process.version.slice(1),
  start: (root) =>
    announcedServer(new Child('server', process.execPath, [program('nodehttp'), root], PRODUCTION)),
};
