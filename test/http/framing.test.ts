import { describe, expect, it } from 'vitest';
import { resolveLimits } from '../../src/http/limits.ts';
import { expectRefusal, get, parse } from './headtools.ts';

describe('Content-Length', () => {
  it.each(['0', '1', '5', '10', '1073741824'])('takes %s', (value) => {
    expect(parse(get(`Content-Length:  ${value} `)).head.contentLength).toBe(Number(value));
  });

  it('takes 2^53 - 1 and nothing above', () => {
    const limits = resolveLimits({ bodyBytes: Number.MAX_SAFE_INTEGER });
    const largest = parse(get('Content-Length: 9007199254740991'), limits);
    expect(largest.head.contentLength).toBe(Number.MAX_SAFE_INTEGER);
    for (const value of ['9007199254740992', '9007199254740993', '9999999999999999']) {
      expectRefusal(get(`Content-Length: ${value}`), 400, limits);
    }
  });

  it.each([
    ...[
      '',
      '+5',
      '-5',
      '-1',
      '-0',
      '+0',
      '05',
      '00',
      '000',
      '0x5',
      '0X5',
      '5x',
      'x5',
      '0b1',
      '0o7',
    ],
    ...[
      '1_0',
      '1 0',
      '1\t0',
      '5,5',
      '5, 5',
      ',5',
      '5,',
      '5;5',
      '5.',
      '5.0',
      '.5',
      '1e3',
      '1E3',
      '5h',
    ],
    ...[
      '"5"',
      "'5'",
      '5\xb2',
      '\xb25',
      '\xa05',
      '5\xa0',
      'five',
      'NaN',
      'Infinity',
      'null',
      '#5',
      '$5',
    ],
    ...[
      '9223372036854775807',
      '9223372036854775808',
      '18446744073709551615',
      '18446744073709551616',
    ],
    ...[
      '18446744073709551621',
      '4294967296000000000',
      '9'.repeat(100),
      `${'0'.repeat(20)}5`,
      'a',
      '=5',
    ],
  ])('refuses %j', (value) => {
    const code = expectRefusal(get(`Content-Length: ${value}`), 400);
    expect(code).toBe('ERR_RYEGATE_BAD_CONTENT_LENGTH');
  });

  it('refuses repeats, equal or not', () => {
    expectRefusal(get('Content-Length: 5', 'Content-Length: 5'), 400);
    expectRefusal(get('Content-Length: 5', 'Content-Length: 6'), 400);
    expectRefusal(get('Content-Length: 0', 'content-length: 0'), 400);
  });
});

describe('Transfer-Encoding', () => {
  it.each(['chunked', 'Chunked', 'CHUNKED', '\tchunked '])('takes %j', (value) => {
    expect(parse(get(`Transfer-Encoding: ${value}`)).head).toMatchObject({
      chunked: true,
      contentLength: -1,
    });
  });

  it.each([
    'gzip',
    'identity',
    'gzip, chunked',
    'gzip,deflate',
    'xchunked',
    'chunke',
    'chunkedx',
    'chunked-',
  ])('answers the unknown %s with 501', (value) => {
    const code = expectRefusal(get(`Transfer-Encoding: ${value}`), 501);
    expect(code).toBe('ERR_RYEGATE_UNKNOWN_TRANSFER_CODING');
  });

  it.each([
    ...[
      '',
      ',',
      'chunked,',
      ',chunked',
      'chunked, ,',
      'chunked, chunked',
      'chunked, gzip',
      'chunked,identity',
    ],
    ...[
      '"chunked"',
      'chunked;a=b',
      'chunked;',
      'chun ked',
      'chunked chunked',
      'gzip;q=1, chunked',
      '=chunked',
    ],
    ...[
      'chunked\xa0',
      '\x85chunked',
      'chunk\xe9d',
      'chunked/',
      '(chunked)',
      'gzip,,chunked',
      'x: chunked',
    ],
  ])('refuses the malformed %j', (value) => {
    const code = expectRefusal(get(`Transfer-Encoding: ${value}`), 400);
    expect(code).toBe('ERR_RYEGATE_BAD_TRANSFER_ENCODING');
  });

  it('refuses it with Content-Length, on 1.0, and twice', () => {
    const lines = ['Transfer-Encoding: chunked', 'Content-Length: 5'];
    expectRefusal(get(...lines), 400);
    expectRefusal(get(...lines.toReversed()), 400);
    expectRefusal(get('Transfer-Encoding: chunked', 'Content-Length: 0'), 400);
    expectRefusal('POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n', 400);
    expectRefusal('POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n', 400);
    expectRefusal(get('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), 400);
    expectRefusal(get('Transfer-Encoding: chunked', 'Transfer-Encoding: identity'), 400);
  });

  it.each([
    'Transfer-Encoding : chunked',
    'Transfer-Encoding\t: chunked',
    ' Transfer-Encoding: chunked',
  ])('refuses the disguise %j', (line) => {
    expectRefusal(get(line), 400);
    expectRefusal(get('Content-Length: 5', line), 400);
  });
});
