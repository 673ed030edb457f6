import { expect, it } from 'vitest';
import type { Application } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { echo, exchanges, get, PLAIN, post, request } from '../support/exchange.ts';
import type { RawResponse } from '../support/rawclient.ts';

const CHUNKED = request(
  'POST',
  '/upload',
  ['Transfer-Encoding: chunked', 'Trailer: X-Sum'],
  '5;name="va;lue"\r\nhello\r\n06;a;b=c\r\n world\r\n0;last\r\nX-Sum: 11\r\n\r\n',
);

const WELL_FORMED: [title: string, message: string][] = [
  ['GET with fields', get('/a%20b?x=1&y=%20', 'Accept: */*', 'Cookie: a=1', 'Cookie: b=2')],
  ['POST with Content-Length', post('one two three', 'Content-Type: text/plain')],
  ['chunked POST with extensions and trailers', CHUNKED],
];

const MALFORMED: [title: string, status: number, message: string][] = [
  ['a bare LF', 400, 'GET / HTTP/1.1\r\nHost: test\nX: 1\r\n\r\n'],
  ['a bare CR', 400, 'GET / HTTP/1.1\r\nHost: test\rX: 1\r\n\r\n'],
  ['a space before the colon', 400, get('/', 'Content-Length : 3')],
  ['a folded field', 400, get('/', 'X: 1', ' 2')],
  ['no Host', 400, 'GET / HTTP/1.1\r\nAccept: */*\r\n\r\n'],
  ['two Hosts', 400, get('/', 'Host: other')],
  ['a NUL', 400, get('/', 'X: a\0b')],
  ['two spaces in the request line', 400, 'GET  / HTTP/1.1\r\nHost: test\r\n\r\n'],
  ['HTTP/0.9', 400, 'GET /\r\n\r\n'],
  ['HTTP/2.0', 505, 'GET / HTTP/2.0\r\nHost: test\r\n\r\n'],
  ['an unknown expectation', 417, get('/', 'Expect: 200-maybe')],
  ['an unknown coding', 501, request('POST', '/', ['Transfer-Encoding: gzip, chunked'])],
  ['Content-Length and chunked', 400, CHUNKED.replace('Trailer: X-Sum', 'Content-Length: 5')],
  ['a Content-Length of +5', 400, request('POST', '/', ['Content-Length: +5'], 'hello')],
  ['a bad chunk size', 400, CHUNKED.replace('06;', '0x6;')],
  ['no CRLF after a chunk', 400, CHUNKED.replace('hello\r\n', 'hello!\r\n')],
  ['a bad extension', 400, CHUNKED.replace(';a;b=c', ';a\n;b=c')],
  ['a bad trailer', 400, CHUNKED.replace('X-Sum: 11', 'X Sum: 11')],
];

/** What must not depend on when the bytes arrive. */
function essence(response: RawResponse): unknown {
  const fields = response.fields.filter(([name]) => name !== 'Date');
  return { ...response, fields, body: response.body.toString('latin1') };
}

describeBackends('one request in two pieces', (selector) => {
  const serve = exchanges();

  it.each(WELL_FORMED)('%s: the same answer wherever it is split', async (_title, message) => {
    const exchange = serve(echo, { selector });
    const client = await exchange.client();
    await client.send(message);
    const whole = essence(await client.response());
    expect(whole).toMatchObject({ status: 200 });
    for (let at = 1; at < message.length; at++) {
      await exchange.sendApart(client, [message.slice(0, at), message.slice(at)]);
      expect(essence(await client.response()), `split at ${at}`).toEqual(whole);
    }
  });

  it.each(WELL_FORMED)('%s: the same answer byte by byte', async (_title, message) => {
    const exchange = serve(echo, { selector });
    const whole = essence(await exchange.ask(message));
    const client = await exchange.client();
    await exchange.sendApart(client, [...message]);
    expect(essence(await client.response())).toEqual(whole);
  });

  it.each(MALFORMED)('%s: the same refusal (%i)', async (_title, status, message) => {
    const exchange = serve(echo, { selector });
    const whole = essence(await exchange.ask(message));
    expect(whole).toMatchObject({ status, framing: 'length' });
    expect(whole).toMatchObject({ fields: expect.arrayContaining([['Connection', 'close']]) });
    for (let at = 1; at < message.length; at++) {
      const client = await exchange.client();
      await exchange.sendApart(client, [message.slice(0, at), message.slice(at)]);
      expect(essence(await client.response()), `split at ${at}`).toEqual(whole);
      expect(await client.ended()).toBe('fin');
      client.destroy();
    }
  });

  it.each(MALFORMED)('%s: what follows is never executed', async (_title, status, message) => {
    const paths: string[] = [];
    const app: Application = async (environ, startResponse) => {
      paths.push(environ.PATH_INFO);
      await environ['wsgi.input'].read();
      startResponse('200 OK', PLAIN);
      return 'ok';
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(message + get('/smuggled'));
    expect((await client.response()).status).toBe(status);
    expect((await client.rest()).toString()).toBe('');
    expect(paths).not.toContain('/smuggled');
  });
});

describeBackends('the head of a request', (selector) => {
  const serve = exchanges();

  it('may follow empty lines, after a body too', async () => {
    const exchange = serve(echo, { selector });
    const client = await exchange.client();
    await client.send(`\r\n${post('x')}\r\n${get('/second')}`);
    expect(JSON.parse((await client.response()).body.toString())).toMatchObject({ body: 'x' });
    const second = JSON.parse((await client.response()).body.toString());
    expect(second).toMatchObject({ path: '/second' });
  });

  it.each([
    ['a long target', 414, get(`/${'x'.repeat(8200)}`)],
    ['a long field', 431, get('/', `X: ${'x'.repeat(17_000)}`)],
    ['many fields', 431, get('/', ...Array.from({ length: 101 }, (_, i) => `X-${i}: 1`))],
    ['a large head', 431, get('/', ...Array.from({ length: 5 }, () => `X: ${'x'.repeat(16_000)}`))],
    ['a large body', 413, request('POST', '/', [`Content-Length: ${2 ** 30 + 1}`])],
  ])('%s is refused (%i), and the connection closed', async (_title, status, message) => {
    const exchange = serve(echo, { selector });
    const client = await exchange.client();
    await client.send(message);
    const response = await client.response();
    expect(response.status).toBe(status);
    expect(await client.ended()).toBe('fin');
  });

  it('that does not end is answered with 408', async () => {
    const exchange = serve(echo, { selector, timeouts: { head: 0.05 } });
    const client = await exchange.client();
    await client.send('GET / HTTP/1.1\r\nHost:');
    expect((await client.response()).status).toBe(408);
    expect(await client.ended()).toBe('fin');
  });

  it('broken off by the client gets no answer', async () => {
    const exchange = serve(echo, { selector });
    const client = await exchange.client();
    await client.send('GET / HTTP/1.1\r\nHost:');
    client.halfClose();
    expect((await client.rest()).toString()).toBe('');
    expect(client.ending).toBe('fin');
  });
});
