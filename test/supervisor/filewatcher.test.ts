import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type FileWatcher, watchFiles } from '../../src/supervisor/filewatcher.ts';
import { until } from '../support/supervised.ts';

/** Milliseconds after which an event would have come. */
const QUIET = 300;

let folder: string;
let watcher: FileWatcher | null = null;
let told: string[][] = [];

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'ryegate-watch-')));
  told = [];
});

afterEach(() => {
  watcher?.close();
  rmSync(folder, { recursive: true, force: true });
});

function path(name: string): string {
  return join(folder, name);
}

function write(name: string, text = 'x'): void {
  mkdirSync(join(path(name), '..'), { recursive: true });
  writeFileSync(path(name), text);
}

function start(ignore: string[] = []): void {
  watcher = watchFiles({
    folders: [folder],
    ignore,
    changed: (files) => told.push(files.map((file) => file.slice(folder.length + 1))),
    failed: (error) => told.push([error.message]),
  });
}

/** What it tells from now on, until all of `names` are in it. */
async function tells(...names: string[]): Promise<string[]> {
  await until(
    () => names.every((name) => told.flat().includes(name)),
    () => `it tells ${names}, not ${JSON.stringify(told)}`,
  );
  return told.splice(0).flat();
}

it('tells of a file that is written to, in whatever folder', async () => {
  write('a.js');
  write('one/two/b.js');
  start();
  write('a.js', 'y');
  expect(await tells('a.js')).toEqual(['a.js']);
  write('one/two/b.js', 'y');
  expect(await tells('one/two/b.js')).toEqual(['one/two/b.js']);
});

it('tells of a file that is replaced by a rename, again and again', async () => {
  write('a.js');
  start();
  for (let round = 0; round < 3; round++) {
    write('.a.js.new', `${round}`);
    renameSync(path('.a.js.new'), path('a.js'));
    expect(await tells('a.js')).toEqual(['a.js']);
  }
});

it('tells of a file that is moved away and written anew, as vim saves', async () => {
  write('a.js');
  start();
  renameSync(path('a.js'), path('a.js~'));
  write('a.js', 'y');
  expect(await tells('a.js')).toEqual(['a.js']);
  rmSync(path('a.js~'));
  await sleep(QUIET);
  expect(told).toEqual([]);
});

it('tells of files that are made and removed', async () => {
  start();
  write('a.js');
  await tells('a.js');
  rmSync(path('a.js'));
  expect(await tells('a.js')).toEqual(['a.js']);
});

it('watches folders that are made later, with what they have by then', async () => {
  start();
  write('one/two/three/a.js');
  await tells('one/two/three/a.js');
  write('one/two/three/a.js', 'y');
  await tells('one/two/three/a.js');
});

it('watches a folder that takes the place of another', async () => {
  write('lib/a.js');
  write('.next/a.js', 'y');
  start();
  rmSync(path('lib'), { recursive: true });
  renameSync(path('.next'), path('lib'));
  await tells('lib/a.js');
  // What both made is over.
  await sleep(QUIET);
  told.length = 0;
  write('lib/a.js', 'z');
  expect(await tells('lib/a.js')).toEqual(['lib/a.js']);
});

it('tells of many changes at once in one go', async () => {
  for (let i = 0; i < 50; i++) write(`a${i}.js`);
  start();
  for (let i = 0; i < 50; i++) write(`a${i}.js`, 'y');
  await tells('a0.js', 'a49.js');
  await sleep(QUIET);
  expect(told).toEqual([]);
});

it('does not wait for the end of changes that never end', async () => {
  write('a.js');
  start();
  const writing = setInterval(() => write('a.js', `${Math.random()}`), 10);
  try {
    await until(() => told.length >= 2, 'it tells twice');
  } finally {
    clearInterval(writing);
  }
});

it('leaves out packages, dot files, what is usually written, and what it is told to', async () => {
  const ignored = ['node_modules/p/i.js', '.git/index', 'app.log', 'data.sqlite-wal', 'out/a.js'];
  for (const name of [...ignored, 'src/b.gen.js']) write(name);
  start(['out', 'src/*.gen.js']);
  for (const name of [...ignored, 'src/b.gen.js', 'node_modules/q/j.js']) write(name, 'y');
  await sleep(QUIET);
  expect(told).toEqual([]);
  write('src/b.js');
  expect(await tells('src/b.js')).toEqual(['src/b.js']);
});

it('does not mind the permissions of folders, nor folders without files', async () => {
  write('lib/a.js');
  start();
  chmodSync(path('lib'), 0o700);
  chmodSync(folder, 0o711);
  mkdirSync(path('empty'));
  await sleep(QUIET);
  expect(told).toEqual([]);
});

it('does not follow symbolic links', async () => {
  symlinkSync(folder, path('loop'));
  start();
  write('a.js');
  expect(await tells('a.js')).toEqual(['a.js']);
});

it('says what cannot be watched, and is silent once it is closed', async () => {
  write('file');
  watcher = watchFiles({
    folders: [path('file/none')],
    changed: () => {},
    failed: (error) => told.push([(error as NodeJS.ErrnoException).code ?? '']),
  });
  expect(told).toEqual([['ENOTDIR']]);
  told = [];
  start();
  watcher.close();
  write('a.js');
  await sleep(QUIET);
  expect(told).toEqual([]);
});
