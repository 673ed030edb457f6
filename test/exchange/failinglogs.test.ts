import { createWriteStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  type Application,
  BaseHTTPRequestHandler,
  type ErrorStream,
  HTTPServer,
  type StartResponse,
  WSGIRequestHandler,
  WSGIServer,
} from '../../src/index.ts';
import { WritableErrorStream } from '../../src/io/errorstream.ts';
import { describeBackends } from '../support/backends.ts';
import { exchanges, get, PLAIN } from '../support/exchange.ts';
import { bounded, eventually, RawClient, text } from '../support/rawclient.ts';

/** What a client is made to wait at most, in milliseconds. */
const AT_ONCE = 1000;
const failure = new Error('the log is full');

class ReportingServer extends WSGIServer {
  readonly failures: unknown[] = [];

  override handleError(_request: unknown, _address: unknown, error: unknown): void {
    this.failures.push(error);
  }
}

const full = (): never => {
  throw failure;
};

/** Each of them fails while `failing`. */
let failing = false;
const fullStream: ErrorStream = {
  write: () => {
    if (failing) full();
  },
  writelines() {},
  flush() {},
};

class FailingLogRequest extends WSGIRequestHandler {
  override getStderr(): ErrorStream {
    return fullStream;
  }

  override logRequest(): void {
    if (failing) full();
  }
}

class FailingStream extends WSGIRequestHandler {
  override getStderr(): ErrorStream {
    return fullStream;
  }
}

class FailingLogError extends WSGIRequestHandler {
  override logError(): void {
    if (failing) full();
  }
}

const SHAPES: [title: string, app: Application][] = [
  [
    'a list',
    (_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return ['one', 'two'];
    },
  ],
  [
    'a generator',
    function* (_environ, startResponse) {
      startResponse('200 OK', PLAIN);
      yield 'one';
      yield 'two';
    } as Application,
  ],
  [
    'an async generator',
    async function* (_environ: unknown, startResponse: StartResponse) {
      startResponse('200 OK', PLAIN);
      yield 'one';
      await sleep(1);
      yield 'two';
    } as unknown as Application,
  ],
  [
    'an async application',
    async (_environ, startResponse) => {
      await sleep(1);
      startResponse('200 OK', PLAIN);
      return ['one', 'two'];
    },
  ],
];

/** What is logged because something is wrong. */
const FAULTS: [title: string, app: Application][] = [
  [
    'a result that is too short',
    (_environ, startResponse) => {
      startResponse('200 OK', [...PLAIN, ['Content-Length', '9']]);
      return ['onetwo'];
    },
  ],
  [
    'an async result that is too short',
    async (_environ, startResponse) => {
      await sleep(1);
      startResponse('200 OK', [...PLAIN, ['Content-Length', '9']]);
      return ['onetwo'];
    },
  ],
  [
    'a result that is too long',
    (_environ, startResponse) => {
      startResponse('200 OK', [...PLAIN, ['Content-Length', '6']]);
      return ['onetwo', 'three'];
    },
  ],
  ['an application that throws', full],
  ['an application that rejects', async () => full()],
  [
    'a generator that throws after the head',
    function* (_environ, startResponse) {
      startResponse('200 OK', PLAIN);
      yield 'one';
      full();
    } as Application,
  ],
];

