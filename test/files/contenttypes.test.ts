import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { contentTypes } from '../../src/files/contenttypes.ts';
import { dist, requireDist, runScript } from '../support/servers.ts';

const OCTETS = 'application/octet-stream';

test.each([
  ['index.html', 'text/html; charset=utf-8'],
  ['INDEX.HTML', 'text/html; charset=utf-8'],
  ['style.css', 'text/css; charset=utf-8'],
  ['app.js', 'text/javascript; charset=utf-8'],
  ['app.mjs', 'text/javascript; charset=utf-8'],
  ['data.json', 'application/json; charset=utf-8'],
  ['site.webmanifest', 'application/manifest+json; charset=utf-8'],
  ['module.wasm', 'application/wasm'],
  ['logo.svg', 'image/svg+xml'],
  ['photo.jpeg', 'image/jpeg'],
  ['photo.avif', 'image/avif'],
  ['font.woff2', 'font/woff2'],
  ['archive.tar.gz', 'application/gzip'],
  ['a.b/c.txt', 'text/plain; charset=utf-8'],
  ['a.txt/c', OCTETS],
  ['README', OCTETS],
  ['.txt', OCTETS],
  ['a/.txt', OCTETS],
  ['.profile.txt', 'text/plain; charset=utf-8'],
  ['a.', OCTETS],
  ['', OCTETS],
  ['a.nothing-known', OCTETS],
  ['a.__proto__', OCTETS],
  ['a.constructor', OCTETS],
  ['a.\xff', OCTETS],
])('%s is %s', (name, type) => {
  const typeOf = contentTypes();
  expect(typeOf(name)).toBe(type);
  expect(typeOf(name)).toBe(type);
});

test('more extensions than are remembered are still found', () => {
  const typeOf = contentTypes();
  for (let i = 0; i < 2000; i++) expect(typeOf(`a.none${i}`)).toBe(OCTETS);
  expect(typeOf('a.html')).toBe('text/html; charset=utf-8');
});

test('a function of the user says what it knows', () => {
  const typeOf = contentTypes((name) => (name.endsWith('.html') ? 'text/x-own' : undefined));
  expect(typeOf('a.html')).toBe('text/x-own');
  expect(typeOf('a.css')).toBe(OCTETS);
});

/** Runs a script with the types of a package that stands where no other can be found. */
async function alone(script: string): Promise<string> {
  requireDist();
  const folder = mkdtempSync(join(tmpdir(), 'ryegate-alone-'));
  try {
    cpSync(dirname(fileURLToPath(dist)), join(folder, 'dist'), { recursive: true });
    const url = pathToFileURL(join(folder, 'dist', 'files', 'contenttypes.js')).href;
    return await runScript(
      `const { contentTypes } = await import(process.argv[2]);
       process.stdout.write(JSON.stringify((${script})()));`,
      url,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('without mime-types an error says how to mend it', async () => {
  const output = await alone(`() => {
    try { contentTypes(); } catch ({ code, message, cause }) { return [code, message, cause.code]; }
  }`);
  expect(JSON.parse(output)).toEqual([
    'ERR_RYEGATE_PEER',
    expect.stringMatching(/`npm install mime-types`.*the option contentType/),
    'MODULE_NOT_FOUND',
  ]);
});

test('without mime-types a function of the user does', async () => {
  expect(await alone(`() => contentTypes(() => 'text/x-own')('a')`)).toBe('"text/x-own"');
});
