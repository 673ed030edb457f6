import { describe, expect, it } from 'vitest';
import { request } from '../support/exchange.ts';
import { Handler, handlerKeeper } from '../support/handlers.ts';
import { text } from '../support/rawclient.ts';

const { serve, ask } = handlerKeeper();

describe('the method that answers a request', () => {
  const called: string[] = [];

  class Many extends Handler {
    doGET(): void {
      this.#answer('doGET');
    }

    'doM-SEARCH'(): void {
      this.#answer('doM-SEARCH');
    }

    doX_1(): void {
      this.#answer('doX_1');
    }

    // None of these is meant for clients.

    download(): void {
      this.#answer('download');
    }

    done(): void {
      this.#answer('done');
    }

    do_x(): void {
      this.#answer('do_x');
    }

    doget(): void {
      this.#answer('doget');
    }

    do(): void {
      this.#answer('do');
    }

    do1(): void {
      this.#answer('do1');
    }

    #answer(name: string): void {
      called.push(name);
      this.sendResponse(200);
      this.endHeaders();
      this.wfile.write(name);
    }
  }

  it.each(['GET', 'M-SEARCH', 'X_1'])('is found for %s', async (method) => {
    const response = await ask(serve(Many), request(method, '/'), method);
    expect([response.status, text(response)]).toEqual([200, `do${method}`]);
  });

  it.each(['wnload', 'ne', '_x', 'get', 'Get', '1', "'", 'POST'])(
    'is none for %s: 501',
    async (method) => {
      called.length = 0;
      const server = serve(Many);
      const response = await ask(server, request(method, '/'), method);
      expect([response.status, called, server.failures]).toEqual([501, [], []]);
    },
  );
});
