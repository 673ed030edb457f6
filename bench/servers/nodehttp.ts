import { Child } from '../harness/processes.ts';
import { program } from '../paths.ts';
import { announcedServer, type Peer } from './server.ts';

export const nodeHTTP: Peer = {
  name: 'node',
  description: 'node:http, stat(), createReadStream(), pipe()',
  missing: () => null,
  version: () => process.version.slice(1),
  start: (root) =>
    announcedServer(new Child('server', process.execPath, [program('nodehttp'), root])),
};
