import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Application } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import {
  expectInTime,
  hello,
  LONG,
  MUCH,
  reading,
  SHORT,
  trickle,
  untilNoConnections,
} from '../support/deadlines.ts';
import { exchanges, get, PLAIN, post, request } from '../support/exchange.ts';
import { Handler, handlerKeeper } from '../support/handlers.ts';
import { eventually, field, text } from '../support/rawclient.ts';

describeBackends('the deadline of a handler', (selector) => {
  const serve = exchanges();
  const timeouts = { handler: SHORT };

  /** A result that notes how often it is closed. */
  function closing(chunks: () => AsyncGenerator<Buffer>) {
    const result = {
      closed: 0,
      [Symbol.asyncIterator]: chunks,
      close() {
        this.closed++;
      },
    };
    return result;
  }

  it('is answered by 503; what comes too late is closed and dropped', async () => {
    let begun = 0;
    let aborted: boolean | undefined;
    const result = closing(async function* () {
      begun++;
      yield Buffer.from('too late');
    });
    const app: Application = async (environ, startResponse) => {
      if (environ.PATH_INFO === '/next') return hello(environ, startResponse);
      const signal = environ['ryegate.signal'];
      await sleep(LONG);
      aborted = signal.aborted;
      startResponse('200 OK', PLAIN);
      return result;
    };
    const exchange = serve(app, { selector, timeouts });
    const client = await exchange.client();
    await client.send(get() + get('/next'));
    await expectInTime(
      client.response().then((response) => {
        expect(response.status).toBe(503);
        expect(field(response, 'Connection')).toBe('close');
      }),
    );
    // What was sent behind it is not run.
    expect((await client.rest()).toString()).toBe('');
    expect(client.ending).toBe('fin');
    await eventually(() => result.closed > 0, 'the late result is closed');
    await sleep(20);
    expect([result.closed, begun, aborted]).toEqual([1, 0, true]);
    expect(exchange.errors.getValue()).toMatch(/^ERR_RYEGATE_HANDLER_TIMEOUT: .*timeouts\.handler/);
    expect(exchange.errors.getValue().match(/timeouts\.handler/g)).toHaveLength(1);
    expect(text(await exchange.ask(get('/next')))).toBe('hello');
  });

  it('drops a late failure quietly', async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): number => unhandled.push(error);
    process.on('unhandledRejection', note);
    try {
      let over = false;
      const app: Application = async () => {
        await sleep(LONG);
        over = true;
        throw new Error('too late');
      };
      const exchange = serve(app, { selector, timeouts });
      const client = await exchange.client();
      await client.send(get());
      expect((await client.response()).status).toBe(503);
      await eventually(() => over, 'the application has failed');
      await sleep(20);
      expect(unhandled).toEqual([]);
      expect(exchange.errors.getValue()).not.toContain('too late');
    } finally {
      process.off('unhandledRejection', note);
    }
  });

  it('breaks off an answer whose head has gone; its result is closed once', async () => {
    let aborted: boolean | undefined;
    let returned = 0;
    const result = closing(async function* () {
      try {
        yield Buffer.from('the beginning');
        await sleep(LONG);
        yield Buffer.from('the end');
      } finally {
        returned++;
      }
    });
    const app: Application = (environ, startResponse) => {
      environ['ryegate.signal'].addEventListener('abort', () => {
        aborted = true;
      });
      startResponse('200 OK', PLAIN);
      return result;
    };
    const exchange = serve(app, { selector, timeouts });
    const client = await exchange.client();
    await client.send(get());
    await client.received(1);
    await expectInTime(client.ended());
    // A unix socket knows no reset.
    const unix = typeof exchange.server.serverAddress === 'string';
    expect(client.ending).toBe(unix ? 'fin' : 'reset');
    expect(client.pending.toString()).not.toMatch(/0\r\n\r\n$/);
    await eventually(() => returned > 0, 'the generator has returned');
    await sleep(20);
    expect([result.closed, returned, aborted]).toEqual([1, 1, true]);
  });

  it('is put off by whatever is sent', async () => {
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return (async function* () {
        for (let i = 0; i < 10; i++) {
          await sleep(SHORT * 333);
          yield 'x';
        }
      })();
    };
    const exchange = serve(app, { selector, timeouts });
    expect(text(await exchange.ask(get()))).toBe('xxxxxxxxxx');
  });

  it('does not count the time that the client is waited for', async () => {
    const exchange = serve(reading(), { selector, timeouts });
    const client = await exchange.client();
    await client.send(post('x'.repeat(20)).slice(0, -20));
    await trickle(
      client,
      Array.from({ length: 20 }, () => 'x'),
    );
    expect(text(await client.response())).toBe('20');

    const large: Application = (_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return (function* () {
        for (let i = 0; i < 8; i++) yield Buffer.alloc(MUCH);
      })();
    };
    const slow = await serve(large, { selector, timeouts }).client();
    slow.socket.pause();
    await slow.send(get());
    await sleep(LONG);
    slow.socket.resume();
    expect((await slow.response()).body).toHaveLength(8 * MUCH);
  });

  it('is put off by whatever is read', async () => {
    const size = 65_536;
    const app: Application = async (environ, startResponse) => {
      const input = environ['wsgi.input'];
      let total = 0;
      for (let i = 0; i < 10; i++) {
        await sleep(SHORT * 333);
        total += (await input.read(Math.floor(size / 10))).length;
      }
      startResponse('200 OK', PLAIN);
      return String(total + (await input.read()).length);
    };
    for (const inputBuffering of ['stream', 'buffer'] as const) {
      const exchange = serve(app, { selector, timeouts, inputBuffering });
      const response = await exchange.ask(post('x'.repeat(size)));
      expect([response.status, text(response)]).toEqual([200, String(size)]);
      expect(exchange.errors.getValue()).toBe('');
    }
  });

  it('does not count the time in which a body is buffered', async () => {
    const exchange = serve(reading(), { selector, timeouts, inputBuffering: 'buffer' });
    const client = await exchange.client();
    await client.send(post('x'.repeat(20)).slice(0, -20));
    await trickle(
      client,
      Array.from({ length: 20 }, () => 'x'),
    );
    expect(text(await client.response())).toBe('20');
  });

  it('does not count the time in which the rest of a body that nobody reads arrives', async () => {
    const exchange = serve(hello, { selector, timeouts });
    const client = await exchange.client();
    await client.send(post('x'.repeat(20)).slice(0, -10));
    expect(text(await client.response())).toBe('hello');
    await sleep(LONG);
    await client.send('x'.repeat(10) + get());
    expect(text(await client.response())).toBe('hello');
    expect(exchange.errors.getValue()).toBe('');
  });

  it('frees the connections of a hundred handlers that never answer, and leaves no timer', async () => {
    const app: Application = () => new Promise(() => {});
    const exchange = serve(app, { selector, timeouts: { ...timeouts, linger: SHORT } });
    const clients = await Promise.all(Array.from({ length: 100 }, () => exchange.client()));
    await Promise.all(clients.map((client) => client.send(get())));
    for (const client of clients) expect((await client.response()).status).toBe(503);
    await untilNoConnections(exchange);
    await eventually(
      () => exchange.server.reactor.deadlines.next === Infinity,
      'nothing is waited for',
    );
  });
});

