import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { ThreadPool, ThreadPoolOptions } from '../../src/index.ts';
import { openDescriptors } from '../support/descriptors.ts';
import {
  type Client,
  clientKeeper,
  eventually,
  get,
  isPending,
  rejectionCode,
} from '../support/servers.ts';
import {
  poolKeeper,
  requestMarker,
  startedPools,
  terminating,
  untilStats,
  ways,
} from '../support/threadpools.ts';
import { settledDescriptors } from '../support/workers.ts';

const make = poolKeeper();
const start = startedPools();
const { connect } = clientKeeper();
const mark = requestMarker();
const folder = mkdtempSync(join(tmpdir(), 'ryegate-threads-'));
afterAll(() => rmSync(folder, { recursive: true }));

const REQUEST = 'GET / HTTP/1.1\r\nHost: pool\r\n\r\n';
const NEVER = 'GET /never HTTP/1.1\r\nHost: pool\r\n\r\n';

/** Sends requests on new connections until each of two threads has one of them. */
async function reachBoth(pool: ThreadPool, request: string): Promise<Client[]> {
  const reached = (): number => pool.stats().threads.filter((each) => each.connections > 0).length;
  const clients: Client[] = [];
  for (; clients.length < 100 && reached() < 2; ) {
    const client = await connect(pool.serverAddress);
    client.socket.write(request);
    clients.push(client);
    const count = clients.length;
    await untilStats(pool, ({ connections }) => connections === count, 'it is served');
  }
  expect(reached()).toBe(2);
  return clients;
}

describe.each(ways)('a pool with %s', (_way, options) => {
  it('answers from each of its threads, and gives everything back', async () => {
    const before = openDescriptors();
    const { pool } = await start({ ...options, min: 2 });
    const seen = new Set<string>();
    for (let i = 0; i < 500 && seen.size < 2; i++) {
      // One after the other could all go to the same thread.
      const answers = await Promise.all([1, 2, 3, 4].map(() => get(pool.serverAddress)));
      for (const { status, body } of answers) if (status === 200) seen.add(body);
    }
    const ids = pool.stats().threads.map(({ threadId }) => `${threadId}`);
    expect([...seen].sort()).toEqual(ids.sort());
    expect(await pool.stop()).toMatchObject({ drained: 2, terminated: 0, failed: 0 });
    expect(await settledDescriptors(before)).toBeLessThanOrEqual(before);
  });

  it('tells its threads the address, and that there are other instances', async () => {
    const { pool } = await start({ ...options, min: 1 });
    const [host, port] = pool.serverAddress as [string, number];
    expect((await get(pool.serverAddress, '/address')).body).toBe(`${host}:${port}`);
    expect((await get(pool.serverAddress, '/multiprocess')).body).toBe('true');
  });

  it('lets what was begun be finished when it is stopped', async () => {
    const { pool } = await start({ ...options, min: 2 });
    const idle = await reachBoth(pool, REQUEST);
    for (const client of idle) await client.until('200 OK');
    const held = mark(options.blocking ? '/blocking' : '/waiting');
    const asked = get(pool.serverAddress, held.path);
    await held.begun();
    const stopped = pool.stop();
    // Both threads know of it then.
    if (!options.blocking) for (const client of idle) await client.end();
    held.release();
    const [answer, summary] = await Promise.all([asked, stopped]);
    expect(answer.status).toBe(200);
    expect(summary).toMatchObject({ drained: 2, terminated: 0, aborted: 0 });
    // A blocked thread learns of it when it has answered.
    expect(summary.finished).toBe(options.blocking ? 0 : 1);
    for (const client of idle) await client.end();
    expect(await rejectionCode(get(pool.serverAddress))).toBe('ECONNREFUSED');
  });

  it('ends by force what is not finished in time', async () => {
    const summary = await terminating(1, async () => {
      const { pool } = await start({ ...options, min: 2 });
      const stuck = await connect(pool.serverAddress);
      stuck.socket.write('GET /spin HTTP/1.1\r\nHost: pool\r\n\r\n');
      await untilStats(pool, ({ connections }) => connections === 1, 'the client is served');
      const stopped = await pool.stop(0.2);
      expect(await stuck.end()).toBe('');
      return stopped;
    });
    expect(summary).toMatchObject({ drained: 1, terminated: 1, finished: 0, aborted: 1 });
    expect(summary.seconds).toBeGreaterThan(0.19);
  });
});

