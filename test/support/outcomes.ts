import { once } from 'node:events';
import { type Application, type Environ, HTTPError, type StartResponse } from '../../src/index.ts';
import { PLAIN, request } from './exchange.ts';
import type { RawClient } from './rawclient.ts';

const CHUNK = Buffer.alloc(65_536);

const PATHS: Record<string, Application> = {
  '/good': (_environ, startResponse) => {
    startResponse('200 OK', PLAIN);
    return 'good';
  },
  '/before': () => {
    throw new Error('before the head');
  },
  '/refused': () => {
    throw new HTTPError(403, 'ERR_NOT_YOURS', 'not yours');
  },
  '/after': function* (_environ: unknown, startResponse: StartResponse) {
    startResponse('200 OK', PLAIN);
    yield 'part';
    throw new Error('after the head');
  } as unknown as Application,
  '/short': (_environ, startResponse) => {
    startResponse('200 OK', [...PLAIN, ['Content-Length', '9']]);
    return ['part'];
  },
  '/long': (_environ, startResponse) => {
    startResponse('200 OK', [...PLAIN, ['Content-Length', '1']]);
    return ['part'];
  },
  '/none': (_environ, startResponse) => {
    startResponse('304 Not Modified', []);
    return [];
  },
  '/body': async (environ, startResponse) => {
    await environ['wsgi.input'].read();
    startResponse('200 OK', PLAIN);
    return 'read';
  },
  '/waits': async (environ, startResponse) => {
    await once(environ['ryegate.signal'], 'abort');
    startResponse('200 OK', PLAIN);
    return 'late';
  },
  '/stalls': async function* (environ: Environ, startResponse: StartResponse) {
    startResponse('200 OK', PLAIN);
    yield 'part';
    await once(environ['ryegate.signal'], 'abort');
  } as unknown as Application,
  '/endless': async function* (_environ: unknown, startResponse: StartResponse) {
    startResponse('200 OK', PLAIN);
    for (let count = 0; count < 10_000; count++) yield CHUNK;
  } as unknown as Application,
  '/slow': (_environ, startResponse) => {
    const end = performance.now() + 50;
    while (performance.now() < end);
    startResponse('200 OK', PLAIN);
    return 'slow';
  },
};

/** Its requests end in every way that there is, each path in its own. */
export const outcomes: Application = (environ, startResponse) =>
  (PATHS[environ.PATH_INFO] as Application)(environ, startResponse);

/** The size of what `/endless` yields at a time. */
export const CHUNK_SIZE: number = CHUNK.length;

/** A request of a path that reads its body. */
export const post = (fields: string[], part: string): string =>
  request('POST', '/body', fields, part);

/** How clients leave. A close is but a half-close to the server, so it answers. */
export const leaveBy = {
  'a reset': (client: RawClient): void => client.reset(),
  'a close': (client: RawClient): void => client.destroy(),
} as const;
