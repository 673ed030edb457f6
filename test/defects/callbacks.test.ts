import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type Application,
  type Environ,
  HTTPError,
  RyegateError,
  ServerHandler,
  StringErrorStream,
  WSGIRequestHandler,
  WSGIServer,
} from '../../src/index.ts';
import { type Exchange, exchanges, get, PLAIN, post, request } from '../support/exchange.ts';
import { Handler, handlerKeeper } from '../support/handlers.ts';
import { bounded, eventually, RawClient, text } from '../support/rawclient.ts';

// CVE-2026-21637: what a user's callback throws must not end the process, nor leave its client
// waiting. Each is made to throw while requests of every kind come; then all is well again.

const thrown = new Error('the callback fails');
let failing = false;
/** How often one was made to. */
let failures = 0;
const uncaught: unknown[] = [];
const note = (error: unknown): number => uncaught.push(error);

beforeEach(() => {
  failing = false;
  failures = 0;
  process.on('unhandledRejection', note).on('uncaughtException', note);
});
afterEach(async () => {
  await sleep(1);
  process.off('unhandledRejection', note).off('uncaughtException', note);
  expect(uncaught.splice(0)).toEqual([]);
});

// biome-ignore lint/suspicious/noExplicitAny: any class at all, any method of it.
type Class = new (...args: any[]) => any;

/** A subclass whose method `name` throws while `failing`, at once or by a promise. */
function failingSubclass<T extends Class>(base: T, name: string, late: boolean): T {
  const original = base.prototype[name];
  if (typeof original !== 'function') throw new Error(`${base.name} has no method ${name}`);
  const subclass = class extends base {};
  subclass.prototype[name] = function fail(this: unknown, ...args: unknown[]): unknown {
    if (!failing) return original.apply(this, args);
    failures++;
    if (late) return Promise.reject(thrown);
    throw thrown;
  };
  return subclass;
}

/** Whose log is not looked at, and which fails by itself for one path. */
class Quiet extends WSGIRequestHandler {
  override logRequest(code: number | string): void {
    // It may be async in this test.
    this.guard(() => this.logMessage(String(code)));
  }

  override logMessage(_message: string): void {
    this.addressString();
    this.logDateTimeString();
  }

  override getEnviron(): Environ {
    if (this.path === '/fails') throw new Error('the handler fails');
    return super.getEnviron();
  }

  override getStderr(): StringErrorStream {
    return new StringErrorStream();
  }
}

class QuietServer extends WSGIServer {
  override handleError(): void {}
  override logNotice(): void {}
  protected override logError(): void {}
}

const app: Application = (environ, startResponse) => {
  if (environ.PATH_INFO === '/throws') throw new Error('the application fails');
  if (environ.PATH_INFO === '/rejects') return Promise.reject(new Error('the application fails'));
  startResponse('200 OK', PLAIN);
  return environ.PATH_INFO === '/body' ? environ['wsgi.input'] : 'good';
};

/** Requests that go well and ill, each on a connection of its own. */
const TRAFFIC: [title: string, message: string][] = [
  ['a request', get()],
  ['several requests', get().repeat(5)],
  ['more than a turn serves', get().repeat(200)],
  ['a body', post('body')],
  [
    'a body sent back',
    request('POST', '/body', ['Transfer-Encoding: chunked'], '1\r\nx\r\n0\r\n\r\n'),
  ],
  ['a bad request', 'GARBAGE\r\n\r\n'],
  ['a request, then a bad one', `${get()}GARBAGE\r\n\r\n`],
  ['what belongs to TLS', '\x16\x03\x01\x02\x00\x01'],
  ['a bad chunk', request('POST', '/body', ['Transfer-Encoding: chunked'], 'zz\r\n')],
  ['a handler that fails', get('/fails')],
  ['an application that throws', get('/throws')],
  ['an application that rejects', get('/rejects')],
];

/** The first answer, or the end of the connection, has to come. */
async function expectNotLeftWaiting(client: RawClient, title: string): Promise<void> {
  const come = (): boolean => client.pending.length > 0 || client.ending !== null;
  await bounded(eventually(come, 'it comes'), `an answer to ${title}, or an end`, 2000);
}

async function expectSurvives(exchange: Exchange): Promise<void> {
  const before = await exchange.client();
  await before.send(get());
  expect(text(await before.response())).toBe('good');
  failing = true;
  for (const [title, message] of TRAFFIC) {
    const client = await exchange.client();
    await client.send(message);
    await expectNotLeftWaiting(client, title);
    client.reset();
  }
  const leaving = await exchange.client();
  await exchange.sendApart(leaving, [request('POST', '/body', ['Content-Length: 9'], 'part')]);
  leaving.reset();
  await sleep(5);
  failing = false;
  expect(failures).toBeGreaterThan(0);
  expect(text(await exchange.ask(get()))).toBe('good');
}

