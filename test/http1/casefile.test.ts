import { describe, expect, it } from 'vitest';
import { type Case, parseCase, unescapeBytes } from './casefile.ts';

const REASON = '# reason: as RFC 9112 section 3 has it';
const REQUEST = ['', 'GET / HTTP/1.1\\r\\n'];
const RUN = ['# expect: 200', '# method: GET', '# path: /'];

function parse(lines: readonly string[]): Case {
  return parseCase('group/name', `${lines.join('\n')}\n`);
}

function refusal(lines: readonly string[]): string {
  try {
    parse(lines);
    return 'nothing';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('a file of the corpus', () => {
  it('has a header and a request', () => {
    const lines = [REASON, '# expect: 400 ERR_RYEGATE_BAD_HOST', '', 'GET / ', 'H\\r\\n', '\\r\\n'];
    expect(refusal(lines)).toContain('line 4 ends with a space');
    lines[3] = 'GET /\\x20';
    const code = 'ERR_RYEGATE_BAD_HOST';
    const refused = { kind: 'refusal', status: 400, code, method: 'GET' };
    expect(parse(lines)).toEqual({
      name: 'group/name',
      reason: 'as RFC 9112 section 3 has it',
      bytes: Buffer.from('GET / H\r\n\r\n'),
      expected: [refused],
      behind: [refused],
      limits: {},
    });
  });

  it('tells what is expected of several requests', () => {
    const body = ['# body: \\{2*a}\\r\\n', '# environ: HTTP_X=y=z', '# trailer: t=\\xff'];
    const last = ['# expect: 200', '# method: X', '# path: ""', '# query: q', '# keep: no'];
    const { expected } = parse([REASON, ...RUN, ...body, ...last, ...REQUEST]);
    const first = { method: 'GET', path: '/', query: '', body: 'aa\r\n' };
    const environ = { HTTP_HOST: 'a', HTTP_X: 'y=z' };
    const second = { method: 'X', path: '', query: 'q', body: '', environ: { HTTP_HOST: 'a' } };
    expect(expected).toEqual([
      { kind: 'run', keep: 'yes', run: { ...first, environ, trailers: [['t', '\xff']] } },
      { kind: 'run', keep: 'no', run: { ...second, trailers: [] } },
    ]);
  });

  it('may say that there is no Host', () => {
    const { expected } = parse([REASON, ...RUN, '# environ: HTTP_HOST', ...REQUEST]);
    expect(expected[0]).toMatchObject({ run: { environ: {} } });
  });

  it('may say that the refusal of HEAD has no body', () => {
    const lines = [REASON, '# expect: 400 ERR_RYEGATE_X', '# method: HEAD', ...REQUEST];
    expect(parse(lines).expected).toMatchObject([{ kind: 'refusal', method: 'HEAD' }]);
  });

  it('may go on with a long line, set limits and differ behind a request', () => {
    const limits = '# limits: {"headerCount": 5, "underscoreHeaders": "refuse"}';
    const lines = ['# reason: one', '#   two RFC 9112', '# expect: closed', limits];
    const item = parse([...lines, '# behind: 400 ERR_RYEGATE_X', ...REQUEST]);
    expect(item).toMatchObject({
      reason: 'one two RFC 9112',
      limits: { headerCount: 5, underscoreHeaders: 'refuse' },
      expected: [{ kind: 'closed' }],
      behind: [{ kind: 'refusal' }],
    });
  });

  it.each<[problem: string, lines: string[]]>([
    ['reason is missing', [...RUN, ...REQUEST]],
    ['reason is there twice', [REASON, REASON, ...RUN, ...REQUEST]],
    ['names no rule', ['# reason: because', ...RUN, ...REQUEST]],
    ['expect is missing', [REASON, ...REQUEST]],
    ['unknown expectation: 201', [REASON, '# expect: 201', ...REQUEST]],
    ['unknown expectation: 400', [REASON, '# expect: 400', ...REQUEST]],
    ['unknown expectation: 400 BAD', [REASON, '# expect: 400 BAD', ...REQUEST]],
    ['unknown expectation: 200 OK', [REASON, '# expect: 200 OK', ...REQUEST]],
    ['nothing can be expected after', [REASON, '# expect: closed', ...RUN, ...REQUEST]],
    ['nothing can be expected after', [REASON, ...RUN, '# keep: no', ...RUN, ...REQUEST]],
    ['an interim answer cannot be', [REASON, '# expect: 100', ...REQUEST]],
    ['method is missing', [REASON, '# expect: 200', '# path: /', ...REQUEST]],
    ['path is missing', [REASON, '# expect: 200', '# method: GET', ...RUN, ...REQUEST]],
    ['path is told twice', [REASON, ...RUN, '# path: /', ...REQUEST]],
    ['method does not follow', [REASON, '# expect: 400 ERR_RYEGATE_X', '# method: X', ...REQUEST]],
    ['path does not follow', [REASON, '# expect: incomplete', '# path: /', ...REQUEST]],
    ['keep is yes, no or broken', [REASON, ...RUN, '# keep: maybe', ...REQUEST]],
    ['no variable of environ: X', [REASON, ...RUN, '# environ: X=y', ...REQUEST]],
    ['no name=value: HTTP_X', [REASON, ...RUN, '# environ: HTTP_X', ...REQUEST]],
    ['HTTP_X is told twice', [REASON, ...RUN, ...Array(2).fill('# environ: HTTP_X=y'), ...REQUEST]],
    ['no name=value: =y', [REASON, ...RUN, '# trailer: =y', ...REQUEST]],
    ['unknown header line: note', [REASON, ...RUN, '# note: x', ...REQUEST]],
    ['no header line: #reason: x', ['#reason: x', ...RUN, ...REQUEST]],
    ['no header line: GET', [REASON, ...RUN, 'GET / HTTP/1.1', ...REQUEST]],
    ['begins with a continued line', ['#   RFC 9112', REASON, ...RUN, ...REQUEST]],
    ['unknown limit: headers', [REASON, '# limits: {"headers": 5}', ...RUN, ...REQUEST]],
    ['is the default', [REASON, '# limits: {"headerCount": 100}', ...RUN, ...REQUEST]],
    ['limits is empty', [REASON, '# limits: {}', ...RUN, ...REQUEST]],
    ['JSON', [REASON, '# limits: headerCount', ...RUN, ...REQUEST]],
    ['an empty line must part', [REASON, ...RUN, 'x']],
    ['an empty line in the request', [REASON, ...RUN, '', 'x', '', 'y']],
    ['line 6 is not printable', [REASON, ...RUN, '', 'caf\xe9']],
    ['line 6 is not printable', [REASON, ...RUN, '', 'a\tb']],
    ['unknown escape: \\q', [REASON, ...RUN, '', '\\q']],
  ])('is refused: %s', (problem, lines) => {
    expect(refusal(lines)).toContain('group/name.http: ');
    expect(refusal(lines)).toContain(problem);
  });

  it('is refused without a request, and without a line end at its end', () => {
    expect(() => parseCase('a', `${[REASON, ...RUN, ''].join('\n')}\n`)).toThrow('no request');
    expect(() => parseCase('a', [REASON, ...RUN, ...REQUEST].join('\n'))).toThrow('line end');
  });
});

describe('escapes', () => {
  it.each([
    ['\\r\\n\\t\\\\', '\r\n\t\\'],
    ['\\x00\\xff\\x5c', '\0\xff\\'],
    ['a\\{3*b}c', 'abbbc'],
    ['\\{2*\\r\\x41}', '\rA\rA'],
    ['{a}*}', '{a}*}'],
  ])('%s', (text, bytes) => {
    expect(unescapeBytes(text)).toBe(bytes);
  });

  it.each([
    '\\',
    'a\\',
    '\\0',
    '\\a',
    '\\R',
    '\\x',
    '\\x0',
    '\\xFF',
    '\\xgg',
    '\\{3*}',
    '\\{*a}',
    '\\{0*a}',
    '\\{-1*a}',
    '\\{3a}',
    '\\{3*a',
    '\\{2*\\{2*a}}',
  ])('%s is none', (text) => {
    expect(() => unescapeBytes(text)).toThrow('unknown escape');
  });
});
