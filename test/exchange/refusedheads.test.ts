import { expect, it } from 'vitest';
import type { Application, HeaderList } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { exchanges, get, PLAIN } from '../support/exchange.ts';
import { field } from '../support/rawclient.ts';

describeBackends('what cannot be sent in a head', (selector) => {
  const serve = exchanges();

  const BAD: [title: string, status: string, headers: unknown, code: string][] = [
    ['CR in a value', '200 OK', [['X', 'a\rb']], 'HEADER'],
    ['LF in a value', '200 OK', [['X', 'a\nb']], 'HEADER'],
    ['CRLF in a value', '200 OK', [['X', 'a\r\nSet-Cookie: b']], 'HEADER'],
    ['NUL in a value', '200 OK', [['X', 'a\0b']], 'HEADER'],
    ['DEL in a value', '200 OK', [['X', 'a\x7fb']], 'HEADER'],
    ['what would be cut to CRLF', '200 OK', [['X', 'a\u010d\u010ab']], 'HEADER'],
    ['a wide character in a value', '200 OK', [['X', '\u4e16']], 'HEADER'],
    ['CRLF in a name', '200 OK', [['X\r\nY', 'a']], 'HEADER'],
    ['a colon in a name', '200 OK', [['X:', 'a']], 'HEADER'],
    ['a space in a name', '200 OK', [['X Y', 'a']], 'HEADER'],
    ['an empty name', '200 OK', [['', 'a']], 'HEADER'],
    ['a wide character in a name', '200 OK', [['X\u010a', 'a']], 'HEADER'],
    ['a number as a value', '200 OK', [['X', 5]], 'HEADER'],
    ['a pair of three', '200 OK', [['X', 'a', 'b']], 'HEADER'],
    ['an object for headers', '200 OK', { X: 'a' }, 'HEADER'],
    ['no headers', '200 OK', undefined, 'HEADER'],
    ['CRLF in the status', '200 OK\r\nX: a', [], 'STATUS'],
    ['LF in the status', '200 OK\n', [], 'STATUS'],
    ['NUL in the status', '200 \0', [], 'STATUS'],
    ['what would be cut to LF in the status', '200 \u010a', [], 'STATUS'],
    ['a status without a space', '200', [], 'STATUS'],
    ['a status of two digits', '20 OK', [], 'STATUS'],
    ['a status of four digits', '2000 OK', [], 'STATUS'],
    ['a number as status', 200 as unknown as string, [], 'STATUS'],
    ['Connection: keep-alive', '200 OK', [['Connection', 'keep-alive']], 'HOP_BY_HOP'],
    ['Connection: close, x', '200 OK', [['Connection', 'close, x']], 'HOP_BY_HOP'],
    ['Keep-Alive', '200 OK', [['Keep-Alive', 'timeout=5']], 'HOP_BY_HOP'],
    ['Transfer-Encoding', '200 OK', [['transfer-encoding', 'chunked']], 'HOP_BY_HOP'],
    ['Upgrade', '200 OK', [['UPGRADE', 'websocket']], 'HOP_BY_HOP'],
    ['TE', '200 OK', [['TE', 'trailers']], 'HOP_BY_HOP'],
    ['Proxy-Authenticate', '200 OK', [['Proxy-Authenticate', 'x']], 'HOP_BY_HOP'],
  ];

  it.each(BAD)('%s: 500, logged with its code', async (_title, status, headers, code) => {
    const app: Application = (_environ, startResponse) => {
      startResponse(status, headers as HeaderList);
      return 'hello';
    };
    const exchange = serve(app, { selector, validate: false });
    const client = await exchange.client();
    await client.send(get());
    const response = await client.response();
    expect(response.status).toBe(500);
    expect(field(response, 'X')).toBeUndefined();
    expect(field(response, 'Set-Cookie')).toBeUndefined();
    expect(exchange.errors.getValue()).toContain(`ERR_RYEGATE_${code}`);
    // The connection is as good as before.
    await client.send(get());
    expect((await client.response()).status).toBe(500);
  });

  it('headers changed after startResponse() change nothing', async () => {
    const app: Application = (_environ, startResponse) => {
      const headers: HeaderList = [...PLAIN, ['X-First', '1']];
      startResponse('200 OK', headers);
      (headers[1] as string[])[1] = 'a\r\nX-Evil: 1';
      headers.push(['X-Evil', '2\r\n\r\n']);
      return 'hello';
    };
    const response = await serve(app, { selector }).ask(get());
    expect(field(response, 'X-First')).toBe('1');
    expect(field(response, 'X-Evil')).toBeUndefined();
  });
});
