import { describe, expect, it } from 'vitest';
import { get, request } from '../support/exchange.ts';
import { Handler, Hello, handlerKeeper } from '../support/handlers.ts';
import { eventually, field, text } from '../support/rawclient.ts';

const { serve, connect, ask } = handlerKeeper();

describe('sendError()', () => {
  class Failing extends Handler {
    doGET(): void {
      this.sendError(404, '<b>"no" & &amp;', "it's <script>");
    }
  }

  it('sends an escaped page, and closes', async () => {
    const client = await connect(serve(Failing));
    await client.send(get());
    const response = await client.response();
    expect(response.status).toBe(404);
    expect(field(response, 'Content-Type')).toBe('text/html; charset=utf-8');
    expect(field(response, 'Connection')).toBe('close');
    const page = text(response);
    expect(page).toContain('<h1>404 &lt;b&gt;&quot;no&quot; &amp; &amp;amp;</h1>');
    expect(page).toContain('&lt;script&gt;');
    expect(page).not.toContain('<script>');
    expect((await client.rest()).toString()).toBe('');
  });

  it.each([200, 404, 599])('takes the status %i', async (code) => {
    class Coded extends Handler {
      doGET(): void {
        this.sendError(code, 'weird \r\n\u4e16 reason');
      }
    }
    const response = await ask(serve(Coded), get());
    expect(response.status).toBe(code);
    expect(response.reason).toBe('weird ??? reason');
    expect(text(response)).toContain('\u4e16');
  });

  it.each([204, 304])('sends no body with %i, nor to HEAD', async (code) => {
    class Coded extends Handler {
      doGET(): void {
        this.sendError(code);
      }

      doHEAD(): void {
        this.sendError(404);
      }
    }
    const server = serve(Coded);
    const client = await connect(server);
    await client.send(get());
    expect((await client.response()).status).toBe(code);
    expect((await client.rest()).toString()).toBe('');
    const other = await connect(server);
    await other.send(request('HEAD', '/'));
    expect((await other.response('HEAD')).status).toBe(404);
    expect((await other.rest()).toString()).toBe('');
  });

  it('is what malformed requests are answered with', async () => {
    class Explaining extends Handler {
      override sendError(code: number, message?: string, explain?: string): void {
        super.sendError(code, message, `mine: ${explain}`);
      }
    }
    const response = await ask(serve(Explaining), get('/', 'a<b>: 1'));
    expect(response.status).toBe(400);
    expect(text(response)).toContain('mine: ');
    expect(text(response)).not.toContain('<b>');
  });
});

describe('what a subclass overrides', () => {
  it('parseRequest() may answer itself', async () => {
    class Guarded extends Hello {
      override parseRequest(): boolean {
        if (this.headers.get('Authorization') === 'x') return true;
        if (this.path === '/silent') return false;
        this.sendError(401, 'Who?');
        return false;
      }
    }
    const server = serve(Guarded);
    expect((await ask(server, get('/', 'Authorization: x'))).status).toBe(200);
    const refused = await ask(server, get());
    expect([refused.status, refused.reason]).toEqual([401, 'Who?']);
    expect((await ask(server, get('/silent'))).status).toBe(400);
  });

  it('parseRequest() that throws: 500', async () => {
    class Failing extends Hello {
      override parseRequest(): boolean {
        throw new Error('x');
      }
    }
    const server = serve(Failing);
    expect((await ask(server, get())).status).toBe(500);
    expect(server.failures).toHaveLength(1);
  });

  it('handleOneRequest() answers every method', async () => {
    class Any extends Handler {
      override handleOneRequest(): void {
        this.sendResponse(200);
        this.endHeaders();
        this.wfile.write(this.command);
        this.httpRequest.response.end();
      }
    }
    expect(text(await ask(serve(Any), request('BREW', '/')))).toBe('BREW');
  });

  it('versionString(), by itself or by serverVersion', async () => {
    class Static extends Hello {
      static override serverVersion = 'Static/1';
    }
    class Method extends Hello {
      override versionString(): string {
        return 'Method/1';
      }
    }
    expect(field(await ask(serve(Static), get()), 'Server')).toBe('Static/1');
    expect(field(await ask(serve(Method), get()), 'Server')).toBe('Method/1');
  });

  it('setup() and finish(), once for a connection', async () => {
    const steps: string[] = [];
    class Stepping extends Hello {
      override setup(): void {
        steps.push('setup');
      }

      override finish(): void {
        steps.push('finish');
      }

      override doGET(): void {
        steps.push('doGET');
        super.doGET();
      }
    }
    const client = await connect(serve(Stepping));
    await client.send(get() + get());
    await client.response();
    await client.response();
    expect(steps).toEqual(['setup', 'doGET', 'doGET']);
    client.halfClose();
    await client.rest();
    await eventually(() => steps.length > 3, 'finish() has run');
    expect(steps).toEqual(['setup', 'doGET', 'doGET', 'finish']);
  });
});
