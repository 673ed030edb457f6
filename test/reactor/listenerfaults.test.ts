import { constants } from 'node:os';
import { expect, it } from 'vitest';
import { WSGIRequestHandler, WSGIServer } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { hello, IN_TIME, SHORT } from '../support/deadlines.ts';
import { exchanges, get } from '../support/exchange.ts';
import { bounded, RawClient, text } from '../support/rawclient.ts';

describeBackends('a listener that cannot be watched again after a rest', (selector) => {
  const serve = exchanges();

  it('is told of and tried again, and deadlines still pass', async () => {
    const told: unknown[] = [];
    class Telling extends WSGIServer {
      override logError(error: unknown): void {
        told.push(error);
      }
    }
    const timeouts = { head: SHORT };
    const settings = { selector, timeouts, serverClass: Telling, handlerClass: WSGIRequestHandler };
    const exchange = serve(hello, settings);
    const { reactor } = exchange.server;
    const late = await exchange.client();

    // Both stand for a system that is short of memory.
    const { batch } = reactor.slabs;
    Object.defineProperty(batch, 'acceptMany', {
      configurable: true,
      value: () => {
        Reflect.deleteProperty(batch, 'acceptMany');
        return -constants.errno.ENOMEM;
      },
    });
    const { watch } = reactor;
    const failure = new Error('cannot be watched');
    let failures = 0;
    reactor.watch = (channel, before, after) => {
      if (channel.fd !== exchange.server.fileno() || after === 0 || failures > 0) {
        watch.call(reactor, channel, before, after);
        return;
      }
      failures++;
      throw failure;
    };
    const client = await RawClient.connect(exchange.server.serverAddress);
    try {
      await client.send(get());
      expect(text(await client.response())).toBe('hello');
      expect(failures).toBe(1);
      expect(told).toEqual([expect.objectContaining({ systemCode: 'ENOMEM' }), failure]);
      // It has said nothing all the time.
      await bounded(late.ended(), 'the deadline of the head', IN_TIME);
    } finally {
      client.destroy();
    }
  });
});

describeBackends('a listener whose clients have gone before they are accepted', (selector) => {
  const serve = exchanges();

  it('accepts those who come after them', async () => {
    const exchange = serve(hello, { selector });
    const { batch } = exchange.server.reactor.slabs;
    Object.defineProperty(batch, 'acceptMany', {
      configurable: true,
      // The system told of one, who was gone: ECONNABORTED.
      value: () => {
        Reflect.deleteProperty(batch, 'acceptMany');
        return 0;
      },
    });
    for (let i = 0; i < 3; i++) expect(text(await exchange.ask(get()))).toBe('hello');
  });
});