it('a handler that waits too long is broken off, by its thread itself', async () => {
  const summary = await terminating(0, async () => {
    const { pool } = await start({ min: 2 });
    const waiting = await connect(pool.serverAddress);
    waiting.socket.write(NEVER);
    await untilStats(pool, ({ connections }) => connections === 1, 'the client is served');
    const stopped = await pool.stop(0.2);
    expect(await waiting.end()).toBe('');
    return stopped;
  });
  expect(summary).toMatchObject({ drained: 2, terminated: 0, finished: 0, aborted: 1 });
});

it('one that shrink() has retired is broken off when stop() gives it less time', async () => {
  let clients: Client[] = [];
  const summary = await terminating(0, async () => {
    const { pool } = await start({ min: 1, max: 2 });
    await pool.grow();
    clients = await reachBoth(pool, NEVER);
    const shrunk = pool.shrink();
    const stopped = await pool.stop(0.2);
    expect(await shrunk).toBe(1);
    return stopped;
  });
  const aborted = clients.length;
  expect(summary).toMatchObject({ drained: 2, terminated: 0, finished: 0, aborted });
});

describe('a thread that takes long to load', () => {
  let at: string;
  beforeEach(() => {
    at = mkdtempSync(join(folder, 'stages-'));
  });
  const reach = (stage: string): void => writeFileSync(join(at, stage), '');
  const staged = (): Partial<ThreadPoolOptions> => ({
    application: undefined,
    threadModule: fileURLToPath(new URL('../support/poolstages.mjs', import.meta.url)),
    threadData: at,
  });

  /** Resolves when a thread has begun to load. */
  async function loading(): Promise<void> {
    const path = join(at, 'loading');
    await eventually(() => existsSync(path), 'a thread begins to load');
    rmSync(path);
  }

  it('is not taken for one that hangs when it begins to serve', async () => {
    const settings = { ...staged(), blocking: true, min: 3, timeout: 1.5 };
    const { pool, logged } = await make(settings);
    const started = pool.start();
    await sleep(2000);
    reach('load');
    await started;
    await sleep(500);
    expect([pool.stats().replaced, logged]).toEqual([0, []]);
    reach('close');
  });

  it('drains when it is told to end, and has loaded in time', async () => {
    const summary = await terminating(0, async () => {
      rmSync(join(at, 'load'), { force: true });
      reach('close');
      const { pool } = await make({ ...staged(), min: 1 });
      const starting = rejectionCode(pool.start());
      await loading();
      const stopped = pool.stop();
      reach('load');
      expect(await starting).toBe('ERR_RYEGATE_SERVER_CLOSED');
      return await stopped;
    });
    expect(summary).toMatchObject({ drained: 1, terminated: 0, failed: 0 });
  });

  it('has as much time to end as others once it has loaded', async () => {
    const summary = await terminating(0, async () => {
      rmSync(join(at, 'close'), { force: true });
      reach('load');
      const { pool } = await start({ ...staged(), min: 1, max: 2 });
      await loading();
      const client = await connect(pool.serverAddress);
      client.socket.write(REQUEST);
      await client.until('200 OK');
      rmSync(join(at, 'load'));
      const grown = pool.grow().catch(() => {});
      await loading();
      // Not the one that has a client.
      const shrunk = pool.shrink();
      const stopped = pool.stop();
      reach('load');
      // One that had not loaded by now would be terminated.
      await sleep(1300);
      reach('close');
      await grown;
      expect(await shrunk).toBe(1);
      return await stopped;
    });
    expect(summary).toMatchObject({ drained: 2, terminated: 0, failed: 0 });
  });
});

it('closeTimeout 0 breaks off at once', async () => {
  const summary = await terminating(0, async () => {
    const { pool } = await start({ min: 1, closeTimeout: 0 });
    const waiting = await connect(pool.serverAddress);
    waiting.socket.write(NEVER);
    await untilStats(pool, ({ connections }) => connections === 1, 'the client is served');
    return await pool.stop();
  });
  expect(summary).toMatchObject({ drained: 1, terminated: 0, aborted: 1 });
});

it('stop() with senseless seconds is refused, and a drain goes on', async () => {
  const { pool } = await start({ min: 1 });
  const draining = pool.drain({ delay: 20 });
  for (const timeout of [Number.NaN, -1]) {
    expect(() => pool.stop(timeout)).toThrow(/ERR_RYEGATE_OPTION|deadline/);
  }
  expect(await isPending(draining, 200)).toBe(true);
  expect((await get(pool.serverAddress)).status).toBe(200);
  expect(await pool.stop()).toMatchObject({ drained: 1, terminated: 0 });
});

