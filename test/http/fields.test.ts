import { describe, expect, it } from 'vitest';
import { resolveLimits } from '../../src/http/limits.ts';
import { expectRefusal, fieldsOf, get, parse } from './headtools.ts';

describe('field lines', () => {
  it.each([
    ...[' folded', '\tfolded', 'A: b\r\n folded', 'A: b\r\n\tfolded', 'A: b\r\n \r\nB: c'],
    ...['A : b', 'A\t: b', ': b', 'A', 'A b', 'A;b: c', 'A"b: c', 'A(b: c', 'A/b: c', '\xe9: b'],
    ...['A\0: b', 'A@: b', '[A]: b', 'A,B: c', '{A}: b', 'A\\: b', 'A=B: c', 'A?: b', '<A>: b'],
  ])('refuses the line %j', (line) => {
    expect(expectRefusal(get(line), 400)).toBe('ERR_RYEGATE_BAD_FIELD');
    expect(expectRefusal(get(line, 'Z: z'), 400)).toBe('ERR_RYEGATE_BAD_FIELD');
  });

  it('refuses every control byte but HTAB in a value, at its start, middle and end', () => {
    const controls = [...Array.from({ length: 0x20 }, (_, byte) => byte), 0x7f];
    for (const byte of controls.filter((control) => control !== 0x09)) {
      const character = String.fromCharCode(byte);
      for (const value of [`${character}bc`, `b${character}c`, `bc${character}`, character]) {
        expectRefusal(get(`A: ${value}`), 400);
      }
    }
  });

  it('refuses every line end that is not CRLF', () => {
    const text = 'POST /a HTTP/1.1\r\nHost: a\r\nB: c\r\nContent-Length: 1\r\n\r\n';
    const ends = Array.from(text.matchAll(/\r\n/g), (match) => match.index);
    expect(ends).toHaveLength(5);
    for (const at of ends) {
      for (const lineEnd of ['\n', '\r', '\r\r\n', '\n\r', '\r\0\n', '\0\r\n', '\v\r\n']) {
        const broken = text.slice(0, at) + lineEnd + text.slice(at + 2);
        // One more byte, for a CR at the very end might still become CRLF.
        expectRefusal(`${broken}G`, 400);
      }
    }
  });

  it('drops names with an underscore, or refuses them', () => {
    expect(fieldsOf('X-Auth_User: a', '_: b', 'Content_Length: 5', 'C: d')).toEqual(['c', 'd']);
    expect(parse(get('Content_Length: 5')).head.contentLength).toBe(-1);
    const strict = resolveLimits({ underscoreHeaders: 'refuse' });
    expect(expectRefusal(get('X_Y: z'), 400, strict)).toBe('ERR_RYEGATE_BAD_FIELD');
    expect(parse(get('X-Y: z_z'), strict).head.fields).toContain('z_z');
  });

  it.each([
    ...['Host', 'Content-Length', 'Content-Type', 'Authorization', 'Proxy-Authorization', 'Origin'],
    ...['If-Modified-Since', 'If-Unmodified-Since', 'If-Range', 'Range', 'Referer', 'User-Agent'],
    ...['Content-Range', 'Content-Location', 'Date', 'From', 'Max-Forwards', 'Sec-WebSocket-Key'],
    ...['Sec-WebSocket-Version', 'Access-Control-Request-Method', 'Transfer-Encoding'],
  ])('refuses a repeated %s', (name) => {
    const value = { 'Content-Length': '5', 'Transfer-Encoding': 'chunked' }[name] ?? 'a';
    const lines = [`${name}: ${value}`, 'X: y', `${name.toLowerCase()}: ${value}`];
    const text = `GET / HTTP/1.1\r\n${name === 'Host' ? '' : 'Host: a\r\n'}`;
    expect(parse(`${text}${lines[0]}\r\n\r\n`).consumed).toBeGreaterThan(0);
    const code = expectRefusal(`${text}${lines.join('\r\n')}\r\n\r\n`, 400);
    expect(code).toBe('ERR_RYEGATE_REPEATED_FIELD');
  });

  it.each(['Accept', 'Cookie', 'Via', 'X-Forwarded-For', 'If-None-Match', 'X-Any'])(
    'takes a repeated %s',
    (name) => {
      const lower = name.toLowerCase();
      expect(fieldsOf(`${name}: a`, `${name}: b`)).toEqual([lower, 'a', lower, 'b']);
    },
  );
});

