import { execFileSync } from 'node:child_process';
import {
  constants as fileConstants,
  mkdirSync,
  mkdtempSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it } from 'vitest';
import { Fact, native } from '../../src/native.ts';
import { inject, scriptRunner } from '../support/addonscripts.ts';
import { descriptorKeeper, openDescriptors } from '../support/descriptors.ts';
import { factsOf, newFacts, UNTOLD } from '../support/filefacts.ts';
import { straceIsMissing } from '../support/strace.ts';

const { EACCES, EAGAIN, EBADF, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ENXIO, EXDEV } =
  constants.errno;
const { S_IFDIR, S_IFMT } = fileConstants;

const folder = mkdtempSync(join(tmpdir(), 'ryegate-beneath-'));
afterAll(() => rmSync(folder, { recursive: true }));
const root = join(folder, 'root');
mkdirSync(join(root, 'sub', 'deep'), { recursive: true });
writeFileSync(join(folder, 'outside'), 'outside');
writeFileSync(join(root, 'file'), 'in the root');
writeFileSync(join(root, 'sub', 'file'), 'in a folder');
writeFileSync(Buffer.from(`${root}/caf\xe9`, 'latin1'), 'latin');
symlinkSync('file', join(root, 'link'));
symlinkSync('sub', join(root, 'folder-link'));
symlinkSync('../file', join(root, 'sub', 'up'));
symlinkSync('../outside', join(root, 'out'));
symlinkSync(join(root, 'file'), join(root, 'absolute'));
symlinkSync('circle', join(root, 'circle'));
execFileSync('mkfifo', [join(root, 'fifo')]);

const descriptors = descriptorKeeper();
const run = scriptRunner();
const linux = process.platform === 'linux';

const openRoot = (path = root): number => descriptors.keep(native.openFolder(path));

function keepOpened(fd: number): number {
  return fd < 0 ? fd : descriptors.keep(fd);
}

function openNow(fd: number, path: string, facts = newFacts()): number {
  return keepOpened(native.openBeneath(fd, path, true, facts));
}

async function openLater(fd: number, path: string, facts = newFacts()): Promise<number> {
  return keepOpened(
    await new Promise((resolve) => {
      native.openBeneathLater(fd, path, facts, resolve);
    }),
  );
}

function textOf(fd: number): string {
  const bytes = Buffer.alloc(100);
  return bytes.toString('latin1', 0, readSync(fd, bytes, 0, 100, 0));
}

/** What opening a path beneath the root gives: the file's text, or an errno. */
type Outcomes = [path: string, outcome: string | number][];

const OUTCOMES: Outcomes = [
  ['file', 'in the root'],
  ['sub/file', 'in a folder'],
  ['./sub//.//file', 'in a folder'],
  ['caf\xe9', 'latin'],
  ['caf\u00c3\u00a9', ENOENT],
  ['missing', ENOENT],
  ['sub/missing', ENOENT],
  ['', ENOENT],
  ['file/', ENOTDIR],
  ['file/file', ENOTDIR],
  ['x'.repeat(256), ENAMETOOLONG],
  ['file\0', EINVAL],
  ['/', EXDEV],
  [join(root, 'file'), EXDEV],
  ['..', EXDEV],
  ['../outside', EXDEV],
  ['sub/../../outside', EXDEV],
  ['../root/file', EXDEV],
  ['fifo', EACCES],
  ['circle', ELOOP],
];

/** Where the two ways to open differ. */
const WITH_LINKS: Outcomes = [
  ['x/'.repeat(3000), ENAMETOOLONG],
  ['link', 'in the root'],
  ['folder-link/file', 'in a folder'],
  ['sub/up', 'in the root'],
  ['sub/../file', 'in the root'],
  ['out', EXDEV],
  ['absolute', EXDEV],
];
const WITHOUT_LINKS: Outcomes = [
  ['link', ELOOP],
  ['folder-link/file', ELOOP],
  ['folder-link/', ELOOP],
  ['sub/up', ELOOP],
  ['sub/../file', EXDEV],
  ['out', ELOOP],
  ['absolute', ELOOP],
];

