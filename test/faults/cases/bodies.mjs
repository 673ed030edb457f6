// Bodies: many small chunks, and each of the limits alone.
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from '../support/measure.mjs';
import { get, Wire } from '../support/wire.mjs';

const ROUNDS = 3;
const CHUNK_TIME = 2;
const RATIO = 11;
/** KiB: one byte for each of the millions of chunks would be more. */
const GROWTH = 1024;

const POST = 'POST /count HTTP/1.1\r\nHost: faults\r\n';
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`;

/** Posts so many chunks of one byte; resolves with the server's CPU time in microseconds. */
async function postChunks(server, wire, count) {
  const before = await server.counts();
  wire.received = '';
  wire.send(CHUNKED);
  // In pieces that a socket takes, which do not end where a chunk does.
  const chunks = Buffer.from('1\r\nx\r\n'.repeat(count));
  for (let at = 0; at < chunks.length; at += 65_536) {
    if (!wire.socket.write(chunks.subarray(at, at + 65_536))) {
      await new Promise((resolve) => {
        wire.socket.once('drain', resolve);
      });
    }
  }
  wire.send('0\r\n\r\n');
  await wire.until(`\r\n\r\n${count}\n`, 30_000);
  return (await server.counts()).cpu - before.cpu;
}

export const tinyChunks = {
  number: 6,
  title: 'chunks of one byte',
  pass: `CPU <= ${CHUNK_TIME} us each; 1,000,000 take < ${RATIO} x as long as 100,000; no growth`,
  async run(arena) {
    const server = await arena.server();
    const wire = await Wire.open(server.address);
    for (let i = 0; i < 2; i++) await postChunks(server, wire, 1_000_000);
    const [live, resident] = [await server.live(), await server.memory()];
    const few = [];
    const many = [];
    for (let round = 0; round < ROUNDS; round++) {
      few.push(await postChunks(server, wire, 100_000));
      many.push(await postChunks(server, wire, 1_000_000));
      few.push(await postChunks(server, wire, 100_000));
    }
    const growth = (await server.live()) - live;
    const grown = (await server.memory()) - resident;
    wire.destroy();
    const [time, short] = [median(many), median(few)];
    const ratio = time / short;
    const milliseconds = (microseconds) => (microseconds / 1000).toFixed(0);
    return [
      [`${(time / 1e6).toFixed(2)} us each`, time / 1e6 <= CHUNK_TIME],
      [
        `${milliseconds(time)} ms against ${milliseconds(short)} ms: ${ratio.toFixed(1)} x`,
        ratio < RATIO,
      ],
      [`exponent ${Math.log10(ratio).toFixed(3)}`, Math.log10(ratio) <= 1.05],
      [`in use ${growth.toFixed(0)} KiB more`, growth < GROWTH],
      // V8 doubles its room for young objects now and then, and keeps it.
      [`rss ${(grown / 1024).toFixed(1)} MiB more`, grown < 16 * 1024],
    ];
  },
};

/**
 * Sends a request and a second one behind it; resolves with the status, and whether the connection
 * was closed without the second being run.
 */
async function refusal(server, request) {
  const before = (await server.counts()).requests;
  const wire = await Wire.open(server.address);
  wire.send(request + get('/', 'X-Second: 1'));
  await wire.ended();
  wire.destroy();
  const ran = (await server.counts()).requests - before;
  const [status = 0] = wire.statuses;
  return { status, alone: answeredOnce(wire), ran };
}

/** Whether the one answer says that the connection is closed. */
function answeredOnce({ statuses, received }) {
  return statuses.length === 1 && /\r\nConnection: close\r\n/i.test(received);
}

/** The status of a request that is within the limits, on a connection of its own. */
async function acceptance(server, request) {
  const wire = await Wire.open(server.address);
  wire.send(request);
  await wire.until('\r\n\r\n');
  wire.destroy();
  return wire.statuses[0];
}

/** Whether what is just too much is refused so, and what just fits passes. */
async function border(server, what, status, tooMuch, fits, ran = 0) {
  const refused = await refusal(server, tooMuch);
  const passed = await acceptance(server, fits);
  return [
    `${what} ${refused.status} (just within: ${passed})`,
    refused.status === status && refused.alone && refused.ran === ran && passed === 200,
  ];
}

export const extensions = {
  number: 7,
  title: 'chunk extensions of more than 16 KiB in all',
  pass: '400 and closed, the next request is not run; 16 KiB pass',
  async run(arena) {
    const server = await arena.server();
    // A name and its semicolon are 1024 bytes.
    const chunk = `1;${'e'.repeat(1023)}\r\nx\r\n`;
    const fits = `${CHUNKED}${chunk.repeat(16)}0\r\n\r\n`;
    const spread = `${CHUNKED}${chunk.repeat(16)}1;e\r\nx\r\n0\r\n\r\n`;
    const one = `${CHUNKED}1;${'e'.repeat(16_384)}\r\nx\r\n0\r\n\r\n`;
    // The application is waiting for the body when it goes wrong, and so has been run.
    return [
      await border(server, 'over 17 chunks', 400, spread, fits, 1),
      await border(server, 'in one chunk', 400, one, fits, 1),
    ];
  },
};

function head(fields, target = '/') {
  return get(target, ...fields);
}

/** `count` fields of `size` bytes each. */
function fields(count, size) {
  return Array.from({ length: count }, (_, i) =>
    `X-${String(i).padStart(3, '0')}: `.padEnd(size, 'v'),
  );
}

export const heads = {
  number: 8,
  title: 'heads that are too large, each limit alone',
  pass: '64 KiB, 200 fields, field of 32 KiB: 431; target of 16 KiB: 414; closed; within: 200',
  async run(arena) {
    const server = await arena.server();
    const path = (size) => `/?${'q'.repeat(size - 2)}`;
    return [
      await border(
        server,
        'block of 64 KiB',
        431,
        head(fields(5, 14_000)),
        head(fields(4, 14_000)),
      ),
      await border(server, '200 fields', 431, head(fields(200, 20)), head(fields(99, 20))),
      await border(
        server,
        'field of 32 KiB',
        431,
        head(fields(1, 32_768)),
        head(fields(1, 16_384)),
      ),
      await border(server, 'target of 16 KiB', 414, head([], path(16_384)), head([], path(8000))),
    ];
  },
};

/** Bytes of a body that does not end before the server ends it. */
const ENDLESS = 64 << 20;
/** Bytes that the server receives at once at most. */
const RECEIVE = 65_536;
/** The head, and the sizes of the chunks of a flood until the limit. */
const FRAMING = 1024;
/** A page that answers after a while without having looked at the body. */
const LATER = '/later?300';

/** Sends chunks until the server answers or closes; what it answered, and what it let be sent. */
async function flood(server, head) {
  const wire = await Wire.open(server.address);
  wire.send(head);
  const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
  let sent = 0;
  for (let i = 0; sent < ENDLESS && i < 10_000 && wire.statuses.length === 0; i++) {
    if (wire.ending !== null) break;
    if (wire.socket.writableLength > chunk.length) await sleep(1);
    else {
      wire.send(chunk);
      sent += 0x4000;
    }
  }
  await wire.ended();
  wire.destroy();
  return { status: wire.statuses.join(), told: answeredOnce(wire), ending: wire.ending, sent };
}

/** What a flood came to, and what of it the server and its application took. */
async function floodFigures(server, path, expected, allowed) {
  const before = await server.counts();
  const head = CHUNKED.replace('/count', path);
  const { sent, told, ending, status } = await flood(server, head);
  const after = await server.counts();
  const given = after.bodyBytes - before.bodyBytes;
  const taken = after.received - before.received;
  return [
    [
      `${path} chunked ${status}, closed by ${ending}`,
      // Only a refusal knows already that the connection will not be kept.
      status === expected && (told || status !== '413'),
    ],
    [`application got ${given} bytes`, given <= allowed],
    [`server took ${taken} bytes`, taken > 0 && taken <= allowed + FRAMING],
    [`client had written ${(sent / 2 ** 20).toFixed(1)} MiB`, sent < ENDLESS / 2],
  ];
}

export const bodyLimit = {
  number: 9,
  title: 'bodies that are too large, read by the handler (/count) or not (/later)',
  pass:
    'by length 413 before the handler is run; chunked 413, or the answer of a handler that does ' +
    'not read; closed; at most the limit + one receive of 64 KiB taken',
  async run(arena) {
    const limit = 1 << 20;
    const server = await arena.server({ limits: { bodyBytes: limit } });
    const strict = await arena.server({ limits: { bodyBytes: limit / 32 } });
    const length = (size) => `Content-Length: ${size}\r\n\r\n`;
    const told = [];
    for (const path of ['/count', LATER]) {
      const head = POST.replace('/count', path) + length(limit + 1);
      const { status, alone, ran } = await refusal(server, head);
      told.push([`${path} by length ${status}, run ${ran}`, status === 413 && alone && ran === 0]);
    }
    const passed = await acceptance(server, POST + length(limit) + 'x'.repeat(limit));
    return [
      ...told,
      [`at the limit of ${limit} bytes ${passed}`, passed === 200],
      ...(await floodFigures(server, '/count', '413', limit + RECEIVE)),
      ...(await floodFigures(server, LATER, '200', limit + RECEIVE)),
      [`limit of ${limit / 32} bytes`, true],
      ...(await floodFigures(strict, '/count', '413', limit / 32 + RECEIVE)),
      ...(await floodFigures(strict, LATER, '200', limit / 32 + RECEIVE)),
    ];
  },
};
