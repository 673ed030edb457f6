import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Notifier } from '../../src/index.ts';
import { NotifySocket } from '../support/notifysocket.ts';
import { programStarter } from '../support/programs.ts';
import { eventually } from '../support/servers.ts';

const start = programStarter();
/** How many messages wait to be read before one more is refused. */
const queue = Number(readFileSync('/proc/sys/net/unix/max_dgram_qlen', 'utf8')) + 1;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ryegate-notify-'));
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

/** The warnings of the process from here on. */
function warnings(): [code: unknown, text: unknown][] {
  const told: [unknown, unknown][] = [];
  vi.spyOn(process, 'emitWarning').mockImplementation((text, options) => {
    told.push([(options as unknown as { code: string }).code, text]);
  });
  return told;
}

it('sends each state in one datagram, in order', async () => {
  const socket = await NotifySocket.open(start, join(folder, 'notify'));
  const notifier = new Notifier({ NOTIFY_SOCKET: socket.path });
  expect(notifier.enabled).toBe(true);
  const before = process.hrtime.bigint() / 1000n;
  notifier.ready();
  notifier.status('as it is');
  notifier.watchdog();
  notifier.mainPid(4711);
  notifier.extendTimeout(1.5);
  notifier.reloading();
  notifier.stopping();
  notifier.notify('BUSERROR=org.example\nERRNO=2');
  await socket.until('BUSERROR=org.example\nERRNO=2');
  const [reloading = ''] = socket.messages.splice(5, 1);
  const after = process.hrtime.bigint() / 1000n;
  const [, time = ''] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(reloading) ?? [];
  expect(BigInt(time)).toBeGreaterThanOrEqual(before);
  expect(BigInt(time)).toBeLessThanOrEqual(after);
  expect(socket.messages.filter((text) => text !== reloading)).toEqual([
    'READY=1',
    'STATUS=as it is',
    'WATCHDOG=1',
    'MAINPID=4711',
    'EXTEND_TIMEOUT_USEC=1500000',
    'STOPPING=1',
    'BUSERROR=org.example\nERRNO=2',
  ]);
});

it('reaches an abstract socket', async () => {
  const socket = await NotifySocket.open(start, `@ryegate-notify-${process.pid}`);
  new Notifier({ NOTIFY_SOCKET: socket.path }).ready();
  await socket.until('READY=1');
});

it('keeps a status to one line that is not left out for its length', async () => {
  const socket = await NotifySocket.open(start, join(folder, 'notify'));
  const notifier = new Notifier({ NOTIFY_SOCKET: socket.path });
  notifier.status('one\nMAINPID=1\r\ntwo\0three');
  notifier.status('\u20ac'.repeat(5000));
  notifier.ready();
  await socket.until('READY=1');
  const [first, second = ''] = socket.messages;
  expect(first).toBe('STATUS=one MAINPID=1 two three');
  expect(second).toMatch(/^STATUS=\u20ac{1000}$/);
  expect(Buffer.byteLength(second)).toBeLessThan(4096);
});

it('sends again what found the queue full, in order, but pings', async () => {
  const socket = await NotifySocket.open(start, join(folder, 'notify'), true);
  const notifier = new Notifier({ NOTIFY_SOCKET: socket.path });
  const told = warnings();
  const sent = Array.from({ length: queue + 8 }, (_, index) => `STATUS=${index}`);
  for (const state of sent) notifier.notify(state);
  notifier.watchdog();
  notifier.ready();
  socket.read();
  await socket.until('READY=1');
  expect(socket.messages).toEqual([...sent, 'READY=1']);
  notifier.watchdog();
  await socket.until('WATCHDOG=1');
  expect(told).toEqual([]);
});

it('gives up with one warning where nobody ever reads', async () => {
  const socket = await NotifySocket.open(start, join(folder, 'notify'), true);
  const notifier = new Notifier({ NOTIFY_SOCKET: socket.path });
  const told = warnings();
  for (let i = 0; i < queue + 100; i++) notifier.ready();
  const text = 'the service manager cannot be told: too many messages wait to be read';
  expect(told).toEqual([['ERR_RYEGATE_SYSTEMD', text]]);
});

describe('without a service manager', () => {
  it.each([{}, { NOTIFY_SOCKET: '' }])('%j: does nothing', (env) => {
    const told = warnings();
    const notifier = new Notifier(env as NodeJS.ProcessEnv);
    expect(notifier.enabled).toBe(false);
    notifier.ready();
    expect(told).toEqual([]);
  });

  it.each(['notify', 'vsock:2:1234', '/\0/notify', `/${'x'.repeat(200)}`, '/does/not/exist'])(
    'at NOTIFY_SOCKET=%j: one warning',
    (path) => {
      const told = warnings();
      const notifier = new Notifier({ NOTIFY_SOCKET: path });
      notifier.ready();
      notifier.status('nobody knows');
      notifier.stopping();
      expect(told).toHaveLength(1);
      expect(told[0]?.[0]).toBe('ERR_RYEGATE_SYSTEMD');
    },
  );

  it('that is gone: one warning, and what comes later arrives with the next', async () => {
    const path = join(folder, 'notify');
    const first = start('python3', [
      '-c',
      'import socket,sys;socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM).bind(sys.argv[1])',
      path,
    ]);
    await first.exit;
    const told = warnings();
    const notifier = new Notifier({ NOTIFY_SOCKET: path });
    notifier.ready();
    expect(told).toEqual([
      ['ERR_RYEGATE_SYSTEMD', 'the service manager cannot be told: ECONNREFUSED'],
    ]);
    rmSync(path);
    const socket = await NotifySocket.open(start, path);
    notifier.status('back');
    await eventually(() => socket.messages.length > 0, 'the message arrives');
    expect(socket.messages).toEqual(['STATUS=back']);
  });
});

it('refuses what makes no sense', () => {
  const notifier = new Notifier({});
  for (const pid of [0, -1, 1.5, Number.NaN, 2 ** 31]) {
    expect(() => notifier.mainPid(pid)).toThrow(
      expect.objectContaining({ code: 'ERR_RYEGATE_OPTION' }),
    );
  }
  for (const seconds of [0, -1, Number.NaN, Infinity]) {
    expect(() => notifier.extendTimeout(seconds)).toThrow('the option seconds');
  }
});

it('takes the variable out when asked to, so that children do not notify', () => {
  const env = { NOTIFY_SOCKET: '/run/notify', A: 'b' };
  expect(new Notifier(env).enabled).toBe(true);
  expect(env).toHaveProperty('NOTIFY_SOCKET');
  expect(new Notifier(env, { unset: true }).enabled).toBe(true);
  expect(env).toEqual({ A: 'b' });
});
