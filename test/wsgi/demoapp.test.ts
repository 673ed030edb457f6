import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { checkHeaders, checkStatus } from '../../src/http/headers.ts';
import { InputStream } from '../../src/io/inputstream.ts';
import { demoApp } from '../../src/wsgi/demoapp.ts';
import type { Closable, Environ, HeaderList } from '../../src/wsgi/types.ts';
import { setupTestingDefaults } from '../../src/wsgi/util.ts';
import { validator } from '../../src/wsgi/validate.ts';

function run(environ: object): { status: string; headers: HeaderList; text: string } {
  let head: { status: string; headers: HeaderList } | undefined;
  const result = demoApp(environ as Environ, (status, headers) => {
    head = { status, headers };
    return () => {};
  });
  if (head === undefined) {
    return expect.unreachable('startResponse was not called');
  }
  const text = Buffer.concat([...(result as Iterable<Uint8Array>)]).toString('utf8');
  return { ...head, text };
}

function lineOf(key: string, value: unknown): string {
  const [, , ...lines] = run({ [key]: value }).text.split('\n');
  expect(lines).toEqual([expect.any(String), '']);
  return lines[0] as string;
}

describe('demoApp', () => {
  it('answers with valid plain text', () => {
    const { status, headers, text } = run({});
    expect(status).toBe('200 OK');
    expect(headers).toEqual([['Content-Type', 'text/plain; charset=utf-8']]);
    expect(() => checkStatus(status)).not.toThrow();
    expect(() => checkHeaders(headers)).not.toThrow();
    expect(text).toBe('Hello world!\n\n');
  });

  it('passes the validator', () => {
    const environ: Partial<Environ> = {};
    setupTestingDefaults(environ);
    const result = validator(demoApp)(environ, () => () => {});
    expect(Buffer.concat([...(result as Iterable<Uint8Array>)]).toString()).toMatch(
      /^Hello world!/,
    );
    (result as Closable).close?.();
  });

  it('lists the environ in order', () => {
    const environ = { b: '2', 'wsgi.z': true, A: 'x', HTTP_B: 'y' };
    expect(run(environ).text).toBe(
      "Hello world!\n\nA = 'x'\nHTTP_B = 'y'\nb = '2'\nwsgi.z = true\n",
    );
  });

  it('lists every key of a full environ once', () => {
    const environ: Partial<Environ> = {};
    setupTestingDefaults(environ);
    const keys = run(environ)
      .text.trimEnd()
      .split('\n')
      .slice(2)
      .map((line) => line.split(' = ')[0]);
    expect(keys).toEqual(Object.keys(environ).sort());
  });

  it.each([
    ['line\r\nbreak', "K = 'line\\r\\nbreak'"],
    ["it's", `K = "it's"`],
    ['caf\xe9', "K = 'caf\xe9'"],
    [`${'x'.repeat(100)}\n${'y'.repeat(100)}`, `K = '${'x'.repeat(100)}\\n${'y'.repeat(100)}'`],
    [undefined, 'K = undefined'],
    [null, 'K = null'],
    [5, 'K = 5'],
    [[1, 0], 'K = [ 1, 0 ]'],
    [[{ a: 1 }], 'K = [ [Object] ]'],
    [{ secret: 1 }, 'K = [Object]'],
    [new InputStream(null), 'K = InputStream {}'],
    [new Map([[1, 2]]), 'K = [Map]'],
    [function named() {}, 'K = [Function: named]'],
  ])('shows %j on one line', (value, line) => {
    expect(lineOf('K', value)).toBe(line);
  });

  it('keeps an error on one line', () => {
    expect(lineOf('K', new Error('a\nb'))).toMatch(/^K = Error: a b at /);
  });

  it('never throws', () => {
    const hostile = {
      [inspect.custom]() {
        throw new Error('hostile');
      },
    };
    expect(lineOf('K', hostile)).toBe('K = [unprintable]');
    const environ = {
      get K(): string {
        throw new Error('hostile');
      },
    };
    expect(run(environ).text).toContain('K = [unreadable]');
  });

  it('does not ask for the signal', () => {
    let asked = 0;
    const environ = {
      get 'ryegate.signal'(): AbortSignal {
        asked += 1;
        return new AbortController().signal;
      },
    };
    expect(run(environ).text).toContain('ryegate.signal = [AbortSignal]\n');
    expect(asked).toBe(0);
  });
});