/** What returns nothing may as well be async. */
const VOID_OF_HANDLER = [
  'setup',
  'finish',
  'handleOneRequest',
  'sendError',
  'sendHeader',
  'endHeaders',
  'logRequest',
  'logError',
  'logMessage',
];
const OTHERS_OF_HANDLER = [
  'parseRequest',
  'getEnviron',
  'getStderr',
  'logDateTimeString',
  'addressString',
  'versionString',
];
const VOID_OF_SERVER = [
  'processRequest',
  'shutdownRequest',
  'closeRequest',
  'handleError',
  'logNotice',
];
const OTHERS_OF_SERVER = ['verifyRequest', 'finishRequest', 'getApp'];

function both(names: readonly string[]): [name: string, how: string, late: boolean][] {
  return names.flatMap((name) => [
    [name, 'throws', false],
    [name, 'rejects', true],
  ]);
}

function throwing(names: readonly string[]): [name: string, how: string, late: boolean][] {
  return names.map((name) => [name, 'throws', false]);
}

describe('CVE-2026-21637: an override', () => {
  const serve = exchanges();

  it.each([...both(VOID_OF_HANDLER), ...throwing(OTHERS_OF_HANDLER)])(
    '%s() of a handler that %s',
    async (name, _how, late) => {
      const handlerClass = failingSubclass(Quiet, name, late);
      await expectSurvives(serve(app, { handlerClass, serverClass: QuietServer }));
    },
  );

  it.each([...both(VOID_OF_SERVER), ...throwing(OTHERS_OF_SERVER)])(
    '%s() of a server that %s',
    async (name, _how, late) => {
      const serverClass = failingSubclass(QuietServer, name, late);
      await expectSurvives(serve(app, { handlerClass: Quiet, serverClass }));
    },
  );

  it.each([...both(['parseRequest'])])(
    '%s() of a handler that %s answers nobody whom it has not looked at',
    async (_name, _how, late) => {
      const told: unknown[] = [];
      class Asking extends Quiet {
        override parseRequest(): boolean {
          if (!late) throw thrown;
          return Promise.resolve(false) as unknown as boolean;
        }
      }
      class Telling extends WSGIServer {
        override logNotice(): void {}

        override handleError(_request: unknown, _address: unknown, error: unknown): void {
          told.push(error);
        }
      }
      const exchange = serve(app, { handlerClass: Asking, serverClass: Telling });
      expect((await exchange.ask(get())).status).toBe(500);
      const expected = late ? { code: 'ERR_RYEGATE_ASYNC' } : thrown;
      expect(told).toEqual([expect.objectContaining(expected)]);
    },
  );

  it.each(both(['setupEnviron', 'finishResponse', 'logException', 'errorOutput', 'close']))(
    '%s() of a ServerHandler that %s',
    async (name, _how, late) => {
      const Failing = failingSubclass(ServerHandler, name, late);
      class Handler extends Quiet {
        override handleOneRequest(): void {
          const { response } = this.httpRequest;
          new Failing(this, response, this.getEnviron()).run(this.server.getApp());
        }
      }
      await expectSurvives(serve(app, { handlerClass: Handler, serverClass: QuietServer }));
    },
  );

  it('getRequest() of a server that throws', async () => {
    const serverClass = failingSubclass(QuietServer, 'getRequest', false);
    const exchange = serve(app, { handlerClass: Quiet, serverClass });
    const before = await exchange.client();
    failing = true;
    const client = await RawClient.connect(exchange.server.serverAddress);
    await client.send(get());
    await before.send(get());
    expect(text(await before.response())).toBe('good');
    failing = false;
    client.reset();
    expect(text(await exchange.ask(get()))).toBe('good');
  });

  it.each(both(['logError']))(
    '%s() of a server that %s, as handleError() throws, is survived by who is served in the same turn',
    async (name, _how, late) => {
      const told = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
      const serverClass = failingSubclass(
        failingSubclass(WSGIServer, 'handleError', false),
        name,
        late,
      );
      const exchange = serve(app, { handlerClass: Quiet, serverClass });
      const [bad, good] = [await exchange.client(), await exchange.client()];
      for (const client of [bad, good]) {
        await client.send(get());
        await client.response();
      }
      failing = true;
      await Promise.all([bad.send(get('/fails')), good.send(get())]);
      expect(text(await good.response())).toBe('good');
      await eventually(() => told.mock.calls.length >= 2, 'both failures are told');
      failing = false;
      told.mockRestore();
      expect(failures).toBe(2);
    },
  );

  it.each(both(['write']))('%s() of wsgi.errors that %s', async (name, _how, late) => {
    const Failing = failingSubclass(StringErrorStream, name, late);
    class Errors extends Quiet {
      override getStderr(): StringErrorStream {
        return new Failing();
      }
    }
    await expectSurvives(serve(app, { handlerClass: Errors, serverClass: QuietServer }));
  });
});

