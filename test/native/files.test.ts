import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Fact, native } from '../../src/native.ts';
import { inject, scriptRunner } from '../support/addonscripts.ts';
import { content } from '../support/bodies.ts';
import { descriptorKeeper } from '../support/descriptors.ts';
import { factsOf, newFacts } from '../support/filefacts.ts';
import { evict } from '../support/pagecache.ts';
import { straceIsMissing } from '../support/strace.ts';

const { EAGAIN, EBADF, EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, EXDEV } = constants.errno;
const MIB = 1024 * 1024;

const folder = mkdtempSync(join(tmpdir(), 'ryegate-files-'));
afterAll(() => rmSync(folder, { recursive: true }));

const descriptors = descriptorKeeper();
const run = scriptRunner();
const small = join(folder, 'small');
writeFileSync(small, 'a small file');
const linux = process.platform === 'linux';

/** A file of `size` bytes. */
function makeFile(name: string, size: number): { path: string; bytes: Buffer } {
  const path = join(folder, name);
  const bytes = content(size);
  writeFileSync(path, bytes);
  return { path, bytes };
}

function open(path: string, flags = 'r+'): number {
  return descriptors.keep(openSync(path, flags));
}

describe('fileFacts', () => {
  it('tells the facts of a file, also of a large one', () => {
    const { path } = makeFile('sparse', 1);
    truncateSync(path, 5 * 1024 * MIB + 1);
    const facts = newFacts();
    expect(native.fileFacts(open(path), facts)).toBe(0);
    expect([...facts]).toEqual([...factsOf(path), 0]);
    expect(facts[Fact.size]).toBe(5 * 1024 * MIB + 1);
    expect(native.fileFacts(-1, facts)).toBe(-EBADF);
  });

  it('tells the offset, where there is one', () => {
    const fd = open(small);
    const facts = newFacts();
    readSync(fd, Buffer.alloc(4));
    native.fileFacts(fd, facts);
    expect(facts[Fact.offset]).toBe(4);
    native.fileFacts(descriptors.pipe().reader, facts);
    expect(facts[Fact.offset]).toBe(-1);
  });
});

/** The folder, opened as a file is. */
function openItself(): number {
  const root = descriptors.keep(native.openFolder(folder));
  return descriptors.keep(native.openBeneath(root, '.', true, newFacts()));
}

/** Whether a file can be cold here, and the kernel tells. */
function hasColdFiles(): boolean {
  const { path } = makeFile('probe', 4096);
  evict(path);
  const fd = openSync(path, 'r');
  const cold = native.readNow(fd, new Uint8Array(1), 0) === -EAGAIN;
  readSync(fd, Buffer.alloc(4096));
  const told = native.readNow(fd, new Uint8Array(1), 0) === 1;
  closeSync(fd);
  return cold && told;
}

const cold = hasColdFiles();
if (!cold) {
  console.warn(
    `no file is ever cold in ${folder} (type 0x${statfsSync(folder).type.toString(16)}): ` +
      'tests of cold files are skipped',
  );
}

describe('readNow', () => {
  it.runIf(cold)('reads what is in the page cache, and waits for nothing', async () => {
    const { path, bytes } = makeFile('cold', 16 * MIB);
    const fd = open(path);
    const buffer = Buffer.alloc(17 * MIB);
    expect(native.readNow(fd, buffer, 0)).toBe(16 * MIB);
    expect(buffer.subarray(0, 16 * MIB).equals(bytes)).toBe(true);
    expect(native.readNow(fd, buffer, 16 * MIB - 5)).toBe(5);
    expect(native.readNow(fd, buffer, 16 * MIB)).toBe(0);
    expect(native.readNow(fd, buffer, 2 ** 40)).toBe(0);
    evict(path);
    expect(native.readNow(fd, buffer, 0)).toBe(-EAGAIN);
    expect(await settled((done) => native.readAhead(fd, 8 * MIB, 100_000, done))).toBe(0);
    // What is next to it may come along.
    const count = native.readNow(fd, buffer, 8 * MIB);
    expect(count).toBeGreaterThanOrEqual(100_000);
    expect(buffer.subarray(0, count).equals(bytes.subarray(8 * MIB, 8 * MIB + count))).toBe(true);
  });

  it('tells failures', () => {
    const buffer = new Uint8Array(10);
    expect(native.readNow(-1, buffer, 0)).toBe(-EBADF);
    expect(native.readNow(open(small), buffer, -1)).toBe(-EINVAL);
    expect([-EISDIR, -EAGAIN]).toContain(native.readNow(openItself(), buffer, 0));
    expect(native.readNow(open(small), new Uint8Array(0), 0)).toBe(0);
  });

  it.skipIf(!linux || straceIsMissing()).each(['EOPNOTSUPP', 'ENOSYS'])(
    'is for the pool to do where preadv2 gives %s',
    async (errno) => {
      const source = `
        const fd = require('node:fs').openSync(${JSON.stringify(small)});
        console.log(native.readNow(fd, new Uint8Array(5), 0));
      `;
      const printed = await run(source, inject(`preadv2:error=${errno}`));
      expect(printed).toBe(`0 ${-EAGAIN}`);
    },
    60_000,
  );
});

