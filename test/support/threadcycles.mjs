// Makes thread pools, uses and stops them, until so many threads have come and gone, and tells what
// is left behind. `node --expose-gc threadcycles.mjs SELECTOR THREADS`
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ThreadPool } from '../../dist/index.js';

const [selector, count] = process.argv.slice(2);
const application = fileURLToPath(new URL('poolapp.mjs', import.meta.url));
const SIZE = 5;
const ways = [
  { mode: 'listener' },
  { mode: 'acceptor' },
  { mode: 'listener', blocking: true },
  { mode: 'acceptor', blocking: true },
];

/** A connection with a request on it, which is not closed by this side. */
function send([host, port], path) {
  const socket = connect(port, host).on('error', () => {});
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  return socket;
}

/** What may become of a thread before its pool is stopped. */
const events = [
  async (pool) => {
    await once(send(pool.serverAddress, '/exit').resume(), 'close');
    while (pool.stats().replaced === 0) await sleep(5);
  },
  async (pool) => {
    await pool.grow(2);
    await pool.shrink(2);
  },
  async (pool) => {
    send(pool.serverAddress, '/spin').resume();
    while (pool.stats().connections < 4) await sleep(5);
  },
];

let started = 0;

async function cycle(number) {
  const pool = new ThreadPool(['127.0.0.1', 0], {
    ...ways[number % ways.length],
    application,
    server: { selector },
    min: SIZE,
    max: SIZE + 2,
    execArgv: [],
    logError: () => {},
  });
  await pool.start();
  const ids = new Set();
  const note = () => {
    for (const { threadId } of pool.stats().threads) ids.add(threadId);
  };
  note();
  const kept = [1, 2, 3].map(() => send(pool.serverAddress, '/'));
  await Promise.all(kept.map((socket) => once(socket, 'data')));
  await events[number % events.length](pool);
  note();
  started += ids.size;
  await pool.stop(0.2);
}

/** Descriptors and megabytes in use. */
async function usage() {
  for (let i = 0; i < 2; i++) {
    await sleep(50);
    globalThis.gc();
  }
  const descriptors = readdirSync('/proc/self/fd').length;
  return { descriptors, megabytes: process.memoryUsage().rss / 2 ** 20 };
}

async function cycles(threads) {
  for (let number = 0; started < threads; number++) await cycle(number);
  return usage();
}

const before = await cycles(count / 3);
const after = await cycles(count);
const left = {
  threads: started,
  descriptors: after.descriptors - before.descriptors,
  megabytes: Math.round(after.megabytes - before.megabytes),
};
if (process.send === undefined) console.log(JSON.stringify(left));
else process.send(left, () => process.disconnect());
