import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  DEFAULT_CACHE,
  type OpenFileCacheSettings,
  type StaticFiles,
  type StaticFilesOptions,
  staticFiles,
} from '../../src/files/index.ts';
import { type Application, demoApp, makeServer, RyegateError } from '../../src/index.ts';
import { codeOf, errorOf } from '../support/backends.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { siteFolders } from './sitefolder.ts';

const makeFolder = siteFolders();

function refusal(options: unknown): RyegateError {
  const { root } = makeFolder();
  const error = errorOf(() => staticFiles(root, options as StaticFilesOptions));
  expect(error).toBeInstanceOf(RyegateError);
  return error as RyegateError;
}

describe('an option that makes no sense is refused', () => {
  it.each<[string, unknown, string]>([
    ['prefix', 5, 'the option prefix is 5: give'],
    ['prefix', 'assets', "the option prefix is 'assets': give"],
    ['prefix', '/a//b', 'the option prefix'],
    ['prefix', '/a/../b', 'the option prefix'],
    ['prefix', '/a%20b', 'the option prefix'],
    ['prefix', '/a?b', 'the option prefix'],
    ['prefix', '/a\n', 'the option prefix'],
    ['next', {}, 'the option next is an object: give a WSGI application'],
    ['next', null, 'the option next is null: give a WSGI application'],
    ['index', 'index.html', "the option index is 'index.html': give a list"],
    ['index', ['a/b'], 'the option index'],
    ['index', ['..'], 'the option index'],
    ['index', ['.'], 'the option index'],
    ['index', [''], 'the option index'],
    ['index', ['a\0'], 'the option index'],
    ['index', [5], 'the option index'],
    ['index', null, 'the option index'],
    ['listing', 1, 'the option listing is 1: give true or false'],
    ['precompressed', 'br', "the option precompressed is 'br': give true or false"],
    ['immutable', 'yes', "the option immutable is 'yes': give true or false"],
    ['dotfiles', 'allow', "the option dotfiles is 'allow': give"],
    ['dotfiles', ['git'], 'the option dotfiles'],
    ['dotfiles', ['..'], 'the option dotfiles'],
    ['dotfiles', ['.'], 'the option dotfiles'],
    ['dotfiles', ['.a/b'], 'the option dotfiles'],
    ['maxAge', -1, 'the option maxAge is -1: give whole seconds'],
    ['maxAge', 1.5, 'the option maxAge'],
    ['maxAge', '60', 'the option maxAge'],
    ['maxAge', 2 ** 31, 'the option maxAge'],
    ['maxAge', Infinity, 'the option maxAge'],
    ['cacheControl', 5, 'the option cacheControl is 5: give a string'],
    ['contentType', 'text/plain', 'the option contentType'],
    ['contentType', {}, 'the option contentType'],
    ['mostRanges', -1, 'the option mostRanges is -1: give a number up to 1000'],
    ['mostRanges', 1001, 'the option mostRanges'],
    ['mostRanges', 0.5, 'the option mostRanges'],
    ['mostRanges', '4', 'the option mostRanges'],
    ['cache', 5, 'give the options as an object: entries, bytes, fileBytes, revalidate'],
    ['cache', { entry: 5 }, "unknown option 'entry': use one of entries, bytes"],
    ['cache', { entries: 9 }, 'the option cache.entries is 9: give a number from 10'],
    ['cache', { entries: 1_000_001 }, 'the option cache.entries'],
    ['cache', { entries: 10.5 }, 'the option cache.entries'],
    ['cache', { bytes: -1 }, 'the option cache.bytes is -1: give a whole number of bytes'],
    ['cache', { bytes: Infinity }, 'the option cache.bytes'],
    ['cache', { bytes: '32m' }, 'the option cache.bytes'],
    ['cache', { fileBytes: -1 }, 'the option cache.fileBytes is -1: give bytes up to 1g'],
    ['cache', { fileBytes: 2 ** 30 + 1 }, 'the option cache.fileBytes'],
    ['cache', { revalidate: -1 }, 'the option cache.revalidate is -1: give seconds, or 0'],
    ['cache', { revalidate: Number.NaN }, 'the option cache.revalidate'],
    ['cache', { revalidate: '1' }, 'the option cache.revalidate'],
    ['cache', { revalidate: true }, 'the option cache.revalidate'],
    ['headers', [['ETag', '"x"']], "the option headers has 'ETag'"],
    ['headers', [['content-length', '5']], "the option headers has 'content-length'"],
    [
      'headers',
      [['Cache-Control', 'no-store']],
      'for some there is an option, such as cacheControl',
    ],
  ])('%s: %j', (name, value, message) => {
    const error = refusal({ [name]: value });
    expect(error.code).toBe('ERR_RYEGATE_OPTION');
    expect(error.message).toContain(message);
  });

  it.each<[string, unknown]>([
    ['headers', [['Bad Name', 'x']]],
    ['headers', [['X-Value', 'a\r\nb']]],
    ['headers', [['X-One']]],
    ['headers', 'X: y'],
    ['cacheControl', 'no-store\r\nX-Evil: 1'],
  ])('%s: %j, as a header', (name, value) => {
    expect(refusal({ [name]: value }).code).toBe('ERR_RYEGATE_HEADER');
  });

  it('a header between two hosts only', () => {
    const headers = [['Transfer-Encoding', 'chunked']];
    expect(refusal({ headers }).code).toBe('ERR_RYEGATE_HOP_BY_HOP');
  });

  it.each(['Prefix', 'maxage', 'dotFiles', 'index.html', '__proto__', 'toString'])(
    'the name %s',
    (name) => {
      const options = JSON.parse(`{ ${JSON.stringify(name)}: true }`);
      const error = refusal(options);
      expect(error.code).toBe('ERR_RYEGATE_OPTION');
      expect(error.message).toContain(`unknown option '${name}': use one of prefix, next, index`);
    },
  );

  it.each([null, 5, 'options'])('%j in place of options', (options) => {
    expect(refusal(options).code).toBe('ERR_RYEGATE_OPTION');
  });

  it.each([{ maxAge: 5 }, { immutable: true }])('cacheControl beside %j', (options) => {
    const error = refusal({ cacheControl: 'no-store', ...options });
    expect(error.code).toBe('ERR_RYEGATE_OPTION');
    expect(error.message).toContain('neither maxAge nor immutable beside it');
  });

  it('and nothing is left open', () => {
    refusal({ maxAge: -1 });
    const before = openDescriptors();
    for (let i = 0; i < 20; i += 1) refusal({ maxAge: -1 });
    expect(openDescriptors()).toBe(before);
  });
});

