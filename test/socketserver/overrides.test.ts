import { expect, it } from 'vitest';
import {
  BaseRequestHandler,
  type ClientAddress,
  type Handling,
  type RequestHandlerClass,
  type StreamSocket,
  TCPServer,
} from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { clientKeeper, eventually, serverKeeper } from '../support/servers.ts';

// The constructor calls overrides before a subclass has its fields.
let calls: string[] = [];

/** Records the calls of its override points, and what handleError is given. */
class RecordingServer extends TCPServer {
  errors: { error: unknown; clientAddress: ClientAddress }[] = [];

  override serverBind(): void {
    calls.push('serverBind');
    super.serverBind();
  }

  override serverActivate(): void {
    calls.push('serverActivate');
    super.serverActivate();
  }

  override getRequest(): [StreamSocket, ClientAddress] | null {
    calls.push('getRequest');
    return super.getRequest();
  }

  override verifyRequest(request: StreamSocket, clientAddress: ClientAddress): boolean {
    calls.push('verifyRequest');
    return super.verifyRequest(request, clientAddress);
  }

  override processRequest(request: StreamSocket, clientAddress: ClientAddress): void {
    calls.push('processRequest');
    super.processRequest(request, clientAddress);
  }

  override finishRequest(request: StreamSocket, clientAddress: ClientAddress): Handling {
    calls.push('finishRequest');
    return super.finishRequest(request, clientAddress);
  }

  override shutdownRequest(request: StreamSocket): void {
    calls.push('shutdownRequest');
    super.shutdownRequest(request);
  }

  override closeRequest(request: StreamSocket): void {
    calls.push('closeRequest');
    super.closeRequest(request);
  }

  override handleError(_request: StreamSocket, clientAddress: ClientAddress, error: unknown): void {
    calls.push('handleError');
    this.errors.push({ error, clientAddress });
  }
}

/** Answers `answer` and records its three methods. */
class RecordingHandler extends BaseRequestHandler {
  override setup(): void {
    calls.push('setup');
  }

  override handle(): void | Promise<void> {
    calls.push('handle');
    this.request.write(Buffer.from('answer'));
  }

  override finish(): void | Promise<void> {
    calls.push('finish');
  }
}

const MADE = ['serverBind', 'serverActivate'];
const TAKEN = ['getRequest', 'verifyRequest', 'processRequest', 'finishRequest'];
const ENDED = ['shutdownRequest', 'closeRequest'];
const HANDLED = [...MADE, ...TAKEN, 'setup', 'handle', 'finish', ...ENDED];

class Failure extends Error {}

function fail(): never {
  throw new Failure('on purpose');
}

async function reject(): Promise<void> {
  await Promise.resolve();
  fail();
}