function settled(call: (done: (result: number) => void) => void): Promise<number> {
  return new Promise(call);
}

describe('readLater and readAhead', () => {
  it('read until the buffer is full or the file ends', async () => {
    const { path, bytes } = makeFile('plain', 3 * MIB);
    const fd = open(path);
    if (cold) evict(path);
    const read = (buffer: Buffer, position: number): Promise<number> =>
      settled((done) => native.readLater(fd, buffer, position, done));
    const buffer = Buffer.alloc(2 * MIB);
    expect(await read(buffer, 1000)).toBe(2 * MIB);
    expect(buffer.equals(bytes.subarray(1000, 1000 + 2 * MIB))).toBe(true);
    expect(await read(buffer, 3 * MIB - 7)).toBe(7);
    expect(buffer.subarray(0, 7).equals(bytes.subarray(-7))).toBe(true);
    expect(await read(buffer, 3 * MIB)).toBe(0);
    expect(await read(Buffer.alloc(0), 0)).toBe(0);
    expect(await read(buffer, -1)).toBe(-EINVAL);
  });

  it('leave bytes around the view alone', async () => {
    const fd = open(makeFile('plain', 100).path);
    const block = Buffer.alloc(30, 'x');
    const view = block.subarray(10, 20);
    expect(await settled((done) => native.readLater(fd, view, 0, done))).toBe(10);
    expect(block.toString('latin1').replaceAll('x', '')).toHaveLength(10);
    expect(native.readNow(fd, view, 10)).toBe(10);
    expect(`${block.subarray(0, 10)}${block.subarray(20)}`).toBe('x'.repeat(20));
  });

  it('run side by side', async () => {
    const { path, bytes } = makeFile('plain', MIB);
    const fd = open(path);
    const buffers = Array.from({ length: 64 }, () => Buffer.alloc(1000));
    const reads = buffers.map((buffer, i) =>
      settled((done) => native.readLater(fd, buffer, i * 5000, done)),
    );
    expect(await Promise.all(reads)).toEqual(buffers.map(() => 1000));
    expect(buffers.every((one, i) => one.equals(bytes.subarray(i * 5000, i * 5000 + 1000)))).toBe(
      true,
    );
  });

  it('tell failures', async () => {
    const buffer = new Uint8Array(10);
    const ahead = (fd: number, position: number, count: number): Promise<number> =>
      settled((done) => native.readAhead(fd, position, count, done));
    const subfolder = openItself();
    expect(await settled((done) => native.readLater(-1, buffer, 0, done))).toBe(-EBADF);
    expect(await settled((done) => native.readLater(subfolder, buffer, 0, done))).toBe(-EISDIR);
    expect(await ahead(-1, 0, 1)).toBe(-EBADF);
    expect(await ahead(subfolder, 0, 1)).toBe(-EISDIR);
    const fd = open(makeFile('plain', 100).path);
    expect(await ahead(fd, 90, 2 ** 40)).toBe(0);
    expect(await ahead(fd, 2 ** 40, 1)).toBe(0);
    expect(await ahead(fd, -1, 1)).toBe(-EINVAL);
    expect(await ahead(fd, 0, 0)).toBe(0);
    expect(await ahead(fd, 0, -1)).toBe(0);
  });
});

