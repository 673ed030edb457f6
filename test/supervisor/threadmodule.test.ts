import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ThreadPoolOptions } from '../../src/index.ts';
import { eventually, get, rejectionCode } from '../support/servers.ts';
import {
  poolKeeper,
  startedPools,
  type TestPool,
  terminating,
  ways,
} from '../support/threadpools.ts';

const make = poolKeeper();
const start = startedPools();
const threadModule = fileURLToPath(new URL('../support/poolmodule.mjs', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ryegate-module-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** How often the module has told something. */
function count(name: string): number {
  try {
    return readFileSync(join(folder, name), 'utf8').split('\n').length - 1;
  } catch {
    return 0;
  }
}

function startModule(options: Partial<ThreadPoolOptions>): Promise<TestPool> {
  const threadData = { folder };
  return start({ min: 2, ...options, application: undefined, threadModule, threadData });
}

describe.each(ways)('a thread module in a pool with %s', (_way, options) => {
  it('makes the application and its handlers, and is told when its thread ends', async () => {
    const { pool } = await startModule(options);
    expect((await get(pool.serverAddress, '/handler')).body).toBe('true');
    expect((await get(pool.serverAddress, '/draining')).body).toBe('false');
    await pool.shrink();
    await pool.stop();
    expect(count('closed')).toBe(2);
  });

  it('is told to reopen its logs, at once by threads that sleep', async () => {
    const { pool } = await startModule(options);
    const times: number[] = [];
    for (let i = 1; i <= 4; i++) {
      const begun = performance.now();
      pool.reopenLogs();
      await eventually(() => count('reopened') === 2 * i, 'both threads are told');
      times.push(performance.now() - begun);
    }
    // Without being woken, they look a second after the last time.
    expect(Math.min(...times.slice(1))).toBeLessThan(700);
    expect((await get(pool.serverAddress)).status).toBe(200);
  });

  it('knows that the pool drains, while it serves on', async () => {
    const { pool } = await startModule(options);
    const stopped = pool.drain({ delay: 20, deadline: 5 });
    expect((await get(pool.serverAddress, '/draining')).body).toBe('true');
    expect((await get(pool.serverAddress)).status).toBe(200);
    // What ends the delay.
    const begun = performance.now();
    expect(pool.stop()).toBe(stopped);
    expect(await stopped).toMatchObject({ drained: 2, aborted: 0 });
    expect(performance.now() - begun).toBeLessThan(5000);
    expect(await rejectionCode(get(pool.serverAddress))).toBe('ECONNREFUSED');
  });
});

it('a drain lasts as long as its delay, and stop() can shorten its deadline', async () => {
  const { pool } = await startModule({});
  const begun = performance.now();
  await pool.drain({ delay: 0.3 });
  expect(performance.now() - begun).toBeGreaterThan(299);
  const summary = await terminating(0, async () => {
    const { pool: other } = await startModule({});
    const stuck = connect((other.serverAddress as [string, number])[1], '127.0.0.1');
    stuck.on('error', () => {}).write('GET /never HTTP/1.1\r\nHost: pool\r\n\r\n');
    await eventually(() => other.stats().connections === 1, 'the client is served');
    const drained = other.drain({ delay: 20, deadline: 20 });
    await other.stop(0.1);
    stuck.destroy();
    return await drained;
  });
  expect(summary).toMatchObject({ drained: 2, aborted: 1 });
  expect(summary.seconds).toBeLessThan(10);
});

it('a thread that fails while the pool drains is replaced until the delay is over', async () => {
  const { pool } = await startModule({ min: 1 });
  const drained = pool.drain({ delay: 20 });
  await get(pool.serverAddress, '/exit').catch(() => {});
  expect((await get(pool.serverAddress, '/draining')).body).toBe('true');
  await pool.stop();
  expect(await drained).toMatchObject({ drained: 1 });
});

it('a thread that does not load is ended soon, whatever time others have to finish', async () => {
  const { pool } = await make({ min: 2, application: fileURLToPath(loading()) });
  const starting = rejectionCode(pool.start());
  const begun = performance.now();
  expect(await pool.stop(30)).toMatchObject({ terminated: 2 });
  expect(performance.now() - begun).toBeLessThan(10_000);
  expect(await starting).toBe('ERR_RYEGATE_SERVER_CLOSED');
});

function loading(): URL {
  return new URL('../support/poolloading.mjs', import.meta.url);
}

it('what a module fails with, or that there is none, start() rejects with', async () => {
  const settings = { min: 2, application: undefined };
  const failing = { ...settings, threadModule, threadData: { folder, fails: true } };
  const { pool } = await make(failing);
  await expect(pool.start()).rejects.toThrow('this module fails');
  const making = { ...settings, threadModule, threadData: { folder, makes: {} } };
  const { pool: empty } = await make(making);
  expect(await rejectionCode(empty.start())).toBe('ERR_RYEGATE_APPLICATION');
  const { pool: none } = await make({ ...settings, threadModule: './none.js' });
  expect(await rejectionCode(none.start())).toBe('MODULE_NOT_FOUND');
});

it.each([{}, { application: './app.js', threadModule: './module.js' }, { threadModule: '' }])(
  '%j names no module, or two',
  async (options) => {
    const code = rejectionCode(make({ application: undefined, ...options }));
    expect(await code).toBe('ERR_RYEGATE_OPTION');
  },
);

it.each([{ delay: -1 }, { deadline: Number.NaN }])('a drain refuses %j', async (options) => {
  const { pool } = await start({ min: 1 });
  expect(() => pool.drain(options)).toThrow(/seconds from 0 on/);
  expect((await get(pool.serverAddress)).status).toBe(200);
});
