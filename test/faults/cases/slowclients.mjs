// Clients that send or take so slowly that they would hold a server up for ever.
import { truncateSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  eventually,
  proportionalMemory,
  residentMemory,
  watchScheduling,
} from '../support/measure.mjs';
import { ask, GoodClient, get, target, Wire } from '../support/wire.mjs';

const CLIENTS = 2000;
/** Milliseconds, for the 99th percentile of a client that behaves well. */
const P99 = 50;
const HEAD = 10;
const GRACE = 5;
const RATE = 500;
const WRITE = 3;
/** Seconds that a reader with the default timeouts is looked at. */
const SERVED = 10;
/** Downloads, whole ones and slow ones, before memory is looked at. */
const WARM = 5;
/** KiB that a slow reader may cost. */
const GROWTH = 1024;

/** What a crowd reported, and whether all of it was refused with 408, or closed, by `latest`. */
function refusals({ connected, ended, latest, earliest, statuses }, size, deadline) {
  const shown = Object.entries(statuses).map(([status, count]) => `${count} x ${status}`);
  return [
    `${ended} of ${connected} ended (${shown.join(', ')}) after ${earliest.toFixed(2)} to ` +
      `${latest.toFixed(2)} s`,
    connected === size &&
      ended === size &&
      statuses[408] === size &&
      earliest >= deadline - 0.1 &&
      latest <= deadline + 1,
  ];
}

/** A crowd against a good client; resolves with the figures of both. */
async function siege(arena, server, deadline, requests) {
  const size = arena.crowdSize(CLIENTS);
  const crowd = arena.crowd({ address: server.address, count: size, ...requests });
  const scheduling = watchScheduling(server.pid);
  const good = new GoodClient(server.address);
  try {
    await crowd.next(20_000);
    const report = await crowd.next((deadline + 5) * 1000);
    return [refusals(report, size, deadline), good.figure(P99), scheduling()];
  } finally {
    good.stop();
    await server.quiet();
  }
}

/** Takes 1 KiB a second, and tells when the server ended the connection. */
function readSlowly(address, request) {
  const state = { taken: 0, socket: null };
  state.socket = connect({
    ...target(address),
    onread: {
      buffer: Buffer.alloc(1024),
      callback: (count) => {
        state.taken += count;
        setTimeout(() => state.socket.resume(), 1000);
        return false;
      },
    },
  });
  state.socket.write(request);
  return state;
}

/**
 * Reads slowly until the server closes the connection, at most so many seconds; resolves with the
 * server's memory that stays, what is in use of it at most, the bytes that were read, and the seconds until it closed.
 */
async function readFor(server, path, seconds) {
  const began = performance.now();
  const slow = readSlowly(server.address, get(path));
  const memory = [];
  let live = 0;
  let ended = Infinity;
  for (let i = 0; i < 10 * seconds && ended === Infinity; i++) {
    await sleep(100);
    memory.push(await server.memory());
    live = Math.max(live, await server.live());
    if ((await server.counts()).sockets === 0) ended = (performance.now() - began) / 1000;
  }
  slow.socket.destroy();
  await server.quiet();
  // What V8 takes as spare room and gives back is no growth: that stays.
  const stays = Math.min(...memory.slice(memory.length >> 1));
  return { stays, live, taken: slow.taken, ended };
}

export const slowloris = {
  number: 1,
  title: 'slowloris, 1 header byte a second',
  pass: `${CLIENTS} connections: 408 and closed by ${HEAD} + 1 s; good client p99 < ${P99} ms`,
  async run(arena) {
    const server = await arena.server({ timeouts: { head: HEAD } });
    const first = 'GET / HTTP/1.1\r\nHost: slow\r\nX-Slow: ';
    return siege(arena, server, HEAD, { first, drip: 'x', every: 1000 });
  },
};

