/** What the generated requests are made of: texts of one character per byte. */
export interface Vocabulary {
  readonly methods: readonly string[];
  readonly targets: readonly string[];
  readonly versions: readonly string[];
  readonly hosts: readonly string[];
  /** Field lines without their CRLF. */
  readonly fields: readonly string[];
  /** Between the digits of a chunk size and its CRLF. */
  readonly extensions: readonly string[];
  readonly trailers: readonly string[];
}

/** What RFC 9110 and RFC 9112 allow. */
export const VALID: Vocabulary = {
  methods: ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'PROPFIND', 'QUERY'],
  targets: [
    '/',
    '/a',
    '/a/b?x=1&y=%20',
    '//a//b',
    '/%zz%',
    '/;a=b',
    '/?',
    '/??',
    "/~!$&'()*+,;=:@",
    '/a"<>b',
    '/\\^`{|}',
    '/../..',
    'http://host:80/a?b',
    'http://host',
    'HTTP://Host/',
    'https://[::1]:8443/',
    'http://127.0.0.1:/',
    'http://host?query',
    `/${'long'.repeat(9)}`,
  ],
  versions: ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0'],
  hosts: [
    'a',
    'example.com:8080',
    '127.0.0.1',
    '[::1]:80',
    '',
    'a:',
    'xn--a',
    '%41',
    "a!$'()*+;=~",
  ],
  fields: [
    'Accept: */*',
    'accept:text/html',
    'ACCEPT: \t a , b \t',
    'X-Empty:',
    'X-Empty: \t ',
    'X-Quoted: "a, b"',
    'X-Text: \x80\xa0\xff',
    'X-Tab: a\tb',
    'X: :',
    'Cookie: a=b',
    'X-1: 2',
    'Cookie: c="d"',
    'Connection: keep-alive',
    'Connection: x, y',
    'Connection: ,,',
    'Connection: upgrade',
    'Via: 1.1 a',
    'TE: trailers',
    'Upgrade: h2c',
    'User-Agent: fuzz/1 (a; b)',
    'Expect: 100-continue',
    'Keep-Alive: timeout=5',
    'Content-Type: text/plain',
    "!#$%&'*+-.^`|~9: all of tchar",
    'Proxy-Connection: close',
    'X-Forwarded-For: 1.2.3.4, 5.6.7.8',
    `X-Long: ${'v'.repeat(40)}`,
    'If-None-Match: "a", W/"b"',
    'Trailer: X-Sum',
    'Transfer-Encodin: chunked',
    'Content-Lengt: 3',
  ],
  extensions: ['', '', '', '', ';a', ';a=b', ';a=b;c="d e"', ';a="\\"\\\\"', ';a="";b'],
  trailers: ['X-Sum: 1', 'x-sum:', 'X-Text: \xff a', 'ETag: "a"', 'Server-Timing: a;dur=1'],
};

/** Numerals to put in the place of another. */
export const NUMERALS: readonly string[] = [
  '0',
  '1',
  '2',
  '5',
  '9',
  '10',
  '15',
  '16',
  '255',
  '00',
  '05',
  '005',
  '+5',
  '-1',
  '0x5',
  '1e1',
  '4294967295',
  '4294967296',
  '9007199254740991',
  '9007199254740992',
  '18446744073709551615',
  '18446744073709551616',
  'ffffffffffffffff',
  '10000000000000000',
  '0000000000000001',
  'fffffffff',
];

/** Bodies, some of which look like requests. */
export const BODIES: readonly string[] = [
  '',
  'x',
  'hello',
  'hello world',
  '\r\n',
  '\0\xff',
  '0\r\n\r\n',
  '\r\n0\r\n\r\n',
  '5\r\nhello\r\n',
  'GET /inside HTTP/1.1\r\nHost: x\r\n\r\n',
  'POST /inside HTTP/1.1\r\nContent-Length: 9\r\n\r\n',
  'line\n'.repeat(9),
];