describe('openBeneath', () => {
  const outcomes = [...OUTCOMES, ...(linux ? WITH_LINKS : WITHOUT_LINKS)];

  it.each(outcomes)('of %j', async (path, expected) => {
    const folderFd = openRoot();
    const before = openDescriptors();
    for (const fd of [openNow(folderFd, path), await openLater(folderFd, path)]) {
      if (typeof expected === 'number') expect(fd).toBe(-expected);
      else expect(textOf(fd)).toBe(expected);
    }
    expect(openDescriptors()).toBe(before + (typeof expected === 'number' ? 0 : 2));
  });

  it.skipIf(!linux || straceIsMissing()).each(['ENOSYS', 'EPERM', 'EINVAL'])(
    'goes component by component where openat2 gives %s',
    async (errno) => {
      const all = [...OUTCOMES, ...WITHOUT_LINKS];
      const source = `
        const { readdirSync, readSync } = require('node:fs');
        const root = native.openFolder(${JSON.stringify(root)});
        const facts = new Float64Array(${Fact.count});
        const count = () => readdirSync('/proc/self/fd').length;
        const before = count();
        const results = ${JSON.stringify(all)}.map(([path]) => {
          const fd = native.openBeneath(root, path, true, facts);
          if (fd < 0) return -fd;
          const bytes = Buffer.alloc(100);
          const text = bytes.toString('latin1', 0, readSync(fd, bytes, 0, 100, 0));
          native.close(fd);
          return text;
        });
        // Whether that would wait nobody can tell.
        results.push(native.openBeneath(root, 'file', false, facts), count() - before);
        console.log(JSON.stringify(results));
      `;
      const expected = [...all.map(([, outcome]) => outcome), -EAGAIN, 0];
      const printed = await run(source, inject(`openat2:error=${errno}`));
      expect(printed).toBe(`0 ${JSON.stringify(expected)}`);
    },
    60_000,
  );

  it.runIf(linux)('follows no magic link', () => {
    const proc = openRoot('/proc/self');
    expect(openNow(proc, 'root/etc/passwd')).toBe(-ELOOP);
    expect(openNow(proc, 'cwd/package.json')).toBe(-ELOOP);
    expect(textOf(openNow(proc, 'comm'))).not.toBe('');
  });

  it('opens folders, but neither devices nor sockets', () => {
    const fd = openRoot();
    const facts = newFacts();
    for (const path of ['.', 'sub', 'sub/', 'sub/deep/.']) {
      expect(openNow(fd, path, facts)).toBeGreaterThan(0);
      expect((facts[Fact.mode] as number) & S_IFMT).toBe(S_IFDIR);
    }
    expect(openNow(openRoot('/dev'), 'null')).toBe(-EACCES);
    const socket = descriptors.keep(native.socket(native.AF_UNIX));
    native.bindPath(socket, join(root, 'socket'), -1);
    expect([-ENXIO, -EACCES]).toContain(openNow(fd, 'socket'));
  });

  it.runIf(linux)('without a wait opens what has been looked up before, and only that', () => {
    const fd = openRoot();
    writeFileSync(join(root, 'looked-up'), '');
    expect(keepOpened(native.openBeneath(fd, 'looked-up', false, newFacts()))).toBeGreaterThan(0);
    expect(native.openBeneath(fd, 'never-looked-up', false, newFacts())).toBe(-EAGAIN);
    expect(openNow(fd, 'never-looked-up')).toBe(-ENOENT);
    expect(native.openBeneath(fd, 'never-looked-up', false, newFacts())).toBe(-ENOENT);
  });

  it('tells facts, only of what it opens', async () => {
    const fd = openRoot();
    const expected = factsOf(join(root, 'sub', 'file'));
    const facts = newFacts();
    openNow(fd, 'sub/file', facts);
    expect([...facts]).toEqual([...expected, UNTOLD]);
    const later = newFacts();
    await openLater(fd, 'sub/file', later);
    expect(later).toEqual(facts);
    openNow(fd, 'missing', facts);
    await openLater(fd, 'fifo', facts);
    expect(later).toEqual(facts);
  });

  it('refuses a root that is none', async () => {
    expect(openNow(-1, 'file')).toBe(-EBADF);
    expect(openNow(999_999, 'file')).toBe(-EBADF);
    expect(await openLater(-1, 'file')).toBe(-EBADF);
    expect(openNow(openNow(openRoot(), 'file'), 'file')).toBe(-ENOTDIR);
  });

  it('is not confused by names that change meanwhile', async () => {
    const fd = openRoot();
    const source = `
      const { renameSync } = require('node:fs');
      const { parentPort, workerData } = require('node:worker_threads');
      const at = (name) => workerData + '/' + name;
      for (let i = 0; i < 4000; i += 1) {
        renameSync(at('moving-1'), at('moving-2'));
        renameSync(at('moving-2'), at('moving-1'));
      }
    `;
    mkdirSync(join(root, 'moving-1', 'inner'), { recursive: true });
    const worker = new Worker(source, { eval: true, workerData: root });
    let running = true;
    worker.once('exit', () => {
      running = false;
    });
    const seen = new Set<number>();
    while (running) {
      for (let i = 0; i < 100; i += 1) {
        const result = openNow(fd, `moving-1/inner/../../sub/../file`);
        if (result > 0) {
          expect(textOf(result)).toBe('in the root');
          descriptors.close(result);
        } else {
          seen.add(-result);
        }
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Never another file, and no other failure than these.
    for (const errno of [ENOENT, EAGAIN, EXDEV]) seen.delete(errno);
    expect([...seen]).toEqual([]);
  });
});

describe('openFolder', () => {
  it('opens folders, through links too, and nothing else', () => {
    expect(openRoot(join(root, 'folder-link'))).toBeGreaterThan(0);
    expect(textOf(openNow(openRoot(join(root, 'folder-link')), 'file'))).toBe('in a folder');
    expect(native.openFolder(join(root, 'file'))).toBe(-ENOTDIR);
    expect(native.openFolder(join(root, 'missing'))).toBe(-ENOENT);
    expect(native.openFolder(`${root}\0`)).toBe(-EINVAL);
  });
});

describe('statBeneath', () => {
  it('tells the facts of a file, wherever links lead', () => {
    const fd = openRoot();
    for (const path of ['file', 'sub', 'link', 'out', 'fifo']) {
      const facts = newFacts();
      expect(native.statBeneath(fd, path, facts)).toBe(0);
      expect([...facts]).toEqual([...factsOf(join(root, path)), UNTOLD]);
    }
  });

  it('tells failures', () => {
    const fd = openRoot();
    const facts = newFacts();
    expect(native.statBeneath(fd, 'missing', facts)).toBe(-ENOENT);
    expect(native.statBeneath(fd, 'file\0', facts)).toBe(-EINVAL);
    expect(native.statBeneath(-1, 'file', facts)).toBe(-EBADF);
    expect(facts).toEqual(newFacts());
  });
});
