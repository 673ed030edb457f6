import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  type Application,
  demoApp,
  type Environ,
  type MakeServerOptions,
  makeServer,
  ServerHandler,
  StringErrorStream,
  WSGIRequestHandler,
  WSGIServer,
} from '../../src/index.ts';
import { codeOf } from '../support/backends.ts';
import { Exchange, exchanges, get, PLAIN, request } from '../support/exchange.ts';
import { eventually, field, text } from '../support/rawclient.ts';

const serve = exchanges();

const hello: Application = (_environ, startResponse) => {
  startResponse('200 OK', PLAIN);
  return 'hello';
};

describe('makeServer()', () => {
  const open: WSGIServer[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((server) => server.serverClose()));
  });

  it('makes a server that listens, with the real port', async () => {
    const server = makeServer('127.0.0.1', 0, demoApp);
    open.push(server);
    expect(server).toBeInstanceOf(WSGIServer);
    expect(server.serverName).toBe('127.0.0.1');
    expect(server.serverPort).toBeGreaterThan(0);
    expect(server.serverAddress).toEqual(['127.0.0.1', server.serverPort]);
    const serving = server.serveForever();
    const response = await fetch(`http://127.0.0.1:${server.serverPort}/x?y=1`);
    const body = await response.text();
    expect(body).toMatch(/^Hello world!\n\n/);
    expect(body).toContain("PATH_INFO = '/x'\n");
    expect(body).toContain("QUERY_STRING = 'y=1'\n");
    const keys = body.trim().split('\n').slice(2);
    expect(keys).toEqual([...keys].sort());
    await server.shutdown();
    await serving;
  });

  it.each<unknown>([
    null,
    5,
    'limits',
    { limit: {} },
    { timeout: { head: 1 } },
    { constructor: 1 },
  ])('refuses the options %j, which would protect nobody', (options) => {
    const make = (): unknown => makeServer('127.0.0.1', 0, hello, options as MakeServerOptions);
    expect(codeOf(make)).toBe('ERR_RYEGATE_OPTION');
  });

  it('leaves the options of a server class to that', () => {
    class Server extends WSGIServer {}
    const options = { serverClass: Server, colour: 'green' };
    open.push(makeServer('127.0.0.1', 0, hello, options as MakeServerOptions));
  });

  it('takes a server class, a handler class and settings', () => {
    class Server extends WSGIServer {}
    class Handler extends WSGIRequestHandler {}
    const server = makeServer('localhost', 0, hello, {
      serverClass: Server,
      handlerClass: Handler,
      timeouts: { keepAlive: 5 },
      selector: 'poll',
    });
    open.push(server);
    expect(server).toBeInstanceOf(Server);
    expect(server.RequestHandlerClass).toBe(Handler);
    expect(server.httpSettings.timeouts.keepAlive).toBe(5);
    expect(server.selectorName).toBe('poll');
  });

  it.each([undefined, null, 'app', {}, 5])('refuses %j for an application', (app) => {
    expect(() => makeServer('127.0.0.1', 0, app as unknown as Application)).toThrow(
      expect.objectContaining({ code: 'ERR_RYEGATE_APPLICATION' }),
    );
  });

  it('refuses limits that make no sense', () => {
    expect(() => makeServer('127.0.0.1', 0, hello, { limits: { headerCount: -1 } })).toThrow(
      expect.objectContaining({ code: 'ERR_RYEGATE_LIMIT' }),
    );
  });
});

describe('WSGIServer', () => {
  it('keeps its application', () => {
    const { server } = serve(hello, { validate: false });
    expect(server.getApp()).toBe(hello);
    server.setApp(demoApp);
    expect(server.getApp()).toBe(demoApp);
    expect(() => server.setApp('x' as unknown as Application)).toThrow(
      expect.objectContaining({ code: 'ERR_RYEGATE_APPLICATION' }),
    );
    expect(server.getApp()).toBe(demoApp);
  });

  it('without an application says so, and answers 500', async () => {
    const failures: unknown[] = [];
    class Server extends WSGIServer {
      override handleError(_request: unknown, _address: unknown, error: unknown): void {
        failures.push(error);
      }
    }
    const server = new Server(['127.0.0.1', 0], WSGIRequestHandler);
    expect(() => server.getApp()).toThrow(
      expect.objectContaining({ code: 'ERR_RYEGATE_APPLICATION' }),
    );
    const exchange = new Exchange(server, new StringErrorStream());
    const serving = server.serveForever();
    expect((await exchange.ask(get())).status).toBe(500);
    expect(failures).toEqual([expect.objectContaining({ code: 'ERR_RYEGATE_APPLICATION' })]);
    await exchange.close();
    await serving;
  });

  it('changes its application between requests', async () => {
    const exchange = serve(hello);
    const client = await exchange.client();
    await client.send(get());
    expect(text(await client.response())).toBe('hello');
    exchange.server.setApp((_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return 'other';
    });
    await client.send(get());
    expect(text(await client.response())).toBe('other');
  });
});

