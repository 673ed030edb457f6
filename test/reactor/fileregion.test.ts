import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  openSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileFacts } from '../../src/io/filefacts.ts';
import { FileRegion } from '../../src/reactor/fileregion.ts';

const SIZE = 3 * 1024 * 1024;
const PIECE = 352 * 1024;

describe('a region of a file of which a piece was sent', () => {
  let folder: string;
  let path: string;
  let fd: number;
  let region: FileRegion;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ryegate-region-'));
    path = join(folder, 'file');
    writeFileSync(path, Buffer.alloc(SIZE, 'old'));
    // So that any change shows, whatever the clock of the file system.
    utimesSync(path, 1000, 1000);
    fd = openSync(path, 'r');
    const facts = new FileFacts();
    facts.look(fd);
    const part = { fd, position: 0, count: SIZE, state: () => facts.stateOf(fd) };
    region = new FileRegion(part, SIZE, false, () => {});
    region.advance(PIECE);
  });

  afterEach(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });

  it('has no fault while the file is as it was', () => {
    expect(region.look()).toBe('sound');
  });

  it('has none when the file was appended to', () => {
    appendFileSync(path, 'more');
    expect(region.look()).toBe('sound');
  });

  it('can tell that it was appended to from its time having been set alone', async () => {
    utimesSync(path, 2000, 2000);
    expect(region.look()).toBe('unclear');
    appendFileSync(path, 'more');
    await new Promise<void>((done) => region.awaitWriter(() => done()));
    expect(region.look()).toBe('sound');
  });

  it.each([
    ['written anew and larger', () => writeFileSync(path, Buffer.alloc(SIZE + 1, 'new'))],
    ['written anew in the same size', () => writeFileSync(path, Buffer.alloc(SIZE, 'new'))],
    ['written anew and smaller', () => writeFileSync(path, Buffer.alloc(SIZE - 1, 'new'))],
    ['cut', () => truncateSync(path, SIZE - 1)],
  ])('has one when the file was %s', async (_title, change) => {
    change();
    if (region.look() === 'unclear')
      await new Promise<void>((done) => region.awaitWriter(() => done()));
    expect(region.look()).toBe('broken');
  });
});
