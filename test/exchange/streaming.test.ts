import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Application, ApplicationResult, Chunk } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { type Exchange, exchanges, get, get10, PLAIN } from '../support/exchange.ts';
import { eventually, type RawClient, text } from '../support/rawclient.ts';

const MEGABYTE = 1024 * 1024;
const SIZE = 10 * MEGABYTE;

/** Bytes that no shift or repeat leaves the same. */
const content: Buffer = Buffer.alloc(SIZE);
for (let i = 0; i < SIZE; i += 4) content.writeUInt32LE((i * 2654435761) % 4294967296, i);

const sum = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const expected = sum(content);

function* pieces(size: number): Generator<Chunk> {
  for (let at = 0; at < SIZE; at += size) yield content.subarray(at, at + size);
}

async function* piecesLater(size: number): AsyncGenerator<Chunk> {
  for (let at = 0; at < SIZE; at += size) {
    if (at % (8 * size) === 0) await sleep(0);
    yield content.subarray(at, at + size);
  }
}

const RESULTS: [title: string, make: () => ApplicationResult][] = [
  ['one Buffer', () => content],
  ['a list of one Buffer', () => [content]],
  ['Buffers of 1 MiB', () => [...pieces(MEGABYTE)]],
  ['Buffers of 100,000 bytes', () => pieces(100_000)],
  ['Buffers of 32 KiB', () => pieces(32 * 1024)],
  ['Buffers of 1,000 bytes', () => pieces(1000)],
  ['Buffers of 100,000 bytes, later', () => piecesLater(100_000)],
  ['Buffers of 5,000 bytes, later', () => piecesLater(5000)],
];

function app(make: () => ApplicationResult): Application {
  return (_environ, startResponse) => {
    startResponse('200 OK', PLAIN);
    return make();
  };
}

/** Reads the first `size` bytes piece by piece, with rests. */
async function readSlowly(client: RawClient, size = 5 * MEGABYTE): Promise<void> {
  for (let i = 0; i < size / 100_000; i++) {
    client.socket.pause();
    await sleep(2);
    client.socket.resume();
    await client.received(Math.min((i + 1) * 100_000, size));
  }
}

/** Bytes that the server holds for its only connection. */
function buffered(exchange: Exchange): number {
  return [...exchange.server.reactor.sockets.values()][0]?.buffered ?? 0;
}

describeBackends('10 MB', (selector) => {
  const serve = exchanges();

  it.each(RESULTS)('of %s arrive unchanged, and the connection goes on', async (_title, make) => {
    const exchange = serve(app(make), { selector });
    const client = await exchange.client();
    await client.send(get() + get());
    for (let i = 0; i < 2; i++) expect(sum((await client.response()).body)).toBe(expected);
    const old = await exchange.client();
    await old.send(get10());
    expect(sum((await old.response()).body)).toBe(expected);
  });

  it.each(RESULTS)('of %s arrive unchanged at a slow reader', async (_title, make) => {
    const exchange = serve(app(make), { selector });
    const client = await exchange.client();
    await client.send(get());
    await readSlowly(client);
    expect(sum((await client.response()).body)).toBe(expected);
  });

  it('of a generator are made at the pace of the client: memory is bounded', async () => {
    let made = 0;
    const make = function* (): Generator<Chunk> {
      for (let i = 0; i < 1000; i++) {
        made += 65_536;
        yield content.subarray(0, 65_536);
      }
    };
    const exchange = serve(app(make), { selector });
    const client = await exchange.client();
    client.socket.pause();
    await client.send(get());
    let last = -1;
    while (last !== made) {
      last = made;
      await sleep(100);
    }
    // The kernel's buffers hold some megabytes of the 64, the server its mark and a chunk.
    expect(made).toBeLessThan(32 * MEGABYTE);
    expect(buffered(exchange)).toBeLessThanOrEqual(256 * 1024 + 65_536 + 100);
    client.socket.resume();
    expect((await client.response()).body).toHaveLength(1000 * 65_536);
  });

  it.each([
    ['asks for the end', get('/', 'Connection: close')],
    ['speaks HTTP/1.0', get10()],
  ])('arrive at a client that %s and then sends more', async (_title, message) => {
    for (const [, make] of RESULTS.slice(0, 4)) {
      const exchange = serve(app(make), { selector });
      const client = await exchange.client();
      client.socket.pause();
      await client.send(message);
      await eventually(() => buffered(exchange) > 0, 'the kernel takes no more');
      // What is left unread when a connection is closed makes the kernel reset it.
      await client.send('\r\nmore than was agreed upon');
      await sleep(20);
      client.socket.resume();
      expect(sum((await client.response()).body)).toBe(expected);
      expect(await client.ended()).toBe('fin');
    }
  });

  it('of one Buffer are not copied', async () => {
    const exchange = serve(
      app(() => content),
      { selector },
    );
    const client = await exchange.client();
    client.socket.pause();
    const before = process.memoryUsage().arrayBuffers;
    await client.send(get());
    await eventually(() => buffered(exchange) > 0, 'the kernel takes no more');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * MEGABYTE);
    client.socket.resume();
    expect(sum((await client.response()).body)).toBe(expected);
  });

  it('by write() arrive unchanged', async () => {
    const writing: Application = (_environ, startResponse) => {
      const write = startResponse('200 OK', PLAIN);
      for (const piece of pieces(300_000)) write(piece);
      return ['.'];
    };
    const exchange = serve(writing, { selector });
    const client = await exchange.client();
    await client.send(get());
    await readSlowly(client);
    const { body } = await client.response();
    expect(sum(body.subarray(0, SIZE))).toBe(expected);
    expect(body.subarray(SIZE).toString()).toBe('.');
  });

  it('of text with wide characters arrive unchanged', async () => {
    const word = 'grüße 世界 🌾 and plain text ';
    const long = word.repeat(50_000);
    const exchange = serve(
      app(() => [long, 'x', word, long]),
      { selector },
    );
    const client = await exchange.client();
    await client.send(get());
    await readSlowly(client, 2 * long.length);
    expect(text(await client.response())).toBe(`${long}x${word}${long}`);
  });
});