describe('the beginning and the end of a pool', () => {
  it.each(ways)('start() rejects for an application that is none (%s)', async (_way, options) => {
    const before = openDescriptors();
    const { pool } = await make({ ...options, min: 2, application: './missing.js' });
    expect(await rejectionCode(pool.start())).toBe('ERR_RYEGATE_APPLICATION');
    expect(await rejectionCode(get(pool.serverAddress))).toBe('ECONNREFUSED');
    expect(await settledDescriptors(before)).toBeLessThanOrEqual(before);
  });

  it('stop() while it starts makes start() reject', async () => {
    const { pool } = await make({ min: 2 });
    const starting = rejectionCode(pool.start());
    await pool.stop();
    expect(await starting).toBe('ERR_RYEGATE_SERVER_CLOSED');
  });

  it('start() and stop() can be called again, not one after the other', async () => {
    const { pool } = await start({ min: 1 });
    await pool.start();
    const [first, second] = await Promise.all([pool.stop(), pool.stop(0)]);
    expect(second).toBe(first);
    const { pool: unused } = await make();
    expect(await unused.stop()).toMatchObject({ drained: 0, terminated: 0, failed: 0 });
    expect(await rejectionCode(unused.start())).toBe('ERR_RYEGATE_SERVER_CLOSED');
    expect(await rejectionCode(unused.grow())).toBe('ERR_RYEGATE_SERVER_CLOSED');
  });

  it('clients that came before start() are served', async () => {
    const { pool } = await make({ min: 1, mode: 'acceptor' });
    const asked = get(pool.serverAddress);
    await pool.start();
    expect((await asked).status).toBe(200);
  });

  it.each(['listener', 'acceptor'] as const)('a unix socket is removed (%s)', async (mode) => {
    const path = join(folder, mode);
    const { pool } = await start({ min: 2, mode }, path);
    expect((await get(path)).status).toBe(200);
    await pool.shrink();
    expect(existsSync(path)).toBe(true);
    await pool.stop();
    expect(existsSync(path)).toBe(false);
  });
});

describe('the options of a pool', () => {
  const senseless: readonly object[] = [
    { application: '' },
    { application: 7 },
    { min: 0 },
    { min: 1.5 },
    { min: 3, max: 2 },
    { mode: 'fork' },
    { timeout: 0 },
    { closeTimeout: -1 },
    { acceptedQueueSize: 0 },
    { acceptedQueueTimeout: 0 },
    { idleTimeout: Number.NaN },
    { blocking: 'yes' },
    { logError: 'console' },
    { threads: 4 },
    { server: { requestQueueSize: -1 } },
    { server: { errorLog: console } },
    { server: 'none' },
  ];

  it.each(senseless)('%j is refused', async (options) => {
    expect(await rejectionCode(make(options))).toBe('ERR_RYEGATE_OPTION');
  });

  it('listeners of its own for each thread are refused for a unix socket', async () => {
    const options = { server: { allowReusePort: true } };
    expect(await rejectionCode(make(options, join(folder, 'own')))).toBe('ERR_RYEGATE_OPTION');
    expect(existsSync(join(folder, 'own'))).toBe(false);
  });

  it('numbers of threads that are none are refused', async () => {
    const { pool } = await start({ min: 1, max: 2 });
    expect(await rejectionCode(pool.grow(-1))).toBe('ERR_RYEGATE_OPTION');
    expect(await rejectionCode(pool.shrink(Number.NaN))).toBe('ERR_RYEGATE_OPTION');
    expect([await pool.grow(0), await pool.shrink(0)]).toEqual([0, 0]);
  });

  it('options of node that are none make start() reject', async () => {
    const before = openDescriptors();
    const { pool } = await make({ execArgv: ['--no-such-option'] });
    expect(await rejectionCode(pool.start())).toBe('ERR_WORKER_INVALID_EXEC_ARGV');
    expect(await settledDescriptors(before)).toBeLessThanOrEqual(before);
  });

  it('an address that is taken is refused at once', async () => {
    const { pool } = await make();
    const { ThreadPool } = (await import(
      '../../src/index.ts'
    )) as typeof import('../../src/index.ts');
    expect(() => new ThreadPool(pool.serverAddress, { application: './app.js' })).toThrow(
      /EADDRINUSE/,
    );
  });
});
