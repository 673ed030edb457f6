import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { AccessLog } from '../../src/index.ts';
import { get, request } from '../support/exchange.ts';
import { Handler, handlerKeeper } from '../support/handlers.ts';
import { brief, jsonLines } from '../support/logs.ts';
import { eventually } from '../support/rawclient.ts';
import { expectNoUnhandledRejections } from '../support/unhandled.ts';

const keeper = handlerKeeper();
const { lines, jsonLog } = jsonLines();
expectNoUnhandledRejections();

describe('the access log of a handler', () => {
  class Logged extends Handler {
    doGET(): void {
      this.sendResponse(200);
      this.sendHeader('X-Own', 'a "b"');
      this.endHeaders();
      this.wfile.write('hello');
    }

    doHEAD(): void {
      this.doGET();
    }

    doDELETE(): void {
      throw new Error('fails');
    }

    doPUT(): void {}

    doOPTIONS(): void {
      this.sendResponse(200);
      this.sendHeader('Content-Length', '9');
      this.endHeaders();
      this.wfile.write('short');
    }

    async doPOST(): Promise<void> {
      await this.rfile.read();
      this.sendResponse(201);
      this.endHeaders();
      await this.wfile.write('made');
    }

    async doPATCH(): Promise<void> {
      this.sendResponse(200);
      this.endHeaders();
      await this.wfile.write('begun');
      if (this.path === '/never') await new Promise(() => {});
      await once(this.httpRequest.signal, 'abort');
    }

    doTRACE(): void {
      const { response } = this.httpRequest;
      this.handleLater(() => {
        response.start('200 OK', [], 5);
        response.write('later');
        response.end();
      });
    }

    handleLater(answer: () => void): void {
      setTimeout(answer, 5);
    }
  }

  it.each([
    [get('/'), 'GET / 200 5'],
    [request('HEAD', '/'), 'HEAD / 200 0'],
    [request('POST', '/', ['Content-Length: 2'], 'ab'), 'POST / 201 4'],
    [request('OPTIONS', '/'), 'OPTIONS / 200 0 aborted'],
    [request('DELETE', '/'), 'DELETE / 500 '],
    [request('PUT', '/'), 'PUT / 500 '],
    [request('BREW', '/'), 'BREW / 501 '],
    ['GARBAGE\r\n\r\n', 'null null 400 '],
  ])('has %j once', async (message, line) => {
    const server = keeper.serve(Logged, { accessLog: jsonLog() });
    const client = await keeper.connect(server);
    await client.send(message);
    await eventually(() => lines.length > 0, 'it is logged');
    await keeper.ask(server, get('/good'));
    expect(lines.map(brief)).toEqual([expect.stringContaining(line), 'GET /good 200 5']);
  });

  it.each(['/', '/never'])(
    'has a client that leaves within the answer of %s once',
    async (path) => {
      const server = keeper.serve(Logged, { accessLog: jsonLog() });
      const client = await keeper.connect(server);
      await client.send(request('PATCH', path));
      await client.received(50);
      client.reset();
      await eventually(() => lines.length > 0, 'it is logged');
      await sleep(5);
      await keeper.ask(server, get('/good'));
      expect(lines.map(brief)).toEqual([`PATCH ${path} 200 5 aborted`, 'GET /good 200 5']);
    },
  );

  it('has one that answers behind the back of its methods, when that is found out', async () => {
    class Late extends Logged {
      override handleOneRequest(): void {
        if (this.command === 'TRACE') this.doTRACE();
        else super.handleOneRequest();
      }
    }
    const server = keeper.serve(Late, { accessLog: jsonLog() });
    const client = await keeper.connect(server);
    await client.send(request('TRACE', '/'));
    await client.response();
    await client.send(get('/'));
    await client.response();
    expect(lines.map(brief)).toEqual(['TRACE / 200 5', 'GET / 200 5']);
  });

  it('stands for the default line; an override of logRequest() goes on being called', async () => {
    const messages: string[] = [];
    class Telling extends Logged {
      override logMessage(message: string): void {
        messages.push(message);
      }
    }
    class Overriding extends Telling {
      override logRequest(code: number | string): void {
        this.logMessage(`own ${code}`);
      }
    }
    const options = { accessLog: jsonLog(), logRequests: true };
    await keeper.ask(keeper.serve(Telling, options), get('/'));
    await keeper.ask(keeper.serve(Overriding, options), get('/'));
    expect([lines.map(brief), messages]).toEqual([Array(2).fill('GET / 200 5'), ['own 200']]);
  });

  it('has what addressString() says, and the fields that were sent', async () => {
    class Proxied extends Logged {
      override addressString(): string {
        return this.headers.get('x-forwarded-for', '');
      }
    }
    const texts: string[] = [];
    const output = { write: (text: string) => texts.push(text) };
    const format = '%(h)s %({X-Own}o)s %({Content-Type}o)s %({REQUEST_METHOD}e)s';
    const server = keeper.serve(Proxied, { accessLog: new AccessLog({ format, output }) });
    await keeper.ask(server, get('/', 'X-Forwarded-For: 192.0.2.1, 192.0.2.2'));
    await keeper.ask(server, request('BREW', '/'));
    expect(texts).toEqual([
      '192.0.2.1,\\x20192.0.2.2 a \\x22b\\x22 - -\n',
      ' - text/html; charset=utf-8 -\n',
    ]);
  });
});
