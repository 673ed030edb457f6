import {
  closeSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { Random, randomSeed } from '../fuzz/random.ts';
import { backends, describeBackends } from '../support/backends.ts';
import { type FileServer, fileServers } from '../support/fileservers.ts';
import { knownBytes, writeKnown } from '../support/knownbytes.ts';
import { eventually, field, RawClient, type RawResponse } from '../support/rawclient.ts';

const KIB = 1024;
const READERS = 8;
/** The static application keeps the contents of smaller files, and larger ones open. */
const BORDER = 64 * KIB;

const folder = mkdtempSync(join(tmpdir(), 'ryegate-replacing-'));
const seed = randomSeed();
console.log(`seed ${seed}`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function get(name: string, ...fields: string[]): string {
  return `${[`GET /static/${name} HTTP/1.1`, 'Host: test', ...fields].join('\r\n')}\r\n\r\n`;
}

/** The version of which the answer holds every byte. */
function versionOf(body: Buffer, sizes: ReadonlyMap<number, number>): number {
  const version = body.readUInt32LE(4);
  expect(body.length, `the size of version ${version}`).toBe(sizes.get(version));
  const expected = knownBytes(version, 0, body.length);
  expect(Buffer.compare(body, expected), `all of version ${version}`).toBe(0);
  return version;
}

/** What is known of a file that is replaced again and again. */
class Replaced {
  readonly name: string;
  readonly path: string;
  /** By version, in bytes. */
  readonly sizes = new Map<number, number>();
  /** By entity tag. */
  readonly versions = new Map<string, number>();
  /** That of which the rename has returned. */
  latest = 0;
  over = false;
  /** The youngest that was in an answer. */
  seen = 0;

  constructor(name: string) {
    this.name = name;
    this.path = join(folder, name);
  }

  /** Puts the next version in the place; `modified` is the time that it gets, in seconds. */
  replace(size: number, modified: number | null): void {
    const version = this.latest + 1;
    this.sizes.set(version, size);
    writeKnown(`${this.path}.new`, version, size);
    if (modified !== null) utimesSync(`${this.path}.new`, modified, modified);
    renameSync(`${this.path}.new`, this.path);
    this.latest = version;
  }

  /** Checks an answer to a request that had this tag in If-None-Match; returns its version. */
  check(response: RawResponse, tag: string | undefined): number {
    const etag = field(response, 'ETag') ?? '';
    expect(etag).toMatch(/^"[^"]+"$/);
    if (response.status === 304) {
      expect(etag).toBe(tag);
      return this.versions.get(etag) as number;
    }
    expect(response.status).toBe(200);
    const version = versionOf(response.body, this.sizes);
    expect(this.versions.get(etag) ?? version, `the version of ${etag}`).toBe(version);
    this.versions.set(etag, version);
    this.seen = Math.max(this.seen, version);
    return version;
  }
}

/** Asks again and again; returns how often, and how often the answer was no longer the latest. */
async function read(
  server: FileServer,
  file: Replaced,
  random: Random,
): Promise<{ answers: number; old: number }> {
  const client = await RawClient.connect(server.address);
  let tag: string | undefined;
  let old = 0;
  let answers = 0;
  for (; !file.over; answers++) {
    const { latest } = file;
    const condition = tag !== undefined && random.chance(30) ? tag : undefined;
    const fields = condition === undefined ? [] : [`If-None-Match: ${condition}`];
    await client.send(get(file.name, ...fields));
    const response = await client.response();
    if (file.check(response, condition) < latest) old += 1;
    tag = field(response, 'ETag');
  }
  client.destroy();
  return { answers, old };
}

type Sizes = (random: Random) => number;
/** Of how many versions, at least where one backend stands for all. */
const SIZES: [name: string, size: Sizes, versions: number][] = [
  ['small', (random) => 8 + random.below(4 * KIB), 1000],
  ['of one size', () => 4 * KIB, 300],
  ['about the border', (random) => BORDER - 16 + random.below(32), 300],
  ['large', (random) => 2 * BORDER + random.below(KIB), 300],
];

describeBackends('a file that is replaced while it is read', (selector) => {
  const serve = fileServers();
  const share = selector === backends()[0] ? 1 : 0.1;

  /** `isStrict`: now and then the next version has to wait until the last one was seen. */
  async function replace(
    server: FileServer,
    file: Replaced,
    count: number,
    size: Sizes,
    isStrict: boolean,
  ): Promise<{ answers: number; old: number }[]> {
    const random = new Random(seed);
    file.replace(size(random), null);
    const readers = Array.from({ length: READERS }, (_, i) => {
      return read(server, file, new Random(seed + i));
    });
    for (let i = 1; i < count; i++) {
      file.replace(size(random), null);
      if (isStrict && random.chance(20)) {
        await eventually(() => file.seen === file.latest, `version ${file.latest} is served`);
      } else await sleep(random.below(2));
    }
    file.over = true;
    return await Promise.all(readers);
  }

  it.each(SIZES)(
    'is served whole, and never late when strict (%s)',
    async (name, size, versions) => {
      const server = await serve({ root: folder, options: { selector }, cache: { revalidate: 0 } });
      const file = new Replaced(`strict-${selector}-${name}`.replaceAll(' ', '-'));
      const reads = await replace(server, file, share * versions, size, true);
      const answers = reads.reduce((sum, each) => sum + each.answers, 0);
      console.log(`${selector}, ${name}: ${file.latest} versions, ${answers} answers`);
      expect(reads.reduce((sum, each) => sum + each.old, 0)).toBe(0);
      expect(server.program.stderr).toBe('');
    },
  );

  it.each(SIZES)('is served whole, and not late for ever (%s)', async (name, size) => {
    const server = await serve({ root: folder, options: { selector } });
    const file = new Replaced(`default-${selector}-${name}`.replaceAll(' ', '-'));
    await replace(server, file, share * 100, size, false);
    await sleep(1100);
    const client = await RawClient.connect(server.address);
    await client.send(get(file.name));
    expect(file.check(await client.response(), undefined)).toBe(file.latest);
    client.destroy();
    expect(server.program.stderr).toBe('');
  });

  // As archives and reproducible builds leave them.
  it.each([4 * KIB, 2 * BORDER])(
    'is another although size and time are the same (%i bytes)',
    async (size) => {
      const server = await serve({ root: folder, options: { selector }, cache: { revalidate: 0 } });
      const file = new Replaced(`dated-${selector}-${size}`);
      const client = await RawClient.connect(server.address);
      for (let round = 0; round < 20; round++) {
        // Twice: the second may get the inode of the first.
        file.replace(size, 1_000_000_000);
        file.replace(size, 1_000_000_000);
        await client.send(get(file.name));
        expect(file.check(await client.response(), undefined)).toBe(file.latest);
      }
      client.destroy();
    },
  );

  it.each([4 * KIB, 2 * BORDER])(
    'never goes by the tag of what it was before it was overwritten (%i bytes)',
    async (size) => {
      const server = await serve({ root: folder, options: { selector } });
      for (let round = 0; round < 20; round++) {
        const file = new Replaced(`overwritten-${selector}-${size}-${round}`);
        file.replace(size, 1_000_000_000);
        const ask = async (): Promise<void> => {
          // The first connection may be aborted, if the server sees the change as it ends.
          const client = await RawClient.connect(server.address);
          await client.send(get(file.name));
          file.check(await client.response(), undefined);
          client.destroy();
        };
        await ask();
        // As cp does.
        file.sizes.set(2, size);
        const fd = openSync(file.path, 'r+');
        writeSync(fd, knownBytes(2, 0, size));
        closeSync(fd);
        await ask();
      }
    },
  );
});
