// What comes from outside of HTTP: the clock, the disk, another protocol.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bounded, eventually } from '../support/measure.mjs';
import { ask, get, Wire } from '../support/wire.mjs';

const TIMEOUT = 3;

/** Where Debian and its like put the library, by architecture. */
const FAKETIME = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .concat('/usr/lib/faketime/libfaketime.so.1', '/usr/lib64/faketime/libfaketime.so.1')
  .find((path) => existsSync(path));

/** A server whose realtime clock, not the monotonic one, is what the file says. */
async function serverWithClock(arena, name) {
  const file = join(arena.folder, name);
  writeFileSync(file, '+0');
  const env = {
    LD_PRELOAD: FAKETIME,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    DONT_FAKE_MONOTONIC: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  const timeouts = { head: TIMEOUT, keepAlive: TIMEOUT };
  const server = await arena.server({ timeouts }, { env });
  return { server, set: (offset) => writeFileSync(file, offset) };
}

/** Seconds until the server ends the connection. */
async function lifetime(wire, began) {
  await wire.ended();
  return (performance.now() - began) / 1000;
}

/** How late the two timeouts come when the clock jumps while they run. */
async function jump(arena, name, offset) {
  const { server, set } = await serverWithClock(arena, name);
  const [idle, head] = [await Wire.open(server.address), await Wire.open(server.address)];
  idle.send(get());
  head.send('GET / HTTP/1.1\r\n');
  await idle.until('hello\n');
  const began = performance.now();
  const lives = Promise.all([lifetime(idle, began), lifetime(head, began)]);
  await sleep(1000);
  set(offset);
  await sleep(200);
  const shown = Math.round(((await server.counts()).now - Date.now()) / 1000);
  const [idleLife, headLife] = await lives;
  const [status] = head.statuses;
  for (const wire of [idle, head]) wire.destroy();
  const onTime = (life) => life > TIMEOUT - 0.2 && life < TIMEOUT + 1;
  return [
    `clock ${shown > 0 ? '+' : ''}${shown} s: idle closed after ${idleLife.toFixed(2)} s, head ` +
      `${status} after ${headLife.toFixed(2)} s`,
    Math.abs(shown - Number(offset)) < 60 && onTime(idleLife) && onTime(headLife) && status === 408,
  ];
}

export const clockJump = {
  number: 31,
  title: 'clock that jumps by an hour',
  pass: `idle and head timeouts of ${TIMEOUT} s come neither early nor more than 1 s late`,
  async run(arena) {
    if (FAKETIME === undefined) {
      throw new Error('libfaketime is missing: install it with `apt-get install -y faketime`');
    }
    return Promise.all([
      jump(arena, 'none', '+0'),
      jump(arena, 'forth', '+3600'),
      jump(arena, 'back', '-3600'),
    ]);
  },
};

export const fullDisk = {
  number: 32,
  title: 'access log on a full disk (ENOSPC, by /dev/full)',
  pass: '500 requests are served, exactly one process warning (ERR_RYEGATE_LOG)',
  async run(arena) {
    const full = openSync('/dev/full', 'w');
    try {
      const server = await arena.server({ logRequests: true }, { stderr: full });
      let served = 0;
      for (let i = 0; i < 500; i++) if ((await ask(server.address)) === 200) served += 1;
      await sleep(100);
      const { warnings } = await server.counts();
      const [{ code, message } = {}] = warnings;
      return [
        [`${served} of 500 served`, served === 500],
        [`${warnings.length} warnings`, warnings.length === 1],
        [`${code}: ${message}`, code === 'ERR_RYEGATE_LOG' && /ENOSPC/.test(message)],
      ];
    } finally {
      closeSync(full);
    }
  },
};

/** Runs a TLS client; resolves with whether it ended without a TLS connection. */
async function tlsFails(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('latin1').on('data', (piece) => {
      text += piece;
    });
  }
  const closed = new Promise((resolve, reject) => {
    child.on('close', resolve).on('error', reject);
  });
  try {
    const status = await bounded(closed, command, 5000);
    return status !== 0 && !/HTTP\/1\.1|BEGIN CERTIFICATE/.test(text);
  } finally {
    child.kill('SIGKILL');
  }
}

export const clientHello = {
  number: 33,
  title: 'TLS ClientHello to the plain port',
  pass:
    'openssl and curl are closed on without an answer, the hint is logged once for all attempts ' +
    'of the run (test/exchange/tls.test.ts: again after a minute)',
  async run(arena) {
    const server = await arena.server();
    const { address } = server;
    const attempts = 3;
    let failed = 0;
    for (let i = 0; i < attempts; i++) {
      const openssl =
        typeof address === 'string' ? ['-unix', address] : ['-connect', address.join(':')];
      const curl =
        typeof address === 'string'
          ? ['--unix-socket', address, 'https://localhost/']
          : [`https://${address.join(':')}/`];
      if (await tlsFails('openssl', ['s_client', '-brief', ...openssl])) failed += 1;
      if (await tlsFails('curl', ['-sSk', '--max-time', '4', ...curl])) failed += 1;
    }
    await server.quiet();
    await eventually(() => server.stderr !== '', 'the hint is logged', 2000).catch(() => {});
    const hints = server.stderr.split('\n').filter((line) => /TLS/.test(line));
    const { requests } = await server.counts();
    const status = await ask(address);
    return [
      [`${failed} of ${2 * attempts} attempts closed`, failed === 2 * attempts],
      [`${hints.length} hints: ${JSON.stringify(hints[0] ?? '')}`, hints.length === 1],
      [`${requests} requests run`, requests === 0],
      [`plain client ${status}`, status === 200],
    ];
  },
};
