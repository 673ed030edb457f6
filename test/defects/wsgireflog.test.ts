import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { WSGIRequestHandler } from '../../src/index.ts';
import {
  type Exchange,
  type ExchangeOptions,
  exchanges,
  get,
  request,
} from '../support/exchange.ts';
import { Handler, handlerKeeper } from '../support/handlers.ts';
import { leaveBy, outcomes, post } from '../support/outcomes.ts';
import { eventually } from '../support/rawclient.ts';
import { expectNoUnhandledRejections } from '../support/unhandled.ts';

// The defect 12 of the Python servers, which is wsgiref's. A line has the request and its status.

const serve = exchanges();
const keeper = handlerKeeper();
expectNoUnhandledRejections();

describe('12: wsgiref failed/aborted requests never logged', () => {
  let logged: string[] = [];
  beforeEach(() => {
    logged = [];
  });

  class Logging extends WSGIRequestHandler {
    override getStderr(): { write(): void; writelines(): void; flush(): void } {
      return { write() {}, writelines() {}, flush() {} };
    }

    override logError(): void {}

    override logRequest(code: number | string): void {
      logged.push(`${this.requestline || '-'} ${code}`);
    }
  }

  async function expectLogged(exchange: Exchange, line: string): Promise<void> {
    await eventually(() => logged.length > 0, `${line} is logged`);
    // A second line would come while this is served.
    await exchange.ask(get('/good'));
    await eventually(() => logged.includes('GET /good HTTP/1.1 200'), 'the next is logged');
    expect(logged).toEqual([line, 'GET /good HTTP/1.1 200']);
  }

  const ANSWERED: [message: string, line: string][] = [
    [get('/before'), 'GET /before HTTP/1.1 500'],
    [get('/refused'), 'GET /refused HTTP/1.1 403'],
    [get('/after'), 'GET /after HTTP/1.1 200'],
    [get('/short'), 'GET /short HTTP/1.1 200'],
    [get('/long'), 'GET /long HTTP/1.1 200'],
    [request('HEAD', '/before'), 'HEAD /before HTTP/1.1 500'],
    [post(['Transfer-Encoding: chunked'], 'zz\r\n'), 'POST /body HTTP/1.1 400'],
    ['GARBAGE\r\n\r\n', '- 400'],
    [get('/', 'Content-Length: +5'), 'GET / HTTP/1.1 400'],
    [get('/', 'Expect: miracles'), 'GET / HTTP/1.1 417'],
    [get(`/${'x'.repeat(9000)}`), '- 414'],
  ];

  it.each(ANSWERED)('%j is logged once', async (message, line) => {
    const exchange = serve(outcomes, { handlerClass: Logging });
    const client = await exchange.client();
    await client.send(message);
    await expectLogged(exchange, line);
  });

  it('a head that does not come in time is logged once', async () => {
    const exchange = serve(outcomes, { handlerClass: Logging, timeouts: { head: 0.1 } });
    const client = await exchange.client();
    await client.send('GET /slow HTTP/1.1\r\n');
    await eventually(() => logged.length > 0, 'it is logged');
    await client.ended();
    expect(logged).toEqual(['- 408']);
  });

  const LATE: [title: string, options: ExchangeOptions, message: string, line: string][] = [
    [
      'a body that does not come in time',
      { timeouts: { body: 0.1 } },
      post(['Content-Length: 100'], 'part'),
      'POST /body HTTP/1.1 408',
    ],
    [
      'a body that is buffered and does not come in time',
      { timeouts: { body: 0.1 }, inputBuffering: 'buffer' },
      post(['Content-Length: 100'], 'part'),
      'POST /body HTTP/1.1 408',
    ],
    [
      'a handler that is too slow',
      { timeouts: { handler: 0.1 } },
      get('/waits'),
      'GET /waits HTTP/1.1 503',
    ],
    [
      'a handler that is too slow behind its head',
      { timeouts: { handler: 0.1 } },
      get('/stalls'),
      'GET /stalls HTTP/1.1 200',
    ],
    [
      'a body that is buffered and too large',
      { limits: { bodyBytes: 10 }, inputBuffering: 'buffer' },
      post(['Transfer-Encoding: chunked'], 'ff\r\n'),
      'POST /body HTTP/1.1 413',
    ],
    [
      'a body that is buffered and malformed',
      { inputBuffering: 'buffer' },
      post(['Transfer-Encoding: chunked'], 'zz\r\n'),
      'POST /body HTTP/1.1 400',
    ],
  ];

  it.each(LATE)('%s is logged once', async (_title, options, message, line) => {
    const exchange = serve(outcomes, { ...options, handlerClass: Logging });
    const client = await exchange.client();
    await client.send(message);
    await expectLogged(exchange, line);
  });

  it('a client that takes nothing is logged once', async () => {
    const exchange = serve(outcomes, { handlerClass: Logging, timeouts: { write: 0.3 } });
    const client = await exchange.client();
    client.socket.pause();
    await client.send(get('/endless'));
    await expectLogged(exchange, 'GET /endless HTTP/1.1 200');
  });

  describe.each([
    ['a reset', '-', '-'],
    ['a close', '200', '400'],
  ] as const)('a client that leaves by %s', (how, ok, bad) => {
    const leave = leaveBy[how];

    it('while the application works', async () => {
      const exchange = serve(outcomes, { handlerClass: Logging });
      const client = await exchange.client();
      await exchange.sendApart(client, [get('/waits')]);
      leave(client);
      await expectLogged(exchange, `GET /waits HTTP/1.1 ${ok}`);
    });

    it('while its body is awaited', async () => {
      const exchange = serve(outcomes, { handlerClass: Logging });
      const client = await exchange.client();
      await exchange.sendApart(client, [post(['Content-Length: 100'], 'part')]);
      leave(client);
      await expectLogged(exchange, `POST /body HTTP/1.1 ${bad}`);
    });

    it('while its body is buffered', async () => {
      const exchange = serve(outcomes, { handlerClass: Logging, inputBuffering: 'buffer' });
      const client = await exchange.client();
      await exchange.sendApart(client, [post(['Content-Length: 100'], 'part')]);
      leave(client);
      const gone = (): boolean => exchange.server.reactor.sockets.size === 0;
      await eventually(gone, 'the client has gone');
      await exchange.ask(get('/good'));
      await eventually(() => logged.some((line) => line.startsWith('GET')), 'the next is logged');
      const lines = logged.map((line) => line.split(' ', 2).join(' '));
      expect(lines).toEqual(['POST /body', 'GET /good']);
    });

    it('in the midst of its answer', async () => {
      const exchange = serve(outcomes, { handlerClass: Logging });
      const client = await exchange.client();
      await client.send(get('/endless'));
      await client.received(100_000);
      leave(client);
      await expectLogged(exchange, 'GET /endless HTTP/1.1 200');
    });
  });

  describe('by a handler of http.server', () => {
    let begun = false;
    beforeEach(() => {
      begun = false;
    });

    class Logs extends Handler {
      override logRequest(code: number | string): void {
        logged.push(`${this.command} ${code}`);
      }

      override logError(): void {}

      doGET(): void {
        throw new Error('fails');
      }

      doPUT(): void {}

      async doPOST(): Promise<void> {
        begun = true;
        await this.rfile.read();
        this.doDELETE();
      }

      async doPATCH(): Promise<void> {
        begun = true;
        await once(this.httpRequest.signal, 'abort');
        this.doDELETE();
      }

      async doDELETE(): Promise<void> {
        this.sendResponse(200);
        this.endHeaders();
      }
    }

    it.each([
      ['that throws', 'GET', '500'],
      ['that answers nothing', 'PUT', '500'],
      ['that does not exist', 'BREW', '501'],
    ])('%s: logged once', async (_title, method, status) => {
      const server = keeper.serve(Logs);
      await keeper.ask(server, request(method, '/'));
      await keeper.ask(server, request('DELETE', '/'));
      expect(logged).toEqual([`${method} ${status}`, 'DELETE 200']);
    });

    it.each([
      ['reads the body', request('POST', '/', ['Content-Length: 9'], 'part'), 'POST'],
      ['works', request('PATCH', '/'), 'PATCH'],
    ])('whose client is reset while it %s: logged once', async (_title, message, method) => {
      const server = keeper.serve(Logs);
      const client = await keeper.connect(server);
      await client.send(message);
      await eventually(() => begun, 'the handler works');
      client.reset();
      await eventually(() => server.reactor.sockets.size === 0, 'the client has gone');
      await sleep(1);
      await keeper.ask(server, request('DELETE', '/'));
      expect(logged.map((line) => line.split(' ')[0])).toEqual([method, 'DELETE']);
    });
  });
});
