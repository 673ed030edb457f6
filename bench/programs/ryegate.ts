// Serves a folder by Ryegate: `ryegate.js --application=static|buffer --serve=forever|sync ROOT`.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { staticFiles } from '../../dist/files/index.js';
import { type Application, makeServer } from '../../dist/index.js';

/** Answers with the files as they were when it was made, from memory. */
function bufferFiles(root: string): Application {
  const files = new Map(
    readdirSync(root).map((name) => {
      const path = join(root, name);
      const fields: [string, string][] = [
        ['Content-Type', 'application/octet-stream'],
        ['Last-Modified', statSync(path).mtime.toUTCString()],
      ];
      return [`/${name}`, { fields, body: [readFileSync(path)] }];
    }),
  );
  return (environ, startResponse) => {
    const file = files.get(environ.PATH_INFO);
    startResponse(file ? '200 OK' : '404 Not Found', file?.fields ?? []);
    return file?.body ?? [];
  };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { application: { type: 'string' }, serve: { type: 'string' } },
});
const [root = '.'] = positionals;
const application = values.application === 'static' ? staticFiles(root) : bufferFiles(root);
const server = makeServer('127.0.0.1', 0, application, { logRequests: false });
console.log(`listening on ${server.serverPort}`);
if (values.serve === 'sync') server.serveForeverSync();
else await server.serveForever();
