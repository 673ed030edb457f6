import { readSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type Application, WSGIRequestHandler, WSGIServer } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { MUCH } from '../support/deadlines.ts';
import { exchanges, get, get10, PLAIN, TCP } from '../support/exchange.ts';
import { bounded, type Ending, eventually, type RawClient, text } from '../support/rawclient.ts';

type Resizable = ArrayBuffer & { resize(size: number): void };
const ResizableBuffer = ArrayBuffer as unknown as new (
  size: number,
  options: { maxByteLength: number },
) => Resizable;

/** Takes the reading from Node, which tells a reset behind unread bytes as an end. */
function endOf(client: RawClient): () => Promise<Ending> {
  const { _handle: handle } = client.socket as unknown as {
    _handle: { fd: number; readStop(): void };
  };
  handle.readStop();
  const buffer = Buffer.alloc(65_536);
  const isAtEnd = (): boolean => {
    try {
      return readSync(handle.fd, buffer) === 0;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') return false;
      throw error;
    }
  };
  return async () => {
    try {
      await eventually(isAtEnd, 'the end');
      return 'fin';
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ECONNRESET') return 'reset';
      throw error;
    }
  };
}

describeBackends('an answer that is cut', (selector) => {
  const serve = exchanges();

  it('by closeTimeout ends with a reset, be it to HTTP/1.0', async () => {
    class Hasty extends WSGIServer {
      static override closeTimeout = 0.1;
    }
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return (async function* () {
        yield 'the beginning';
        await new Promise(() => {});
      })();
    };
    for (const message of [get10(), get()]) {
      const exchange = serve(app, { selector, address: TCP, serverClass: Hasty });
      const client = await exchange.client();
      await client.send(message);
      await eventually(() => client.pending.includes('the beginning'), 'it has begun');
      await bounded(exchange.server.serverClose(), 'the end of the server');
      expect(await client.ended()).toBe('reset');
    }
  });

  it.each([
    ['gone', 0],
    ['shorter', 1000],
    ['longer', 60_000],
  ])('as its chunk, resized before it is sent, is %s ends with a reset', async (_how, size) => {
    const app: Application = (_environ, startResponse) => {
      const write = startResponse('200 OK', PLAIN);
      const buffer = new ResizableBuffer(50_000, { maxByteLength: 60_000 });
      write(new Uint8Array(buffer));
      buffer.resize(size);
      return [];
    };
    for (const message of [get10(), get()]) {
      const exchange = serve(app, { selector, address: TCP, validate: false });
      const client = await exchange.client();
      const end = endOf(client);
      await client.send(message);
      expect(await end()).toBe('reset');
    }
  });

  it.each([
    ['', get(), 'ERR_RYEGATE_CHUNK'],
    // The connection is as good as over when its last answer is complete.
    [' to HTTP/1.0', get10(), undefined],
  ])(
    'as its chunk is resized while it is queued ends with a reset%s',
    async (_to, message, code) => {
      const lost: unknown[] = [];
      class Watched extends WSGIRequestHandler {
        override connectionLost(error: Error | null): void {
          lost.push((error as { code?: unknown } | null)?.code);
          super.connectionLost(error);
        }
      }
      const buffer = new ResizableBuffer(4 * MUCH, { maxByteLength: 4 * MUCH });
      const app: Application = (_environ, startResponse) => {
        startResponse('200 OK', PLAIN);
        return [new Uint8Array(buffer)];
      };
      const options = { selector, address: TCP, validate: false, handlerClass: Watched };
      const exchange = serve(app, options);
      const client = await exchange.client();
      const end = endOf(client);
      const [socket] = exchange.server.reactor.sockets.values();
      await client.send(message);
      await eventually(() => (socket?.queue ?? null) !== null, 'it is queued');
      buffer.resize(10);
      expect(await end()).toBe('reset');
      await eventually(() => lost.length > 0, 'the loss is told');
      expect(lost).toEqual([code]);
    },
  );
});

describeBackends('a Content-Length of the application', (selector) => {
  const serve = exchanges();
  const answering = (length: string, body: string): Application => {
    return (_environ, startResponse) => {
      startResponse('200 OK', [...PLAIN, ['Content-Length', length]]);
      return [body];
    };
  };

  it.each(['001', '00', '01', '1 ', '+1', '0x1', '1,1', ''])('%j is refused', async (length) => {
    const exchange = serve(answering(length, 'x'), { selector, validate: false });
    const response = await exchange.ask(get());
    expect([response.status, text(response).includes('x\n')]).toEqual([500, false]);
    expect(exchange.errors.getValue()).toContain('ERR_RYEGATE_CONTENT_LENGTH');
  });

  it('0 is taken', async () => {
    const exchange = serve(answering('0', ''), { selector, validate: false });
    const response = await exchange.ask(get());
    expect([response.status, response.framing, text(response)]).toEqual([200, 'length', '']);
  });

  it('that is too small is logged by a line that begins with the code', async () => {
    const exchange = serve(answering('3', 'too long'), { selector, validate: false });
    expect(text(await exchange.ask(get()))).toBe('too');
    expect(exchange.errors.getValue()).toMatch(/^ERR_RYEGATE_RESULT_TOO_LONG: .*\n$/);
  });
});
