import { expect, it } from 'vitest';
import { globMatcher } from '../../src/supervisor/globs.ts';

it.each([
  ['*.log', ['a.log', 'deep/er/b.log', 'x.log/inside'], ['a.logs', 'log']],
  [
    'node_modules',
    ['node_modules', 'node_modules/a/b.js', 'lib/node_modules/c'],
    ['node_modules2'],
  ],
  ['.*', ['.git', '.git/index', 'a/.env'], ['a.js', 'a/b.c']],
  ['build/', ['build', 'build/x.js', 'a/build/y.js'], ['builds/x.js']],
  ['/build', ['build', 'build/x.js'], ['a/build']],
  ['./build', ['build/x.js'], ['a/build']],
  ['src/*.js', ['src/a.js'], ['src/deep/a.js', 'lib/src/a.js']],
  ['src/**', ['src/a.js', 'src/deep/a.js'], ['src', 'srcs/a.js']],
  ['src/**/test', ['src/test', 'src/a/b/test/x.js'], ['src/atest', 'test']],
  ['**/cache', ['cache', 'a/b/cache/x'], ['a/cached']],
  ['?.ts', ['a.ts', 'b/c.ts'], ['ab.ts', '.ts']],
  ['a+(b).[c]', ['a+(b).[c]'], ['aab.c', 'a+(b)xc']],
])('%s', (pattern, matched, others) => {
  const matches = globMatcher([pattern]);
  expect(matched.filter((path) => !matches(path))).toEqual([]);
  expect(others.filter(matches)).toEqual([]);
});

it('no patterns match nothing', () => {
  expect(globMatcher([])('a')).toBe(false);
});
