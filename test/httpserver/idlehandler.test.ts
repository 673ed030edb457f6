import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import {
  type Application,
  type ClientAddress,
  type Handling,
  type StreamSocket,
  WSGIRequestHandler,
  WSGIServer,
} from '../../src/index.ts';
import { exchanges, get, PLAIN } from '../support/exchange.ts';
import { Handler, handlerKeeper } from '../support/handlers.ts';
import { eventually } from '../support/rawclient.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function collected(reference: WeakRef<object>): boolean {
  collect();
  return reference.deref() === undefined;
}

const exchange = exchanges();
const hello: Application = (_environ, startResponse) => {
  startResponse('200 OK', PLAIN);
  return ['hello'];
};
const results: [title: string, app: Application][] = [
  ['at once', hello],
  ['in a promise', async (environ, startResponse) => hello(environ, startResponse)],
  [
    'later',
    async (environ, startResponse) => {
      await sleep(1);
      return hello(environ, startResponse);
    },
  ],
  [
    'in pieces',
    (_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return (async function* () {
        yield 'one';
        await sleep(1);
        yield 'two';
      })();
    },
  ],
];

it.each(results)(
  'an idle connection holds no environ that was answered %s',
  async (_title, app) => {
    const environs: WeakRef<object>[] = [];
    const noting: Application = (environ, startResponse) => {
      environs.push(new WeakRef(environ));
      return app(environ, startResponse);
    };
    const client = await exchange(noting, { validate: false }).client();
    await client.send(get());
    expect((await client.response()).status).toBe(200);
    await eventually(() => environs.every(collected), 'the environ has been collected');
  },
);

it('an idle connection of the usual handler holds no request', async () => {
  const requests: WeakRef<object>[] = [];
  class Noting extends WSGIServer {
    override finishRequest(socket: StreamSocket, address: ClientAddress): Handling {
      const handler = new WSGIRequestHandler(socket, address, this);
      const respond = handler.respond;
      handler.respond = (request) => {
        requests.push(new WeakRef(request), new WeakRef(request.response));
        respond.call(handler, request);
      };
      return handler.run();
    }
  }
  const client = await exchange(hello, { validate: false, serverClass: Noting }).client();
  for (let i = 0; i < 3; i++) {
    await client.send(get());
    expect((await client.response()).status).toBe(200);
  }
  expect(requests).toHaveLength(6);
  await eventually(() => requests.every(collected), 'the requests have been collected');
  await client.send(get());
  expect((await client.response()).status).toBe(200);
});

const { serve, connect } = handlerKeeper();

it('a handler has its request until the next one, and at the end', async () => {
  const seen: string[] = [];
  class Late extends Handler {
    doGET(): void {
      this.sendError(404);
      setTimeout(() => seen.push(this.path), 20);
    }

    override finish(): void {
      seen.push(`${this.path} is over`);
    }
  }
  const client = await connect(serve(Late));
  await client.send(get('/late'));
  expect((await client.response()).status).toBe(404);
  await eventually(() => seen.length > 0, 'it has looked at the path');
  client.destroy();
  await eventually(() => seen.length > 1, 'the connection is over');
  expect(seen.sort()).toEqual(['/late', '/late is over']);
});

it('what a handler changes of one request is not seen by the next', async () => {
  const seen: string[][] = [];
  class Changing extends Handler {
    override parseRequest(): boolean {
      const { httpRequest } = this;
      if (httpRequest.target === '/admin') httpRequest.fields.push('x-role', 'admin');
      if (httpRequest.target === '/old') httpRequest.target = '/new';
      return true;
    }

    doGET(): void {
      seen.push([this.path, this.headers.get('X-Role') ?? 'none']);
      this.sendResponse(204);
      this.endHeaders();
    }
  }
  const client = await connect(serve(Changing));
  const paths = ['/user', '/user', '/admin', '/admin', '/user', '/old', '/old', '/user', '/admin'];
  for (const path of paths) {
    await client.send(get(path));
    expect((await client.response()).status).toBe(204);
  }
  const expected = paths.map((path) => [
    path === '/old' ? '/new' : path,
    path === '/admin' ? 'admin' : 'none',
  ]);
  expect(seen).toEqual(expected);
});
