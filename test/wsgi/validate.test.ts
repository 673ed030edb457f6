import { statSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest';
import {
  type Application,
  type Environ,
  type StartResponse,
  StringErrorStream,
  util,
  validator,
} from '../../src/index.ts';
import { InputStream } from '../../src/io/inputstream.ts';
import { PLAIN } from '../support/exchange.ts';

const startResponse: StartResponse = () => () => {};

const good: Application = (_environ, start) => {
  start('200 OK', PLAIN);
  return ['hello'];
};

/** A valid environ, then changed. */
function environFor(change: (environ: Record<string, unknown>) => unknown = () => {}): Environ {
  const environ: Partial<Environ> = {};
  util.setupTestingDefaults(environ);
  change(environ);
  return environ;
}

/** A validated run of an application that returns `result`. */
function resultOf<T>(result: T, changes = environFor()): T {
  const app: Application = (_environ, start) => {
    start('200 OK', PLAIN);
    return result as unknown as string;
  };
  return validator(app)(changes, startResponse) as T;
}

function breach(rule: string | RegExp): object {
  return expect.objectContaining({
    code: 'ERR_RYEGATE_VALIDATION',
    message: expect.stringMatching(rule),
  });
}

let emitWarning: MockInstance<typeof process.emitWarning>;

beforeEach(() => {
  emitWarning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
});

afterEach(() => {
  emitWarning.mockRestore();
});

/** The texts of the warnings so far. */
function warnings(): unknown[] {
  const options = { type: 'WSGIWarning', code: 'RYEGATE_WSGI' };
  for (const [, given] of emitWarning.mock.calls) expect(given).toEqual(options);
  return emitWarning.mock.calls.map(([text]) => text);
}

describe('an environ', () => {
  it('that is right passes, and the application gets that very object', () => {
    const environ = environFor();
    let seen: unknown;
    const result = validator((given, start) => {
      seen = given;
      given['site.note'] = 'written';
      return good(given, start);
    })(environ, startResponse);
    expect([...(result as string[])]).toEqual(['hello']);
    expect(seen).toBe(environ);
    expect(environ['site.note']).toBe('written');
    expect(warnings()).toEqual([]);
    (result as { close?(): void }).close?.();
  });

  it.each([
    ['OPTIONS of *', { REQUEST_METHOD: 'OPTIONS', PATH_INFO: '' }],
    ['CONNECT', { REQUEST_METHOD: 'CONNECT', PATH_INFO: '' }],
    ['an application below the root', { SCRIPT_NAME: '/app', PATH_INFO: '' }],
    ['an empty CONTENT_LENGTH', { CONTENT_LENGTH: '' }],
    ['Latin-1', { HTTP_X: 'caf\u00e9\u00ff' }],
    ['any value under a key with a dot', { 'site.value': Symbol('x') }],
    ['https', { 'wsgi.url_scheme': 'https' }],
    ['no signal', { 'ryegate.signal': new AbortController().signal }],
  ])('may have %s', (_title, values) => {
    const environ = environFor((bare) => Object.assign(bare, values));
    const app = validator(() => 'x');
    // It came as far as the application, which has not called startResponse().
    expect(() => app(environ, startResponse)).toThrow(breach('without a call of startResponse'));
    expect(warnings()).toEqual([]);
  });

  it('may be without a prototype, or of another realm', () => {
    for (const bare of [Object.create(null), runInNewContext('({})')]) {
      const environ = Object.assign(bare, environFor());
      expect(validator(good)(environ, startResponse)).toHaveLength(1);
    }
  });

  it('has its signal left alone as long as it is a getter', () => {
    const environ = environFor((bare) => {
      Object.defineProperty(bare, 'ryegate.signal', {
        enumerable: true,
        get() {
          throw new Error('asked for');
        },
      });
    });
    expect(validator(good)(environ, startResponse)).toHaveLength(1);
  });

  const required = [
    'REQUEST_METHOD',
    'SERVER_NAME',
    'SERVER_PORT',
    'SERVER_PROTOCOL',
    'wsgi.version',
    'wsgi.url_scheme',
    'wsgi.input',
    'wsgi.errors',
    'wsgi.multithread',
    'wsgi.multiprocess',
    'wsgi.run_once',
  ];
  it.each(required)('without %s is refused', (key) => {
    const environ = environFor((bare) => delete bare[key]);
    const run = (): unknown => validator(good)(environ, startResponse);
    expect(run).toThrow(breach(`no key ${key}:`));
  });

  const WRONG: [values: Record<string, unknown>, rule: string | RegExp][] = [
    [{ HTTP_CONTENT_TYPE: 'text/plain' }, 'HTTP_CONTENT_TYPE: its name in an environ'],
    [{ HTTP_CONTENT_LENGTH: '1' }, 'HTTP_CONTENT_LENGTH: its name in an environ'],
    [{ HTTP_X: 5 }, 'environ.HTTP_X is a value of type number'],
    [{ HTTP_X: undefined }, 'environ.HTTP_X is undefined'],
    [{ SITE: ['x'] }, 'environ.SITE is a value of type object'],
    [{ HTTP_X: 'a\u4e16b' }, 'environ.HTTP_X has a character above U\\+00FF at index 1'],
    [{ 'wsgi.version': '1.0' }, /wsgi\.version is not \[1, 0\]/],
    [{ 'wsgi.version': [1, 1] }, /wsgi\.version is not \[1, 0\]/],
    [{ 'wsgi.version': [1, 0, 0] }, /wsgi\.version is not \[1, 0\]/],
    [{ 'wsgi.url_scheme': 'ftp' }, 'wsgi.url_scheme is "ftp"'],
    [{ 'wsgi.multithread': 1 }, 'wsgi.multithread is a value of type number'],
    [{ 'wsgi.run_once': 'no' }, 'wsgi.run_once is "no"'],
    [{ 'wsgi.input_terminated': 'yes' }, 'wsgi.input_terminated is "yes"'],
    [{ 'wsgi.file_wrapper': () => [] }, 'wsgi.file_wrapper is a value of type function'],
    [{ 'wsgi.file_wrapper': {} }, 'wsgi.file_wrapper is a value of type object'],
    [{ 'ryegate.signal': {} }, 'ryegate.signal is a value of type object'],
    [{ 'ryegate.trailers': [] }, 'ryegate.trailers is a value of type object'],
    [{ 'wsgi.input': null }, 'wsgi.input has no method read'],
    [{ 'wsgi.input': { read() {} } }, 'wsgi.input has no method readline:'],
    [{ 'wsgi.input': { read() {}, readline() {} } }, 'wsgi.input has no method readlines'],
    [
      { 'wsgi.input': { read() {}, readline() {}, readlines() {} } },
      'wsgi.input has no method Symbol\\(Symbol.asyncIterator\\)',
    ],
    [{ 'wsgi.errors': { write() {}, writelines() {} } }, 'wsgi.errors has no method flush'],
    [{ 'wsgi.errors': { flush() {}, writelines() {} } }, 'wsgi.errors has no method write:'],
    [{ 'wsgi.errors': { flush() {}, write() {} } }, 'wsgi.errors has no method writelines'],
    [{ REQUEST_METHOD: '' }, 'environ.REQUEST_METHOD is empty'],
    [{ SERVER_NAME: '' }, 'environ.SERVER_NAME is empty'],
    [{ SERVER_PORT: '' }, 'environ.SERVER_PORT is empty'],
    [{ SCRIPT_NAME: 'app' }, 'SCRIPT_NAME is "app"'],
    [{ SCRIPT_NAME: '/' }, "SCRIPT_NAME is '/'"],
    [{ PATH_INFO: 'x' }, 'PATH_INFO is "x"'],
    [{ PATH_INFO: '' }, 'SCRIPT_NAME and PATH_INFO are both empty'],
    [{ CONTENT_LENGTH: 'x' }, 'CONTENT_LENGTH is "x"'],
    [{ CONTENT_LENGTH: '-1' }, 'CONTENT_LENGTH is "-1"'],
    [{ CONTENT_LENGTH: '1.5' }, 'CONTENT_LENGTH is "1.5"'],
  ];
  it.each(WRONG)('with %o is refused', (values, rule) => {
    const environ = environFor((bare) => Object.assign(bare, values));
    const run = (): unknown => validator(good)(environ, startResponse);
    expect(run).toThrow(breach(rule));
  });

  class Variables {}
  it.each([
    ['nothing', undefined, 'environ is undefined'],
    ['a string', 'x', 'environ is "x"'],
    ['an instance of a class', Object.assign(new Variables(), environFor()), 'of a class'],
    ['a Map', new Map(), 'of a class'],
    ['frozen', Object.freeze(environFor()), 'is frozen'],
  ])('that is %s is refused', (_title, environ, rule) => {
    const run = (): unknown => validator(good)(environ as Environ, startResponse);
    expect(run).toThrow(breach(rule));
  });

  it('is warned of when its method is unknown or it has no QUERY_STRING: each text once', () => {
    const unknown = environFor((bare) => Object.assign(bare, { REQUEST_METHOD: 'BREW' }));
    const bare = environFor((given) => delete given.QUERY_STRING);
    for (const environ of [unknown, unknown, bare, bare]) {
      expect(validator(good)({ ...environ }, startResponse)).toHaveLength(1);
    }
    expect(warnings()).toEqual([
      expect.stringMatching('REQUEST_METHOD is "BREW"'),
      expect.stringMatching('no key QUERY_STRING'),
    ]);
  });
});

describe('a server', () => {
  it.each([
    ['nothing', []],
    ['an environ alone', [environFor()]],
    ['three arguments', [environFor(), startResponse, null]],
    ['no function', [environFor(), {}]],
  ])('that calls the application with %s is refused', (_title, args) => {
    const run = (): unknown => (validator(good) as (...args: unknown[]) => unknown)(...args);
    expect(run).toThrow(breach('was not called with \\(environ, startResponse\\)'));
  });

  it('whose startResponse() gives no function is refused', () => {
    const run = (): unknown => validator(good)(environFor(), (() => {}) as never);
    expect(run).toThrow(breach('startResponse\\(\\) of the server gave undefined'));
  });

  it.each<[title: string, make: () => Iterable<string>]>([
    ['an array', () => ['a', 'b']],
    ['an iterable', () => new Set(['a', 'b'])],
  ])('that misuses the result, %s, is refused', (_title, make) => {
    const result = resultOf(make()) as Iterable<string> & { close(): void };
    expect([...result]).toEqual(['a', 'b']);
    expect(() => [...result]).toThrow(breach('iterated twice'));
    result.close();
    expect(() => result.close()).toThrow(breach('called twice'));
    const unread = resultOf(make()) as Iterable<string> & { close(): void };
    const iterator = unread[Symbol.iterator]();
    expect(iterator.next().value).toBe('a');
    unread.close();
    expect(() => iterator.next()).toThrow(breach('read after its close\\(\\)'));
  });

  it('that misuses an async result is refused', async () => {
    async function* letters(): AsyncGenerator<string> {
      yield 'a';
    }
    const result = resultOf(letters()) as AsyncGenerator<string> & { close(): void };
    const iterator = result[Symbol.asyncIterator]();
    expect(() => result[Symbol.asyncIterator]()).toThrow(breach('iterated twice'));
    expect(await iterator.next()).toEqual({ done: false, value: 'a' });
    result.close();
    await expect(iterator.next()).rejects.toEqual(breach('read after its close\\(\\)'));
    expect(() => result.close()).toThrow(breach('called twice'));
  });

  it.each([
    ['read', 'text', 'read\\(\\) gave "text"'],
    ['readline', 5, 'readline\\(\\) gave a value of type number'],
    ['readlines', 'text', 'readlines\\(\\) gave "text"'],
    ['readlines', ['text'], 'readlines\\(\\) gave "text"'],
  ] as const)('whose wsgi.input.%s() promises %j is refused', async (method, value, rule) => {
    const input = Object.assign(new InputStream(null), { [method]: async () => value });
    const environ = environFor((bare) => Object.assign(bare, { 'wsgi.input': input }));
    resultOf('x', environ);
    await expect(environ['wsgi.input'][method]()).rejects.toEqual(breach(rule));
  });

  it('whose wsgi.input gives no promise, or no bytes, is refused', async () => {
    const input = Object.assign(new InputStream(null), {
      read: () => Buffer.alloc(0),
      readSync: () => 'text',
      async *[Symbol.asyncIterator]() {
        yield 'text';
      },
    });
    const environ = environFor((bare) => Object.assign(bare, { 'wsgi.input': input }));
    resultOf('x', environ);
    const checked = environ['wsgi.input'];
    expect(() => checked.read()).toThrow(breach('has to give a promise'));
    expect(() => checked.readSync()).toThrow(breach('readSync\\(\\) gave "text"'));
    const iterator = checked[Symbol.asyncIterator]();
    await expect(iterator.next()).rejects.toEqual(breach('iteration of wsgi.input gave "text"'));
  });
});

describe('the streams of an environ', () => {
  it('offer everything that the originals have', async () => {
    const input = new InputStream(null);
    const errors = Object.freeze(Object.assign(new StringErrorStream(), { level: 3 }));
    const streams = { 'wsgi.input': input, 'wsgi.errors': errors };
    const environ = environFor((bare) => Object.assign(bare, streams));
    resultOf('x', environ);
    const checked = environ['wsgi.input'] as InputStream & { note?: string };
    expect(checked).not.toBe(input);
    expect(checked).toBeInstanceOf(InputStream);
    input.push(Buffer.from('one\ntwo\nthree\nfour\nfive\nsix'));
    input.end();
    expect(checked.buffered).toBe(27);
    expect(checked.trailers).toBe(input.trailers);
    expect(checked.readSync(4).toString()).toBe('one\n');
    expect(checked.readlineSync().toString()).toBe('two\n');
    expect((await checked.read(6)).toString()).toBe('three\n');
    expect((await checked.readline()).toString()).toBe('four\n');
    expect((await checked.readlines(1)).map(String)).toEqual(['five\n']);
    const chunks: string[] = [];
    for await (const chunk of checked) chunks.push(chunk.toString());
    expect(chunks).toEqual(['six']);
    expect(checked.ended).toBe(true);
    expect(checked.readlinesSync()).toEqual([]);
    const path = join(tmpdir(), `ryegate-validate-${process.pid}`);
    expect(await checked.saveTo(path, { mode: 0o644 })).toBe(0);
    expect(statSync(path).mode & 0o777).toBe(0o644);
    unlinkSync(path);
    checked.note = 'set';
    expect((input as { note?: string }).note).toBe('set');
    const log = environ['wsgi.errors'] as typeof errors;
    log.write('one ');
    log.writelines(new Set(['two ', 'three']));
    log.flush();
    expect(log.getValue()).toBe('one two three');
    expect(log.level).toBe(3);
  });

  it('fail with the errors of the originals', async () => {
    const input = new InputStream(null);
    const environ = environFor((bare) => Object.assign(bare, { 'wsgi.input': input }));
    resultOf('x', environ);
    const read = environ['wsgi.input'].read();
    // Nobody looks at this one, which must not end the process.
    environ['wsgi.input'].readline();
    const gone = new Error('gone');
    input.fail(gone);
    await expect(read).rejects.toBe(gone);
  });
});

describe('validator()', () => {
  it('refuses what is no function', () => {
    const error = expect.objectContaining({ code: 'ERR_RYEGATE_APPLICATION' });
    expect(() => validator(null as never)).toThrow(error);
  });

  it.each([
    ['a string', 'hello'],
    ['bytes', Uint8Array.of(1, 2)],
  ])('passes %s unchanged', (_title, result) => {
    expect(resultOf(result)).toBe(result);
  });

  it('passes a file result unchanged, without reading it', () => {
    class FileWrapper {
      // biome-ignore lint/correctness/useYield: it is not to be read.
      *[Symbol.iterator](): Generator<string> {
        throw new Error('read');
      }
    }
    const wrapper = { 'wsgi.file_wrapper': FileWrapper };
    const file = new FileWrapper();
    const environ = environFor((bare) => Object.assign(bare, wrapper));
    expect(resultOf(file, environ)).toBe(file);
    // One of another class is an iterable as any other.
    const other = environFor((bare) => Object.assign(bare, { 'wsgi.file_wrapper': class {} }));
    expect(resultOf(file, other)).not.toBe(file);
  });

  it('keeps arrays arrays', () => {
    const result = resultOf(['a', 'b']);
    expect(Array.isArray(result)).toBe(true);
    expect(result).toHaveLength(2);
    expect(result.map((chunk) => chunk.length)).toEqual([1, 1]);
  });

  it('can be applied twice, with middleware between', () => {
    const middleware = validator((environ, start) => validator(good)(environ, start));
    const result = middleware(environFor(), startResponse) as string[] & { close(): void };
    expect([...result]).toEqual(['hello']);
    result.close();
    expect(() => result.close()).toThrow(breach('called twice'));
  });
});
