// What SIGTERM does to the clients of the command line, in one process and with workers.
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { eventually } from '../support/measure.mjs';
import { get, Wire } from '../support/wire.mjs';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const main = join(root, 'dist', 'cli', 'main.js');
const app = join(root, 'test', 'faults', 'programs', 'termination.mjs');

const CLIENTS = 20;
/** Requests a second. */
const RATE = 200;
const ROUNDS = 4;
/** Milliseconds. */
const IDLE_END = 50;
const GRACEFUL = 1000;
const LATE = 500;

const ways = [
  ['one process', []],
  ['two workers', ['--workers', '2']],
];

async function serve(arena, how) {
  const args = [main, '-q', '--bind', '127.0.0.1:0', '-s', arena.selector, ...how, app];
  const program = arena.run(process.execPath, args);
  const serves = how.includes('--workers') ? /(worker \d+ serves[\s\S]*){2}/ : /listening/;
  await eventually(() => serves.test(program.stderr), 'the server serves');
  const [, port] = /127\.0\.0\.1:(\d+)/.exec(program.stderr);
  return { program, address: ['127.0.0.1', Number(port)] };
}

/** Resolves with how a request ended: `answered`, `refused` (not connected) or what went wrong. */
function ask(address, agent, again = true) {
  return new Promise((resolve) => {
    const sent = request({ host: address[0], port: address[1], agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.complete ? 'answered' : 'cut'));
      response.on('error', (error) => resolve(error.code));
    });
    sent.on('error', (error) => {
      // It crossed the end of an idle connection: a client asks again (RFC 9112 section 9.3.1).
      if (sent.reusedSocket && again) resolve(ask(address, agent, false));
      else resolve(error.code === 'ECONNREFUSED' ? 'refused' : error.code);
    });
    sent.end();
  });
}

/** Asks until the server, which gets SIGTERM after `count` requests, refuses. */
async function underLoad({ program, address }, count) {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  const asked = [];
  for (let i = 0; !program.ended; i++) {
    if (i === count) program.child.kill('SIGTERM');
    asked.push(ask(address, agent));
    await sleep(1000 / RATE);
  }
  const ends = await Promise.all(asked);
  agent.destroy();
  return ends;
}

export const terminated = {
  number: 35,
  title: `SIGTERM under ${RATE} requests a second, 2,000 in ${2 * ROUNDS} rounds`,
  pass: 'none fails of those that had connected; exit 0',
  seconds: 120,
  async run(arena) {
    const figures = [];
    for (const [name, how] of ways) {
      const ends = [];
      const statuses = [];
      for (let round = 0; round < ROUNDS; round++) {
        const server = await serve(arena, how);
        ends.push(...(await underLoad(server, 1000 / ROUNDS)));
        statuses.push(await server.program.exit);
      }
      const wrong = ends.filter((end) => end !== 'answered' && end !== 'refused');
      const answered = ends.filter((end) => end === 'answered').length;
      figures.push([`${name}: ${answered} answered`, answered >= 1000]);
      figures.push([`${wrong.length} failed ${[...new Set(wrong)]}`.trim(), wrong.length === 0]);
      figures.push([`exit ${statuses}`, statuses.every((status) => status === 0)]);
    }
    return figures;
  },
};

async function idleEnd(arena, how) {
  const times = [];
  for (let round = 0; round < 5; round++) {
    const { program, address } = await serve(arena, how);
    const idle = await Wire.open(address);
    idle.send(get());
    await eventually(() => idle.received.endsWith('hello\n'), 'the answer');
    const began = performance.now();
    program.child.kill('SIGTERM');
    await idle.ended();
    times.push(performance.now() - began);
    idle.destroy();
    await program.exit;
  }
  return times.sort((a, b) => a - b)[2];
}

async function stuckEnd(arena, how) {
  const { program, address } = await serve(arena, [...how, '--graceful-timeout', `${GRACEFUL}ms`]);
  const stuck = await Wire.open(address);
  stuck.send(get('/stuck'));
  await sleep(200);
  const began = performance.now();
  program.child.kill('SIGTERM');
  const status = await program.exit;
  stuck.destroy();
  return [performance.now() - began, status];
}

/** Bytes that a client gets which reads slowly, and begins to after SIGTERM. */
async function slowReader(arena, how) {
  const { program, address } = await serve(arena, how);
  const slow = await Wire.open(address);
  slow.send(get('/large'));
  await eventually(() => slow.received.length > 0, 'the answer begins');
  slow.socket.pause();
  program.child.kill('SIGTERM');
  for (let i = 0; i < 10; i++) {
    await sleep(50);
    slow.socket.resume();
    await sleep(5);
    slow.socket.pause();
  }
  slow.socket.resume();
  await slow.ended();
  const status = await program.exit;
  return [slow.received.length, status];
}

export const ends = {
  number: 36,
  title: 'how long SIGTERM takes',
  pass:
    `an idle connection is gone within ${IDLE_END} ms; a slow reader of 4 MiB has all; with a ` +
    `stuck handler the process ends ${LATE} ms after the graceful timeout, not with 0`,
  seconds: 120,
  async run(arena) {
    const figures = [];
    for (const [name, how] of ways) {
      const idle = await idleEnd(arena, how);
      figures.push([`${name}: idle gone in ${idle.toFixed(0)} ms (median of 5)`, idle <= IDLE_END]);
      const [bytes, status] = await slowReader(arena, how);
      figures.push([`slow reader ${bytes} bytes, exit ${status}`, bytes > 2 ** 22 && status === 0]);
      const [late, failed] = await stuckEnd(arena, how);
      const fits = late <= GRACEFUL + LATE && failed !== 0;
      figures.push([`stuck: exit ${failed} after ${late.toFixed(0)} ms`, fits]);
    }
    return figures;
  },
};
