import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Folder, MOST_ENTRIES, readFolder, readFolderSync } from '../../src/files/folder.ts';
import { openDescriptors } from '../support/descriptors.ts';

let base: string;
let root: string;
let many: string;

beforeAll(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'ryegate-folder-')));
  root = join(base, 'root');
  mkdirSync(join(root, 'sub', 'deep'), { recursive: true });
  mkdirSync(join(base, 'root-secret'));
  writeFileSync(join(base, 'root-secret', 'x'), 'secret');
  writeFileSync(join(root, 'file'), 'twelve bytes');
  utimesSync(join(root, 'file'), 0, 1_000_000_000);
  // A name that is no UTF-8 is served, one with a line break is not.
  for (const name of ['\xff', 'a\nb']) writeFileSync(Buffer.from(`${root}/${name}`, 'latin1'), '');
  writeFileSync(join(root, '.hidden'), '');
  writeFileSync(join(root, '.shown'), '');
  execFileSync('mkfifo', [join(root, 'fifo')]);
  const links = {
    'to-file': 'file',
    'to-file-absolutely': join(root, 'file'),
    'to-folder': 'sub/deep',
    'to-root': '.',
    out: '../root-secret/x',
    'out-absolutely': join(base, 'root-secret'),
    'to-fifo': 'fifo',
    nowhere: 'missing',
    loop: 'loop',
  };
  for (const [name, target] of Object.entries(links)) symlinkSync(target, join(root, name));
  many = join(base, 'many');
  mkdirSync(many);
  writeFileSync(join(many, '0'), '');
  for (let i = 1; i < MOST_ENTRIES; i++) linkSync(join(many, '0'), join(many, `${i}`));
});

afterAll(() => rmSync(base, { recursive: true, force: true }));

function names({ entries }: Folder): string[] {
  return entries.map(({ name, isFolder }) => (isFolder ? `${name}/` : name)).sort();
}

const SERVED = ['file', 'sub/', 'to-file', 'to-file-absolutely', 'to-folder/', 'to-root/', '\xff'];

describe.each([
  ['readFolder', readFolder],
  ['readFolderSync', async (...args: Parameters<typeof readFolderSync>) => readFolderSync(...args)],
])('%s', (_, read) => {
  test('finds what may be served', async () => {
    const folder = await read(root, '', false);
    expect(names(folder)).toEqual(SERVED);
    expect(folder.isCut).toBe(false);
    const modified = 1_000_000_000_000;
    const facts = { isFolder: false, size: 12, modified };
    expect(folder.entries).toContainEqual({ name: 'file', ...facts });
    expect(folder.entries).toContainEqual({ name: 'to-file', ...facts });
  });

  test('finds names with a dot that are allowed', async () => {
    expect(names(await read(root, '', new Set(['.shown'])))).toEqual(['.shown', ...SERVED]);
    expect(names(await read(root, '', true))).toEqual(['.hidden', '.shown', ...SERVED]);
  });

  test('reads a folder below the root, and one with nothing in it', async () => {
    expect(names(await read(root, 'sub', false))).toEqual(['deep/']);
    expect(names(await read(root, 'sub/deep', false))).toEqual([]);
  });

  test('fails for what is no folder, and leaves no descriptor', async () => {
    const before = openDescriptors();
    await expect(read(root, 'file', false)).rejects.toMatchObject({ code: 'ENOTDIR' });
    await expect(read(root, 'missing', false)).rejects.toMatchObject({ code: 'ENOENT' });
    await read(root, '', false);
    expect(openDescriptors()).toBe(before);
  });

  test('reads so many entries and no more', async () => {
    const before = openDescriptors();
    const all = await read(many, '', false);
    expect([all.entries.length, all.isCut]).toEqual([MOST_ENTRIES, false]);
    const last = join(many, 'last');
    writeFileSync(last, '');
    try {
      const most = await read(many, '', false);
      expect([most.entries.length, most.isCut]).toEqual([MOST_ENTRIES, true]);
    } finally {
      rmSync(last);
    }
    expect(openDescriptors()).toBe(before);
  });
});
