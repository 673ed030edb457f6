import { describe, expect, it } from 'vitest';
import { checkHeaders, checkStatus, Headers } from '../../src/http/headers.ts';
import type { HeaderList } from '../../src/wsgi/types.ts';

function refusal(action: () => unknown): { code: string; message: string } {
  try {
    action();
  } catch (error) {
    return error as { code: string; message: string };
  }
  return expect.unreachable('nothing was refused');
}

const BAD_NAMES = [
  '',
  'X Y',
  'X:',
  ' X',
  'X\n',
  'X\r\nY',
  'X\0',
  'Größe',
  '\u010a',
  '(X)',
  'X/Y',
  '"',
];
const BAD_CHARACTERS = [
  '\r',
  '\n',
  '\0',
  '\x01',
  '\x1f',
  '\x7f',
  '\u0100',
  '\u010a',
  '\u010d',
  '\u{1f600}',
];
const NOT_STRINGS = [undefined, null, 5, true, Buffer.from('x'), ['x'], {}];

describe('checkStatus', () => {
  it.each(['200 OK', '404 Not Found', '999 Custom', '200 ', '200 \xc9t\xe9'])(
    'accepts %j',
    (status) => {
      expect(() => checkStatus(status)).not.toThrow();
    },
  );

  it.each([
    '',
    '200',
    '200OK',
    '20 OK',
    '2000 OK',
    '099 Low',
    '100 Continue',
    '199 High',
    ' 200 OK',
    '+20 OK',
    '2 0 OK',
    '200\tOK',
    'OK 200',
    '٢٠٠ OK',
    '200 O\tK',
    '200 OK\n',
    ...BAD_CHARACTERS.map((character) => `200 a${character}b`),
  ])('refuses %j', (status) => {
    const { code, message } = refusal(() => checkStatus(status));
    expect(code).toBe('ERR_RYEGATE_STATUS');
    expect(message).toMatch(/^[\x20-\x7e]+$/);
  });

  it.each(NOT_STRINGS.map((value) => [value]))('refuses %s', (status) => {
    expect(refusal(() => checkStatus(status as string)).code).toBe('ERR_RYEGATE_STATUS');
  });

  it('shows a long status in part', () => {
    expect(refusal(() => checkStatus('x'.repeat(1000))).message.length).toBeLessThan(300);
  });
});

describe('checkHeaders', () => {
  it.each<[HeaderList]>([
    [[]],
    [[['Content-Type', 'text/plain; charset=utf-8']]],
    [[['X', '']]],
    [[["!#$%&'*+-.^_`|~09azAZ", ' \t\x20\x7e\x80\xff ']]],
    [
      [
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
      ],
    ],
    [[['Connection', 'close']]],
    [[['CONNECTION', 'Close']]],
  ])('accepts %j', (headers) => {
    expect(() => checkHeaders(headers)).not.toThrow();
  });

  it.each(BAD_NAMES)('refuses the name %j, each time', (name) => {
    for (let round = 0; round < 2; round += 1) {
      const { code, message } = refusal(() =>
        checkHeaders([
          ['X', 'x'],
          [name, 'value'],
        ]),
      );
      expect(code).toBe('ERR_RYEGATE_HEADER');
      expect(message).toMatch(/^a header name is "[\x20-\x7e]*"/);
    }
  });

  it.each(BAD_CHARACTERS)('refuses %j anywhere in a value and does not show the value', (bad) => {
    for (const value of [bad, `secret${bad}`, `${bad}secret`, `sec${bad}ret`]) {
      const { code, message } = refusal(() => checkHeaders([['X-Key', value]]));
      expect(code).toBe('ERR_RYEGATE_HEADER');
      expect(message).toMatch(/^the value of header X-Key has U\+[0-9A-F]{4} at index \d+: /);
      expect(message).not.toMatch(/sec|ret(?!ter)/);
    }
  });

  it.each(NOT_STRINGS.map((value) => [value]))('refuses %s as name, value and pair', (value) => {
    for (const headers of [[[value, 'x']], [['X', value]], [value]]) {
      expect(refusal(() => checkHeaders(headers as HeaderList)).code).toBe('ERR_RYEGATE_HEADER');
    }
  });

  it.each([[null], [undefined], [{ 'Content-Type': 'text/plain' }], ['X: y'], [new Map()]])(
    'refuses %s as list',
    (headers) => {
      const { code, message } = refusal(() => checkHeaders(headers as unknown as HeaderList));
      expect(code).toBe('ERR_RYEGATE_HEADER');
      expect(message).toContain('array of [name, value] pairs');
    },
  );

  it.each([[[]], [['X']], [['X', 'y', 'z']], ['Xy']])('refuses the pair %j', (pair) => {
    const headers = [pair] as unknown as HeaderList;
    expect(refusal(() => checkHeaders(headers)).code).toBe('ERR_RYEGATE_HEADER');
  });

  it.each([
    ['Connection', 'keep-alive'],
    ['Connection', 'close, X-Foo'],
    ['Connection', ''],
    ['Keep-Alive', 'timeout=5'],
    ['Proxy-Authenticate', 'Basic'],
    ['proxy-authorization', 'Basic x'],
    ['TE', 'trailers'],
    ['Trailers', 'x'],
    ['Transfer-Encoding', 'chunked'],
    ['transfer-encoding', 'close'],
    ['Upgrade', 'websocket'],
  ])('refuses the hop-by-hop header %s: %s, each time', (name, value) => {
    for (let round = 0; round < 2; round += 1) {
      const { code, message } = refusal(() => checkHeaders([[name, value]]));
      expect(code).toBe('ERR_RYEGATE_HOP_BY_HOP');
      expect(message).toContain(name);
    }
  });

  it('stays right after more names than it remembers', () => {
    for (let index = 0; index < 1000; index += 1) {
      checkHeaders([[`X-Made-Up-${index}`, 'x']]);
    }
    expect(refusal(() => checkHeaders([['uPgRaDe', 'x']])).code).toBe('ERR_RYEGATE_HOP_BY_HOP');
    expect(refusal(() => checkHeaders([['bad name', 'x']])).code).toBe('ERR_RYEGATE_HEADER');
  });
});

