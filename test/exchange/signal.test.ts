import { expect, it } from 'vitest';
import type { Application } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { exchanges, get, PLAIN, post, TCP } from '../support/exchange.ts';
import { eventually } from '../support/rawclient.ts';

describeBackends('ryegate.signal', (selector) => {
  const serve = exchanges();

  it('fires when the client goes away while a handler is at work', async () => {
    const seen: string[] = [];
    const app: Application = async (environ, startResponse) => {
      const signal = environ['ryegate.signal'];
      seen.push('begun');
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      seen.push('aborted');
      startResponse('200 OK', PLAIN);
      return 'to nobody';
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(get());
    await eventually(() => seen.length === 1, 'the handler is at work');
    client.reset();
    await eventually(() => seen.length === 2, 'the signal has fired');
    expect(exchange.errors.getValue()).toBe('');
  });

  it('fires when the client finishes sending, and what is answered is sent all the same', async () => {
    const app: Application = async (environ, startResponse) => {
      const signal = environ['ryegate.signal'];
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      startResponse('200 OK', PLAIN);
      return 'to whoever still reads';
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(get());
    await eventually(() => exchange.server.reactor.turns > 0, 'the request has come');
    client.halfClose();
    const response = await client.response();
    expect(response.body.toString()).toBe('to whoever still reads');
  });

  it('fires when the client goes away before all of the answer is sent', async () => {
    let signal: AbortSignal | undefined;
    const app: Application = (environ, startResponse) => {
      signal = environ['ryegate.signal'];
      startResponse('200 OK', PLAIN);
      return (function* () {
        for (;;) yield Buffer.alloc(65_536);
      })();
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(get());
    await client.received(100_000);
    expect(signal?.aborted).toBe(false);
    client.reset();
    await eventually(() => signal?.aborted === true, 'the signal has fired');
  });

  it('asked for when the client has gone has fired already', async () => {
    let fired: boolean | undefined;
    const app: Application = async (environ, startResponse) => {
      await environ['wsgi.input'].read().catch(() => {});
      await eventually(() => exchange.server.reactor.sockets.size === 0, 'the client has gone');
      fired = environ['ryegate.signal'].aborted;
      startResponse('200 OK', PLAIN);
      return '';
    };
    const exchange = serve(app, { selector, address: TCP });
    const client = await exchange.client();
    await exchange.sendApart(client, [post('body').slice(0, -1)]);
    client.reset();
    await eventually(() => fired !== undefined, 'the handler has ended');
    expect(fired).toBe(true);
  });

  it('does not fire after a complete answer', async () => {
    const signals: AbortSignal[] = [];
    const app: Application = async (environ, startResponse) => {
      signals.push(environ['ryegate.signal']);
      startResponse('200 OK', PLAIN);
      return 'x';
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(get() + get());
    await client.response();
    await client.response();
    client.reset();
    await eventually(() => exchange.server.reactor.sockets.size === 0, 'the connection is over');
    expect(signals.map((signal) => signal.aborted)).toEqual([false, false]);
  });
});
