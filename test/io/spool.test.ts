import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Spool } from '../../src/io/spool.ts';
import { codeOf } from '../support/backends.ts';
import { openDescriptors } from '../support/descriptors.ts';

const LIMIT = 1000;
const MIB = 1024 * 1024;
const gone = new Error('the request is over');

const before = process.env.TMPDIR;
const folder = mkdtempSync(join(tmpdir(), 'ryegate-spool-'));
const open: Spool[] = [];

beforeAll(() => {
  process.env.TMPDIR = folder;
});
afterEach(() => {
  for (const spool of open.splice(0)) spool.close(() => gone);
  process.env.TMPDIR = folder;
});
afterAll(() => {
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
  rmSync(folder, { recursive: true });
});

function make(memory = LIMIT): Spool {
  const spool = new Spool(memory);
  open.push(spool);
  return spool;
}

/** Bytes that differ from one place to the next, with a newline now and then. */
function content(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i++) bytes[i] = i % 1009 === 1008 ? 10 : (i * 31 + (i >> 9)) & 255;
  return bytes;
}

function fill(spool: Spool, bytes: Buffer, piece: number): void {
  for (let at = 0; at < bytes.length; at += piece) spool.push(bytes.subarray(at, at + piece));
}

/** The files without a name that this process has open in the folder: paths to open them by. */
function unnamed(): string[] {
  return readdirSync('/proc/self/fd')
    .map((fd) => `/proc/self/fd/${fd}`)
    .filter((path) => {
      try {
        const target = readlinkSync(path);
        return target.startsWith(folder) && target.endsWith(' (deleted)');
      } catch {
        return false;
      }
    });
}

describe.each([
  [0, 1],
  [1, 1],
  [LIMIT, LIMIT],
  [LIMIT, 7],
  [LIMIT + 1, LIMIT + 1],
  [LIMIT + 1, 7],
  [LIMIT + 1, LIMIT],
  [200_000, 999],
  [5 * MIB, 65_536],
])('%i bytes in pieces of %i', (size, piece) => {
  const bytes = content(size);

  function filled(memory = LIMIT): Spool {
    const spool = make(memory);
    fill(spool, bytes, piece);
    spool.end([]);
    return spool;
  }

  it('are read as they were, at once', () => {
    const { input } = filled();
    expect(input.readSync().equals(bytes)).toBe(true);
    expect(input.readSync()).toHaveLength(0);
    expect(input.ended).toBe(true);
  });

  it('are read as they were, by promises', async () => {
    expect((await filled().input.read()).equals(bytes)).toBe(true);
    const chunks: Buffer[] = [];
    for await (const chunk of filled().input) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  });

  it('are read as they were, in any mix', async () => {
    const { input } = filled();
    const parts: Buffer[] = [];
    const ways = [
      () => input.readSync(3),
      () => input.read(5),
      () => input.readlineSync(),
      () => input.readline(10),
      () => input.readSync(70_000),
      () => Buffer.concat(input.readlinesSync(100)),
      async () => Buffer.concat(await input.readlines(100)),
    ];
    for (let round = 0; round < 20_000 && !input.ended; round++) {
      const way = ways[round % ways.length] as (typeof ways)[number];
      const part = await way();
      // As long as it is not known to be at its end, an empty part says so.
      if (part.length === 0) break;
      parts.push(part);
    }
    expect(Buffer.concat(parts).equals(bytes)).toBe(true);
  });

  it('give the same lines in memory and in a file', () => {
    const inMemory = filled(size).input.readlinesSync();
    const inFile = filled(0).input.readlinesSync();
    expect(Buffer.concat(inFile).equals(bytes)).toBe(true);
    expect(inFile.map((line) => line.length)).toEqual(inMemory.map((line) => line.length));
  });
});