export const slowPost = {
  number: 2,
  title: 'slow POST, 100 bytes a second',
  pass: `${CLIENTS} connections: 408 by ${GRACE} + 1 s at ${RATE} B/s; good client p99 < ${P99} ms`,
  async run(arena) {
    const server = await arena.server({
      limits: { bodyRate: RATE },
      timeouts: { bodyGrace: GRACE },
    });
    const first = 'POST /count HTTP/1.1\r\nHost: slow\r\nContent-Length: 1000000\r\n\r\n';
    const drip = 'x'.repeat(100);
    return siege(arena, server, GRACE, { first, drip, every: 1000 });
  },
};

/** V8 grows and shrinks its young generation by more than what is looked for here. */
const SMALL = { flags: ['--max-semi-space-size=1'] };

/** The case of one slow reader, of what the page of the server under test answers. */
function slowReaderOf(page, what) {
  return {
    number: 3,
    title: `slow reader of 100 MB ${what}, 1 KiB a second`,
    pass:
      'rss that stays and memory in use at most: + < 1 MiB once warm; with the default timeouts ' +
      `served, with a write timeout of ${WRITE} s closed within twice that + 1 s`,
    run: (arena) => besetBySlowReader(arena, `${page}?${sparseFile(arena, 100e6)}`),
  };
}

function sparseFile(arena, size) {
  const file = join(arena.folder, 'large');
  writeFileSync(file, '');
  truncateSync(file, size);
  return file;
}

export const slowReader = slowReaderOf('/file', 'in pieces');
export const slowFileReader = slowReaderOf('/sendfile', 'by sendfile');

async function besetBySlowReader(arena, path) {
  const cutting = await arena.server({ timeouts: { write: WRITE } }, SMALL);
  const [served, cut] = await Promise.all([
    slowRead(await arena.server({}, SMALL), path, SERVED),
    slowRead(cutting, path, 2 * WRITE + 2),
  ]);
  return [
    [`served for ${SERVED} s`, served.ended === Infinity],
    [`${served.taken} bytes taken`, served.taken >= (SERVED - 2) * 1024],
    ...served.figures,
    [
      `closed after ${cut.ended.toFixed(2)} s`,
      cut.ended > WRITE - 0.1 && cut.ended < 2 * WRITE + 1,
    ],
    [`${cut.taken} bytes taken`, cut.taken > 0 && cut.taken < 100_000],
    ...cut.figures,
  ];
}

function shown(growth) {
  return `${growth < 0 ? '' : '+'}${growth.toFixed(0)}`;
}

/** One slow reader once the server is warm, and what it cost. */
async function slowRead(server, path, seconds) {
  const whole = [];
  // V8 gives spare room back now and then, and takes it again: only more than it had is growth.
  let before = 0;
  for (let i = 0; i < WARM; i++) {
    whole.push(await ask(server.address, path));
    await readFor(server, path, 1);
    before = Math.max(before, await server.memory());
  }
  const inUse = await server.live();
  const { stays, live, ...read } = await readFor(server, path, seconds);
  const { opened, closed } = await server.counts();
  const downloaded = whole.every((status) => status === 200);
  const figures = [
    [`rss ${shown(stays - before)} KiB`, stays - before < GROWTH],
    [`in use ${shown(live - inUse)} KiB`, live - inUse < GROWTH],
    [
      `files opened ${opened}, closed ${closed}`,
      downloaded && opened === closed && opened === 2 * WARM + 1,
    ],
  ];
  return { ...read, figures };
}

const DOWNLOADS = 50;
/** MiB that all of them together may cost. */
const TOGETHER = 16;
/** Milliseconds, for the 99th percentile of another client meanwhile. */
const UNHINDERED = 20;

/** Memory of the server's process, in KiB. */
function memoryOf({ pid }) {
  return { rss: residentMemory(pid), pss: proportionalMemory(pid) };
}

export const slowDownloads = {
  number: 3,
  title: `${DOWNLOADS} downloads of 100 MiB by sendfile at once, 1 KiB a second each`,
  pass:
    `memory + < ${TOGETHER} MiB together, another client p99 < ${UNHINDERED} ms; a write timeout ` +
    `of ${WRITE} s closes all within twice that + 1 s`,
  async run(arena) {
    const path = `/sendfile?${sparseFile(arena, 100 * 2 ** 20)}`;
    const server = await arena.server({}, SMALL);
    for (let i = 0; i < WARM; i++) await ask(server.address, path);
    for (let i = 0; i < 1000; i++) await ask(server.address);
    await server.quiet();
    const figures = await holdDownloads(server, path);
    const cutting = await arena.server({ timeouts: { write: WRITE } });
    const ended = await timeUntilClosed(cutting, path);
    const inTime = ended > WRITE - 0.1 && ended < 2 * WRITE + 1;
    return [...figures, [`all closed after ${ended.toFixed(2)} s`, inTime]];
  },
};