describeBackends('override points', (selector) => {
  const { keep, serve } = serverKeeper();
  const clients = clientKeeper();

  function start(
    handler: RequestHandlerClass,
    serverClass: typeof RecordingServer = RecordingServer,
  ): RecordingServer {
    calls = [];
    const server = keep(new serverClass(['127.0.0.1', 0], handler, { selector }));
    serve(server);
    return server;
  }

  /** What a client receives until the server ends the connection. */
  async function visit(server: TCPServer): Promise<string> {
    const client = await clients.connect(server.serverAddress);
    return client.end();
  }

  it('run in the order of socketserver', async () => {
    const server = start(RecordingHandler);
    expect(calls).toEqual(MADE);
    expect(await visit(server)).toBe('answer');
    expect(calls).toEqual(HANDLED);
    expect(server.errors).toEqual([]);
  });

  it('run in the same order for an async handler', async () => {
    class AsyncHandler extends RecordingHandler {
      override async handle(): Promise<void> {
        await Promise.resolve();
        super.handle();
      }

      override async finish(): Promise<void> {
        await Promise.resolve();
        super.finish();
      }
    }
    const server = start(AsyncHandler);
    expect(await visit(server)).toBe('answer');
    expect(calls).toEqual(HANDLED);
  });

  it('give the handler the request, the client address and the server', async () => {
    const seen: unknown[] = [];
    class Handler extends BaseRequestHandler {
      override handle(): void {
        seen.push(this.server, this.clientAddress, this.request.fileno() > 2);
      }
    }
    const server = start(Handler);
    const client = await clients.connect(server.serverAddress);
    await client.end();
    expect(seen).toEqual([server, ['127.0.0.1', client.port], true]);
  });

  it('construct a handler wholly before it is set up', async () => {
    class Handler extends RecordingHandler {
      text = 'its own field';

      override setup(): void {
        this.request.write(Buffer.from(this.text));
      }
    }
    expect(await visit(start(Handler))).toBe('its own fieldanswer');
  });

  it('refuse a client by verifyRequest', async () => {
    class RefusingServer extends RecordingServer {
      override verifyRequest(request: StreamSocket, clientAddress: ClientAddress): boolean {
        return !super.verifyRequest(request, clientAddress);
      }
    }
    const server = start(RecordingHandler, RefusingServer);
    expect(await visit(server)).toBe('');
    expect(calls).toEqual([...MADE, 'getRequest', 'verifyRequest', ...ENDED]);
  });

  it('refuse a verifyRequest that returns a promise: everybody would get in', async () => {
    class PromisingServer extends RecordingServer {
      // @ts-expect-error: as plain JavaScript may have it.
      override async verifyRequest(): Promise<boolean> {
        return true;
      }
    }
    const server = start(RecordingHandler, PromisingServer as unknown as typeof RecordingServer);
    expect(await visit(server)).toBe('');
    expect(calls).toEqual([...MADE, 'getRequest', 'handleError', ...ENDED]);
    expect(server.errors[0]?.error).toMatchObject({ code: 'ERR_RYEGATE_ASYNC' });
  });

  it('discard a connection that getRequest does not take', async () => {
    class PickyServer extends RecordingServer {
      override getRequest(): [StreamSocket, ClientAddress] | null {
        if (calls.includes('getRequest')) return super.getRequest();
        calls.push('getRequest');
        return null;
      }
    }
    const server = start(RecordingHandler, PickyServer);
    expect(await visit(server)).toBe('');
    expect(await visit(server)).toBe('answer');
    expect(calls).toEqual([...MADE, 'getRequest', ...HANDLED.slice(2)]);
  });

  it.each([
    ['throws', fail],
    // It says that it gives something else.
    ['rejects', reject as unknown as typeof fail],
  ])('go on when getRequest %s; the next connections are served', async (_how, failsSo) => {
    class FailingServer extends RecordingServer {
      logged: unknown[] = [];

      override getRequest(): [StreamSocket, ClientAddress] | null {
        if (calls.includes('getRequest')) return super.getRequest();
        calls.push('getRequest');
        return failsSo();
      }

      protected override logError(error: unknown): void {
        this.logged.push(error);
      }
    }
    calls = [];
    const server = keep(new FailingServer(['127.0.0.1', 0], RecordingHandler, { selector }));
    // All wait before serving begins, so that one turn accepts them.
    const waiting = await Promise.all([1, 2, 3].map(() => clients.connect(server.serverAddress)));
    serve(server);
    const answers = await Promise.all(waiting.map((client) => client.end()));
    expect(answers.sort()).toEqual(['', 'answer', 'answer']);
    const isRejected = failsSo !== fail;
    expect(server.logged).toEqual([
      isRejected ? expect.objectContaining({ code: 'ERR_RYEGATE_ASYNC' }) : expect.any(Failure),
    ]);
  });

  it('are closed although closeListener throws', async () => {
    class UnclosedServer extends TCPServer {
      logged: unknown[] = [];

      protected override closeListener(): void {
        super.closeListener();
        fail();
      }

      protected override logError(error: unknown): void {
        this.logged.push(error);
      }
    }
    const server = keep(new UnclosedServer(['127.0.0.1', 0], RecordingHandler, { selector }));
    serve(server);
    expect(await server.drain()).toMatchObject({ finished: 0, aborted: 0 });
    expect(server.logged).toEqual([expect.any(Failure), expect.any(Failure)]);
    expect(() => server.reactor.selector.select(0)).toThrow();
  });

  it('let processRequest postpone the rest', async () => {
    class LaterServer extends RecordingServer {
      override processRequest(request: StreamSocket, clientAddress: ClientAddress): void {
        calls.push('postponed');
        setTimeout(() => super.processRequest(request, clientAddress), 20);
      }
    }
    expect(await visit(start(RecordingHandler, LaterServer))).toBe('answer');
    expect(calls.slice(4, 6)).toEqual(['postponed', 'processRequest']);
  });

  const failing = (...names: string[]): string[] => [...MADE, ...TAKEN, ...names, 'handleError'];
  it.each<[string, () => RequestHandlerClass, string[]]>([
    [
      'handle',
      () =>
        class extends RecordingHandler {
          override handle(): void {
            super.handle();
            fail();
          }
        },
      failing('setup', 'handle', 'finish'),
    ],
    [
      'async handle',
      () =>
        class extends RecordingHandler {
          override async handle(): Promise<void> {
            super.handle();
            await reject();
          }
        },
      failing('setup', 'handle', 'finish'),
    ],
    [
      'setup, and finish does not run',
      () =>
        class extends RecordingHandler {
          override setup(): void {
            super.setup();
            this.request.write(Buffer.from('answer'));
            fail();
          }
        },
      failing('setup'),
    ],
    [
      'finish',
      () =>
        class extends RecordingHandler {
          override finish(): void {
            super.finish();
            fail();
          }
        },
      failing('setup', 'handle', 'finish'),
    ],
    [
      'async finish',
      () =>
        class extends RecordingHandler {
          override async finish(): Promise<void> {
            super.finish();
            await reject();
          }
        },
      failing('setup', 'handle', 'finish'),
    ],
    [
      'handle with an async finish',
      () =>
        class extends RecordingHandler {
          override handle(): void {
            super.handle();
            fail();
          }

          override async finish(): Promise<void> {
            await Promise.resolve();
            super.finish();
          }
        },
      failing('setup', 'handle', 'finish'),
    ],
    [
      'the constructor',
      () =>
        class extends RecordingHandler {
          constructor(request: StreamSocket, clientAddress: ClientAddress, server: TCPServer) {
            super(request, clientAddress, server);
            request.write(Buffer.from('answer'));
            fail();
          }
        },
      failing(),
    ],
  ])('tell handleError of what is thrown in %s', async (_, make, expected) => {
    const server = start(make());
    const client = await clients.connect(server.serverAddress);
    expect(await client.end()).toBe('answer');
    expect(calls).toEqual([...expected, ...ENDED]);
    const clientAddress = ['127.0.0.1', client.port];
    expect(server.errors).toEqual([{ error: expect.any(Failure), clientAddress }]);
    // And the server goes on.
    expect(await visit(server)).toBe('answer');
  });

  it('survive a handleError and a shutdownRequest that throw', async () => {
    const logged: unknown[] = [];
    class ThrowingServer extends RecordingServer {
      override handleError(): void {
        fail();
      }

      override shutdownRequest(request: StreamSocket): void {
        super.shutdownRequest(request);
        fail();
      }

      protected override logError(error: unknown): void {
        logged.push(error);
      }
    }
    class ThrowingHandler extends RecordingHandler {
      override handle(): void {
        super.handle();
        fail();
      }
    }
    class RejectingHandler extends RecordingHandler {
      override async handle(): Promise<void> {
        super.handle();
        await reject();
      }
    }
    for (const handler of [ThrowingHandler, RejectingHandler]) {
      const server = start(handler, ThrowingServer);
      expect(await visit(server)).toBe('answer');
      expect(await visit(server)).toBe('answer');
    }
    await eventually(() => logged.length >= 8, 'all failures are logged');
    expect(logged.every((error) => error instanceof Failure)).toBe(true);
  });
});
