import { describe, expect, it } from 'vitest';
import { parseHead, RequestHead } from '../../src/http/head.ts';
import { resolveLimits } from '../../src/http/limits.ts';
import {
  everyEnd,
  expectRefusal,
  fieldsOf,
  get,
  LIMITS,
  parse,
  parseInSteps,
  refusal,
} from './headtools.ts';

describe('parseHead', () => {
  it('reads the request line and the fields in order, with repeats', () => {
    const text =
      'GET /a/b?c=d HTTP/1.1\r\nHost: example.com:8080\r\nACCEPT: x\r\nX-Own:\t one \t two \t\r\n' +
      'accept:y\r\nEmpty:\r\nBlank: \t \r\n\r\n';
    const { consumed, head } = parse(`${text}GET /next`);
    expect(consumed).toBe(text.length);
    expect(head).toMatchObject({ method: 'GET', target: '/a/b?c=d', minor: 1 });
    expect(head.fields).toEqual([
      ...['host', 'example.com:8080', 'accept', 'x', 'x-own', 'one \t two'],
      ...['accept', 'y', 'empty', '', 'blank', ''],
    ]);
    expect(head).toMatchObject({ contentLength: -1, chunked: false, keepAlive: true });
    expect(head.expectContinue).toBe(false);
  });

  it('keeps bytes above 0x7f of values as latin1, no-break spaces at the ends included', () => {
    expect(fieldsOf('X-Name: \xa0caf\xe9\x85')).toEqual(['x-name', '\xa0caf\xe9\x85']);
  });

  it('takes a 1.0 request without fields', () => {
    const { consumed, head } = parse('GET / HTTP/1.0\r\n\r\n');
    expect(consumed).toBe(18);
    expect(head).toMatchObject({ minor: 0, keepAlive: false, fields: [] });
  });

  it('starts anywhere in a buffer and leaves the bytes after the head alone', () => {
    const bytes = Buffer.from(`junk${get('A: b')}\n\n\0`, 'latin1');
    const head = new RequestHead();
    expect(parseHead(bytes, 4, bytes.length, LIMITS, head)).toBe(get('A: b').length);
    expect(head.fields).toEqual(['host', 'a', 'a', 'b']);
  });

  it.each(['G', 'GET', 'HEAD', 'POST', 'get', 'GETS', 'M-SEARCH', 'X', "!#$%&'*+-.^_`|~09"])(
    'takes the method %s as it is',
    (method) => {
      expect(parse(`${method} / HTTP/1.1\r\nHost:\r\n\r\n`).head.method).toBe(method);
    },
  );

  it('lower-cases known and unknown names alike', () => {
    expect(fieldsOf('CoNtEnT-tYpE: a', 'X-UNKNOWN: b', 'Z: c', 'sec-fetch-Site: d')).toEqual([
      ...['content-type', 'a', 'x-unknown', 'b', 'z', 'c', 'sec-fetch-site', 'd'],
    ]);
  });

  it('does not take a name for a known one that differs in a bit', () => {
    // Each is a known name with a byte that folds to it, or of its length, first and last byte.
    const names = ['Co~tent-length', 'hxst', 'cooookie', 'c-e', 'content-lengti'];
    expect(fieldsOf(...names.map((name) => `${name}: 1`))).toEqual(
      names.flatMap((name) => [name.toLowerCase(), '1']),
    );
  });

  it.each([1, 2, 4])('skips %i empty lines before the request line', (count) => {
    const text = '\r\n'.repeat(count) + get('A: b');
    expect(parse(text)).toMatchObject({ consumed: text.length, head: { method: 'GET' } });
  });
});

describe('parseHead on split input', () => {
  const valid = [
    get(),
    `\r\n\r\n${get('A: b', 'C:', 'D: \t ', 'Long-name-of-a-field: a value, with  spaces \t')}`,
    'GET / HTTP/1.0\r\n\r\n',
    'POST /x?y HTTP/1.1\r\nhost: [::1]:80\r\ncontent-length: 12\r\nexpect: 100-Continue\r\n\r\n',
    'PUT http://h/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n',
    'BREW /pot HTTP/1.0\r\nX_dropped: 1\r\nKept: 2\r\nConnection: Keep-Alive\r\n\r\n',
  ];

  it.each(valid)('gives the same head at every split: %j', (text) => {
    const whole = parse(text);
    expect(whole.consumed).toBe(text.length);
    for (const split of everyEnd(text)) {
      expect(parseInSteps(text, [split, text.length], LIMITS)).toEqual(whole);
    }
    expect(parseInSteps(text, everyEnd(text), LIMITS)).toEqual(whole);
  });

  it('needs more for every proper prefix', () => {
    const text = valid[1] as string;
    for (const end of everyEnd(text).slice(0, -1)) {
      expect(parse(text.slice(0, end)).consumed).toBe(0);
    }
    expect(parse('').consumed).toBe(0);
  });

  it('does not scan complete lines again', () => {
    const bytes = Buffer.from(get('A: b', 'C: d'), 'latin1');
    const head = new RequestHead();
    const scanned = bytes.indexOf('C:') + 1;
    expect(parseHead(bytes, 0, scanned, LIMITS, head)).toBe(0);
    bytes[bytes.indexOf('b\r\n')] = 0;
    expect(parseHead(bytes, 0, bytes.length, LIMITS, head)).toBe(bytes.length);
  });

  it('keeps apart two heads that arrive in turns', () => {
    const texts = [get('A: b', 'C: d', 'E: f'), 'PURGE /other HTTP/1.0\r\nLonger-name: x\r\n\r\n'];
    const heads = texts.map(() => new RequestHead());
    for (const end of everyEnd(texts[0] as string)) {
      texts.forEach((text, index) => {
        const bytes = Buffer.from(text.slice(0, end));
        if (end <= text.length) {
          parseHead(bytes, 0, bytes.length, LIMITS, heads[index] as RequestHead);
        }
      });
    }
    expect(heads).toEqual(texts.map((text) => parse(text).head));
  });

  it('refuses with the very byte that is wrong', () => {
    const early = ['GET\n', 'GET /\r', 'GET / HTTP/1.1\rX', `${get().slice(0, -2)}A: b\n`, '\n'];
    for (const text of early) {
      expect(parse(text.slice(0, -1)).consumed).toBe(0);
      expectRefusal(text, 400);
    }
  });
});

