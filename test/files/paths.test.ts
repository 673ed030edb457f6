import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  encodeName,
  filePath,
  normalizeDotfiles,
  normalizePrefix,
  slashRedirect,
} from '../../src/files/paths.ts';

/** What the server makes of a path and query as they are sent; `script` led to the application. */
function environ(pathInfo: string, target = pathInfo, script = '') {
  return { SCRIPT_NAME: script, PATH_INFO: pathInfo, REQUEST_URI: target };
}

function find(pathInfo: string, target?: string): ReturnType<typeof filePath> {
  return filePath(environ(pathInfo, target), '', false);
}

describe('the path of a file', () => {
  test.each([
    ['/a', 'a', false],
    ['/a/b.txt', 'a/b.txt', false],
    ['/a/b/', 'a/b', true],
    ['/', '', true],
    ['/a b', 'a b', false],
    ['/...', null, false],
    ['/a..', 'a..', false],
    ['/a/..b', null, false],
    ['/%2e%2e', '%2e%2e', false],
    ['/\xc0\xae\xc0\xae/x', '\xc0\xae\xc0\xae/x', false],
    ['/\x80\x9f\xff', '\x80\x9f\xff', false],
    ['/C:', 'C:', false],
  ])('%j is %j', (pathInfo, path, isFolder) => {
    expect(find(pathInfo)).toEqual(path === null ? null : { path, isFolder });
  });

  test.each([
    ['', 'no slash at the start: OPTIONS *'],
    ['a', 'no slash at the start'],
    ['/..', 'the folder above'],
    ['/../a', 'the folder above'],
    ['/a/..', 'the folder above'],
    ['/a/../b', 'the folder above'],
    ['/a/../', 'the folder above'],
    ['/.', 'the folder itself'],
    ['/a/./b', 'the folder itself'],
    ['//', 'an empty name'],
    ['/a//', 'an empty name'],
    ['/a//b', 'an empty name'],
    ['/a\0', 'NUL'],
    ['/a\\b', 'a backslash'],
    ['/..\\a', 'a backslash'],
    ['/a\n', 'a control character'],
    ['/\x1f', 'a control character'],
    ['/\x7f', 'a control character'],
    ['/\u0100', 'no byte'],
    ['/.git/config', 'a dotfile'],
    ['/a/.env', 'a dotfile'],
  ])('%j is refused: %s', (pathInfo) => {
    expect(find(pathInfo)).toBeNull();
  });

  test('a name may have 255 bytes, a path 4095', () => {
    expect(find(`/${'n'.repeat(255)}`)).not.toBeNull();
    expect(find(`/a/${'n'.repeat(255)}/`)).not.toBeNull();
    expect(find(`/${'n'.repeat(256)}`)).toBeNull();
    expect(find(`/${'n'.repeat(256)}/a`)).toBeNull();
    const longest = `/${'/n'.repeat(2047)}${'n'}`.slice(1);
    expect(longest).toHaveLength(4095);
    expect(find(`${longest}m`)?.path).toHaveLength(4095);
    expect(find(`${longest}mm`)).toBeNull();
  });

  test('an encoded slash is seen in the path as it was sent', () => {
    expect(find('/a/b', '/a%2fb')).toBeNull();
    expect(find('/a/b', '/a%2Fb?x')).toBeNull();
    expect(find('/a/b', 'http://host/a%2Fb')).toBeNull();
    expect(find('/a/b', '/%61/b?next=%2Fa')?.path).toBe('a/b');
    expect(find('/a%2fb', '/a%252fb')?.path).toBe('a%2fb');
  });

  test('slashes that became one at its start are seen, too', () => {
    expect(find('/a', '//a')).toBeNull();
    expect(find('/a', 'http://host//a')).toBeNull();
    expect(find('/a', 'HTTP://host/a')?.path).toBe('a');
    expect(find('/', 'http://host?//')?.path).toBe('');
    expect(find('/a', '/a?//')?.path).toBe('a');
  });

  test('names with a dot are served when they are allowed', () => {
    const at = (pathInfo: string, dotfiles: unknown) =>
      filePath(environ(pathInfo), '', normalizeDotfiles(dotfiles))?.path;
    expect(at('/.git/config', true)).toBe('.git/config');
    expect(at('/.well-known/a', ['.well-known'])).toBe('.well-known/a');
    expect(at('/.git/config', ['.well-known'])).toBeUndefined();
    expect(at('/.well-known/.git', ['.well-known'])).toBeUndefined();
    expect(at('/.well-knownx', ['.well-known'])).toBeUndefined();
    expect(at('/.\xc3\xbc', ['.ü'])).toBe('.\xc3\xbc');
    for (const name of ['/..', '/.', '/a/..']) expect(at(name, true)).toBeUndefined();
  });

  test.each(['none', ['well-known'], ['..'], ['.'], ['.a/b'], ['.a', 1], null, undefined])(
    'dotfiles: %j is refused',
    (dotfiles) => {
      expect(() => normalizeDotfiles(dotfiles)).toThrow(
        expect.objectContaining({ code: 'ERR_RYEGATE_OPTION' }),
      );
    },
  );
});

