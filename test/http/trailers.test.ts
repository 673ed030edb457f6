import { describe, expect, it } from 'vitest';
import type { HeaderList } from '../../src/http/headers.ts';
import { checkTrailers, isForbiddenTrailer, takesTrailers } from '../../src/http/trailers.ts';
import { codeOf } from '../support/backends.ts';

/** RFC 9110 section 6.5.1: framing, routing, modifiers, authentication, content. */
const REFUSED = [
  'Transfer-Encoding',
  'Content-Length',
  'Host',
  'Cache-Control',
  'Expect',
  'Max-Forwards',
  'Range',
  'TE',
  'Authorization',
  'Proxy-Authenticate',
  'Proxy-Authorization',
  'WWW-Authenticate',
  'Cookie',
  'Set-Cookie',
  'Content-Encoding',
  'Content-Type',
  'Content-Range',
  'Trailer',
  'Connection',
  'Keep-Alive',
  'Upgrade',
];

describe('a trailer field', () => {
  it.each(REFUSED)('%s is forbidden, in either direction', (name) => {
    expect(isForbiddenTrailer(name.toLowerCase())).toBe(true);
    for (const spelled of [name, name.toLowerCase(), name.toUpperCase()]) {
      const code = codeOf(() =>
        checkTrailers([
          ['X-Sum', '1'],
          [spelled, 'close'],
        ]),
      );
      expect(['ERR_RYEGATE_TRAILER', 'ERR_RYEGATE_HOP_BY_HOP']).toContain(code);
    }
  });

  it.each(['X-Sum', 'Digest', 'ETag', 'Server-Timing', 'grpc-status', 'X-Host', 'Hosts'])(
    '%s is allowed',
    (name) => {
      expect(isForbiddenTrailer(name.toLowerCase())).toBe(false);
      expect(codeOf(() => checkTrailers([[name, 'v']]))).toBe('no error');
    },
  );

  it.each<[string, unknown]>([
    ['a CR and LF in the value', [['X-Sum', '1\r\nX-Admin: 1']]],
    ['an LF in the value', [['X-Sum', '1\nX']]],
    ['a NUL in the value', [['X-Sum', '1\0']]],
    ['a character whose low byte is LF', [['X-Sum', '\u010a']]],
    ['a CR and LF in the name', [['X-Sum: 1\r\nX-Admin', '1']]],
    ['a space in the name', [['X Sum', '1']]],
    ['an empty name', [['', '1']]],
    ['a value that is no string', [['X-Sum', 1]]],
    ['a field that is no pair', [['X-Sum']]],
    ['an object', { 'X-Sum': '1' }],
    ['nothing', undefined],
  ])('with %s is refused', (_title, trailers) => {
    expect(codeOf(() => checkTrailers(trailers as HeaderList))).toBe('ERR_RYEGATE_HEADER');
  });

  it('may be none at all', () => {
    expect(codeOf(() => checkTrailers([]))).toBe('no error');
  });
});

describe('TE', () => {
  it.each(['trailers', 'Trailers', 'gzip, trailers', 'trailers,gzip;q=0.5', ' trailers '])(
    '%j takes trailers',
    (value) => expect(takesTrailers(value)).toBe(true),
  );

  it.each(['', 'gzip', 'trailer', 'x-trailers', 'trailers-x', 'gzip;trailers'])(
    '%j does not',
    (value) => expect(takesTrailers(value)).toBe(false),
  );
});