describe('limits of the head', () => {
  it('bounds the request line without its CRLF', () => {
    const limits = resolveLimits({ requestLine: 30 });
    const line = (length: number): string => `GET /${'a'.repeat(length - 14)} HTTP/1.1`;
    const request = (first: string): string => `${first}\r\nHost: a\r\n\r\n`;
    expect(parse(request(line(30)), limits).consumed).toBeGreaterThan(0);
    expect(parse(request(`\r\n${line(30)}`), limits).consumed).toBeGreaterThan(0);
    expect(expectRefusal(request(line(31)), 414, limits)).toBe('ERR_RYEGATE_TARGET_TOO_LONG');
    expectRefusal(request(line(500)), 414, limits);
    expectRefusal('A'.repeat(31), 414, limits);
    expect(parse('A'.repeat(30), limits).consumed).toBe(0);
    expect(parse(request(line(8190))).consumed).toBeGreaterThan(0);
    expectRefusal(request(line(8191)), 414);
  });

  it('bounds the whole head', () => {
    const text = get('A: b');
    const exact = resolveLimits({ headerBytes: text.length });
    expect(parse(text, exact).consumed).toBe(text.length);
    expect(parseInSteps(text, everyEnd(text), exact).consumed).toBe(text.length);
    expect(parse(`${text}${text}`, exact).consumed).toBe(text.length);
    const less = resolveLimits({ headerBytes: text.length - 1 });
    expect(expectRefusal(text, 431, less)).toBe('ERR_RYEGATE_HEAD_TOO_LARGE');
    expectRefusal('\r\n\r\n\r\n\r\n'.padEnd(200, 'A'), 431, resolveLimits({ headerBytes: 20 }));
    const fields = Array.from({ length: 5 }, (_, index) => `N${index}: ${'v'.repeat(16_000)}`);
    expectRefusalOnce(get(...fields), 431);
  });

  it('refuses a head when it fills the limit, so that a buffer of that size never stalls', () => {
    const limits = resolveLimits({ headerBytes: 40 });
    const text = get('A: b', 'C: d', 'E: f', 'G: h');
    expect(parse(text.slice(0, 39), limits).consumed).toBe(0);
    expectRefusal(text.slice(0, 40), 431, limits);
  });

  it('bounds the number of fields, dropped ones included', () => {
    const limits = resolveLimits({ headerCount: 3 });
    expect(parse(get('A: b', 'C_D: d'), limits).consumed).toBeGreaterThan(0);
    expectRefusal(get('A: b', 'C_D: d', 'E: f'), 431, limits);
    const many = Array.from({ length: 99 }, (_, index) => `N${index}: ${index}`);
    expect(parse(get(...many)).head.fields).toHaveLength(200);
    expectRefusalOnce(get(...many, 'More: x'), 431);
    const more = Array.from({ length: 999 }, (_, index) => `N${index}: ${index}`);
    const raised = resolveLimits({ headerCount: 1000 });
    expect(parse(get(...more), raised).head.fields.at(-1)).toBe('998');
    expect(parseInSteps(get(...more), [500, 5000, 20_000], raised).head.fields).toHaveLength(2000);
  });

  it('bounds a field line without its CRLF', () => {
    const limits = resolveLimits({ headerField: 12 });
    expect(parse(get('Name: 6bytes', 'B:          '), limits).consumed).toBeGreaterThan(0);
    for (const line of ['Name: 7 bytes', 'LongLongLong:', 'LongLongLongLong', 'A:           ']) {
      expect(expectRefusal(get(line), 431, limits)).toBe('ERR_RYEGATE_HEAD_TOO_LARGE');
    }
    expect(parse(get(`A: ${'b'.repeat(16_381)}`)).consumed).toBeGreaterThan(0);
    expectRefusalOnce(get(`A: ${'b'.repeat(16_382)}`), 431);
  });

  it('refuses an announced body above bodyBytes', () => {
    const limits = resolveLimits({ bodyBytes: 10 });
    expect(parse(get('Content-Length: 10'), limits).head.contentLength).toBe(10);
    const code = expectRefusal(get('Content-Length: 11'), 413, limits);
    expect(code).toBe('ERR_RYEGATE_BODY_TOO_LARGE');
    const none = resolveLimits({ bodyBytes: 0 });
    expect(parse(get('Content-Length: 0'), none).head.contentLength).toBe(0);
    expectRefusal(get('Content-Length: 1'), 413, none);
  });

  /** For texts too long to be parsed once per byte. */
  function expectRefusalOnce(text: string, status: number): void {
    expect(refusal(() => parse(text))).toMatchObject({ status });
    const ends = everyEnd(text).filter((end) => end % 997 === 0 || end === text.length);
    expect(refusal(() => parseInSteps(text, ends, LIMITS))).toMatchObject({ status });
  }
});
