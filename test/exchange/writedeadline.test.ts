import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { type Application, WSGIRequestHandler } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import {
  expectInTime,
  hello,
  IN_TIME,
  LONG,
  MUCH,
  SHORT,
  trickle,
  untilNoConnections,
} from '../support/deadlines.ts';
import { exchanges, get, PLAIN, post } from '../support/exchange.ts';
import { bounded, eventually, type RawClient, text } from '../support/rawclient.ts';
import { clientKeeper, threadKeeper } from '../support/servers.ts';

const folder = mkdtempSync(join(tmpdir(), 'ryegate-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describeBackends('the deadline of a client that takes its answer', (selector) => {
  const serve = exchanges();

  it('resets the connection of one that takes nothing; the result is closed once', async () => {
    for (const kind of ['sync', 'async'] as const) {
      let closed = 0;
      let returned = 0;
      let signal: AbortSignal | undefined;
      const chunks = function* () {
        try {
          for (;;) yield Buffer.alloc(65_536);
        } finally {
          returned++;
        }
      };
      const result = {
        close: () => closed++,
        ...(kind === 'sync'
          ? { [Symbol.iterator]: chunks }
          : {
              async *[Symbol.asyncIterator]() {
                yield* chunks();
              },
            }),
      };
      const app: Application = (environ, startResponse) => {
        signal = environ['ryegate.signal'];
        startResponse('200 OK', PLAIN);
        return result as unknown as Iterable<Buffer>;
      };
      const lost: unknown[] = [];
      class Watched extends WSGIRequestHandler {
        override connectionLost(error: Error | null): void {
          lost.push((error as { code?: unknown } | null)?.code);
          super.connectionLost(error);
        }
      }
      const timeouts = { write: SHORT };
      const exchange = serve(app, { selector, timeouts, handlerClass: Watched });
      const client = await exchange.client();
      client.socket.pause();
      await client.send(get());
      await expectInTime(untilNoConnections(exchange));
      await eventually(() => closed > 0 && returned > 0, 'the result is closed');
      await sleep(20);
      expect([closed, returned, signal?.aborted]).toEqual([1, 1, true]);
      expect(lost).toEqual(['ERR_RYEGATE_WRITE_TIMEOUT']);
      client.socket.resume();
      // libuv tells a reset behind bytes that were not read as an end.
      await client.ended();
      expect(client.pending.toString('latin1')).not.toMatch(/0\r\n\r\n$/);
    }
  });

  // A unix socket's buffers are small; those of TCP are freed by the megabyte, seldom.
  it('does not run for one that takes it slowly, but steadily', async () => {
    const size = 2 * MUCH;
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', [...PLAIN, ['Content-Length', String(size)]]);
      return (function* () {
        for (let sent = 0; sent < size; sent += 65_536) yield Buffer.alloc(65_536);
      })();
    };
    const address = join(folder, `${selector}.sock`);
    const exchange = serve(app, { selector, timeouts: { write: 2 * SHORT }, address });
    const client = await exchange.client();
    client.socket.on('data', () => {
      client.socket.pause();
      setTimeout(() => client.socket.resume(), 15);
    });
    const begun = performance.now();
    await client.send(get());
    expect((await client.response()).body).toHaveLength(size);
    // It was held back for several times as long.
    expect(performance.now() - begun).toBeGreaterThan(2 * LONG - 300);
  });

  it('is not that of the handler, nor of the next request', async () => {
    const exchange = serve(hello, { selector, timeouts: { write: SHORT } });
    const client = await exchange.client();
    await client.send(get());
    await client.response();
    await sleep(LONG);
    await client.send(get());
    expect(text(await client.response())).toBe('hello');
  });
});

/** Ends the connection, of whose client nothing is known. */
const dismissing: Application = (_environ, startResponse) => {
  startResponse('200 OK', [...PLAIN, ['Connection', 'close']]);
  return ['hello'];
};

describeBackends('the deadline of the end', (selector) => {
  const serve = exchanges();

  it.each([
    ['stays', async () => {}],
    [
      'keeps sending',
      (client: RawClient) =>
        trickle(
          client,
          Array.from({ length: 200 }, () => get()),
        ),
    ],
  ])('closes the connection of a client that %s', async (_title, behave) => {
    const exchange = serve(dismissing, { selector, timeouts: { linger: SHORT } });
    const client = await exchange.client();
    await client.send(get());
    expect(text(await client.response())).toBe('hello');
    expect(await client.ended()).toBe('fin');
    const behaving = behave(client);
    expect(exchange.server.reactor.sockets.size).toBe(1);
    await bounded(untilNoConnections(exchange), 'the end', IN_TIME);
    client.destroy();
    await behaving;
  });

  it('is not waited for when the client closes', async () => {
    const exchange = serve(dismissing, { selector, timeouts: { linger: 60 } });
    const client = await exchange.client();
    await client.send(get());
    await client.ended();
    expect(exchange.server.reactor.sockets.size).toBe(1);
    client.halfClose();
    await bounded(untilNoConnections(exchange), 'the end', IN_TIME);
  });
});

/** Serves in a thread, which it blocks; what the application closes is told. */
const SYNC = `
  const much = () => (function* () {
    try {
      for (;;) yield Buffer.alloc(65536);
    } finally {
      tell('closed');
    }
  })();
  const app = (environ, startResponse) => {
    startResponse('200 OK', []);
    if (environ.PATH_INFO === '/much') return much();
    return [environ['wsgi.input'].readSync()];
  };
  const { selector, settings } = workerData;
  const made = ryegate.makeServer('127.0.0.1', 0, app, { selector, ...settings });
  tell({ handle: made.shutdownHandle, address: made.serverAddress });
  made.serveForeverSync(60);
  await made.serverClose();
`;

describeBackends('deadlines under serveForeverSync', (selector) => {
  const thread = threadKeeper();
  const clients = clientKeeper();

  async function serve(timeouts: object) {
    const settings = { timeouts, inputBuffering: 'buffer' };
    const other = thread(SYNC, { selector, settings });
    const { handle, address } = await other.ready();
    const finish = async (): Promise<void> => {
      handle.shutdownSync(20);
      await other.end();
    };
    return { other, client: await clients.connect(address, { allowHalfOpen: true }), finish };
  }

  it('a body that stops is answered by 408', async () => {
    const { client, finish } = await serve({ body: SHORT });
    client.socket.write(post('body').slice(0, -1));
    await expectInTime(client.end());
    expect(client.received()).toMatch(/^HTTP\/1\.1 408 /);
    client.socket.destroy();
    await finish();
  });

  it('a client that takes nothing is reset', async () => {
    const { other, client, finish } = await serve({ write: SHORT });
    client.socket.pause();
    client.socket.write(get('/much'));
    await expectInTime(other.next().then((told) => expect(told).toBe('closed')));
    client.socket.resume();
    expect(await client.end()).not.toMatch(/0\r\n\r\n$/);
    await finish();
  });

  it('a client that stays after its last answer is closed', async () => {
    const { client, finish } = await serve({ linger: SHORT });
    client.socket.write(post('body', 'Connection: close'));
    expect(await client.end()).toMatch(/body$/);
    // A connection that is closed is reset by what is sent to it.
    const sending = setInterval(() => client.socket.write('x'), 20);
    try {
      await eventually(() => client.failure !== null, 'the connection is closed');
    } finally {
      clearInterval(sending);
    }
    await finish();
  });
});