describe('the file', () => {
  it('is not made for what fits into memory', () => {
    const descriptors = openDescriptors();
    const spool = make();
    fill(spool, content(LIMIT), 10);
    expect(openDescriptors()).toBe(descriptors);
    spool.push(Buffer.from('x'));
    expect(openDescriptors()).toBe(descriptors + 1);
  });

  it('has no name, and is gone when it is closed', () => {
    const descriptors = openDescriptors();
    const spool = make();
    fill(spool, content(LIMIT + 1), 100);
    const [path = '', ...others] = unnamed();
    expect(others).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
    // All is in it, also what is in memory.
    expect(readFileSync(path).equals(content(LIMIT + 1))).toBe(true);
    spool.end([]);
    expect(spool.input.readSync(2000)).toHaveLength(LIMIT + 1);
    spool.close(() => gone);
    expect(unnamed()).toEqual([]);
    expect(openDescriptors()).toBe(descriptors);
  });

  it('is one for each spool', () => {
    const spools = [make(0), make(0)] as const;
    spools[0].push(Buffer.from('one'));
    spools[1].push(Buffer.from('two'));
    expect(unnamed()).toHaveLength(2);
    for (const spool of spools) spool.end([]);
    expect(spools.map(({ input }) => String(input.readSync()))).toEqual(['one', 'two']);
  });

  it('that cannot be made fails the push, and leaves nothing', () => {
    const descriptors = openDescriptors();
    const spool = make();
    spool.push(content(LIMIT));
    process.env.TMPDIR = join(folder, 'missing');
    expect(codeOf(() => spool.push(Buffer.from('x')))).toBe('ENOENT');
    expect(codeOf(() => spool.push(Buffer.from('x')))).toBe('ENOENT');
    expect(existsSync(join(folder, 'missing'))).toBe(false);
    spool.close(() => gone);
    expect(openDescriptors()).toBe(descriptors);
  });
});

describe('what is lent', () => {
  it.each([
    ['in memory', LIMIT],
    ['in a file', 0],
  ])('is copied (%s)', (_title, memory) => {
    const spool = make(memory);
    const lent = Buffer.from('hello');
    spool.push(lent);
    lent.fill('x');
    spool.end([]);
    expect(String(spool.input.readSync())).toBe('hello');
  });
});

describe('close', () => {
  it.each([
    ['before the end', false, 0],
    ['before the end, in memory', false, LIMIT],
    ['after the end', true, 0],
  ])('fails what was not read (%s)', async (_title, ended, memory) => {
    const spool = make(memory);
    spool.push(Buffer.from('hello'));
    if (ended) spool.end([]);
    spool.close(() => gone);
    spool.close(() => new Error('again'));
    expect(() => spool.input.readSync(1)).toThrow(gone);
    await expect(spool.input.read()).rejects.toBe(gone);
    expect(() => spool.input.readlinesSync()).toThrow(gone);
  });

  it('leaves to be read what is in memory and complete', () => {
    const spool = make();
    spool.push(Buffer.from('hello'));
    spool.end([]);
    spool.close(() => gone);
    expect(String(spool.input.readSync())).toBe('hello');
  });

  it('leaves an input alone that was read to its end', () => {
    const spool = make(0);
    spool.push(Buffer.from('hello'));
    spool.end([]);
    expect(String(spool.input.readSync())).toBe('hello');
    spool.close(() => gone);
    expect(spool.input.readSync()).toHaveLength(0);
  });
});

describe('trailers', () => {
  const TRAILERS = [['x-sum', '1']] as const;

  it('are there at once when all is in memory', () => {
    const spool = make();
    spool.push(Buffer.from('hello'));
    spool.end(TRAILERS);
    expect(spool.input.trailers).toEqual(TRAILERS);
  });

  it('are there at the end of a file', () => {
    const spool = make(0);
    spool.push(Buffer.from('hello'));
    expect(spool.input.trailers).toEqual([]);
    spool.end(TRAILERS);
    spool.input.readSync();
    expect(spool.input.trailers).toEqual(TRAILERS);
  });
});

it('takes no more memory than it is given, whatever is announced', () => {
  const spool = make();
  spool.push(Buffer.from('abc'), 0, 3, MIB);
  const [chunk] = spool.input.peek();
  expect(chunk?.buffer.byteLength).toBeLessThanOrEqual(Math.max(LIMIT, Buffer.poolSize));
  const large = make(100_000);
  large.push(Buffer.alloc(60_000), 0, 60_000, MIB);
  large.push(Buffer.alloc(30_000), 0, 30_000, MIB);
  const held = new Set(large.input.peek().map((bytes) => bytes.buffer));
  const sizes = [...held].map((buffer) => buffer.byteLength);
  expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(100_000);
});
