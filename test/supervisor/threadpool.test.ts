import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openDescriptors } from '../support/descriptors.ts';
import { clientKeeper, get, rejectionCode } from '../support/servers.ts';
import { poolKeeper, startedPools, untilStats, ways } from '../support/threadpools.ts';
import { settledDescriptors } from '../support/workers.ts';

const make = poolKeeper();
const start = startedPools();
const { connect } = clientKeeper();
const folder = mkdtempSync(join(tmpdir(), 'ryegate-threads-'));
afterAll(() => rmSync(folder, { recursive: true }));

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
    expect(await settledDescriptors(before)).toBe(before);
  });

  it('tells its threads the address, and that there are other instances', async () => {
    const { pool } = await start({ ...options, min: 1 });
    const [host, port] = pool.serverAddress as [string, number];
    expect((await get(pool.serverAddress, '/address')).body).toBe(`${host}:${port}`);
    expect((await get(pool.serverAddress, '/multiprocess')).body).toBe('true');
  });

  it('lets what was begun be finished when it is stopped', async () => {
    const { pool } = await start({ ...options, min: 2 });
    const path = options.blocking ? '/busy' : '/slow';
    const idle = await connect(pool.serverAddress);
    idle.socket.write('GET / HTTP/1.1\r\nHost: pool\r\n\r\n');
    await idle.until('200 OK');
    const asked = get(pool.serverAddress, path);
    await untilStats(pool, ({ connections }) => connections === 2, 'both clients are served');
    const [answer, summary] = await Promise.all([asked, pool.stop()]);
    expect(answer.status).toBe(200);
    expect(summary).toMatchObject({ drained: 2, terminated: 0, aborted: 0 });
    // A blocked thread learns of it when it has answered.
    expect(summary.finished).toBe(options.blocking ? 0 : 1);
    await idle.end();
    expect(await rejectionCode(get(pool.serverAddress))).toBe('ECONNREFUSED');
  });

  it('ends by force what is not finished in time', async () => {
    const { pool } = await start({ ...options, min: 2 });
    const stuck = await connect(pool.serverAddress);
    stuck.socket.write('GET /spin HTTP/1.1\r\nHost: pool\r\n\r\n');
    await untilStats(pool, ({ connections }) => connections === 1, 'the client is served');
    const summary = await pool.stop(0.2);
    expect(summary).toMatchObject({ drained: 1, terminated: 1, finished: 0, aborted: 1 });
    expect(summary.seconds).toBeGreaterThan(0.19);
    expect(await stuck.end()).toBe('');
  });
});

it('a handler that waits too long is broken off, by its thread itself', async () => {
  const { pool } = await start({ min: 2 });
  const waiting = await connect(pool.serverAddress);
  waiting.socket.write('GET /never HTTP/1.1\r\nHost: pool\r\n\r\n');
  await untilStats(pool, ({ connections }) => connections === 1, 'the client is served');
  const summary = await pool.stop(0.2);
  expect(summary).toMatchObject({ drained: 2, terminated: 0, finished: 0, aborted: 1 });
  expect(await waiting.end()).toBe('');
});

it('one that shrink() has retired is broken off when stop() gives it less time', async () => {
  const { pool } = await start({ min: 1, max: 2 });
  await pool.grow();
  const busy = (): number => pool.stats().threads.filter((each) => each.connections > 0).length;
  let clients = 0;
  for (; clients < 100 && busy() < 2; clients++) {
    const { socket } = await connect(pool.serverAddress);
    socket.write('GET /never HTTP/1.1\r\nHost: pool\r\n\r\n');
    await untilStats(pool, ({ connections }) => connections > clients, 'it is served');
  }
  expect(busy()).toBe(2);
  const shrunk = pool.shrink();
  const summary = await pool.stop(0.2);
  expect(summary).toMatchObject({ drained: 2, terminated: 0, finished: 0, aborted: clients });
  expect(await shrunk).toBe(1);
});

it('closeTimeout 0 breaks off at once', async () => {
  const { pool } = await start({ min: 1, closeTimeout: 0 });
  const waiting = await connect(pool.serverAddress);
  waiting.socket.write('GET /never HTTP/1.1\r\nHost: pool\r\n\r\n');
  await untilStats(pool, ({ connections }) => connections === 1, 'the client is served');
  expect(await pool.stop()).toMatchObject({ drained: 1, terminated: 0, aborted: 1 });
});

it('stop() with senseless seconds is refused, and a drain goes on', async () => {
  const { pool } = await start({ min: 1 });
  const draining = pool.drain({ delay: 0.5 });
  for (const timeout of [Number.NaN, -1]) {
    expect(() => pool.stop(timeout)).toThrow(/ERR_RYEGATE_OPTION|deadline/);
  }
  const begun = performance.now();
  expect((await get(pool.serverAddress)).status).toBe(200);
  expect(await draining).toMatchObject({ drained: 1, terminated: 0 });
  expect(performance.now() - begun).toBeGreaterThan(300);
});

describe('the beginning and the end of a pool', () => {
  it.each(ways)('start() rejects for an application that is none (%s)', async (_way, options) => {
    const before = openDescriptors();
    const { pool } = await make({ ...options, min: 2, application: './missing.js' });
    expect(await rejectionCode(pool.start())).toBe('ERR_RYEGATE_APPLICATION');
    expect(await rejectionCode(get(pool.serverAddress))).toBe('ECONNREFUSED');
    expect(await settledDescriptors(before)).toBe(before);
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
    expect(await settledDescriptors(before)).toBe(before);
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
