import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Notifier, Watchdog, type WatchdogOptions } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { NotifySocket } from '../support/notifysocket.ts';
import { programStarter } from '../support/programs.ts';
import { dist, eventually, get, hello, requireDist, serverKeeper } from '../support/servers.ts';

const start = programStarter();
const servers = serverKeeper();
const open: Watchdog[] = [];

beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
});

afterEach(() => {
  for (const watchdog of open.splice(0)) watchdog.stop();
  vi.restoreAllMocks();
});

/** Counts the pings that the service manager would get. */
class Counter extends Notifier {
  pings = 0;

  override watchdog(): void {
    this.pings++;
  }
}

/** A watchdog that pings every 10 ms, and its pings. */
function watch(options: WatchdogOptions = {}): { watchdog: Watchdog; counter: Counter } {
  const counter = new Counter({});
  const watchdog = new Watchdog(counter, { env: { WATCHDOG_USEC: '20000' }, ...options });
  open.push(watchdog);
  watchdog.start();
  return { watchdog, counter };
}

function pings(counter: Counter, more: number): Promise<void> {
  const before = counter.pings;
  return eventually(() => counter.pings >= before + more, 'the pings come');
}

/** So long that pings would have come. */
async function expectSilence(counter: Counter): Promise<void> {
  // One may be on its way.
  await sleep(30);
  const before = counter.pings;
  await sleep(100);
  expect(counter.pings).toBe(before);
}

const warned = (): unknown[] => vi.mocked(process.emitWarning).mock.calls.map(([text]) => text);

describe('the variables', () => {
  const seconds = (env: NodeJS.ProcessEnv): number | null =>
    new Watchdog(new Notifier({}), { env }).timeout;

  it('say whether, and how often', () => {
    expect(seconds({})).toBe(null);
    expect(seconds({ WATCHDOG_USEC: '30000000' })).toBe(30);
    expect(seconds({ WATCHDOG_USEC: '1', WATCHDOG_PID: String(process.pid) })).toBe(1e-6);
    expect(seconds({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' })).toBe(null);
    expect(seconds({ WATCHDOG_PID: 'x' })).toBe(null);
  });

  it.each([
    { WATCHDOG_USEC: '0' },
    { WATCHDOG_USEC: '' },
    { WATCHDOG_USEC: '30s' },
    { WATCHDOG_USEC: '18446744073709551615' },
    { WATCHDOG_USEC: '1', WATCHDOG_PID: '' },
  ])('%j is refused', (env) => {
    const error = expect.objectContaining({ code: 'ERR_RYEGATE_SYSTEMD' });
    expect(() => seconds(env)).toThrow(error);
  });

  it('are taken out when asked to', () => {
    const env = { WATCHDOG_USEC: '30000000', WATCHDOG_PID: String(process.pid), A: 'b' };
    expect(new Watchdog(new Notifier({}), { env, unset: true }).timeout).toBe(30);
    expect(env).toEqual({ A: 'b' });
  });
});

it('pings until it is stopped, and again when started', async () => {
  const { watchdog, counter } = watch();
  await pings(counter, 3);
  watchdog.stop();
  await expectSilence(counter);
  watchdog.start();
  watchdog.start();
  await pings(counter, 3);
});

it('does nothing for another process', async () => {
  const { counter } = watch({ env: { WATCHDOG_USEC: '20000', WATCHDOG_PID: '1' } });
  await expectSilence(counter);
  expect(counter.pings).toBe(0);
});

describeBackends('with a server', (selector) => {
  it('pings while it serves without clients, and when it does not serve', async () => {
    const server = servers.make(hello, { selector });
    // The thread that waits for poll and select needs its time.
    const { counter } = watch({ servers: [server], env: { WATCHDOG_USEC: '600000' } });
    await pings(counter, 1);
    const serving = servers.serve(server);
    // From the second one on, its reactor has to have turned.
    await pings(counter, 2);
    expect((await get(server.serverAddress)).status).toBe(200);
    await server.shutdown();
    await serving;
    await pings(counter, 1);
    await server.serverClose();
    await pings(counter, 1);
    expect(warned()).toEqual([]);
  });

  it('pings right after the loop was blocked for longer than the interval', async () => {
    const server = servers.make(hello, { selector });
    servers.serve(server);
    const { counter } = watch({ servers: [server], env: { WATCHDOG_USEC: '1000000' } });
    await pings(counter, 1);
    for (let i = 0; i < 2; i++) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700);
      await pings(counter, 1);
    }
    expect(warned()).toEqual([]);
  });
});

it('sends none while a reactor that serves does not turn, though the loop does', async () => {
  const server = servers.make(hello);
  servers.serve(server);
  const reactor = { turns: 7, waker: { wake: () => {} } } as unknown as typeof server.reactor;
  const stuck = { reactor, shutdownEvent: server.shutdownEvent };
  const { counter } = watch({ servers: [server, stuck] });
  await expectSilence(counter);
  expect(counter.pings).toBe(0);
  expect(warned()).toEqual([
    'no ping is sent to the watchdog: the reactor of a server does not turn',
  ]);
  const turning = setInterval(() => reactor.turns++, 1);
  await pings(counter, 3);
  clearInterval(turning);
});

describe('healthy()', () => {
  it.each<[string, () => boolean | Promise<boolean>]>([
    ['says no', () => false],
    ['says no later', async () => false],
    [
      'throws',
      () => {
        throw new Error('no database');
      },
    ],
    ['is rejected', () => Promise.reject(new Error('no database'))],
    ['never answers', () => new Promise(() => {})],
  ])('that %s holds the pings back', async (_, healthy) => {
    const { counter } = watch({ healthy });
    await expectSilence(counter);
    expect(counter.pings).toBe(0);
    expect(warned().length).toBeLessThanOrEqual(1);
  });

  it('that comes to itself lets them go on, and each outage is told once', async () => {
    let isHealthy = true;
    const { counter } = watch({ healthy: async () => isHealthy });
    for (let outage = 1; outage <= 2; outage++) {
      await pings(counter, 2);
      isHealthy = false;
      await expectSilence(counter);
      expect(warned()).toHaveLength(outage);
      isHealthy = true;
    }
    expect(warned()[0]).toBe('no ping is sent to the watchdog: healthy() says no');
  });
});

it('a handler that blocks the loop keeps the pings from being sent', async () => {
  requireDist();
  const folder = mkdtempSync(join(tmpdir(), 'ryegate-watchdog-'));
  try {
    const socket = await NotifySocket.open(start, join(folder, 'notify'));
    const program = start(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `
        import { makeServer, Notifier, Watchdog } from '${dist}';
        const seconds = () => Number(process.hrtime.bigint()) / 1e9;
        const server = makeServer('127.0.0.1', 0, (environ, startResponse) => {
          const from = seconds();
          while (seconds() < from + 2.5);
          startResponse('200 OK', [['Content-Type', 'application/json']]);
          return JSON.stringify([from, seconds()]);
        }, { logRequests: false });
        const serving = server.serveForever();
        new Watchdog(new Notifier(), { servers: [server] }).start();
        console.log('http://127.0.0.1:' + server.serverPort + '/');
        await serving;`,
      ],
      { env: { ...process.env, NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '200000' } },
    );
    const url = await program.url('stdout');
    await socket.until('WATCHDOG=1');
    const [from, to] = (await (await fetch(url)).json()) as [number, number];
    const times = (): number[] => socket.received.map(([time]) => time);
    await eventually(() => times().filter((time) => time >= to).length > 2, 'the pings go on');
    // What was sent before may have been read later.
    expect(times().filter((time) => time > from + 1.3 && time < to)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
