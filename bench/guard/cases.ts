import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { staticFiles } from '../../dist/files/index.js';
import type { Application, HeaderList, StartResponse } from '../../dist/index.js';
import { makeTestFolder } from '../harness/testfiles.ts';
import { PATHS } from '../harness/workload.ts';

/** One kind of request, how it is sent, and what has to come back. */
export interface Case {
  /** In the table and in the baseline. */
  readonly name: string;
  /** Whose loop it is: the server's own, which blocks, or Node's. */
  readonly serve: 'serveForeverSync' | 'serveForever';
  readonly connections: number;
  /** So many requests are sent together on each connection, and the next when all are answered. */
  readonly pipelined: number;
  readonly request: Buffer;
  readonly application: Application;
  /** The body of the answer. */
  readonly body: Buffer;
}

const HELLO = 'Hello, World!';
const ECHOED = 'e'.repeat(1024);

/** What a browser sends with a page's address. */
const BROWSER_FIELDS = [
  'Connection: keep-alive',
  'Upgrade-Insecure-Requests: 1',
  'User-Agent: Mozilla/5.0 (X11; Linux x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8',
  'Accept-Encoding: gzip, deflate, br',
  'Accept-Language: en-GB,en;q=0.9',
];

function request(method: string, path: string, fields: readonly string[] = [], body = ''): Buffer {
  const head = [`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1:8080', ...fields];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** A list of its own for each response, as applications make it. */
function helloFields(): HeaderList {
  return [
    ['Content-Type', 'text/plain'],
    ['Content-Length', String(HELLO.length)],
  ];
}

const hello: Application = (_environ, startResponse) => {
  startResponse('200 OK', helloFields());
  return [HELLO];
};

/** Looks at two of the request's fields, so that the environ has to have them. */
const negotiate: Application = (environ, startResponse) => {
  const welcome = environ.HTTP_ACCEPT?.startsWith('text/html') && environ.HTTP_ACCEPT_LANGUAGE;
  startResponse(welcome ? '200 OK' : '406 Not Acceptable', helloFields());
  return [HELLO];
};

const helloPromise: Application = (_environ, startResponse) => {
  startResponse('200 OK', helloFields());
  return Promise.resolve([HELLO]);
};

const echo: Application = async (environ, startResponse: StartResponse) => {
  const body = await environ['wsgi.input'].read();
  startResponse('200 OK', [
    ['Content-Type', 'application/octet-stream'],
    ['Content-Length', String(body.length)],
  ]);
  return [body];
};

/** Hello, World! to 64 clients; the others say in what they differ. */
const BASIC: Omit<Case, 'name'> = {
  serve: 'serveForeverSync',
  connections: 64,
  pipelined: 1,
  request: request('GET', PATHS.hello),
  application: hello,
  body: Buffer.from(HELLO),
};

/** The cases; the file that one of them serves is removed when the process ends. */
export function makeCases(): Case[] {
  const { root, files } = makeTestFolder(['4k']);
  const path = files[0]?.path ?? '';
  const posted = [`Content-Length: ${ECHOED.length}`];
  return [
    { ...BASIC, name: 'hello' },
    { ...BASIC, name: 'hello, serveForever', serve: 'serveForever' },
    { ...BASIC, name: 'hello, one client', connections: 1 },
    { ...BASIC, name: 'hello, 16 pipelined', connections: 16, pipelined: 16 },
    {
      ...BASIC,
      name: 'browser',
      request: request('GET', PATHS.hello, BROWSER_FIELDS),
      application: negotiate,
    },
    {
      ...BASIC,
      name: 'file of 4 KiB',
      request: request('GET', path),
      application: staticFiles(root),
      body: readFileSync(join(root, path)),
    },
    {
      ...BASIC,
      name: 'echo of 1 KiB',
      serve: 'serveForever',
      request: request('POST', PATHS.echo, posted, ECHOED),
      application: echo,
      body: Buffer.from(ECHOED),
    },
    {
      ...BASIC,
      name: 'resolved promise',
      serve: 'serveForever',
      request: request('GET', PATHS.promise),
      application: helloPromise,
    },
  ];
}
