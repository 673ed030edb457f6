import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { type AccessEntry, compileFormat } from '../../src/index.ts';
import { accessEntry } from '../support/logs.ts';
import { root } from '../support/programs.ts';

/** `user:password`, as Basic has it. */
function basic(credentials: string): string[] {
  return ['authorization', `Basic ${Buffer.from(credentials, 'latin1').toString('base64')}`];
}

function line(format: string, ...entry: Parameters<typeof accessEntry>): string {
  return compileFormat(format).line(accessEntry(...entry));
}

const UNREAD = { method: '', target: '', minor: 1, fields: [] } as const;

describe('an atom', () => {
  it.each([
    ['h', '192.0.2.7'],
    ['l', '-'],
    ['u', '-'],
    ['r', 'GET /a%20b?c=d&e HTTP/1.1'],
    ['m', 'GET'],
    ['U', '/a%20b'],
    ['q', 'c=d&e'],
    ['H', 'HTTP/1.1'],
    ['s', '200'],
    ['B', '13'],
    ['b', '13'],
    ['f', '-'],
    ['a', '-'],
    ['T', '1'],
    ['M', '1234'],
    ['D', '1234567'],
    ['L', '1.234568'],
    ['p', `<${process.pid}>`],
  ])('%s of a usual request', (letter, expected) => {
    expect(line(`%(${letter})s`)).toBe(expected);
  });

  it.each([
    ['r', '-'],
    ['m', '-'],
    ['U', '-'],
    ['q', ''],
    ['H', '-'],
    ['s', '-'],
    ['B', '0'],
    ['b', '-'],
  ])('%s of a request that could not be read, and had no answer', (letter, expected) => {
    const shown = line(`%(${letter})s`, { status: 0, bytes: 0, aborted: true }, UNREAD);
    expect(shown).toBe(expected);
  });

  it('of HTTP/1.0, and of a target without a query', () => {
    expect(line('%(H)s %(U)s[%(q)s]', {}, { minor: 0, target: '/x' })).toBe('HTTP/1.0 /x[]');
  });

  it.each([
    ['Frank:secret', 'Frank'],
    ['Frank:se:cret', 'Frank'],
    ['a b"c\n:x', 'a\\x20b\\x22c\\x0a'],
    [':secret', '-'],
    ['', '-'],
  ])('u of the credentials %j', (credentials, user) => {
    expect(line('%(u)s', {}, { fields: basic(credentials) })).toBe(user);
  });

  it.each(['Bearer abc', 'Basic', 'Basic %%%', 'Digest username="x"'])('u of %s', (value) => {
    expect(line('%(u)s', {}, { fields: ['authorization', value] })).toBe('-');
  });

  it('i, of the fields of the request, whatever their case; repeats are joined', () => {
    const fields = ['x-a', '1', 'referer', 'r', 'x-a', '2', 'user-agent', 'u'];
    expect(line('%({X-A}i)s|%({x-b}i)s|%(f)s|%(a)s', {}, { fields })).toBe('1, 2|-|r|u');
  });

  it('o, of the fields of the response', () => {
    const format = compileFormat('%({content-type}o)s|%({Set-Cookie}o)s|%({X}o)s');
    expect(format).toMatchObject({ usesResponseFields: true, usesEnviron: false });
    const responseFields: AccessEntry['responseFields'] = [
      ['Set-Cookie', 'a=1'],
      ['Content-Type', 'text/plain'],
      ['set-cookie', 'b="2"'],
    ];
    const expected = 'text/plain|a=1, b=\\x222\\x22|-';
    expect(format.line(accessEntry({ responseFields }))).toBe(expected);
    expect(format.line(accessEntry())).toBe('-|-|-');
  });

  it('e, of the environ, as far as there is something to show', () => {
    const format = compileFormat('%({http_x}e)s|%({n}e)s|%({wsgi.run_once}e)s|%({o}e)s|%({no}e)s');
    expect(format).toMatchObject({ usesResponseFields: false, usesEnviron: true });
    const environ = { HTTP_X: 'a"b', n: 7, 'wsgi.run_once': false, o: {} };
    expect(format.line(accessEntry({ environ }))).toBe('a\\x22b|7|false|-|-');
    expect(format.line(accessEntry())).toBe('-|-|-|-|-');
  });
});

describe('the time', () => {
  const PROGRAM = `
    const { compileFormat } = await import(${JSON.stringify(`${root}/dist/index.js`)});
    const format = compileFormat('%(t)s');
    const head = { method: 'GET', target: '/', minor: 1, fields: [] };
    const times = [Date.UTC(2026, 10, 20, 13, 5, 9, 999), Date.UTC(2026, 6, 1, 0, 0, 0, 1)];
    console.log(times.map((time) => format.line({ time, head })).join(' '));
  `;

  it.each([
    ['UTC', '[20/Nov/2026:13:05:09 +0000] [01/Jul/2026:00:00:00 +0000]'],
    ['Asia/Kolkata', '[20/Nov/2026:18:35:09 +0530] [01/Jul/2026:05:30:00 +0530]'],
    ['America/St_Johns', '[20/Nov/2026:09:35:09 -0330] [30/Jun/2026:21:30:00 -0230]'],
  ])('is local, with its offset: in %s', (TZ, expected) => {
    const args = ['--input-type=module', '-e', PROGRAM];
    const printed = execFileSync(process.execPath, args, { env: { ...process.env, TZ } });
    expect(printed.toString().trim()).toBe(expected);
  });

  it('follows the clock, also backwards', () => {
    const format = compileFormat('json');
    const shown = [9_042, 9_999, 10_000, 9_001].map((time) => {
      return JSON.parse(format.line(accessEntry({ time }))).time;
    });
    expect(shown).toEqual(
      ['09.042', '09.999', '10.000', '09.001'].map((s) => `1970-01-01T00:00:${s}Z`),
    );
  });
});

