import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Application, StartResponse } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import {
  expectInTime,
  hello,
  IN_TIME,
  LONG,
  MUCH,
  reading,
  SHORT,
  trickle,
  untilNoConnections,
} from '../support/deadlines.ts';
import { exchanges, get, PLAIN, post, request } from '../support/exchange.ts';
import { bounded, field, text } from '../support/rawclient.ts';

describeBackends('the deadline of a head', (selector) => {
  const serve = exchanges();
  const timeouts = { head: SHORT, linger: SHORT };

  it('closes a connection on which nothing comes, without an answer', async () => {
    const exchange = serve(hello, { selector, timeouts });
    const client = await exchange.client();
    await expectInTime(client.rest().then((rest) => expect(rest).toHaveLength(0)));
    expect(client.ending).toBe('fin');
  });

  it('is from the first byte, however steadily it comes: 408', async () => {
    const exchange = serve(hello, { selector, timeouts });
    const client = await exchange.client();
    const sending = trickle(client, [...get('/'.padEnd(1000, 'x'))]);
    await expectInTime(client.response().then(({ status }) => expect(status).toBe(408)));
    expect(await client.ended()).toBe('fin');
    await sending;
  });

  it.each(['\r\n', '\r\n\r\n\r\n', 'G', 'GET / HTTP/1.1\r\nHost: x\r\n'])(
    'is not put off by %j every now and then',
    async (piece) => {
      const exchange = serve(hello, { selector, timeouts });
      const client = await exchange.client();
      const sending = trickle(
        client,
        Array.from({ length: 100 }, () => piece),
      );
      await bounded(client.ended(), 'the end', IN_TIME);
      await sending;
      await untilNoConnections(exchange);
    },
  );

  it('begins anew with the next request, also of one that came in the same segment', async () => {
    const exchange = serve(hello, { selector, timeouts });
    const client = await exchange.client();
    await client.send(`${get()}GET /`);
    expect((await client.response()).status).toBe(200);
    await expectInTime(client.response().then(({ status }) => expect(status).toBe(408)));
  });
});

describeBackends('the deadline between requests', (selector) => {
  const serve = exchanges();

  it('closes the connection without a word', async () => {
    const exchange = serve(hello, { selector, timeouts: { keepAlive: SHORT } });
    const client = await exchange.client();
    await client.send(get());
    expect((await client.response()).status).toBe(200);
    await expectInTime(client.rest().then((rest) => expect(rest).toHaveLength(0)));
    expect(client.ending).toBe('fin');
  });

  it('is not that of a handler at work, whatever else is short', async () => {
    const timeouts = { head: SHORT, keepAlive: SHORT, body: SHORT, bodyGrace: SHORT, write: SHORT };
    const app: Application = async (environ, startResponse) => {
      await environ['wsgi.input'].read();
      await sleep(LONG);
      return hello(environ, startResponse);
    };
    for (const inputBuffering of ['stream', 'buffer'] as const) {
      const exchange = serve(app, { selector, timeouts, inputBuffering });
      const clients = await Promise.all(
        [get(), post('body'), post('')].map(async (message) => {
          const client = await exchange.client();
          await client.send(message);
          return client;
        }),
      );
      for (const client of clients) {
        const response = await client.response();
        expect(response.status).toBe(200);
        expect(field(response, 'Connection')).toBe('keep-alive');
      }
    }
  });

  it('is not that of a client that still takes its answer', async () => {
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return Buffer.alloc(8 * MUCH);
    };
    const timeouts = { keepAlive: SHORT, write: 60 };
    const exchange = serve(app, { selector, timeouts });
    const client = await exchange.client();
    client.socket.pause();
    await client.send(get());
    await sleep(LONG);
    client.socket.resume();
    expect((await client.response()).body).toHaveLength(8 * MUCH);
  });
});