describeBackends('a log that throws', (selector) => {
  const serve = exchanges();
  const unhandled: unknown[] = [];
  const note = (error: unknown): number => unhandled.push(error);
  beforeEach(() => {
    failing = true;
    process.on('unhandledRejection', note);
  });
  afterEach(async () => {
    await sleep(1);
    process.off('unhandledRejection', note);
    expect(unhandled.splice(0)).toEqual([]);
  });

  function start(app: Application, handlerClass: typeof WSGIRequestHandler) {
    const exchange = serve(app, { selector, handlerClass, serverClass: ReportingServer });
    return { exchange, server: exchange.server as ReportingServer };
  }

  /** A whole answer, or the end of the connection: either comes at once. */
  async function outcome(client: RawClient): Promise<string> {
    const answer = client.response().then(
      (response) => `${response.status} ${text(response)}`,
      () => 'ended',
    );
    return bounded(answer, 'an answer or the end', AT_ONCE);
  }

  async function expectServing(server: ReportingServer): Promise<void> {
    failing = false;
    const client = await RawClient.connect(server.serverAddress);
    await client.send(get('/after'));
    expect(await outcome(client)).not.toBe('');
    client.destroy();
    await eventually(() => server.reactor.sockets.size === 0, 'nothing is left');
  }

  it.each(SHAPES)('logRequest(), after %s: told, and the client has its answer', async (_, app) => {
    const { exchange, server } = start(app, FailingLogRequest);
    const client = await exchange.client();
    await client.send(get());
    expect(['200 onetwo', 'ended']).toContain(await outcome(client));
    await eventually(() => server.failures.length > 0, 'handleError() is told');
    expect(server.failures).toContain(failure);
    client.destroy();
    await expectServing(server);
  });

  it.each(
    [FailingLogRequest, FailingStream].flatMap((handler) =>
      FAULTS.map(([title, app]) => [handler.name, title, app, handler] as const),
    ),
  )('%s, with %s: the client has an answer or the end', async (_n, _t, app, handler) => {
    const { exchange, server } = start(app, handler);
    const client = await exchange.client();
    await client.send(get());
    expect(await outcome(client)).toMatch(/^(ended|200 onetwo|500 [\s\S]*)$/);
    await eventually(() => server.failures.length > 0, 'handleError() is told');
    expect(server.failures).toContain(failure);
    client.destroy();
    await expectServing(server);
  });

  it('logError(), for a request that is refused', async () => {
    const { server } = start(SHAPES[0]?.[1] as Application, FailingLogError);
    for (const line of ['GET / HTTP/9.9\r\n\r\n', 'broken\r\n\r\n']) {
      failing = true;
      const client = await RawClient.connect(server.serverAddress);
      await client.send(line);
      expect(await outcome(client)).toMatch(/^(ended|[45]\d\d [\s\S]*)$/);
      expect(await bounded(client.ended(), 'the end', AT_ONCE)).toBeDefined();
      client.destroy();
    }
    await eventually(() => server.failures.length > 0, 'handleError() is told');
    expect(server.failures).toContain(failure);
    await expectServing(server);
  });

  it('logError() and logRequest() of a plain HTTP handler', async () => {
    const failures: unknown[] = [];
    class Server extends HTTPServer {
      override handleError(_request: unknown, _address: unknown, error: unknown): void {
        failures.push(error);
      }
    }
    class Handler extends BaseHTTPRequestHandler {
      override logMessage(): void {
        full();
      }

      doGET(): void {
        this.sendResponse(200);
        if (this.path === '/short') this.sendHeader('Content-Length', '9');
        this.endHeaders();
        this.wfile.write('onetwo');
      }
    }
    const server = new Server(['127.0.0.1', 0], Handler, { selector, logRequests: true });
    const serving = server.serveForever();
    for (const path of ['/', '/short', '/']) {
      const client = await RawClient.connect(server.serverAddress);
      await client.send(get(path));
      expect(await outcome(client)).toMatch(/^(ended|200 onetwo|500 [\s\S]*)$/);
      client.destroy();
    }
    const client = await RawClient.connect(server.serverAddress);
    await client.send('DELETE / HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await outcome(client)).toMatch(/^(ended|5\d\d [\s\S]*)$/);
    expect(failures).toContain(failure);
    await server.serverClose();
    await serving;
  });
});

describeBackends('a log on a full disk', (selector) => {
  const serve = exchanges();

  it('is told of by one warning, and the service goes on', async () => {
    const warnings: (string | undefined)[] = [];
    const note = (warning: Error & { code?: string }): number => warnings.push(warning.code);
    process.on('warning', note);
    const log = createWriteStream('/dev/full');
    const stream = new WritableErrorStream(log);
    class Handler extends WSGIRequestHandler {
      override getStderr(): ErrorStream {
        return stream;
      }

      override logMessage(message: string): void {
        stream.write(`${message}\n`);
      }
    }
    const app: Application = (environ, startResponse) => {
      if (environ.PATH_INFO === '/fails') throw new Error('on purpose');
      environ['wsgi.errors'].write('a line of the application\n');
      startResponse('200 OK', PLAIN);
      return 'hello';
    };
    try {
      const exchange = serve(app, { selector, handlerClass: Handler, logRequests: true });
      for (let i = 0; i < 10; i++) {
        expect(text(await exchange.ask(get()))).toBe('hello');
        expect((await exchange.ask(get('/fails'))).status).toBe(500);
      }
      await eventually(() => warnings.length > 0, 'the warning');
      await sleep(20);
      expect(warnings).toEqual(['ERR_RYEGATE_LOG']);
    } finally {
      process.off('warning', note);
      log.destroy();
    }
  });
});
