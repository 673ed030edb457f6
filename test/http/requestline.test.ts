import { describe, expect, it } from 'vitest';
import { expectRefusal, get, parse } from './headtools.ts';

describe('the request line', () => {
  it.each([
    ...['/', '//', '/a%20b', '/a?b?c=/', "/~!$&'()*+,;=:@", '/"<>[]\\^`{|}', '/../..', '*'],
    ...['http://h', 'http://h/', 'HTTP://h/x', 'https://h:8443?q', 'http://[::1]:80/'],
  ])('takes the target %s', (target) => {
    const method = target === '*' ? 'OPTIONS' : 'GET';
    expect(parse(`${method} ${target} HTTP/1.1\r\nHost: h\r\n\r\n`).head.target).toBe(target);
  });

  it.each(['h:443', '[::1]:443', '127.0.0.1:1'])('takes CONNECT to %s', (target) => {
    expect(parse(`CONNECT ${target} HTTP/1.1\r\nHost: h\r\n\r\n`).head.target).toBe(target);
  });

  it.each([
    ...['a', 'a/b', '*', '**', '?a', 'h:443', 'ftp://h/', 'http:/h', 'http://'],
    ...['http:///a', 'http://?q', 'http://u@h/', 'http://h:x/', 'http://h:65536/', 'http://[::1/'],
    ...['http://h\\x/', 'file:///etc', 'httpx://h/', '://h'],
  ])('refuses the target %s of GET', (target) => {
    const text = `GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`;
    expect(expectRefusal(text, 400)).toBe('ERR_RYEGATE_BAD_TARGET');
  });

  it.each(['/', '*', 'h', 'h:', ':443', 'u@h:443', 'h:443/', 'http://h:443', 'h:99999', 'h:4a'])(
    'refuses CONNECT to %s',
    (target) => {
      const text = `CONNECT ${target} HTTP/1.1\r\nHost: h\r\n\r\n`;
      expect(expectRefusal(text, 400)).toBe('ERR_RYEGATE_BAD_TARGET');
    },
  );

  it.each(['options', 'OPTION', 'PRI', 'CONNECTS'])('refuses * and authority for %s', (method) => {
    expectRefusal(`${method} * HTTP/1.1\r\nHost: h\r\n\r\n`, 400);
    expectRefusal(`${method} h:443 HTTP/1.1\r\nHost: h\r\n\r\n`, 400);
  });

  it.each([
    ...[
      'GET  / HTTP/1.1',
      ' GET / HTTP/1.1',
      'GET /  HTTP/1.1',
      'GET / HTTP/1.1 ',
      'GET\t/ HTTP/1.1',
    ],
    ...[
      'GET /\tHTTP/1.1',
      'GET / HTTP/1.1\t',
      'GET / x HTTP/1.1',
      'G(T / HTTP/1.1',
      'G\xe9T / HTTP/1.1',
    ],
    ...[
      'GET:/ HTTP/1.1',
      'GET',
      'GET ',
      'GET /',
      'GET / ',
      ' / HTTP/1.1',
      '/ HTTP/1.1',
      'HTTP/1.1',
    ],
    ...['GET /#f HTTP/1.1', 'GET /\x7f HTTP/1.1', 'GET /\0 HTTP/1.1', 'GET /caf\xe9 HTTP/1.1'],
    ...['GET / http/1.1', 'GET / Http/1.1', 'GET / HTTP/1', 'GET / HTTP/1.', 'GET / HTTP/11'],
    ...['GET / HTTP/1.10', 'GET / HTTP/01.1', 'GET / HTTP/1,1', 'GET / HTTP/a.b', 'GET / HTP/1.1'],
    ...[
      'GET / HTTP 1.1',
      'GET / HTTP/1.1x',
      'GET / HTTP/ 1.1',
      'GET / HTTP/-1.1',
      'GET / XHTTP/1.1',
    ],
    ...[
      'GET / HTTP/2',
      'GET / ICE/1.0',
      '\0GET / HTTP/1.1',
      '\x16\x03\x01',
      '\x1f',
      '\xef\xbb\xbfGET / HTTP/1.1',
    ],
  ])('refuses %j', (line) => {
    const text = `${line}\r\nHost: a\r\n\r\n`;
    expect(expectRefusal(text, 400)).toBe('ERR_RYEGATE_BAD_REQUEST_LINE');
  });

  it.each(['0.9', '1.2', '1.9', '2.0', '2.1', '3.0', '0.0', '9.9'])(
    'answers HTTP/%s with 505',
    (v) => {
      const text = `GET / HTTP/${v}\r\nHost: a\r\n\r\n`;
      expect(expectRefusal(text, 505)).toBe('ERR_RYEGATE_UNSUPPORTED_VERSION');
    },
  );

  it('answers the preface of HTTP/2 with 505', () => {
    expectRefusal('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505);
  });

  it.each(Array.from({ length: 0x21 }, (_, byte) => byte).filter((byte) => byte !== 0x0d))(
    'refuses the byte %i before the request line',
    (byte) => {
      expectRefusal(String.fromCharCode(byte) + get(), 400);
      expectRefusal(`\r\n${String.fromCharCode(byte)}${get()}`, 400);
    },
  );

  it.each(['\r', '\r\r\n', '\n', '\r\n\n', '\r\n\r', '\r\n'.repeat(5)])(
    'refuses %j before the request line',
    (junk) => {
      expectRefusal(junk + get(), 400);
    },
  );
});