describeBackends('the deadline of a body', (selector) => {
  const serve = exchanges();
  const HEAD = post('x'.repeat(1000)).slice(0, -1000);

  it('fails the read with 408 ERR_RYEGATE_BODY_TIMEOUT after a silence', async () => {
    const codes: unknown[] = [];
    const exchange = serve(reading(codes), { selector, timeouts: { body: SHORT } });
    const client = await exchange.client();
    await client.send(`${HEAD}xxx`);
    await expectInTime(
      client.response().then((response) => {
        expect(response.status).toBe(408);
        expect(field(response, 'Connection')).toBe('close');
      }),
    );
    expect(await client.ended()).toBe('fin');
    expect(codes).toEqual(['ERR_RYEGATE_BODY_TIMEOUT']);
    // The client's doing: one line, without a stack.
    expect(exchange.errors.getValue()).toMatch(/^ERR_RYEGATE_BODY_TIMEOUT: [^\n]*\n$/);
  });

  it('starts anew with every byte', async () => {
    const exchange = serve(reading(), { selector, timeouts: { body: SHORT } });
    const client = await exchange.client();
    await client.send(HEAD);
    await trickle(
      client,
      Array.from({ length: 20 }, () => 'x'.repeat(50)),
    );
    expect(text(await client.response())).toBe('1000');
  });

  it('is also a rate, after the grace', async () => {
    const codes: unknown[] = [];
    const settings = { timeouts: { bodyGrace: SHORT }, limits: { bodyRate: 100_000 } };
    const exchange = serve(reading(codes), { selector, ...settings });
    const client = await exchange.client();
    await client.send(HEAD);
    const sending = trickle(
      client,
      Array.from({ length: 900 }, () => 'x'),
    );
    await expectInTime(client.response().then(({ status }) => expect(status).toBe(408)));
    expect(codes).toEqual(['ERR_RYEGATE_BODY_TIMEOUT']);
    await sending;
  });

  it('knows no rate with a bodyRate of 0', async () => {
    const settings = { timeouts: { bodyGrace: 0.001 }, limits: { bodyRate: 0 } };
    const exchange = serve(reading(), { selector, ...settings });
    const client = await exchange.client();
    await client.send(post('x'.repeat(18)).slice(0, -18));
    await trickle(
      client,
      Array.from({ length: 18 }, () => 'x'),
    );
    expect(text(await client.response())).toBe('18');
  });

  it('leaves an application alone that does not read, whose answer is the last', async () => {
    const app: Application = async (environ, startResponse) => {
      await sleep(LONG);
      return hello(environ, startResponse);
    };
    const exchange = serve(app, { selector, timeouts: { body: SHORT } });
    const client = await exchange.client();
    await client.send(`${HEAD}xxx`);
    const response = await client.response();
    expect(response.status).toBe(200);
    expect(field(response, 'Connection')).toBe('close');
    expect(await client.ended()).toBe('fin');
  });

  it('ends the drain of what nobody reads', async () => {
    const exchange = serve(hello, { selector, timeouts: { body: SHORT } });
    const client = await exchange.client();
    await client.send(`${HEAD}xxx`);
    expect(field(await client.response(), 'Connection')).toBe('keep-alive');
    await expectInTime(client.rest().then((rest) => expect(rest).toHaveLength(0)));
  });

  it('stands still while the application does not read', async () => {
    const timeouts = { body: SHORT, bodyGrace: SHORT };
    const app: Application = async (environ, startResponse) => {
      const input = environ['wsgi.input'];
      await sleep(LONG);
      let size = (await input.read(100_000)).length;
      await sleep(LONG);
      for await (const chunk of input) size += chunk.length;
      startResponse('200 OK', PLAIN);
      return String(size);
    };
    const exchange = serve(app, { selector, timeouts });
    const client = await exchange.client();
    client.socket.write(request('POST', '/', [`Content-Length: ${4 * MUCH}`]));
    client.socket.write(Buffer.alloc(4 * MUCH));
    expect(text(await client.response())).toBe(String(4 * MUCH));
  });

  it('stands still while the client waits for 100 Continue, and runs from then on', async () => {
    const codes: unknown[] = [];
    const late: Application = async (environ, startResponse) => {
      await sleep(LONG);
      return reading(codes)(environ, startResponse);
    };
    const settings = { timeouts: { body: SHORT, bodyGrace: SHORT } };
    const exchange = serve(late, { selector, ...settings });
    const expecting = request('POST', '/', ['Expect: 100-continue', 'Content-Length: 4']);
    const client = await exchange.client();
    await client.send(expecting);
    expect((await client.response()).status).toBe(100);
    await client.send('body');
    expect(text(await client.response())).toBe('4');
    await client.send(expecting);
    expect((await client.response()).status).toBe(100);
    await expectInTime(client.response().then(({ status }) => expect(status).toBe(408)));
    expect(codes).toEqual(['ERR_RYEGATE_BODY_TIMEOUT']);
  });

  it('of a body that is buffered is answered by 408, and nothing is run', async () => {
    let runs = 0;
    const app: Application = (environ, startResponse) => {
      runs++;
      return hello(environ, startResponse);
    };
    const timeouts = { body: SHORT };
    const exchange = serve(app, { selector, timeouts, inputBuffering: 'buffer' });
    for (const message of [
      `${HEAD}xxx`,
      HEAD,
      `${request('POST', '/', ['Transfer-Encoding: chunked'])}3\r\n`,
    ]) {
      const client = await exchange.client();
      await client.send(message);
      await expectInTime(
        client.response().then((response) => {
          expect(response.status).toBe(408);
          expect(field(response, 'Connection')).toBe('close');
        }),
      );
      await client.send(get());
      expect(await client.ended()).toBe('fin');
    }
    expect(runs).toBe(0);
  });
});

describe('timeouts that are off', () => {
  const serve = exchanges();

  it('arm nothing while a handler works', async () => {
    let answer = (): void => {};
    const app: Application = async (environ, startResponse: StartResponse) => {
      await environ['wsgi.input'].read(1);
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return hello(environ, startResponse);
    };
    const timeouts = {
      head: Infinity,
      body: Infinity,
      bodyGrace: Infinity,
      keepAlive: Infinity,
      write: Infinity,
      linger: Infinity,
    };
    const exchange = serve(app, { timeouts });
    const { reactor } = exchange.server;
    const client = await exchange.client();
    await client.send(post('body').slice(0, -1));
    await sleep(100);
    expect([...reactor.sockets].map(({ deadline }) => deadline)).toEqual([Infinity]);
    expect(reactor.deadlines.next).toBe(Infinity);
    answer();
    await client.send('y');
    const response = await client.response();
    expect(response.status).toBe(200);
    expect(field(response, 'Keep-Alive')).toBeUndefined();
    expect(reactor.deadlines.next).toBe(Infinity);
  });
});