describe('the preset', () => {
  const fields = ['referer', 'http://x/', 'user-agent', 'curl "8"', ...basic('me:x')];

  it('common, and combined', () => {
    const common =
      /^192\.0\.2\.7 - me \[20\/Nov\/2026:\d\d:\d\d:09 [+-]\d{4}\] "GET \/ HTTP\/1\.1" 304 -/;
    const differing = [
      { status: 304, bytes: 0 },
      { target: '/', fields },
    ] as const;
    expect(line('common', ...differing).replace(common, '')).toBe('');
    const rest = line('combined', ...differing).replace(common, '');
    expect(rest).toBe(' "http://x/" "curl \\x228\\x22"');
  });

  it('json: an object in one line, with all there is to say', () => {
    const entry = accessEntry({}, { fields: [...fields, 'x-request-id', 'id-1'] });
    const record = {
      client: '192.0.2.7',
      method: 'GET',
      path: '/a%20b',
      query: 'c=d&e',
      protocol: 'HTTP/1.1',
      status: 200,
      bytes: 13,
      seconds: 1.234568,
      referer: 'http://x/',
      userAgent: 'curl "8"',
      requestId: 'id-1',
    };
    const format = compileFormat('json');
    expect(JSON.parse(format.line(entry))).toEqual({ time: '2026-11-20T13:05:09.042Z', ...record });
    expect(format.record?.(entry)).toEqual(record);
  });

  it('json, of a request that could not be read and had no answer', () => {
    const format = compileFormat('json');
    const entry = accessEntry({ status: 0, bytes: 0, seconds: 0, aborted: true }, UNREAD);
    const record = {
      client: '192.0.2.7',
      method: null,
      path: null,
      query: null,
      protocol: null,
      status: null,
      bytes: 0,
      seconds: 0,
      referer: null,
      userAgent: null,
      aborted: true,
    };
    expect(JSON.parse(format.line(entry))).toEqual({ time: '2026-11-20T13:05:09.042Z', ...record });
    expect(format.record?.(entry)).toEqual(record);
  });
});

describe('what a client sends', () => {
  const EVERY = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('');
  const fields = ['referer', EVERY, 'user-agent', EVERY, 'x-request-id', EVERY, ...basic(EVERY)];
  const hostile = [
    { client: EVERY, environ: { X: EVERY }, responseFields: [['X', EVERY]] },
    { method: EVERY, target: `${EVERY}?${EVERY}`, fields },
  ] as Parameters<typeof accessEntry>;

  it.each([
    '%(h)s%(u)s%(r)s%(m)s%(U)s%(q)s%(f)s%(a)s',
    '%({Referer}i)s%({X}o)s%({X}e)s',
    'combined',
  ])('forges no line and drives no terminal: %s', (format) => {
    expect(line(format, ...hostile)).toMatch(/^[\x20-\x7e]+$/);
  });

  it('ends no place between double quotes', () => {
    expect(line('%(r)s%(f)s%(a)s%(q)s%(U)s%(m)s%(u)s%(h)s', ...hostile)).not.toContain('"');
    expect(line('combined', ...hostile).match(/"/g)).toHaveLength(6);
    expect(line('%(h)s%(u)s', ...hostile)).not.toContain(' ');
  });

  it('can be told from what is escaped', () => {
    expect(line('%(a)s', {}, { fields: ['user-agent', '\\x0a\n\xe9\u20ac'] })).toBe(
      '\\\\x0a\\x0a\\xe9\\u20ac',
    );
  });

  it('comes out of JSON as it was', () => {
    const json = line('json', ...hostile);
    expect(json).toMatch(/^[\x20-\x7e]+$/);
    const { client, method, referer, userAgent, requestId } = JSON.parse(json);
    expect([client, method, referer, userAgent, requestId]).toEqual(Array(5).fill(EVERY));
  });
});

describe('a format', () => {
  it('has a percent sign as two, and everything else as it is', () => {
    expect(line('100%% %(s)s%%%(s)s{}()s$&')).toBe('100% 200%200{}()s$&');
  });

  it.each([
    ['%(z)s', "'%(z)s'"],
    ['%(h)s %(hh)s', "'%(hh)s'"],
    ['%(s)d', "'%(s)d'"],
    ['%(s)', "'%(s)'"],
    ['%({}i)s', "'%({}i)s'"],
    ['%({Host}x)s', "'%({Host}x)s'"],
    ['%(toString)s', "'%(toString)s'"],
    ['%(h)s 100%', 'a percent sign alone'],
    ['combned', "'combned' has no atoms"],
    ['', "'' has no atoms"],
    ['%%', "'%%' has no atoms"],
    [undefined, 'undefined'],
    [7, '7'],
  ])('%s is refused, and told what there is', (format, fault) => {
    const refusal = { code: 'ERR_RYEGATE_LOG_FORMAT', message: expect.stringContaining(fault) };
    expect(() => compileFormat(format as string)).toThrow(expect.objectContaining(refusal));
    expect(() => compileFormat(format as string)).toThrow(
      /common, combined or json.*%\(h\)s %\(l\)s/,
    );
  });
});
