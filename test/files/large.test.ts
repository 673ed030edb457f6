import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Random, randomSeed } from '../fuzz/random.ts';
import { backends, describeBackends } from '../support/backends.ts';
import { BodySplitter, download } from '../support/download.ts';
import { fileServers, readSlowly } from '../support/fileservers.ts';
import { Comparison, IslandFile } from '../support/knownbytes.ts';
import { field } from '../support/rawclient.ts';

const KIB = 1024;
const MIB = KIB * KIB;
const GIB = KIB * MIB;
const PATIENCE = 60_000;

const hundred = new IslandFile(1, 100 * MIB, [[0, 100 * MIB]]);

/** Where a number of 31, 32 or 33 bits would wrap, and both ends. */
const EDGES = [0, 2 * GIB, 4 * GIB, 5 * GIB];
const sparse = new IslandFile(
  2,
  5 * GIB,
  EDGES.map((edge) => [Math.max(0, edge - 100 * KIB), Math.min(5 * GIB, edge + 100 * KIB)]),
);
const PARTS = 16;

const seed = randomSeed();
const folder = mkdtempSync(join(tmpdir(), 'ryegate-large-'));
const FILES: [name: string, file: IslandFile][] = [
  ['hundred', hundred],
  ['sparse', sparse],
];

beforeAll(() => {
  console.log(`seed ${seed}`);
  for (const [name, file] of FILES) file.write(join(folder, name));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function get(target: string): string {
  return `GET ${target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n`;
}

function comparison(file: IslandFile, start = 0, end = file.size): Comparison {
  return new Comparison((from, to) => file.read(from, to), start, end);
}

function expectSame(compared: Comparison): void {
  expect({ difference: compared.difference, missing: compared.missing }).toEqual({
    difference: -1,
    missing: 0,
  });
}

/** Parts of up to 1 MiB that begin or end at an edge, or span it, and some elsewhere. */
function makeParts(random: Random): [start: number, end: number][] {
  return Array.from({ length: PARTS }, (_, index) => {
    const edge = index % 2 === 0 ? random.pick(EDGES) : random.below(5 * GIB);
    const start = Math.max(0, edge - random.below(MIB / 2));
    return [start, Math.min(5 * GIB, edge + random.below(MIB / 2))];
  });
}

describeBackends('a large file result', (selector) => {
  const serve = fileServers();

  it.each([false, true])('of 100 MiB arrives (sync: %s)', async (sync) => {
    const server = await serve({ root: folder, sync, options: { selector } });
    const compared = comparison(hundred);
    const take = (bytes: Buffer): void => compared.take(bytes);
    await download(server.address, get('/file/hundred'), take, PATIENCE);
    expectSame(compared);
  });

  it('of 100 MiB arrives through small buffers', async () => {
    const server = await serve({ root: folder, smallBuffers: true, options: { selector } });
    const compared = comparison(hundred);
    const splitter = new BodySplitter((bytes) => compared.take(bytes));
    const pace = { piece: 64 * KIB, every: 20 * MIB, pause: 0.1 };
    const take = (bytes: Buffer): void => splitter.take(bytes);
    await readSlowly(server.address, get('/file/hundred'), pace, take);
    expect(splitter.length).toBe(hundred.size);
    expectSame(compared);
  });

  it('of 5 GiB arrives in parts', async () => {
    const server = await serve({ root: folder, options: { selector } });
    for (const [index, [start, end]] of makeParts(new Random(seed)).entries()) {
      if (start === end) continue;
      const compared = comparison(sparse, start, end);
      const request =
        index % 3 === 0
          ? get('/static/sparse').replace('\r\n', `\r\nRange: bytes=${start}-${end - 1}\r\n`)
          : get(`/file/sparse?at=${start}&length=${end - start}`);
      await download(server.address, request, (bytes) => compared.take(bytes), PATIENCE);
      expectSame(compared);
    }
  });

  // The parts show that each backend counts so far; the whole takes its time.
  if (selector !== backends()[0]) return;

  it('of 5 GiB arrives whole', { timeout: 2 * PATIENCE }, async () => {
    const server = await serve({ root: folder, options: { selector } });
    const compared = comparison(sparse);
    const take = (bytes: Buffer): void => compared.take(bytes);
    const response = await download(server.address, get('/file/sparse'), take, 2 * PATIENCE);
    expect(field(response, 'Content-Length')).toBe(String(5 * GIB));
    expectSame(compared);
  });
});