/** Slow readers for some seconds, and what they and another client cost and got. */
async function holdDownloads(server, path) {
  const inUse = await server.live();
  const before = memoryOf(server);
  const most = { ...before };
  const scheduling = watchScheduling(server.pid);
  const good = new GoodClient(server.address);
  const readers = beginAll(server.address, path);
  for (let i = 0; i < SERVED; i++) {
    await sleep(1000);
    for (const [name, now] of Object.entries(memoryOf(server))) {
      most[name] = Math.max(most[name], now);
    }
  }
  const unhindered = good.figure(UNHINDERED);
  good.stop();
  const { sockets } = await server.counts();
  const growths = { rss: most.rss - before.rss, pss: most.pss - before.pss };
  growths['in use'] = (await server.live()) - inUse;
  const least = Math.min(...readers.map(({ taken }) => taken));
  for (const { socket } of readers) socket.destroy();
  await server.quiet();
  const { opened, closed } = await server.counts();
  return [
    ...Object.entries(growths).map(([name, growth]) => [
      `${name} ${shown(growth)} KiB`,
      growth < TOGETHER * 1024,
    ]),
    unhindered,
    [`${sockets} connections`, sockets >= DOWNLOADS],
    [`${least} bytes taken at least`, least >= (SERVED - 2) * 1024],
    [`opened ${opened}, closed ${closed}`, opened === WARM + DOWNLOADS && opened === closed],
    scheduling(),
  ];
}

function beginAll(address, path) {
  return Array.from({ length: DOWNLOADS }, () => readSlowly(address, get(path)));
}

/** Seconds until the server has closed the connections of all that begin to read. */
async function timeUntilClosed(server, path) {
  const began = performance.now();
  const readers = beginAll(server.address, path);
  const served = async () => (await server.counts()).opened === readers.length;
  await eventually(served, 'all downloads have begun');
  await server.quiet(0, 2000 * WRITE + 5000);
  const ended = (performance.now() - began) / 1000;
  for (const { socket } of readers) socket.destroy();
  return ended;
}

export const neverRead = {
  number: 4,
  title: 'pipelined GETs whose answers are never read',
  pass: '100,000 requests x 10 KiB: rss growth < 16 MiB, client held back',
  async run(arena) {
    const server = await arena.server();
    for (let i = 0; i < 200; i++) await ask(server.address, '/large');
    const before = await server.memory();
    const requests = 100_000;
    const wire = await Wire.open(server.address);
    wire.socket.pause();
    const request = get('/large', `X-Padding: ${'p'.repeat(100)}`);
    const block = request.repeat(1000);
    for (let i = 0; i < requests / 1000; i++) wire.send(block);
    let most = 0;
    for (let i = 0; i < 10; i++) {
      await sleep(300);
      most = Math.max(most, (await server.memory()) - before);
    }
    const served = (await server.counts()).requests - 200;
    await sleep(500);
    const later = (await server.counts()).requests - 200;
    const [unsent, all] = [wire.socket.writableLength, request.length * requests];
    const cpu = await server.cpuShare(1000);
    const good = await ask(server.address);
    wire.reset();
    return [
      [`rss +${(most / 1024).toFixed(1)} MiB`, most < 16 * 1024],
      [`${served} requests run`, served > 0 && served < requests / 10 && later === served],
      [
        `${(unsent / 2 ** 20).toFixed(1)} of ${(all / 2 ** 20).toFixed(1)} MiB held back`,
        unsent > 0,
      ],
      [`CPU ${cpu.toFixed(1)} % meanwhile`, cpu < 5],
      [`another client got ${good}`, good === 200],
    ];
  },
};