describe('WSGIRequestHandler', () => {
  it('has getEnviron() and getStderr() to be overridden', async () => {
    const errors = new StringErrorStream();
    class Handler extends WSGIRequestHandler {
      override getEnviron(): Environ {
        return Object.assign(super.getEnviron(), {
          REMOTE_HOST: 'named',
          'my.command': this.command,
        });
      }

      override getStderr(): StringErrorStream {
        return errors;
      }
    }
    const app: Application = (environ, startResponse) => {
      environ['wsgi.errors'].write('noted\n');
      startResponse('200 OK', PLAIN);
      return `${environ.REMOTE_HOST} ${environ['my.command']}`;
    };
    const exchange = serve(app, { handlerClass: Handler });
    expect(text(await exchange.ask(request('PUT', '/')))).toBe('named PUT');
    expect(errors.getValue()).toBe('noted\n');
  });

  it('getEnviron() that throws is answered with 500', async () => {
    const failures: string[] = [];
    class Server extends WSGIServer {
      override handleError(_request: unknown, _address: unknown, error: unknown): void {
        failures.push((error as Error).message);
      }
    }
    class Handler extends WSGIRequestHandler {
      override getEnviron(): Environ {
        throw new Error('no environ');
      }
    }
    const exchange = serve(hello, { serverClass: Server, handlerClass: Handler });
    expect((await exchange.ask(get())).status).toBe(500);
    expect(failures).toEqual(['no environ']);
  });

  it('handleOneRequest() can run a handler of its own', async () => {
    class Mine extends ServerHandler {
      override errorStatus = '599 Mine';
    }
    class Handler extends WSGIRequestHandler {
      override getStderr(): StringErrorStream {
        return new StringErrorStream();
      }

      override handleOneRequest(): void {
        const { response } = this.httpRequest;
        new Mine(this, response, this.getEnviron()).run(this.server.getApp());
      }
    }
    const exchange = serve(() => Promise.reject(new Error('x')), { handlerClass: Handler });
    expect((await exchange.ask(get())).status).toBe(599);
  });

  it('versionString() is the Server field', async () => {
    class Handler extends WSGIRequestHandler {
      static override serverVersion = 'Mine/2.0';
    }
    const exchange = serve(hello, { handlerClass: Handler });
    expect(field(await exchange.ask(get()), 'Server')).toBe('Mine/2.0');
  });
});

describe('the log of requests', () => {
  /** The lines that `handle` leads to. */
  async function logged(
    app: Application,
    handle: (exchange: Exchange) => Promise<void>,
    count: number,
    logRequests = true,
  ): Promise<string[]> {
    const lines: string[] = [];
    class Handler extends WSGIRequestHandler {
      override getStderr(): StringErrorStream {
        return new StringErrorStream();
      }

      override logMessage(message: string): void {
        lines.push(message);
      }
    }
    const exchange = serve(app, { handlerClass: Handler, logRequests });
    await handle(exchange);
    await eventually(() => lines.length >= count, 'the lines are logged');
    return lines;
  }

  it('has a line for each, with status and size of the body', async () => {
    const lines = await logged(
      (environ, startResponse) => {
        startResponse(environ.PATH_INFO === '/none' ? '204 No Content' : '200 OK', PLAIN);
        return environ.PATH_INFO === '/two' ? ['hello', ' world'] : 'hello';
      },
      async (exchange) => {
        const client = await exchange.client();
        await client.send(get('/one?q') + get('/two') + request('HEAD', '/head'));
        await client.response();
        await client.response();
        await client.response('HEAD');
      },
      3,
    );
    expect(lines).toEqual([
      '"GET /one?q HTTP/1.1" 200 5',
      '"GET /two HTTP/1.1" 200 11',
      '"HEAD /head HTTP/1.1" 200 0',
    ]);
  });

  it('has a line for requests that fail, that are refused, and whose client goes away', async () => {
    const app: Application = async (environ, startResponse) => {
      if (environ.PATH_INFO === '/fails') throw new Error('x');
      startResponse('200 OK', PLAIN);
      return (function* () {
        for (;;) yield Buffer.alloc(65_536);
      })();
    };
    const lines = await logged(
      app,
      async (exchange) => {
        await exchange.ask(get('/fails'));
        await exchange.ask(get('/bad', 'Content-Length : 1'));
        const client = await exchange.client();
        await client.send(get('/gone'));
        await client.received(100_000);
        client.reset();
      },
      4,
    );
    expect(lines).toContain('"GET /fails HTTP/1.1" 500 59');
    expect(lines.some((line) => line.startsWith('code 400, message Bad Request'))).toBe(true);
    expect(lines.some((line) => /^".*" 400 -$/.test(line))).toBe(true);
    expect(lines.some((line) => /^"GET \/gone HTTP\/1\.1" 200 \d+$/.test(line))).toBe(true);
    expect(lines).toHaveLength(4);
  });

  it('is off by default', async () => {
    const lines = await logged(
      hello,
      async (exchange) => {
        await exchange.ask(get());
      },
      0,
      false,
    );
    expect(lines).toEqual([]);
  });

  it('goes to standard error as http.server writes it', async () => {
    const written: string[] = [];
    const spy = vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
      written.push(String(chunk));
      return true;
    });
    try {
      const exchange = serve(hello, { logRequests: true });
      await exchange.ask(get('/a"b\\c'));
    } finally {
      spy.mockRestore();
    }
    expect(written).toHaveLength(1);
    expect(written[0]).toMatch(
      /^127\.0\.0\.1 - - \[\d\d\/[A-Z][a-z]{2}\/\d{4} \d\d:\d\d:\d\d\] "GET \/a"b\\\\c HTTP\/1\.1" 200 5\n$/,
    );
  });
});
