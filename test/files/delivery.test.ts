import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Random, randomSeed } from '../fuzz/random.ts';
import { describeBackends } from '../support/backends.ts';
import { type FileServer, fileServers, readSlowly } from '../support/fileservers.ts';
import { knownBytes, writeKnown } from '../support/knownbytes.ts';
import { field, parseResponse, RawClient, type RawResponse } from '../support/rawclient.ts';

const KIB = 1024;
const SIZES = [0, 1, 4 * KIB, 64 * KIB, 64 * KIB + 1, KIB * KIB];
const RANGES = 3;
/** The version of the bytes; with the sizes, all that there is to know of the files. */
const VERSION = 7;

const folder = mkdtempSync(join(tmpdir(), 'ryegate-delivery-'));
const digests = new Map<number, string>();
const seed = randomSeed();

beforeAll(() => {
  console.log(`seed ${seed}`);
  for (const size of SIZES) {
    const path = join(folder, String(size));
    writeKnown(path, VERSION, size);
    digests.set(size, sha256(readFileSync(path)));
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A part of a file, or all of it, from one of the server's pages. */
interface Part {
  page: 'file' | 'static';
  size: number;
  start: number;
  end: number;
}

/** Each file whole, and random parts of it, from both pages. */
function makeParts(random: Random): Part[] {
  return SIZES.flatMap((size) => {
    const parts = Array.from({ length: RANGES }, (_, index): Part => {
      const start = random.below(size + 1);
      const end = start + random.below(size - start + 1);
      // A Range cannot be empty.
      return { page: index % 2 === 0 || start === end ? 'file' : 'static', size, start, end };
    });
    const whole = { size, start: 0, end: size };
    return [{ page: 'file', ...whole }, { page: 'static', ...whole }, ...parts];
  });
}

function isWhole({ size, start, end }: Part): boolean {
  return start === 0 && end === size;
}

let requests = 0;

function get(part: Part, ...fields: string[]): string {
  const { page, size, start, end } = part;
  requests += 1;
  let target = `/${page}/${size}?id=${requests}`;
  const lines = ['Host: test', ...fields];
  if (!isWhole(part) && page === 'file') target += `&at=${start}&length=${end - start}`;
  if (!isWhole(part) && page === 'static') lines.push(`Range: bytes=${start}-${end - 1}`);
  return `${[`GET ${target} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n`;
}

function expectPart(part: Part, response: RawResponse): void {
  const { page, size, start, end } = part;
  const shown = JSON.stringify(part);
  const isRange = page === 'static' && !isWhole(part);
  expect(response.status, shown).toBe(isRange ? 206 : 200);
  const range = isRange ? `bytes ${start}-${end - 1}/${size}` : undefined;
  expect(field(response, 'Content-Range'), shown).toBe(range);
  expect(response.framing, shown).toBe('length');
  expect(field(response, 'Content-Length'), shown).toBe(String(end - start));
  expect(Buffer.compare(response.body, knownBytes(VERSION, start, end)), shown).toBe(0);
  if (isWhole(part)) expect(sha256(response.body), shown).toBe(digests.get(size));
}

/** The static application keeps these open. */
const CACHED = SIZES.filter((size) => size > 64 * KIB).length;

/** All results are closed, and no descriptor is left. */
async function expectTidy(server: FileServer, before: number): Promise<void> {
  const most = before + CACHED;
  for (let round = 0; ; round++) {
    const { descriptors, results } = await server.state();
    const open = Object.values(results).filter(({ closed }) => closed === undefined);
    if (descriptors <= most && open.length === 0) return;
    if (round === 100) expect({ descriptors, open }).toEqual({ descriptors: most, open: [] });
  }
}

const WAYS: [name: string, sync: boolean, unix: boolean][] = [
  ['serveForever, TCP', false, false],
  ['serveForever, unix', false, true],
  ['serveForeverSync, TCP', true, false],
  ['serveForeverSync, unix', true, true],
];

/** A unix socket has no buffers that it could inherit: what is small there is the client's reads. */
const STALLED: [name: string, sync: boolean, unix: boolean, sendfile: boolean][] = [
  ...WAYS.map(([name, sync, unix]): [string, boolean, boolean, boolean] => [
    name,
    sync,
    unix,
    true,
  ]),
  ['serveForever, TCP, without sendfile', false, false, false],
  ['serveForeverSync, TCP, without sendfile', true, false, false],
];

/** Takes responses out of `bytes`, which hold nothing else. */
function expectParts(parts: readonly Part[], bytes: Buffer): void {
  let rest = bytes;
  for (const part of parts) {
    const parsed = parseResponse(rest, 'GET', true);
    if (parsed === null) throw new Error(`no response for ${JSON.stringify(part)}`);
    expectPart(part, parsed.response);
    rest = rest.subarray(parsed.size);
  }
  expect(rest.length).toBe(0);
}

describeBackends('a file result', (selector) => {
  const serve = fileServers();

  it.each(WAYS)('arrives whole and in parts (%s)', async (_name, sync, unix) => {
    const address = unix ? { address: join(folder, `socket-${selector}-${sync}`) } : {};
    const server = await serve({ root: folder, sync, options: { selector }, ...address });
    const before = (await server.state()).descriptors;
    const parts = makeParts(new Random(seed));
    const client = await RawClient.connect(server.address);
    // One after the other, and then all at once.
    for (const part of parts) {
      await client.send(get(part));
      expectPart(part, await client.response());
    }
    await client.send(parts.map((part) => get(part)).join(''));
    for (const part of parts) expectPart(part, await client.response());
    client.destroy();
    await expectTidy(server, before);
    expect(server.program.stderr).toBe('');
  });

  it('arrives in several parts at once', async () => {
    const size = KIB * KIB;
    const server = await serve({ root: folder, options: { selector } });
    const ranges = [
      [0, 9],
      [300_000, 499_999],
      [500_300, 900_000],
      [size - 70_000, size - 1],
    ] as const;
    const wanted = ranges.map(([first, last]) => `${first}-${last}`).join(',');
    const message = `GET /static/${size} HTTP/1.1\r\nHost: test\r\nRange: bytes=${wanted}\r\n\r\n`;
    const client = await RawClient.connect(server.address);
    await client.send(message + message);
    for (let answer = 0; answer < 2; answer++) {
      const response = await client.response();
      expect(response.status).toBe(206);
      const type = field(response, 'Content-Type') ?? '';
      const [, boundary] = /^multipart\/byteranges; boundary="?([^"]+)"?$/.exec(type) ?? [];
      const parts = ranges.flatMap(([first, last]) => [
        `\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\n` +
          `Content-Range: bytes ${first}-${last}/${size}\r\n\r\n`,
        knownBytes(VERSION, first, last + 1).toString('latin1'),
      ]);
      const expected = `${parts.join('')}\r\n--${boundary}--\r\n`;
      const body = response.body.toString('latin1');
      // The first boundary may do without a line end before it.
      expect(body === expected || body === expected.slice(2)).toBe(true);
    }
    client.destroy();
  });

  it.each(STALLED)(
    'arrives through small buffers, at a client that stalls (%s)',
    async (_name, sync, unix, sendfile) => {
      const where = unix
        ? { address: join(folder, `stalled-${selector}-${sync}`) }
        : { smallBuffers: true };
      const server = await serve({ root: folder, sync, options: { selector, sendfile }, ...where });
      const before = (await server.state()).descriptors;
      const parts = makeParts(new Random(seed));
      const last: Part = { page: 'file', size: 1, start: 0, end: 1 };
      const request = parts.map((part) => get(part)).join('') + get(last, 'Connection: close');
      const pieces: Buffer[] = [];
      const pace = { piece: 1500, every: 200 * KIB, pause: 0.02 };
      await readSlowly(server.address, request, pace, (bytes) => pieces.push(bytes));
      expectParts([...parts, last], Buffer.concat(pieces));
      await expectTidy(server, before);
      expect(server.program.stderr).toBe('');
    },
  );
});
