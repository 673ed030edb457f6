import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Limits } from '../../src/index.ts';
import { get, post, request } from '../support/exchange.ts';
import { Handler, handlerKeeper, type Server } from '../support/handlers.ts';
import { bounded, eventually, text } from '../support/rawclient.ts';
import { rejectionCode } from '../support/servers.ts';
import { expectNoUnhandledRejections } from '../support/unhandled.ts';

const { serve, connect, ask } = handlerKeeper();
const CHUNK = Buffer.alloc(65_536, 'x');

expectNoUnhandledRejections();

async function untilGone(server: Server): Promise<void> {
  await eventually(() => server.reactor.sockets.size === 0, 'the connection is over');
  await sleep(20);
}

describe('wfile of an HTTP handler, after its client has gone', () => {
  it.each(['reset', 'destroy'] as const)('ends a loop without end (%s)', async (leave) => {
    let writes = 0;
    let ended: Promise<string> = Promise.resolve('not begun');
    class Endless extends Handler {
      doGET(): Promise<void> {
        const sending = this.#send();
        ended = rejectionCode(sending);
        return sending;
      }

      async #send(): Promise<void> {
        this.sendResponse(200);
        this.endHeaders();
        for (;;) {
          await this.wfile.write(CHUNK);
          writes++;
          // A write that resolves at once for ever would hold the test up for ever, too.
          if (writes > 100_000) throw new Error('goes on writing');
        }
      }
    }
    const server = serve(Endless);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 10);
    const client = await connect(server);
    await client.send(get());
    await client.received(1_000_000);
    client[leave]();
    await eventually(() => server.reactor.sockets.size === 0, 'the connection is over');
    expect(await bounded(ended, 'the handler')).toBe('ERR_RYEGATE_CLIENT_GONE');
    const before = ticks;
    const written = writes;
    await sleep(200);
    clearInterval(timer);
    expect(ticks - before).toBeGreaterThan(3);
    expect(writes).toBe(written);
    expect(server.failures).toEqual([]);
  });

  it('rejects write(), writelines() and flush(), whether waited for or not', async () => {
    const codes: string[] = [];
    class Late extends Handler {
      async doGET(): Promise<void> {
        this.sendResponse(200);
        this.endHeaders();
        this.wfile.write('begun');
        await eventually(() => this.request.closed, 'the client has gone');
        this.wfile.write('seen by nobody');
        this.wfile.flush();
        codes.push(await rejectionCode(this.wfile.write('x')));
        codes.push(await rejectionCode(this.wfile.writelines(['x', 'y'])));
        codes.push(await rejectionCode(this.wfile.flush()));
      }
    }
    const server = serve(Late);
    const client = await connect(server);
    await client.send(get());
    await client.received(1);
    client.reset();
    await eventually(() => codes.length === 3, 'the handler has written');
    expect(codes).toEqual(Array(3).fill('ERR_RYEGATE_CLIENT_GONE'));
    await untilGone(server);
    expect(server.failures).toEqual([]);
  });

  it('rejects what waits for the drain, and nobody has to look', async () => {
    let waiting: Promise<string> = Promise.resolve('not begun');
    class Waiting extends Handler {
      doGET(): Promise<void> {
        this.sendResponse(200);
        this.endHeaders();
        for (let i = 0; i < 500; i++) this.wfile.write(CHUNK);
        waiting = rejectionCode(this.wfile.flush());
        return new Promise(() => {});
      }
    }
    const server = serve(Waiting);
    const client = await connect(server);
    client.socket.pause();
    await client.send(get());
    await sleep(50);
    client.reset();
    expect(await bounded(waiting, 'the flush')).toBe('ERR_RYEGATE_CLIENT_GONE');
    await untilGone(server);
    expect(server.failures).toEqual([]);
  });
});

class Reader extends Handler {
  async doPOST(): Promise<void> {
    const body = await this.rfile.read();
    this.sendResponse(200);
    this.endHeaders();
    await this.wfile.write(`read ${body.length}`);
  }
}

describe('a body that doPOST() cannot read', () => {
  const limits: Partial<Limits> = { bodyBytes: 100 };
  const chunked = (body: string): string =>
    request('POST', '/', ['Transfer-Encoding: chunked'], body);

  it.each([
    ['a chunked one over limits.bodyBytes: 413', `ff\r\n${'x'.repeat(255)}\r\n0\r\n\r\n`, 413],
    ['one that grows over it: 413', `50\r\n${'x'.repeat(80)}\r\n50\r\n`, 413],
    ['a bad chunk size: 400', 'zz\r\n', 400],
    ['a chunk without its end: 400', '3\r\nabcdef\r\n', 400],
  ])('%s', async (_title, body, status) => {
    const server = serve(Reader, { limits });
    const client = await connect(server);
    await client.send(chunked(body));
    expect((await client.response()).status).toBe(status);
    expect((await client.rest()).toString()).toBe('');
    expect(text(await ask(server, post('fine')))).toBe('read 4');
  });

  it.each(['reset', 'halfClose', 'destroy'] as const)(
    'its client is gone (%s): nothing is told to handleError()',
    async (leave) => {
      const server = serve(Reader);
      const client = await connect(server);
      await client.send(request('POST', '/', ['Content-Length: 1000'], 'part'));
      await sleep(20);
      client[leave]();
      await untilGone(server);
      expect(server.failures).toEqual([]);
      expect(text(await ask(server, post('fine')))).toBe('read 4');
    },
  );
});
