import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  type Application,
  type BaseHTTPRequestHandler,
  WSGIRequestHandler,
  WSGIServer,
} from '../../src/index.ts';
import { exchanges, get, PLAIN } from '../support/exchange.ts';
import { Handler, handlerKeeper } from '../support/handlers.ts';
import { eventually } from '../support/rawclient.ts';

const { serve, connect } = handlerKeeper();

/** The handlers that were made of the classes that extend what it gives. */
const made: BaseHTTPRequestHandler[] = [];

abstract class Noted extends Handler {
  override setup(): void {
    made.push(this);
  }

  protected answer(): void {
    this.sendResponse(200);
    this.sendHeader('Content-Length', '2');
    this.endHeaders();
    this.wfile.write('ok');
  }
}

class Sync extends Noted {
  doGET(): void {
    this.answer();
  }
}

class Async extends Noted {
  async doGET(): Promise<void> {
    await sleep(1);
    this.answer();
  }
}

class NotedWSGI extends WSGIRequestHandler {
  override setup(): void {
    made.push(this);
  }
}

const hello: Application = (_environ, startResponse) => {
  startResponse('200 OK', PLAIN);
  return ['hello'];
};

describe('a handler whose connection is idle', () => {
  it.each([
    ['sync', Sync],
    ['async', Async],
  ])('holds no request (%s)', async (_title, handlerClass) => {
    const client = await connect(serve(handlerClass));
    for (let i = 0; i < 2; i++) {
      await client.send(get());
      expect((await client.response()).status).toBe(200);
      const handler = made.at(-1) as BaseHTTPRequestHandler;
      await eventually(() => handler.httpRequest === undefined, 'the request is let go');
    }
  });

  const exchange = exchanges();
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
  it.each(results)('holds no request that an application answered %s', async (_title, app) => {
    const client = await exchange(app, {
      serverClass: WSGIServer,
      handlerClass: NotedWSGI,
    }).client();
    for (let i = 0; i < 2; i++) {
      await client.send(get());
      expect((await client.response()).status).toBe(200);
      const handler = made.at(-1) as BaseHTTPRequestHandler;
      await eventually(() => handler.httpRequest === undefined, 'the request is let go');
    }
  });
});

describe('a handler keeps its request', () => {
  it('while its method is at work, though the answer has been sent', async () => {
    const paths: string[] = [];
    class Late extends Noted {
      async doGET(): Promise<void> {
        this.sendError(404);
        await sleep(20);
        paths.push(this.path);
      }
    }
    const client = await connect(serve(Late));
    await client.send(get('/late'));
    await client.response();
    await eventually(() => paths.length > 0, 'the handler is done');
    expect(paths).toEqual(['/late']);
  });

  it('while it is being logged', async () => {
    const lines: string[] = [];
    class Logging extends Sync {
      override async logRequest(): Promise<void> {
        await sleep(20);
        lines.push(this.requestline);
      }
    }
    const client = await connect(serve(Logging as unknown as typeof Sync));
    await client.send(get('/logged'));
    await client.response();
    await eventually(() => lines.length > 0, 'it is logged');
    expect(lines).toEqual(['GET /logged HTTP/1.1']);
    const handler = made.at(-1) as BaseHTTPRequestHandler;
    await eventually(() => handler.httpRequest === undefined, 'the request is let go');
  });
});
