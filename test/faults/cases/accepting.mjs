// What goes wrong while connections are accepted.
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { watchCalls } from '../support/strace.mjs';
import { EACH_IN_TURN, SyscallFaults } from '../support/syscallfaults.mjs';
import { ask, get, Wire } from '../support/wire.mjs';

const { errno } = constants;
const ACCEPTS = 200;
const CPU = 5;

/** Calls of accept4 that the kernel sees of a process within so many seconds. */
async function countAccepts(pid, seconds) {
  const stop = await watchCalls(pid, 'accept4');
  await sleep(seconds * 1000);
  return ((await stop()).match(/accept4\(/g) ?? []).length;
}

/** Asks on an open connection; resolves with the milliseconds that the answer took. */
async function timeOn(wire) {
  const began = performance.now();
  wire.received = '';
  wire.send(get());
  await wire.until('hello\n');
  return performance.now() - began;
}

/** Keeps asking on the open connections until it is told to stop; the times it took. */
async function keepAsking(wires, isOver) {
  const times = [];
  while (!isOver()) {
    for (const wire of wires) times.push(await timeOn(wire));
    await sleep(50);
  }
  return times;
}

export const descriptorLimit = {
  number: 11,
  title: 'nofile 64 and 200 connects',
  pass:
    `< ${ACCEPTS} accept4 calls/s, CPU < ${CPU} %, who is there is served, some of the others are ` +
    'shed with 503, recovery < 1 s',
  async run(arena) {
    const server = await arena.server({}, { prefix: ['prlimit', '--nofile=64'] });
    const old = await Promise.all(Array.from({ length: 5 }, () => Wire.open(server.address)));
    for (const wire of old) await timeOn(wire);
    let over = false;
    const asking = keepAsking(old, () => over);
    const counting = countAccepts(server.pid, 3);
    await sleep(500);
    const many = await Promise.all(Array.from({ length: 200 }, () => Wire.open(server.address)));
    const accepts = (await counting) / 2.5;
    const cpu = await server.cpuShare(3000);
    over = true;
    const slowest = Math.max(...(await asking));
    const shed = many.filter(({ statuses }) => statuses[0] === 503).length;
    for (const wire of many) wire.destroy();
    const began = performance.now();
    const status = await recovered(server.address);
    const recovery = performance.now() - began;
    for (const wire of old) wire.destroy();
    return [
      [`${accepts.toFixed(0)} accept4/s`, accepts > 0 && accepts < ACCEPTS],
      [`CPU ${cpu.toFixed(1)} %`, cpu < CPU],
      [`5 clients served, slowest ${slowest.toFixed(0)} ms`, slowest < 500],
      [`${shed} of 200 shed with 503`, shed > 0],
      [`${status} after ${recovery.toFixed(0)} ms`, status === 200 && recovery < 1000],
    ];
  },
};

/** Asks until it is served, for up to two seconds. */
async function recovered(address) {
  const deadline = performance.now() + 2000;
  for (;;) {
    const status = await ask(address).catch((error) => error.code);
    if (status === 200 || performance.now() > deadline) return status;
    await sleep(10);
  }
}

/** Failures that pass: the next call may succeed. */
const PASSING = [
  'ENFILE',
  'ENOBUFS',
  'ECONNABORTED',
  'EINTR',
  'EPROTO',
  'EMFILE',
  'ENETDOWN',
  'EPERM',
];
/** Failures that last, when the system has run out of something. */
const LASTING = ['ENFILE', 'ENOBUFS', 'EMFILE', 'ENOMEM'];

/** While every call fails with `name`: what it costs, and whether a client is served afterwards. */
async function lasting(server, faults, name) {
  faults.mode = errno[name];
  const client = ask(server.address);
  const { calls } = faults.counts;
  const cpu = await server.cpuShare(1000);
  const tries = faults.counts.calls - calls;
  const began = performance.now();
  faults.mode = 0;
  const status = await client;
  const after = performance.now() - began;
  return { name, cpu, tries, ok: status === 200 && after < 1000 };
}

export const acceptFaults = {
  number: 12,
  title: 'accept4 that fails',
  pass: `each error in turn: all served; lasting errors: < ${ACCEPTS} calls/s, CPU < ${CPU} %`,
  async run(arena) {
    const faults = new SyscallFaults(arena.folder, 'accept4');
    try {
      const server = await arena.server({}, { env: faults.env });
      faults.mode = EACH_IN_TURN;
      const statuses = [];
      for (let i = 0; i < 200; i++) {
        statuses.push(await ask(server.address, '/').catch((error) => error.code));
        if (faults.counts.injected >= 2 * PASSING.length && i >= 40) break;
      }
      const { injected } = faults.counts;
      const served = statuses.filter((status) => status === 200).length;
      const out = [];
      for (const name of LASTING) out.push(await lasting(server, faults, name));
      const cpu = await server.cpuShare(2000);
      const worst = out.reduce((a, b) => (a.cpu >= b.cpu ? a : b));
      const tries = Math.max(...out.map((each) => each.tries));
      return [
        [
          `${injected} injected, ${served} of ${statuses.length} served`,
          served === statuses.length && injected >= 16,
        ],
        [
          `lasting: CPU ${worst.cpu.toFixed(1)} % (${worst.name}), ${tries} calls/s`,
          worst.cpu < CPU && tries < ACCEPTS,
        ],
        [`served after each: ${out.every(({ ok }) => ok)}`, out.every(({ ok }) => ok)],
        [`CPU afterwards ${cpu.toFixed(1)} %`, cpu < 1],
      ];
    } finally {
      faults.close();
    }
  },
};

/** A connection. Where a unix socket has no room in its backlog, which TCP waits for, again. */
async function connected(server) {
  for (let i = 0; i < 1000; i++) {
    try {
      return await Wire.open(server.address);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      await sleep(5);
    }
  }
  throw new Error('the server accepts nobody');
}

export const resets = {
  number: 13,
  title: 'resets between accept and the first read',
  pass: '10,000: descriptors as at the start, CPU idle afterwards (< 1 %)',
  async run(arena) {
    const server = await arena.server();
    await ask(server.address);
    await server.quiet();
    const before = server.descriptors;
    const pieces = ['', 'GET / HT', get()];
    for (let wave = 0; wave < 100; wave++) {
      const wires = await Promise.all(Array.from({ length: 100 }, () => connected(server)));
      wires.forEach((wire, i) => {
        const piece = pieces[(wave + i) % pieces.length];
        // Written at once, so that it is on its way when the reset follows.
        if (piece !== '') wire.send(piece);
        wire.reset();
      });
    }
    await server.quiet();
    const left = server.descriptors - before;
    const cpu = await server.cpuShare(2000);
    const status = await ask(server.address);
    return [
      [`10,000 resets, ${left} descriptors left`, left === 0],
      [`CPU ${cpu.toFixed(1)} %`, cpu < 1],
      [`next client ${status}`, status === 200],
      [`stderr ${server.stderr.length} bytes`, server.stderr === ''],
    ];
  },
};