describe('copyRange', () => {
  const copy = (from: number, at: number, to: number, place: number, count: number) =>
    settled((done) => native.copyRange(from, at, to, place, count, done));

  it.each([
    [0, 0, 3 * MIB],
    [1, 5, 2 * MIB + 1],
    [3 * MIB - 10, 0, 10],
    [100, 100, 0],
  ])('from %i to %i, %i bytes', async (at, place, count) => {
    const { path, bytes } = makeFile('source', 3 * MIB);
    const target = makeFile('target', 0).path;
    expect(await copy(open(path), at, open(target), place, count)).toBe(count);
    const copied = readFileSync(target);
    expect(copied.subarray(place).equals(bytes.subarray(at, at + count))).toBe(true);
  });

  it('ends where the source does', async () => {
    const { path, bytes } = makeFile('source', 1000);
    const target = makeFile('target', 0).path;
    expect(await copy(open(path), 400, open(target), 0, 2 ** 45)).toBe(600);
    expect(readFileSync(target).equals(bytes.subarray(400))).toBe(true);
    expect(await copy(open(path), 2000, open(target), 0, 10)).toBe(0);
    // A file whose size the kernel does not know.
    const version = readFileSync('/proc/version');
    expect(await copy(open('/proc/version', 'r'), 0, open(target), 0, 9999)).toBe(version.length);
    expect(readFileSync(target).subarray(0, version.length).equals(version)).toBe(true);
  });

  it.runIf(linux)('goes from one file system to another', async () => {
    const { path, bytes } = makeFile('source', 3 * MIB);
    const target = join(mkdtempSync('/dev/shm/ryegate-'), 'target');
    try {
      expect(await copy(open(path), 7, open(target, 'w+'), 0, 3 * MIB)).toBe(3 * MIB - 7);
      expect(readFileSync(target).equals(bytes.subarray(7))).toBe(true);
    } finally {
      rmSync(join(target, '..'), { recursive: true });
    }
  });

  it('tells failures', async () => {
    const source = open(makeFile('source', 1000).path);
    const readOnly = open(small, 'r');
    expect(await copy(-1, 0, source, 0, 10)).toBe(-EBADF);
    expect(await copy(source, 0, -1, 0, 10)).toBe(-EBADF);
    expect(await copy(source, 0, readOnly, 0, 10)).toBe(-EBADF);
    expect(await copy(source, -1, readOnly, 0, 10)).toBe(-EINVAL);
    expect(await copy(source, 0, readOnly, -1, 10)).toBe(-EINVAL);
    expect(await copy(source, 0, readOnly, 0, -10)).toBe(-EINVAL);
  });

  it.skipIf(!linux || straceIsMissing()).each([
    ['EXDEV', 'EINVAL'],
    ['ENOSYS', 'ENOSYS'],
    ['EOPNOTSUPP', ''],
    ['EPERM', 'EPERM'],
    ['EINVAL:when=2+', 'EINVAL'],
    ['EINVAL', 'EINVAL:when=2+'],
  ])(
    'goes on where copy_file_range gives %s and sendfile %j',
    async (first, second) => {
      const { path, bytes } = makeFile('source', 3 * MIB + 3);
      const target = makeFile('target', 0).path;
      const source = `
        const { openSync } = require('node:fs');
        const from = openSync(${JSON.stringify(path)});
        const to = openSync(${JSON.stringify(target)}, 'r+');
        native.copyRange(from, 3, to, 1, 1e9, (copied) => console.log(copied));
      `;
      const faults = [`copy_file_range:error=${first}`];
      if (second !== '') faults.push(`sendfile:error=${second}`);
      expect(await run(source, inject(...faults))).toBe(`0 ${3 * MIB}`);
      expect(readFileSync(target).subarray(1).equals(bytes.subarray(3))).toBe(true);
    },
    60_000,
  );
});

describe('lockFile', () => {
  it('locks a file until its descriptor is closed', () => {
    const holder = openSync(small, 'r');
    const other = open(small, 'r');
    expect(native.lockFile(holder)).toBe(0);
    expect(native.lockFile(holder)).toBe(0);
    expect(native.lockFile(other)).toBe(-EAGAIN);
    closeSync(holder);
    expect(native.lockFile(other)).toBe(0);
  });

  it('tells failures', () => {
    expect(native.lockFile(-1)).toBe(-EBADF);
  });
});

describe.runIf(linux)('openUnnamed and linkUnnamed', () => {
  it('make a file that nobody sees before it has its name', () => {
    const fd = descriptors.keep(native.openUnnamed(folder));
    const facts = newFacts();
    native.fileFacts(fd, facts);
    expect((facts[Fact.mode] as number) & 0o777).toBe(0o600);
    const path = join(folder, 'linked');
    expect(native.linkUnnamed(fd, path)).toBe(0);
    expect(factsOf(path).slice(-4)).toEqual([...facts].slice(-5, -1));
    expect(native.linkUnnamed(fd, path)).toBe(-EEXIST);
  });

  it('tell failures', () => {
    expect(native.openUnnamed(join(folder, 'missing'))).toBe(-ENOENT);
    expect(native.openUnnamed(small)).toBe(-ENOTDIR);
    expect(native.openUnnamed(`${folder}\0`)).toBe(-EINVAL);
    const fd = descriptors.keep(native.openUnnamed(folder));
    expect(native.linkUnnamed(fd, join(folder, 'missing', 'name'))).toBe(-ENOENT);
    expect(native.linkUnnamed(fd, `${folder}/name\0`)).toBe(-EINVAL);
    expect(native.linkUnnamed(-1, join(folder, 'name'))).toBe(-ENOENT);
    const elsewhere = native.linkUnnamed(fd, '/dev/shm/ryegate-linked');
    expect(elsewhere).toBe(-EXDEV);
  });
});