describe('a handler of methods that is given up', () => {
  const { serve, connect, ask } = handlerKeeper();

  it('does no harm when it wakes up later', async () => {
    const woken: string[] = [];
    class Slow extends Handler {
      async doGET(): Promise<void> {
        const { wfile } = this;
        await sleep(LONG);
        woken.push('before');
        await wfile.write('early').catch(() => {});
        this.sendResponse(200);
        this.sendHeader('X-Late', 'yes');
        this.endHeaders();
        woken.push('after the head');
        await this.wfile.write('late');
      }

      async doPUT(): Promise<void> {
        this.sendResponse(200);
        this.endHeaders();
        await this.wfile.write('begun');
        await sleep(LONG);
        woken.push('put');
        await this.wfile.write('late');
      }

      doPOST(): void {
        this.sendResponse(204);
      }
    }
    const server = serve(Slow, { timeouts: { handler: SHORT } });
    const client = await connect(server);
    await client.send(get());
    expect((await client.response()).status).toBe(503);
    const other = await connect(server);
    await other.send(request('PUT', '/'));
    expect(await other.ended()).toBe('reset');
    await eventually(() => woken.includes('before') && woken.includes('put'), 'both have woken');
    await sleep(50);
    expect((await client.rest()).toString()).toBe('');
    expect(server.failures).toEqual([]);
    expect((await ask(server, request('POST', '/'))).status).toBe(204);
  });
});