describe('Headers', () => {
  const sample = (): HeaderList => [
    ['Content-Type', 'text/plain'],
    ['Set-Cookie', 'a=1'],
    ['set-cookie', 'b=2'],
  ];

  it('finds names without case, first value first', () => {
    const headers = new Headers(sample());
    expect(headers.get('CONTENT-TYPE')).toBe('text/plain');
    expect(headers.get('Set-Cookie')).toBe('a=1');
    expect(headers.getAll('SET-COOKIE')).toEqual(['a=1', 'b=2']);
    expect(headers.has('content-type')).toBe(true);
  });

  it('gives a default for what is missing', () => {
    const headers = new Headers(sample());
    expect(headers.get('Date')).toBeNull();
    expect(headers.get('Date', 'never')).toBe('never');
    expect(headers.getAll('Date')).toEqual([]);
    expect(headers.has('Date')).toBe(false);
  });

  it('counts repeats and lists in order', () => {
    const headers = new Headers(sample());
    expect(headers.length).toBe(3);
    expect(headers.keys()).toEqual(['Content-Type', 'Set-Cookie', 'set-cookie']);
    expect(headers.values()).toEqual(['text/plain', 'a=1', 'b=2']);
    expect(headers.items()).toEqual(sample());
    expect([...headers]).toEqual(sample());
  });

  it('changes the list it was given, but not through items()', () => {
    const list = sample();
    const headers = new Headers(list);
    headers.items().pop();
    expect(list).toEqual(sample());
    headers.set('SET-COOKIE', 'c=3');
    expect(list).toEqual([
      ['Content-Type', 'text/plain'],
      ['SET-COOKIE', 'c=3'],
    ]);
  });

  it('deletes all of a name, and what is missing silently', () => {
    const headers = new Headers(sample());
    headers.delete('Set-Cookie');
    headers.delete('Date');
    expect(headers.items()).toEqual([['Content-Type', 'text/plain']]);
  });

  it('sets a default only for what is missing', () => {
    const headers = new Headers([['X-Empty', '']]);
    expect(headers.setdefault('x-empty', 'filled')).toBe('');
    expect(headers.setdefault('Date', 'now')).toBe('now');
    expect(headers.items()).toEqual([
      ['X-Empty', ''],
      ['Date', 'now'],
    ]);
  });

  it.each([
    ['attachment', { filename: 'bud.gif' }, 'attachment; filename="bud.gif"'],
    ['form-data', { name: 'a"b\\c' }, 'form-data; name="a\\"b\\\\c"'],
    [
      'text/plain',
      { format_flowed: 'x', secure: null, empty: '' },
      'text/plain; format-flowed="x"; secure; empty',
    ],
    [null, { preload: null, max_age: '5' }, 'preload; max-age="5"'],
    ['plain', undefined, 'plain'],
  ])('adds %s with %j', (value, parameters, expected) => {
    const headers = new Headers();
    headers.addHeader('X-Test', value, parameters);
    headers.addHeader('x-test', 'again');
    expect(headers.getAll('X-Test')).toEqual([expected, 'again']);
  });

  it('is written as lines with the empty line that ends them', () => {
    expect(String(new Headers())).toBe('\r\n');
    const headers = new Headers([
      ['A', '1'],
      ['B', 'caf\xe9'],
    ]);
    expect(headers.toString()).toBe('A: 1\r\nB: caf\xe9\r\n\r\n');
    expect([...headers.toBytes().subarray(-5)]).toEqual([0xe9, 13, 10, 13, 10]);
  });

  it('lets hop-by-hop headers in', () => {
    const headers = new Headers([['Upgrade', 'websocket']]);
    headers.set('Connection', 'upgrade');
    expect(headers.length).toBe(2);
  });

  it.each([
    ['constructor, no array', () => new Headers({} as HeaderList)],
    ['constructor, bad pair', () => new Headers([['X'] as unknown as [string, string]])],
    ['constructor, bad value', () => new Headers([['X', 'a\nb']])],
    ['set, name', () => new Headers().set('X Y', 'z')],
    ['set, value', () => new Headers().set('X', 'a\r\nb')],
    ['set, number', () => new Headers().set('X', 5 as unknown as string)],
    ['setdefault', () => new Headers().setdefault('X', '\u010a')],
    ['addHeader, name', () => new Headers().addHeader('', 'x')],
    ['addHeader, value', () => new Headers().addHeader('X', '\0')],
    ['addHeader, parameter name', () => new Headers().addHeader('X', 'y', { 'a b': 'c' })],
    ['addHeader, parameter value', () => new Headers().addHeader('X', 'y', { a: '\r\n' })],
    ['get, number', () => new Headers().get(5 as unknown as string)],
    ['delete, undefined', () => new Headers().delete(undefined as unknown as string)],
  ])('refuses: %s', (_name, action) => {
    expect(refusal(action).code).toBe('ERR_RYEGATE_HEADER');
  });

  it('keeps what it had when a new value is refused', () => {
    const headers = new Headers([['X', 'old']]);
    expect(() => headers.set('X', 'a\nb')).toThrow();
    expect(headers.get('X')).toBe('old');
  });
});
