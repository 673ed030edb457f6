// Connections that end at a bad moment, or do not end.
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { watchScheduling } from '../support/measure.mjs';
import { ask, get, Wire } from '../support/wire.mjs';

const CUT_BODIES = ['Content-Length: 9\r\n\r\nabc', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc'];

/** Sends, finishes sending, and returns the wire when the server has ended the connection. */
async function halfClosed(server, request) {
  const wire = await Wire.open(server.address);
  wire.send(request);
  wire.socket.end();
  await wire.ended();
  wire.destroy();
  return wire;
}

export const halfClose = {
  number: 14,
  title: 'half-closed clients',
  pass:
    'FIN after the request: whole answer; FIN before its end: not a byte, also for a body that is ' +
    'buffered (a handler that was reading the body answers 400); only the debug log tells',
  async run(arena) {
    const server = await arena.server();
    const buffering = await arena.server({ inputBuffering: 'buffer' });
    const debugged = await arena.server({}, { env: { NODE_DEBUG: 'ryegate' } });
    const rounds = 50;
    let whole = 0;
    let silent = 0;
    let refused = 0;
    for (let i = 0; i < rounds; i++) {
      const large = await halfClosed(server, get('/pieces'));
      const late = await halfClosed(server, get('/later?20'));
      if (large.received.length > 8 * 2 ** 20 && large.received.endsWith('0\r\n\r\n')) whole += 1;
      if (late.received.endsWith('\r\n\r\nhello\n')) whole += 1;
      const cut = get().slice(0, 1 + (i % (get().length - 1)));
      const body = `POST /count HTTP/1.1\r\nHost: x\r\n${CUT_BODIES[i % 2]}`;
      if ((await halfClosed(server, cut)).received === '') silent += 1;
      if ((await halfClosed(buffering, body)).received === '') silent += 1;
      // Its handler has been run, sees the read fail, and lets the server answer.
      if ((await halfClosed(server, body)).statuses.join() === '400') refused += 1;
    }
    await halfClosed(debugged, get().slice(0, 9));
    await debugged.quiet();
    await Promise.all([server.quiet(), buffering.quiet()]);
    const errors = server.stderr + buffering.stderr;
    const said = debugged.stderr.split('\n').filter((line) => /ryegate/i.test(line));
    return [
      [`${whole} of ${2 * rounds} answers whole`, whole === 2 * rounds],
      [`${silent} of ${2 * rounds} cut requests closed without a byte`, silent === 2 * rounds],
      [`${refused} of ${rounds} handlers' reads ended with 400`, refused === rounds],
      [`stderr ${errors.length} bytes`, errors === ''],
      [`${said.length} lines with NODE_DEBUG=ryegate`, said.length > 0],
    ];
  },
};

/** Begins to take an answer, and resets the connection in the middle of it. */
async function resetInAnswer(server, path) {
  const wire = await Wire.open(server.address);
  wire.send(get(path));
  await new Promise((resolve) => {
    wire.socket.once('data', resolve).once('close', resolve);
  });
  wire.reset();
}

export const midResponse = {
  number: 15,
  title: 'resets in the middle of an answer',
  pass: '1000: results closed once each, descriptors as at the start, nothing unhandled',
  async run(arena) {
    const server = await arena.server();
    const file = join(arena.folder, 'file');
    writeFileSync(file, '');
    truncateSync(file, 50e6);
    const paths = ['/pieces', `/file?${file}`, `/sendfile?${file}`];
    await ask(server.address, paths[1]);
    await server.quiet();
    const before = { descriptors: server.descriptors, ...(await server.counts()) };
    for (let wave = 0; wave < 50; wave++) {
      const resets = Array.from({ length: 20 }, (_, i) => resetInAnswer(server, paths[i % 3]));
      await Promise.all(resets);
    }
    await server.quiet();
    // A file is closed by libuv's threads.
    await sleep(500);
    const after = await server.counts();
    const left = server.descriptors - before.descriptors;
    const [opened, closed] = [after.opened - before.opened, after.closed - before.closed];
    const status = await ask(server.address);
    return [
      [`${opened} results, ${closed} closed`, opened === 1000 && closed === 1000],
      [`${left} descriptors left`, left === 0],
      [`stderr ${server.stderr.length} bytes`, server.stderr === ''],
      [`next client ${status}`, status === 200 && !server.ended],
    ];
  },
};

const HANDLER = 1;

export const stuckHandlers = {
  number: 21,
  title: 'handlers that never answer',
  pass: `1000: 503 by ${HANDLER} + 1 s, connections freed, no timers left`,
  async run(arena) {
    const server = await arena.server({ timeouts: { handler: HANDLER } });
    await ask(server.address);
    await server.quiet();
    const before = await server.counts();
    const size = arena.crowdSize(1000);
    const crowd = arena.crowd({ address: server.address, count: size, first: get('/never') });
    await crowd.next();
    const busy = await server.counts();
    const { ended, latest, earliest, statuses } = await crowd.next();
    await server.quiet();
    const after = await server.counts();
    return [
      [`${ended} ended, ${statuses[503] ?? 0} x 503`, statuses[503] === size],
      [
        `after ${earliest.toFixed(2)} to ${latest.toFixed(2)} s`,
        earliest >= HANDLER - 0.1 && latest <= HANDLER + 1,
      ],
      [
        `timers ${before.timers} before, ${busy.timers} during, ${after.timers} after`,
        after.timers <= before.timers && busy.timers <= before.timers + 1,
      ],
      [`${after.sockets} connections left`, after.sockets === 0],
    ];
  },
};

const IDLE = 9000;
const CROWDS = 3;
const EACH = 8;

export const idleConnections = {
  number: 28,
  title: 'idle keep-alive connections',
  pass: `${IDLE}: <= ${EACH} KiB rss each, 0 % CPU over 3 s, serverClose() < 1 s`,
  async run(arena) {
    const server = await arena.server();
    for (let i = 0; i < 100; i++) await ask(server.address);
    await server.quiet();
    const before = await server.memory();
    const size = arena.crowdSize(IDLE);
    const crowd = {
      address: server.address,
      count: size / CROWDS,
      first: get(),
      answer: 'hello\n',
    };
    const crowds = Array.from({ length: CROWDS }, () => arena.crowd(crowd));
    for (const each of crowds) await each.next(30_000);
    await sleep(500);
    const { sockets } = await server.counts();
    const growth = (await server.memory()) - before;
    const cpu = await server.cpuShare(3000);
    const status = await ask(server.address);
    const scheduling = watchScheduling(server.pid);
    const closing = await server.ask('close');
    const each = growth / size;
    return [
      [`${sockets} connections, ${each.toFixed(2)} KiB each`, sockets === size && each <= EACH],
      // One tick of the clock by which the kernel tells it is 0.33 %.
      [`CPU ${cpu.toFixed(1)} %`, cpu < 0.5],
      [`one more client ${status}`, status === 200],
      [`closed in ${closing.toFixed(0)} ms`, closing < 1000],
      scheduling(),
    ];
  },
};
