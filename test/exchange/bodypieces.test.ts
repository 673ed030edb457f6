import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import type { Application } from '../../src/index.ts';
import { exchanges, get } from '../support/exchange.ts';

const KIB = 1024;
const serve = exchanges();

/** Of all byte values, in no block alike. */
function sample(bytes: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, index) => index * 7 + (index >> 10)));
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function post(body: Buffer): string {
  return `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n`;
}

const SIZES = [2, 1000, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 200 * KIB];

it.each(SIZES)('a body of %i bytes in pieces is read as one', async (size) => {
  const body = sample(size);
  const app: Application = async (environ, startResponse) => {
    const read = await environ['wsgi.input'].read();
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return [`${read.length} ${digest(read)}`];
  };
  const exchange = serve(app);
  for (const cuts of [[1], [size >> 1], [size >> 2, size >> 1], [size - 1]]) {
    const client = await exchange.client();
    const ends = [...cuts, size];
    const pieces = ends.map((end, index) => body.subarray(ends[index - 1] ?? 0, end));
    await exchange.sendApart(client, [post(body), ...pieces]);
    expect(`${(await client.response()).body}`).toBe(`${size} ${digest(body)}`);
  }
});

it.each(SIZES)('of %i bytes, what was read stays as it was while more comes', async (size) => {
  const body = sample(size);
  const app: Application = async (environ, startResponse) => {
    const input = environ['wsgi.input'];
    const read: Uint8Array[] = [];
    const kept: string[] = [];
    for await (const piece of input) {
      read.push(piece);
      kept.push(digest(piece));
    }
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    const isSame = read.every((piece, index) => digest(piece) === kept[index]);
    return [`${isSame} ${digest(Buffer.concat(read))}`];
  };
  const exchange = serve(app);
  const client = await exchange.client();
  const third = Math.ceil(size / 3);
  const pieces = [0, 1, 2].map((index) => body.subarray(index * third, (index + 1) * third));
  await exchange.sendApart(client, [post(body), ...pieces]);
  expect(`${(await client.response()).body}`).toBe(`true ${digest(body)}`);
});

/** A receive brings 64 KiB at most. */
const RECEIVED = [64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 128 * KIB, 128 * KIB + 1];

it.each(
  [0, post(Buffer.alloc(99_999)).length].flatMap((head) =>
    [...RECEIVED, 700 * KIB].flatMap((length) =>
      (['stream', 'buffer'] as const).map((inputBuffering) => [length - head, inputBuffering]),
    ),
  ) as [number, 'stream' | 'buffer'][],
)(
  'a body of %i bytes that comes at once ends where the next request begins (%s)',
  async (size, inputBuffering) => {
    const body = sample(size);
    const app: Application = async (environ, startResponse) => {
      const read = await environ['wsgi.input'].read();
      startResponse('200 OK', [['Content-Type', 'text/plain']]);
      return [`${environ.PATH_INFO} ${read.length} ${digest(read)}`];
    };
    const exchange = serve(app, { inputBuffering });
    const client = await exchange.client();
    const message = [Buffer.from(post(body)), body, Buffer.from(get('/next'))];
    client.socket.write(Buffer.concat([...message, ...message]));
    for (let i = 0; i < 2; i++) {
      expect(`${(await client.response()).body}`).toBe(`/ ${size} ${digest(body)}`);
      expect(`${(await client.response()).body}`).toBe(`/next 0 ${digest(Buffer.alloc(0))}`);
    }
  },
);

it('an application may transfer what it has read, while more comes', async () => {
  const body = sample(40 * KIB);
  const app: Application = async (environ, startResponse) => {
    const hash = createHash('sha256');
    let pieces = 0;
    for (;;) {
      const piece = await environ['wsgi.input'].read(16 * KIB);
      if (piece.length === 0) break;
      pieces++;
      hash.update(piece);
      structuredClone(piece.buffer, { transfer: [piece.buffer as ArrayBuffer] });
    }
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return [`${pieces > 1} ${hash.digest('hex')}`];
  };
  const exchange = serve(app);
  const client = await exchange.client();
  const pieces = [0, 1, 2].map((index) => body.subarray(index * 16 * KIB, (index + 1) * 16 * KIB));
  await exchange.sendApart(client, [post(body), ...pieces]);
  expect(`${(await client.response()).body}`).toBe(`true ${digest(body)}`);
});