describe('Host', () => {
  const request = (host: string, minor = 1): string =>
    `GET / HTTP/1.${minor}\r\nHost: ${host}\r\n\r\n`;

  it.each([
    ...['', 'a', 'example.com', 'example.com:', 'a:0', 'a:65535', '127.0.0.1', '127.0.0.1:80'],
    ...[
      '[::1]',
      '[::1]:8080',
      '[2001:DB8::1]',
      '[::ffff:1.2.3.4]:1',
      'a_b-c.~d',
      '%41b',
      "a!$&'()*+,;=b",
    ],
  ])('takes %j', (host) => {
    expect(parse(request(host)).head.fields).toEqual(['host', host]);
  });

  it.each([
    ...[
      'u@a',
      'u:p@a',
      'a/b',
      '/',
      'a b',
      'a\tb',
      'a?b',
      'a#b',
      'a:b',
      'a:65536',
      'a:000080',
      'a:80:80',
    ],
    ...[
      'a:-1',
      'a:+1',
      'a: 80',
      ':80',
      ':',
      'http://a',
      '[::1',
      '::1',
      '[::1]a',
      '[::1]:x',
      '[]',
      '[:]',
    ],
    ...[
      '[::g]',
      '[fe80::1%eth0]',
      '[fe80::1%251]',
      '[v1.a]',
      '[1.2.3.4]',
      '[a]',
      'caf\xe9',
      '%',
      '%4',
      '%4g',
    ],
    ...[
      'a\\b',
      'a"b',
      '<a>',
      'a^',
      'a|b',
      '{a}',
      `[${'0'.repeat(50)}::1]`,
      '[::1]]',
      'a]',
      'a[::1]',
    ],
  ])('refuses %j', (host) => {
    expect(expectRefusal(request(host), 400)).toBe('ERR_RYEGATE_BAD_HOST');
    expect(expectRefusal(request(host, 0), 400)).toBe('ERR_RYEGATE_BAD_HOST');
  });

  it('must be there once on 1.1, and at most once on 1.0', () => {
    expect(expectRefusal('GET / HTTP/1.1\r\n\r\n', 400)).toBe('ERR_RYEGATE_BAD_HOST');
    expectRefusal('GET http://a/ HTTP/1.1\r\nX: y\r\n\r\n', 400);
    expectRefusal('GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n', 400);
    expectRefusal('GET / HTTP/1.1\r\nHost:\r\nHost: a\r\n\r\n', 400);
  });
});

describe('Connection', () => {
  it.each([
    [1, [], true],
    [1, ['close'], false],
    [1, ['Close'], false],
    [1, ['keep-alive'], true],
    [1, ['keep-alive, close'], false],
    [1, ['close,keep-alive'], false],
    [1, ['upgrade ,\tCLOSE\t,x'], false],
    [1, ['x', 'close'], false],
    [1, ['closed'], true],
    [1, ['close x'], true],
    [1, [',,'], true],
    [1, [''], true],
    [1, [',close,'], false],
    [0, [], false],
    [0, ['keep-alive'], true],
    [0, ['Keep-Alive'], true],
    [0, ['x, KEEP-ALIVE'], true],
    [0, ['keep-alive', 'close'], false],
    [0, ['close', 'keep-alive'], false],
    [0, ['keepalive'], false],
    [0, ['keep-alive=1'], false],
  ] as const)('on HTTP/1.%i with %j keeps alive: %s', (minor, values, kept) => {
    const lines = values.map((value) => `Connection: ${value}\r\n`).join('');
    const { head } = parse(`GET / HTTP/1.${minor}\r\nHost: a\r\n${lines}\r\n`);
    expect(head.keepAlive).toBe(kept);
  });
});

describe('Expect', () => {
  it('knows 100-continue on 1.1 only', () => {
    expect(parse(get('Expect: 100-Continue')).head.expectContinue).toBe(true);
    for (const value of ['100-continue', 'other']) {
      const { head } = parse(`GET / HTTP/1.0\r\nExpect: ${value}\r\n\r\n`);
      expect(head).toMatchObject({ expectContinue: false, fields: ['expect', value] });
    }
  });

  it.each(['', '100', '200-ok', '100-continue, x', '100-continue;a', '100-continued'])(
    'answers %j with 417',
    (value) => {
      const code = expectRefusal(get(`Expect: ${value}`), 417);
      expect(code).toBe('ERR_RYEGATE_EXPECTATION_FAILED');
    },
  );
});
