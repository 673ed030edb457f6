// Ryegate: `ryegate.js --serve=forever|sync --selector=NAME [--memory] [--signal] ROOT`.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { staticFiles } from '../../dist/files/index.js';
import { type Application, makeServer, type SelectorName } from '../../dist/index.js';

const PIECE = 'x'.repeat(1024);

const hello: Application = (_environ, startResponse) => {
  startResponse('200 OK', [
    ['Content-Type', 'text/plain'],
    ['Content-Length', '13'],
  ]);
  return ['Hello, World!'];
};

const echo: Application = async (environ, startResponse) => {
  const body = await environ['wsgi.input'].read();
  startResponse('200 OK', [['Content-Type', 'application/octet-stream']]);
  return [body];
};

const echoSync: Application = (environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'application/octet-stream']]);
  return [environ['wsgi.input'].readSync()];
};

function* pieces(): Generator<string> {
  for (let i = 0; i < 8; i++) yield PIECE;
}

const chunked: Application = (_environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return pieces();
};

const promise: Application = async (environ, startResponse) => hello(environ, startResponse);

const timer: Application = async (environ, startResponse) => {
  await sleep(1);
  return hello(environ, startResponse);
};

/** Answers with the files as they were when it was made, from memory. */
function filesInMemory(root: string): Application {
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
  options: {
    serve: { type: 'string', default: 'forever' },
    selector: { type: 'string', default: 'epoll' },
    memory: { type: 'boolean', default: false },
    signal: { type: 'boolean', default: false },
  },
});
const [root = '.'] = positionals;
const blocking = values.serve === 'sync';
const files = values.memory ? filesInMemory(root) : staticFiles(root);

const app: Application = (environ, startResponse) => {
  switch (environ.PATH_INFO) {
    case '/':
      return hello(environ, startResponse);
    case '/echo':
      return (blocking ? echoSync : echo)(environ, startResponse);
    case '/chunked':
      return chunked(environ, startResponse);
    case '/promise':
      return promise(environ, startResponse);
    case '/timer':
      return timer(environ, startResponse);
    default:
      return files(environ, startResponse);
  }
};
// Nothing in it looks at ryegate.signal; with --signal it does not say so.
if (!values.signal) app.usesSignal = false;

const server = makeServer('127.0.0.1', 0, app, {
  logRequests: false,
  selector: values.selector as SelectorName,
  // In a loop that blocks nobody can wait for a body.
  inputBuffering: blocking ? 'buffer' : 'stream',
});
console.log(`listening on ${server.serverPort}`);
if (blocking) server.serveForeverSync();
else await server.serveForever();
