import { describe, expect, it } from 'vitest';
import { type Application, BaseHTTPRequestHandler, WSGIServer } from '../../src/index.ts';
import { exchanges, get, PLAIN, request } from '../support/exchange.ts';
import { handlerKeeper } from '../support/handlers.ts';
import { programStarter } from '../support/programs.ts';
import { field, text } from '../support/rawclient.ts';
import { dist, requireDist } from '../support/servers.ts';
import { expectNoUnhandledRejections } from '../support/unhandled.ts';
import { onlyResponse } from './refusals.ts';

// The defects 10, 11 and 13 of the Python servers, which are wsgiref's.

const serve = exchanges();
const keeper = handlerKeeper();
expectNoUnhandledRejections();

describe('10: wsgiref SystemExit -> 500 and continues', () => {
  const start = programStarter();

  const EXITING: [title: string, source: string][] = [
    ['an application', '() => process.exit(3)'],
    ['an async application', 'async () => { await null; process.exit(3); }'],
    ['a generator', "function* (e, s) { s('200 OK', []); yield 'a'; process.exit(3); }"],
    ['close() of a result', "(e, s) => { s('200 OK', []); return { close: exit, *[it]() {} }; }"],
  ];

  it.each(EXITING)('process.exit() in %s ends the process with its status', async (_t, source) => {
    requireDist();
    const script = `
      import { makeServer } from ${JSON.stringify(dist)};
      const exit = () => process.exit(3), it = Symbol.iterator;
      const server = makeServer('127.0.0.1', 0, ${source});
      server.serveForever();
      fetch('http://127.0.0.1:' + server.serverPort).then((r) => r.text()).catch(() => {});`;
    const program = start(process.execPath, ['--input-type=module', '--eval', script]);
    expect(await program.exit).toEqual([3, null]);
    expect(program.stderr).toBe('');
  });

  // Python's SystemExit is an exception; here anything at all can be thrown.
  const THROWN: [title: string, thrown: () => unknown][] = [
    ['null', () => null],
    ['undefined', () => undefined],
    ['a string', () => 'text'],
    ['a number', () => 3],
    ['a symbol', () => Symbol('thrown')],
    ['a function', () => () => 3],
    ['an object without a prototype', () => Object.create(null)],
    ['an object that cannot be shown', () => ({ toString: raise, [Symbol.toPrimitive]: raise })],
    [
      'an object whose code throws',
      () => Object.defineProperty({}, 'code', { get: raise, enumerable: true }),
    ],
    ['an error without a stack', () => Object.assign(new Error('bare'), { stack: undefined })],
    ['a revoked proxy', () => revoked()],
    ['a promise', () => Promise.resolve(3)],
  ];

  function raise(): never {
    throw new Error('not to be touched');
  }

  function revoked(): object {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  }

  /** Some of these cannot be logged: what is said of that is not looked at. */
  class Quiet extends WSGIServer {
    override handleError(): void {}
  }

  const PLACES: [title: string, failing: (thrown: unknown) => Application][] = [
    [
      'an application',
      (thrown) => () => {
        throw thrown;
      },
    ],
    [
      'an async application',
      (thrown) => async () => {
        throw thrown;
      },
    ],
    [
      'a generator',
      (thrown) =>
        // biome-ignore lint/correctness/useYield: it fails before.
        function* (_environ, startResponse) {
          startResponse('200 OK', PLAIN);
          throw thrown;
        } as Application,
    ],
  ];

  describe.each(PLACES)('thrown by %s', (_place, failing) => {
    it.each(THROWN)('%s: 500, and the next request is served', async (_title, thrown) => {
      const app: Application = (environ, startResponse) => {
        if (environ.PATH_INFO === '/bad') return failing(thrown())(environ, startResponse);
        startResponse('200 OK', PLAIN);
        return 'good';
      };
      const client = await serve(app, { serverClass: Quiet }).client();
      await client.send(get('/bad') + get('/good'));
      expect((await client.response()).status).toBe(500);
      expect(text(await client.response())).toBe('good');
    });
  });

  describe.each(['GET', 'PUT'])('thrown by a handler of http.server (%s)', (method) => {
    it.each(THROWN)('%s: 500', async (_title, thrown) => {
      class Failing extends BaseHTTPRequestHandler {
        doGET(): void {
          throw thrown();
        }

        async doPUT(): Promise<void> {
          throw thrown();
        }
      }
      const server = keeper.serve(Failing);
      expect((await keeper.ask(server, request(method, '/'))).status).toBe(500);
      expect(server.failures).toHaveLength(1);
    });
  });
});

describe('11: wsgiref CRLF response splitting', () => {
  const FORGED = '\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nX-Evil: 1\r\n\r\n';
  const SPLITTING: [title: string, status: string, name: string, value: string][] = [
    ['a value', '200 OK', 'X', `a${FORGED}`],
    ['a name', '200 OK', `X: a${FORGED}Y`, 'b'],
    ['the status', `200 OK${FORGED}`, 'X', 'a'],
    ['a value that would add a field', '200 OK', 'X', 'a\r\nSet-Cookie: evil=1'],
  ];

  it.each(SPLITTING)('through %s: one response, 500', async (_title, status, name, value) => {
    const app: Application = (_environ, startResponse) => {
      startResponse(status, [[name, value]]);
      return 'hello';
    };
    const exchange = serve(app, { validate: false });
    const client = await exchange.client();
    await client.send(get('/', 'Connection: close'));
    const response = onlyResponse(await client.rest());
    expect(response.status).toBe(500);
    expect(field(response, 'X-Evil')).toBeUndefined();
    expect(field(response, 'Set-Cookie')).toBeUndefined();
  });
});

describe('13: wsgiref HEAD body, 204/304 length', () => {
  const RESULTS: [title: string, result: () => Iterable<string> | string][] = [
    ['an empty list', () => []],
    ['an empty string', () => ''],
    ['a body', () => ['body']],
    ['several chunks', () => ['bo', 'dy']],
  ];

  describe.each(['204 No Content', '304 Not Modified'])('%s', (status) => {
    it.each(RESULTS)('%s: neither a length nor a body', async (_title, result) => {
      const app: Application = (environ, startResponse) => {
        startResponse(environ.PATH_INFO === '/bare' ? status : '200 OK', []);
        return environ.PATH_INFO === '/bare' ? result() : 'next';
      };
      const exchange = serve(app, { validate: false });
      const client = await exchange.client();
      await client.send(get('/bare') + get('/next', 'Connection: close'));
      const response = await client.response();
      expect(`${response.status} ${response.reason}`).toBe(status);
      expect(field(response, 'Content-Length')).toBeUndefined();
      expect(field(response, 'Transfer-Encoding')).toBeUndefined();
      expect(text(await client.response())).toBe('next');
      expect((await client.rest()).length).toBe(0);
    });
  });

  it.each(RESULTS)('HEAD, %s: the fields of GET, no body', async (_title, result) => {
    const exchange = serve((_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return result();
    });
    const withoutDate = (fields: [string, string][]): string[] =>
      fields.filter(([name]) => name !== 'Date').map((pair) => pair.join(': '));
    const { fields } = await exchange.ask(get());
    const client = await exchange.client();
    await client.send(request('HEAD', '/') + get('/', 'Connection: close'));
    const head = await client.response('HEAD');
    expect(withoutDate(head.fields)).toEqual(withoutDate(fields));
    expect((await client.response()).status).toBe(200);
    expect((await client.rest()).length).toBe(0);
  });
});
