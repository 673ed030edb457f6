import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NotifySocket } from '../support/notifysocket.ts';
import { type Program, programStarter, root } from '../support/programs.ts';
import { type Answer, eventually, get, rejectionCode } from '../support/servers.ts';
import { straceIsMissing } from '../support/strace.ts';
import { requireTool } from '../support/tools.ts';

// The example program, as systemd starts it.

const start = programStarter();
const service = join(root, 'examples', 'service.mjs');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ryegate-service-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

function run(variables: NodeJS.ProcessEnv, ...before: string[]): Program {
  const [command, ...args] = [...before, process.execPath, service];
  return start(command as string, args, { env: { ...process.env, ...variables } });
}

describe('on a socket that systemd-socket-activate has opened', () => {
  /** Listens, and starts the program for the first client; variables are not passed on by default. */
  function activate(listen: string, variables: NodeJS.ProcessEnv = {}): Program {
    requireTool('systemd-socket-activate', '--version', 'systemd');
    const passed = Object.entries(variables).flatMap(([name, value]) => ['-E', `${name}=${value}`]);
    const args = ['-l', listen, '--fdname=web', ...passed, process.execPath, service];
    return start('systemd-socket-activate', args, { env: process.env });
  }

  // No two test processes at a time have the same number.
  const host = `127.77.${(process.pid >> 8) & 255}.${process.pid & 255}`;

  it.each([
    ['by TCP', () => `${host}:8077`],
    ['by a unix socket', () => join(folder, 'web.sock')],
  ])('%s: serves the client that it was started for, and others', async (_, where) => {
    const address = where();
    const socket = await NotifySocket.open(start, join(folder, 'notify'));
    const program = activate(address, { NOTIFY_SOCKET: socket.path });
    await program.says(/Listening on /);
    expect(program.stdout).toBe('');
    const at = address.startsWith('/') ? address : ([host, 8077] as const);
    const answers: Answer[] = [];
    for (let i = 0; i < 3; i++) answers.push(await get(at as string));
    // It replaces the program that listened.
    const body = `served by process ${program.child.pid}\n`;
    expect(answers.map(({ status, body }) => [status, body])).toEqual(Array(3).fill([200, body]));
    await socket.until('READY=1');
    expect(await program.stop()).toEqual([0, null]);
    await socket.until('STOPPING=1');
    expect(socket.messages).toEqual([
      'READY=1',
      `STATUS=serving on ${address.startsWith('/') ? `unix:${address}` : address}`,
      'STOPPING=1',
    ]);
    // The address is systemd's, and it may be bound still.
    if (address.startsWith('/')) expect(await rejectionCode(get(address))).toBe('ECONNREFUSED');
  });

  it('pings the watchdog', async () => {
    const path = join(folder, 'web.sock');
    const socket = await NotifySocket.open(start, join(folder, 'notify'));
    const program = activate(path, { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '200000' });
    await program.says(/Listening on /);
    expect((await get(path)).status).toBe(200);
    const pings = (): number => socket.messages.filter((text) => text === 'WATCHDOG=1').length;
    await eventually(() => pings() >= 20, 'twenty pings come');
    const times = socket.received.filter(([, text]) => text === 'WATCHDOG=1').map(([time]) => time);
    // Twice in each 0.2 seconds, however late some of them are.
    expect((times.at(-1) as number) - (times[0] as number)).toBeGreaterThan(0.3);
    expect(await program.stop()).toEqual([0, null]);
  });
});

it('is ready only when it accepts, and answers then', async () => {
  const socket = await NotifySocket.open(start, join(folder, 'notify'));
  const program = run({ NOTIFY_SOCKET: socket.path });
  await socket.until('READY=1');
  const response = await fetch(await program.url('stdout'));
  expect(await response.text()).toBe(`served by process ${program.child.pid}\n`);
  expect(await program.stop()).toEqual([0, null]);
  await socket.until('STOPPING=1');
  expect(socket.messages.at(-1)).toBe('STOPPING=1');
});

it.skipIf(straceIsMissing())('watches its listener before it is ready', async () => {
  const socket = await NotifySocket.open(start, join(folder, 'notify'));
  // The tracer is no parent of the program, which can be signalled as ever.
  const calls = ['-D', '-f', '-qq', '-e', 'trace=listen,epoll_ctl,sendto', '-s', '100'];
  const program = run({ NOTIFY_SOCKET: socket.path }, 'strace', ...calls);
  await socket.until('READY=1');
  await program.url('stdout');
  const [, listener = ''] = await program.says(/\blisten\((\d+),/);
  const [trace = ''] = await program.says(/[\s\S]*sendto\(\d+, "READY=1"/);
  expect(trace).toMatch(new RegExp(`epoll_ctl\\(\\d+, EPOLL_CTL_ADD, ${listener}, `));
  expect(await program.stop()).toEqual([0, null]);
});

it('ends at once when it is told to again', async () => {
  const socket = await NotifySocket.open(start, join(folder, 'notify'));
  const program = run({ NOTIFY_SOCKET: socket.path, DRAIN_DELAY: '1000' });
  await program.url('stdout');
  program.child.kill('SIGTERM');
  await socket.until('STOPPING=1');
  expect(await program.stop()).toEqual([0, null]);
  expect(socket.messages.filter((text) => text === 'STOPPING=1')).toHaveLength(1);
});

it('drains: not ready at once, served for the delay, ended with status 0', async () => {
  const socket = await NotifySocket.open(start, join(folder, 'notify'));
  const program = run({ NOTIFY_SOCKET: socket.path, DRAIN_DELAY: '3' });
  const url = await program.url('stdout');
  const status = async (path: string): Promise<number> => (await fetch(url + path)).status;
  expect([await status('/readyz'), await status('/healthz')]).toEqual([200, 200]);
  program.child.kill('SIGTERM');
  await socket.until('STOPPING=1');
  expect(await Promise.all(['/readyz', '/healthz', '/'].map(status))).toEqual([503, 200, 200]);
  expect(await program.exit).toEqual([0, null]);
});
