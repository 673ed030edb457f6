import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BenchError } from './processes.ts';

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** From so many bytes on a file is large: what a request costs is what its bytes cost. */
export const LARGE: number = 256 * 1024;

/** A file of random bytes that all servers serve. */
export interface TestFile {
  /** Its size as it was asked for, such as `64k`. */
  readonly name: string;
  readonly bytes: number;
  /** The path in a URL. */
  readonly path: string;
  readonly sha256: string;
}

export interface TestFolder {
  readonly root: string;
  readonly files: readonly TestFile[];
}

/** Bytes of a size such as `512`, `4k` or `1m`. */
export function parseSize(name: string): number {
  const [, digits, unit = ''] = /^(\d{1,12})([kmg]?)$/.exec(name) ?? [];
  if (digits === undefined) {
    throw new BenchError(`the size ${name}: give a number of bytes, k, m or g, such as 64k`);
  }
  return Number(digits) * (UNITS[unit] as number);
}

/** Small files at one connection and at many; of large ones few fill the machine. */
export function connectionsFor(bytes: number): number[] {
  if (bytes < LARGE) return [1, 64];
  return bytes < 16 * 1024 ** 2 ? [16] : [4];
}

function writeFile(root: string, name: string): TestFile {
  const bytes = parseSize(name);
  const path = `/${name}.bin`;
  const hash = createHash('sha256');
  const fd = openSync(join(root, path), 'wx');
  for (let left = bytes; left > 0; ) {
    const block = randomBytes(Math.min(left, 1024 ** 2));
    hash.update(block);
    for (let offset = 0; offset < block.length; ) offset += writeSync(fd, block, offset);
    left -= block.length;
  }
  closeSync(fd);
  return { name, bytes, path, sha256: hash.digest('hex') };
}

/**
 * Makes a folder with a file of each size, which is removed when the process ends. Having just been
 * written, they are in the page cache.
 */
export function makeTestFolder(sizes: readonly string[]): TestFolder {
  const root = mkdtempSync(join(tmpdir(), 'ryegate-bench-'));
  process.once('exit', () => rmSync(root, { recursive: true, force: true }));
  return { root, files: sizes.map((size) => writeFile(root, size)) };
}