describe('an option that is undefined', () => {
  it('is as if it were not given', () => {
    const { root } = makeFolder();
    const names = [
      'prefix',
      'next',
      'index',
      'listing',
      'dotfiles',
      'precompressed',
      'cacheControl',
      'maxAge',
      'immutable',
      'headers',
      'contentType',
      'mostRanges',
      'cache',
    ];
    staticFiles(root, Object.fromEntries(names.map((name) => [name, undefined]))).close();
    staticFiles(root, { cache: { entries: undefined } as never }).close();
    staticFiles(root, { cache: { revalidate: Infinity } }).close();
  });
});

describe('a root that cannot be served', () => {
  it.each([
    ['missing', (base: string) => join(base, 'missing')],
    ['a file', (base: string) => join(base, 'file')],
    ['a name with NUL', (base: string) => `${base}\0`],
    ['a link to nothing', (base: string) => join(base, 'nothing')],
  ])('%s', (_, rootOf) => {
    const folder = makeFolder();
    writeFileSync(join(folder.base, 'file'), 'x');
    folder.link('../nothing', 'missing');
    const error = errorOf(() => staticFiles(rootOf(folder.base))) as RyegateError;
    expect(error).toBeInstanceOf(RyegateError);
    expect(error.code).toBe('ERR_RYEGATE_STATIC_ROOT');
    expect(error.message).toMatch(
      /^'.+' cannot be served: give a folder that exists and may be entered$/,
    );
    expect((error.cause as RyegateError).code).toBe('ERR_RYEGATE_SYSTEM');
  });

  it.each([undefined, null, 5, {}, ''])('%j', (root) => {
    // An empty path would be the working directory.
    expect(codeOf(() => staticFiles(root as never))).toBe('ERR_RYEGATE_STATIC_ROOT');
  });
});

describe('the types', () => {
  it('are those of an application', () => {
    const { root } = makeFolder();
    const site = staticFiles(root);
    expectTypeOf(site).toEqualTypeOf<StaticFiles>();
    expectTypeOf(site).toExtend<Application>();
    expectTypeOf(staticFiles).parameter(0).toEqualTypeOf<string>();
    expectTypeOf(staticFiles).parameter(1).toEqualTypeOf<StaticFilesOptions | undefined>();
    expectTypeOf(DEFAULT_CACHE).toEqualTypeOf<OpenFileCacheSettings>();
    expectTypeOf(makeServer).parameter(2).toEqualTypeOf<Application>();
    // @ts-expect-error: an option that is misspelt
    expect(codeOf(() => staticFiles(root, { maxage: 5 }))).toBe('ERR_RYEGATE_OPTION');
    // @ts-expect-error: an application is no root
    expect(codeOf(() => staticFiles(demoApp))).toBe('ERR_RYEGATE_STATIC_ROOT');
    site.close();
  });

  it('of the defaults are as documented', () => {
    expect(DEFAULT_CACHE).toEqual({
      entries: 1000,
      bytes: 33_554_432,
      fileBytes: 65_536,
      revalidate: 1,
    });
  });
});