describeBackends('a stream', (selector) => {
  const serve = exchanges();

  it('reaches the client chunk by chunk', async () => {
    const steps: (() => void)[] = [];
    const make = async function* (): AsyncGenerator<string> {
      for (let i = 0; i < 5; i++) {
        await new Promise<void>((resolve) => {
          steps.push(resolve);
        });
        yield `event ${i}\n`;
      }
    };
    const exchange = serve(app(make), { selector });
    const client = await exchange.client();
    await client.send(get());
    for (let i = 0; i < 5; i++) {
      await eventually(() => steps.length === i + 1, 'the next chunk is asked for');
      expect(client.pending.toString()).not.toContain(`event ${i}`);
      steps[i]?.();
      await eventually(() => client.pending.includes(`event ${i}\n`), 'the chunk has come');
    }
    expect((await client.response()).chunks).toEqual([8, 8, 8, 8, 8]);
  });

  it('without end does not hold up other clients', async () => {
    const endless: Application = (environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      if (environ.PATH_INFO !== '/endless') return 'quick';
      return (function* () {
        for (;;) yield content.subarray(0, 10_000);
      })();
    };
    const exchange = serve(endless, { selector });
    const greedy = await exchange.client();
    greedy.socket.removeAllListeners('data');
    greedy.socket.resume();
    await greedy.send(get('/endless'));
    const client = await exchange.client();
    for (let i = 0; i < 50; i++) {
      await client.send(get());
      expect(text(await client.response())).toBe('quick');
    }
    expect(greedy.socket.bytesRead).toBeGreaterThan(100_000);
  });

  it('both ways at once echoes what comes', async () => {
    const echo: Application = (environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return environ['wsgi.input'];
    };
    const exchange = serve(echo, { selector });
    const client = await exchange.client();
    const head = 'POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n';
    await client.send(head);
    for (let i = 0; i < 5; i++) {
      await client.send(`6\r\nping ${i}\r\n`);
      await eventually(() => client.pending.includes(`ping ${i}`), 'the echo has come');
    }
    await client.send('0\r\n\r\n');
    expect(text(await client.response())).toBe('ping 0ping 1ping 2ping 3ping 4');
    await client.send(`${head}a00000\r\n`);
    const sending = client.send(content).then(() => client.send('\r\n0\r\n\r\n'));
    expect(sum((await client.response()).body)).toBe(expected);
    await sending;
  });
});
