import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { get, get10, post, request } from '../support/exchange.ts';
import { Handler, Hello, handlerKeeper } from '../support/handlers.ts';
import { bounded, eventually, field, text } from '../support/rawclient.ts';
import { rejectionCode } from '../support/servers.ts';
import { thenable } from '../support/thenables.ts';

const { serve, connect, ask } = handlerKeeper();

describe('a subclass of BaseHTTPRequestHandler', () => {
  it('answers by doGET() and doPOST(), on one connection', async () => {
    const client = await connect(serve(Hello));
    await client.send(get('/a?b') + post('body', 'Content-Type: text/x') + get10('/c'));
    const first = await client.response();
    expect(first.status).toBe(200);
    expect(text(first)).toBe('GET /a?b HTTP/1.1');
    expect(field(first, 'Server')).toMatch(/^ryegate\//);
    expect(field(first, 'Date')).toBeDefined();
    const second = await client.response();
    expect([second.status, second.reason]).toEqual([201, 'Made']);
    expect(field(second, 'X-Type')).toBe('text/x');
    expect(second.framing).toBe('chunked');
    expect(text(second)).toBe('4 bytes: body');
    expect(text(await client.response())).toBe('GET /c HTTP/1.0');
    expect((await client.rest()).toString()).toBe('');
  });

  it('answers other methods with 501', async () => {
    const server = serve(Hello);
    const response = await ask(server, request('DELETE', '/'));
    expect(response.status).toBe(501);
    expect(response.reason).toBe("Unsupported method ('DELETE')");
    expect(field(response, 'Connection')).toBe('close');
    expect((await ask(server, request('HEAD', '/'), 'HEAD')).status).toBe(501);
    // Names that every object has are no methods.
    expect((await ask(server, request('get', '/'))).status).toBe(501);
    expect(server.failures).toEqual([]);
  });

  it('delimits a body by itself, and sends none to HEAD', async () => {
    class Pieces extends Handler {
      doGET(): void {
        this.sendResponse(200);
        this.endHeaders();
        this.wfile.write('one');
        this.wfile.write('two');
      }

      doHEAD(): void {
        this.doGET();
      }
    }
    const server = serve(Pieces);
    const client = await connect(server);
    await client.send(get() + request('HEAD', '/') + get());
    expect((await client.response()).chunks).toEqual([3, 3]);
    await client.response('HEAD');
    expect(text(await client.response())).toBe('onetwo');
    expect(text(await ask(server, get10()))).toBe('onetwo');
  });

  it('may leave endHeaders() to the end', async () => {
    class Headers extends Handler {
      doGET(): void {
        this.sendResponse(204);
        this.sendHeader('X-A', '1');
      }
    }
    const response = await ask(serve(Headers), get());
    expect(response.status).toBe(204);
    expect(field(response, 'X-A')).toBe('1');
  });

  it.each([
    ['nothing', () => {}],
    ['nothing, later', async () => {}],
  ])('that sends %s: 500', async (_title, doGET) => {
    class Silent extends Handler {
      doGET = doGET;
    }
    const response = await ask(serve(Silent), get());
    expect(response.status).toBe(500);
    expect(text(response)).toContain('sent no response');
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('x');
      },
    ],
    ['rejects', () => Promise.reject(new Error('x'))],
  ])('that %s: 500, told to handleError(), and the server goes on', async (_title, doGET) => {
    class Failing extends Handler {
      doGET = doGET;
    }
    const server = serve(Failing);
    const client = await connect(server);
    await client.send(get());
    const response = await client.response();
    expect(response.status).toBe(500);
    expect(text(response)).not.toContain('Error: x');
    expect(server.failures).toEqual([expect.objectContaining({ message: 'x' })]);
    expect((await ask(server, get())).status).toBe(500);
  });

  it('that fails after the head: the connection breaks off', async () => {
    class Failing extends Handler {
      async doGET(): Promise<void> {
        this.sendResponse(200);
        this.endHeaders();
        await this.wfile.write('part');
        throw new Error('x');
      }
    }
    const server = serve(Failing);
    const client = await connect(server);
    await client.send(get() + get());
    const all = (await client.rest()).toString();
    expect(all).toMatch(/\r\n4\r\npart\r\n$/);
    expect(all.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(server.failures).toHaveLength(1);
  });

  it.each([
    ['endHeaders()', (handler: Handler) => handler.endHeaders()],
    ['sendError()', (handler: Handler) => handler.sendError(404)],
  ])('that calls %s after the head never sends a second one', async (_title, again) => {
    class Twice extends Handler {
      doGET(): void {
        this.sendResponse(200);
        this.sendHeader('Content-Length', '500');
        this.endHeaders();
        this.wfile.write('part');
        this.sendResponse(200);
        again(this);
      }
    }
    const server = serve(Twice);
    const client = await connect(server);
    await client.send(get());
    const all = (await client.rest()).toString();
    expect(all.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(server.failures).toEqual([
      expect.objectContaining({ code: expect.stringMatching(/^ERR_RYEGATE_/) }),
    ]);
  });

  it.each([
    ['a header with CRLF', (handler: Handler) => handler.sendHeader('X', 'a\r\nY: b'), 'HEADER'],
    ['a wide header', (handler: Handler) => handler.sendHeader('X', '\u010d\u010a'), 'HEADER'],
    ['hop-by-hop', (handler: Handler) => handler.sendHeader('Upgrade', 'x'), 'HOP_BY_HOP'],
    ['a reason with CRLF', (handler: Handler) => handler.sendResponse(200, 'a\r\nb'), 'STATUS'],
    ['a bad status', (handler: Handler) => handler.sendResponse(20), 'STATUS'],
  ])('that sends %s: 500', async (_title, send, code) => {
    class Bad extends Handler {
      doGET(): void {
        this.sendResponse(200);
        send(this);
        this.endHeaders();
      }
    }
    const server = serve(Bad);
    const response = await ask(server, get());
    expect(response.status).toBe(500);
    expect(field(response, 'Y')).toBeUndefined();
    expect(server.failures).toEqual([expect.objectContaining({ code: `ERR_RYEGATE_${code}` })]);
  });

  it('writes at the pace of its client', async () => {
    const marks: number[] = [];
    class Big extends Handler {
      async doGET(): Promise<void> {
        this.sendResponse(200);
        this.endHeaders();
        for (let i = 0; i < 500; i++) {
          await this.wfile.write(Buffer.alloc(65_536, 'x'));
          marks.push(this.request.buffered);
        }
      }
    }
    const client = await connect(serve(Big));
    client.socket.pause();
    await client.send(get());
    let last = -1;
    while (last !== marks.length) {
      last = marks.length;
      await sleep(100);
    }
    expect(marks.length).toBeLessThan(500);
    expect(Math.max(...marks)).toBeLessThan(512 * 1024);
    client.socket.resume();
    expect((await client.response()).body).toHaveLength(500 * 65_536);
  });

  it('goes on when its client has gone', async () => {
    let ended: Promise<void> | undefined;
    let begun = (): void => {};
    const beginning = new Promise<void>((resolve) => {
      begun = resolve;
    });
    class Big extends Handler {
      doGET(): Promise<void> {
        ended = this.#send();
        begun();
        return ended;
      }

      async #send(): Promise<void> {
        this.sendResponse(200);
        this.endHeaders();
        for (let i = 0; i < 500; i++) await this.wfile.write(Buffer.alloc(65_536));
      }
    }
    const server = serve(Big);
    const client = await connect(server);
    client.socket.pause();
    await client.send(get());
    await beginning;
    client.reset();
    const code = rejectionCode(bounded(ended as Promise<void>, 'the handler'));
    expect(await code).toBe('ERR_RYEGATE_CLIENT_GONE');
    await eventually(() => server.reactor.sockets.size === 0, 'the connection is over');
    expect(server.failures).toEqual([]);
  });

  it('that ends its head without a status: 500, told', async () => {
    class NoStatus extends Handler {
      doGET(): void {
        this.sendHeader('X-A', '1');
        this.endHeaders();
      }
    }
    const server = serve(NoStatus);
    const response = await ask(server, get());
    expect(response.status).toBe(500);
    expect(field(response, 'X-A')).toBeUndefined();
    expect(server.failures).toEqual([expect.objectContaining({ code: 'ERR_RYEGATE_NO_STATUS' })]);
  });

  it('never takes over the status or the headers of the request before', async () => {
    class Forgetful extends Handler {
      doGET(): void {
        if (this.path === '/first') {
          this.sendResponse(204);
          this.endHeaders();
          // Left over: the head has been sent.
          this.sendResponse(299, 'Left Over');
          this.sendHeader('X-Left', 'over');
        } else {
          this.sendHeader('X-Own', '1');
          this.endHeaders();
        }
      }
    }
    const server = serve(Forgetful);
    const client = await connect(server);
    await client.send(get('/first') + get('/second'));
    expect((await client.response()).status).toBe(204);
    const second = await client.response();
    expect(second.status).toBe(500);
    expect(field(second, 'X-Left')).toBeUndefined();
    expect(server.failures).toEqual([expect.objectContaining({ code: 'ERR_RYEGATE_NO_STATUS' })]);
  });

  it('answers CONNECT by 200 without framing fields, and closes', async () => {
    class Tunnel extends Handler {
      doCONNECT(): void {
        this.sendResponse(200, 'Connection established');
        this.endHeaders();
      }
    }
    const client = await connect(serve(Tunnel));
    await client.send('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n');
    const response = await client.response('CONNECT');
    expect(response.status).toBe(200);
    expect(field(response, 'Content-Length')).toBeUndefined();
    expect(field(response, 'Transfer-Encoding')).toBeUndefined();
    expect(await client.ended()).toBe('fin');
    expect(response.body).toHaveLength(0);
  });

  it('may return a promise of another kind than the built-in one', async () => {
    class Foreign extends Handler {
      doGET(): PromiseLike<void> {
        return thenable(async () => {
          await sleep(5);
          if (this.path === '/fail') throw new Error('x');
          this.sendResponse(200);
          this.endHeaders();
          await this.wfile.write('later');
        });
      }
    }
    const server = serve(Foreign);
    const client = await connect(server);
    await client.send(get('/1') + get('/2'));
    expect(text(await client.response())).toBe('later');
    expect(text(await client.response())).toBe('later');
    expect(server.failures).toEqual([]);
    expect((await ask(server, get('/fail'))).status).toBe(500);
    expect(server.failures).toEqual([expect.objectContaining({ message: 'x' })]);
  });
});

describe('finish() of an HTTP handler', () => {
  const failure = new Error('finish');
  it.each([
    [
      'throws',
      () => {
        throw failure;
      },
    ],
    ['rejects', () => Promise.reject(failure)],
    [
      'rejects by another kind of promise',
      () =>
        thenable(() => {
          throw failure;
        }),
    ],
  ])('that %s is told, and the connection is shut down once', async (_title, finish) => {
    class Finishing extends Hello {
      override finish = finish as unknown as Handler['finish'];
    }
    const server = serve(Finishing);
    let shutdowns = 0;
    const { shutdownRequest } = server;
    server.shutdownRequest = (of) => {
      shutdowns++;
      shutdownRequest.call(server, of);
    };
    const client = await connect(server);
    await client.send(get());
    expect((await client.response()).status).toBe(200);
    client.destroy();
    await eventually(() => server.failures.length > 0, 'the failure is told');
    await sleep(20);
    expect(server.failures).toEqual([failure]);
    expect(shutdowns).toBe(1);
    expect((await ask(server, get())).status).toBe(200);
  });
});