describe('the prefix', () => {
  test.each([
    ['/assets', 'assets without a slash', { path: '', isFolder: false }],
    ['/assets/', 'its root', { path: '', isFolder: true }],
    ['/assets/a', 'a file', { path: 'a', isFolder: false }],
    ['/assets//', 'an empty name', null],
    ['/assetsx', 'another name', null],
    ['/assets../a', 'another name', null],
    ['/', 'above', null],
    ['/other', 'elsewhere', null],
  ])('%s: %s', (pathInfo, _, expected) => {
    expect(filePath(environ(pathInfo), '/assets', false)).toEqual(expected);
  });

  test('the root of an application that is mounted somewhere has no slash of its own', () => {
    const folder = { path: '', isFolder: false };
    expect(filePath(environ('', '/app', '/app'), '', false)).toEqual(folder);
  });

  test.each([
    ['', ''],
    ['/', ''],
    ['/assets', '/assets'],
    ['/assets/', '/assets'],
    ['/a/b c/.well-known', '/a/b c/.well-known'],
    ['/ü', '/\xc3\xbc'],
  ])('%j is taken as %j', (given, taken) => {
    expect(normalizePrefix(given)).toBe(taken);
  });

  test.each([
    'assets',
    '//',
    '//a',
    '/a//b',
    '/a//',
    '/..',
    '/a/../b',
    '/./a',
    '/a\\b',
    '/a%20b',
    '/a?b',
    '/a#b',
    '/a\n',
    '/\ud800',
    1,
    null,
    undefined,
  ])('%j is refused', (prefix) => {
    expect(() => normalizePrefix(prefix)).toThrow(
      expect.objectContaining({
        code: 'ERR_RYEGATE_OPTION',
        message: expect.stringContaining("such as '/assets'"),
      }),
    );
  });
});

describe('the redirect to a slash', () => {
  function redirect(pathInfo: string, query = '', script = ''): string {
    return slashRedirect({ SCRIPT_NAME: script, PATH_INFO: pathInfo, QUERY_STRING: query });
  }

  test.each([
    [redirect('/a'), '/a/'],
    [redirect('/a/b', 'x=1&y=%2f?/'), '/a/b/?x=1&y=%2f?/'],
    [redirect('/b', '', '/app'), '/app/b/'],
    [redirect('', '', '/app'), '/app/'],
    [redirect(''), '/'],
    [redirect('/\xc3\xbc b'), '/%C3%BC%20b/'],
    [redirect('/100%?#;&<>"\'`'), '/100%25%3F%23%3B%26%3C%3E%22%27%60/'],
    [redirect('//evil.example'), '/evil.example/'],
    [redirect('/', '', '//evil.example'), '/evil.example/'],
    [redirect('/\\evil.example'), '/%5Cevil.example/'],
    [redirect('/\t/evil.example'), '/%09/evil.example/'],
    [redirect('/a', 'x\r\nSet-Cookie: a\xff#'), '/a/?x%0D%0ASet-Cookie:%20a%FF%23'],
  ])('%j', (made, expected) => {
    expect(made).toBe(expected);
  });

  const pieces = fc.oneof(
    fc.constantFrom(
      ...['/', '//', '\\', '/\\', '\t', '\r\n', '\0', ' ', '.', '..', '%5c', '%2f', '@', ':', '?'],
      ...['#', ';', 'evil.example', 'https:', 'javascript:', '\xa0', '\u2028', '\uff0f', '[::1]'],
    ),
    fc.string({ unit: 'binary', maxLength: 3 }),
  );
  const hostile = fc.array(pieces, { maxLength: 8 }).map((list) => list.join(''));

  test('never leads to another site', () => {
    fc.assert(
      fc.property(hostile, hostile, hostile, (script, info, query) => {
        const location = redirect(info, query, script);
        expect(location).toMatch(/^\/(?![/\\])[\x21-\x7e]*$/);
        for (const base of ['http://good.example/', 'https://good.example:8443/a/b/?c']) {
          const resolved = new URL(location, base);
          expect(resolved.origin).toBe(new URL(base).origin);
          expect(resolved.username + resolved.password).toBe('');
        }
      }),
      { numRuns: 2000 },
    );
  });

  const names = fc
    .uint8Array({ minLength: 1, maxLength: 8 })
    .map((bytes) => Buffer.from(bytes).toString('latin1').replaceAll('/', ''))
    .filter((name) => !['', '.', '..'].includes(name));

  test('leads to the same names', () => {
    fc.assert(
      fc.property(fc.array(names, { minLength: 1 }), (list) => {
        const { pathname } = new URL(redirect(`/${list.join('/')}`), 'http://host/');
        const decoded = pathname.split('/').map((name) => unescape(name));
        expect(decoded).toEqual(['', ...list, '']);
      }),
    );
  });
});

test('a name is encoded byte by byte', () => {
  expect(encodeName('a b/\xff\0\u0100')).toBe('a%20b%2F%FF%00%3F');
});