describe('CVE-2026-21637: what an application gives', () => {
  const serve = exchanges();
  const raise = (): never => {
    throw thrown;
  };
  const reject = (): Promise<never> => Promise.reject(thrown);
  const good = { *[Symbol.iterator]() {} };

  const RESULTS: [title: string, result: () => unknown][] = [
    ['an iterable that throws', () => ({ [Symbol.iterator]: raise })],
    ['an iterator that throws', () => ({ [Symbol.iterator]: () => ({ next: raise }) })],
    ['an iterator of nothing', () => ({ [Symbol.iterator]: () => null })],
    ['a step of nothing', () => ({ [Symbol.iterator]: () => ({ next: () => null }) })],
    [
      'a step whose done throws',
      () => ({ [Symbol.iterator]: () => ({ next: () => broken('done') }) }),
    ],
    ['an async iterable that throws', () => ({ [Symbol.asyncIterator]: raise })],
    ['an async iterator that throws', () => ({ [Symbol.asyncIterator]: () => ({ next: raise }) })],
    [
      'an async iterator that rejects',
      () => ({ [Symbol.asyncIterator]: () => ({ next: reject }) }),
    ],
    ['a close() that throws', () => ({ ...good, close: raise })],
    ['a close() that rejects', () => ({ ...good, close: reject })],
    ['a close that throws when looked at', () => Object.assign(broken('close'), good)],
    ['a then that throws', () => broken('then')],
    ['a then() that throws', () => thenable(raise)],
    ['a then() that rejects twice', () => thenable((_, no) => [no(thrown), no(thrown)])],
    ['a then() that resolves twice', () => thenable((yes) => [yes('a'), yes('b')])],
    ['a then() that resolves and throws', () => thenable((yes) => [yes('a'), raise()])],
    ['a proxy that throws', () => new Proxy({}, { get: raise, has: raise })],
  ];

  function broken(name: string): object {
    return Object.defineProperty({}, name, { get: raise, enumerable: false });
  }

  function thenable(
    then: (resolve: (result: unknown) => void, reject: (error: unknown) => void) => unknown,
  ): object {
    return { then };
  }

  it.each(RESULTS)('%s: the client is answered, and the next one too', async (_title, result) => {
    const failingApp: Application = (environ, startResponse) => {
      if (environ.PATH_INFO === '/throws') {
        startResponse('200 OK', PLAIN);
        return result() as never;
      }
      return app(environ, startResponse);
    };
    const exchange = serve(failingApp, { handlerClass: Quiet, serverClass: QuietServer });
    for (const message of [get('/throws'), request('HEAD', '/throws'), get('/throws').repeat(3)]) {
      const client = await exchange.client();
      await client.send(message);
      await expectNotLeftWaiting(client, 'it');
      client.reset();
    }
    expect(text(await exchange.ask(get()))).toBe('good');
  });
});

describe('CVE-2026-21637: a handler of http.server', () => {
  const { serve, connect, ask } = handlerKeeper();
  const odd = (status: number): HTTPError => new HTTPError(status, 'ERR_ODD', 'odd');

  const THROWN: [title: string, error: unknown][] = [
    ['an error', thrown],
    ['an HTTPError of two digits', odd(42)],
    ['an HTTPError of four digits', odd(4000)],
    ['an HTTPError of no number', odd(Number.NaN)],
    ['an HTTPError of a success', odd(204)],
    ['an HTTPError that is interim', odd(100)],
    ['the error of a client that has gone', new RyegateError('ERR_RYEGATE_CLIENT_GONE', 'not so')],
    ['nothing', undefined],
  ];

  it.each(THROWN)('%s thrown by doGET(), sync, async and after the head', async (_t, error) => {
    class Failing extends Handler {
      doGET(): void {
        throw error;
      }

      async doPOST(): Promise<void> {
        await sleep(1);
        throw error;
      }

      async doPUT(): Promise<void> {
        this.sendResponse(200);
        this.endHeaders();
        await sleep(1);
        throw error;
      }

      doOPTIONS(): void {
        this.sendResponse(204);
      }
    }
    const server = serve(Failing);
    for (const method of ['GET', 'POST', 'PUT']) {
      const client = await connect(server);
      await client.send(request(method, '/'));
      await expectNotLeftWaiting(client, method);
      client.reset();
    }
    expect((await ask(server, request('OPTIONS', '/'))).status).toBe(204);
  });

  it.each(['sendError', 'sendResponse', 'sendHeader', 'endHeaders'])(
    '%s() that throws, in a sync and an async method',
    async (name) => {
      class Answering extends Handler {
        doGET(): void {
          this.sendResponse(200);
          this.sendHeader('X', 'y');
          this.endHeaders();
        }

        async doPOST(): Promise<void> {
          await sleep(1);
          this.doGET();
        }

        async doPUT(): Promise<void> {
          await sleep(1);
          throw thrown;
        }

        async doPATCH(): Promise<void> {}
      }
      const server = serve(failingSubclass(Answering, name, false));
      failing = true;
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'BREW']) {
        const client = await connect(server);
        await client.send(request(method, '/'));
        await expectNotLeftWaiting(client, method);
        client.reset();
      }
      failing = false;
      expect((await ask(server, get())).status).toBe(200);
    },
  );
});
