import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { ThreadPool } from '../../src/index.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { type Client, clientKeeper, eventually, get } from '../support/servers.ts';
import {
  requestMarker,
  startedPools,
  type TestPool,
  untilServing,
  untilStats,
  ways,
} from '../support/threadpools.ts';
import { settledDescriptors } from '../support/workers.ts';

const start = startedPools();
const { connect } = clientKeeper();
const mark = requestMarker();

/** A client whose request is being handled. */
async function send(pool: ThreadPool, path: string): Promise<Client> {
  const client = await connect(pool.serverAddress);
  client.socket.write(`GET ${path} HTTP/1.1\r\nHost: pool\r\n\r\n`);
  return client;
}

/** Ways in which an application ends its thread. Microtasks do not run under a blocking server. */
const crashes = [
  ['calls process.exit()', '/exit', false],
  ['throws where nobody catches it', '/throw', false],
  ['needs more memory than there is', '/memory', true],
] as const;

describe.each(ways)('a pool with %s', (_way, options) => {
  const shared = options.server === undefined;

  it.each(crashes)('replaces a thread whose application %s', async (_how, path, hasCause) => {
    if (options.blocking && path === '/throw') return;
    const before = openDescriptors();
    const resourceLimits = { maxOldGenerationSizeMb: 24 };
    const { pool, logged } = await start({ ...options, min: 2, resourceLimits });
    const other = await connect(pool.serverAddress);
    const client = await send(pool, path);
    await client.end();
    const begun = performance.now();
    await untilStats(pool, ({ replaced }) => replaced === 1, 'the end of the thread is noticed');
    await untilServing(pool, 2);
    expect(performance.now() - begun).toBeLessThan(5000);
    expect(logged).toMatchObject([{ code: 'ERR_RYEGATE_THREAD_ENDED' }]);
    expect('cause' in (logged[0] as object)).toBe(hasCause || path === '/throw');
    expect((await get(pool.serverAddress)).status).toBe(200);
    other.socket.destroy();
    await pool.stop();
    expect(await settledDescriptors(before)).toBeLessThanOrEqual(before);
  });

  it('replaces a thread with a handler that never returns', async () => {
    const before = openDescriptors();
    const { pool, logged } = await start({ ...options, min: 2, timeout: 1.5 });
    const { threads } = pool.stats();
    const spinning = mark('/spin');
    const stuck = await send(pool, spinning.path);
    await spinning.begun();
    const { threadId } = pool.stats().threads.find(({ connections }) => connections === 1) ?? {};
    // With a listener each, some clients wait for the one that hangs.
    if (shared)
      for (let i = 0; i < 20; i++) expect((await get(pool.serverAddress)).status).toBe(200);
    expect(await stuck.end()).toBe('');
    await untilServing(pool, 2);
    expect(logged).toMatchObject([{ code: 'ERR_RYEGATE_THREAD_HUNG' }]);
    const ids = pool.stats().threads.map((thread) => thread.threadId);
    const [spared] = threads.filter((thread) => thread.threadId !== threadId);
    expect([ids.includes(threadId as number), ids.includes(spared?.threadId as number)]).toEqual([
      false,
      true,
    ]);
    expect((await get(pool.serverAddress)).status).toBe(200);
    await pool.stop();
    expect(await settledDescriptors(before)).toBeLessThanOrEqual(before);
  });

  it('grows and shrinks between min and max, and loses no request by it', async () => {
    const { pool } = await start({ ...options, min: 1, max: 3 });
    expect([await pool.grow(), pool.size, pool.idle]).toEqual([1, 2, 2]);
    expect([await pool.grow(5), pool.size, await pool.grow()]).toEqual([1, 3, 0]);
    const page = options.blocking ? '/blocking' : '/waiting';
    const requests = [mark(page), mark(page)];
    const asked: ReturnType<typeof get>[] = [];
    for (const request of requests) {
      asked.push(get(pool.serverAddress, request.path));
      // A thread that the first one blocks takes no other; asked for at once, it might have both.
      await request.begun();
    }
    const shrinking = pool.shrink(2);
    expect(pool.size).toBe(1);
    for (const request of requests) request.release();
    const answers = await Promise.all(asked);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect([await shrinking, pool.size, await pool.shrink()]).toEqual([2, 1, 0]);
    expect((await get(pool.serverAddress)).status).toBe(200);
    await untilStats(pool, ({ threads }) => threads.length === 1, 'the others have ended');
  });

  it('counts the threads that are idle', async () => {
    const { pool } = await start({ ...options, min: 2 });
    const client = await send(pool, '/');
    await client.until('200 OK');
    expect([pool.idle, pool.stats().idle, pool.stats().connections]).toEqual([1, 1, 1]);
    client.socket.destroy();
    await eventually(() => pool.idle === 2, 'the thread is idle again');
    const { threads } = pool.stats();
    expect(threads.reduce((sum, { accepted }) => sum + accepted, 0)).toBe(1);
  });
});

it('threads that have nothing to do, or wait, are let alone', async () => {
  const pools = await Promise.all(
    ways.map(([, options]) => start({ ...options, min: 2, timeout: 1.5 })),
  );
  for (const [i, [, { blocking }]] of ways.entries()) {
    if (!blocking) await send((pools[i] as TestPool).pool, '/never');
  }
  await sleep(3500);
  const troubles = pools.map(({ pool, logged }) => [pool.stats().replaced, logged]);
  expect(troubles).toEqual(ways.map(() => [0, []]));
});

it('a thread in a native call is replaced before it can end', async () => {
  const { pool, logged } = await start({ min: 1, timeout: 1.5 });
  const call = mark('/native');
  const stuck = await send(pool, call.path);
  await eventually(() => logged.length === 1, 'the thread is found to hang');
  expect(logged).toMatchObject([{ code: 'ERR_RYEGATE_THREAD_HUNG' }]);
  expect((await get(pool.serverAddress)).status).toBe(200);
  expect(pool.stats().threads.map(({ state }) => state)).toEqual(['retiring', 'serving']);
  call.release();
  expect(await stuck.end()).toBe('');
  await untilStats(pool, ({ threads }) => threads.length === 1, 'it has ended');
});

describe.each(ways.filter(([way]) => !way.startsWith('a listener each')))(
  'the threads of a pool with %s',
  (_way, options) => {
    it('get much the same number of connections', async () => {
      const shares: number[] = [];
      // Others may have the processors when it is a thread's turn to take one.
      for (let i = 0; i < 5 && Math.min(...shares, 1) > 0.7; i++) {
        const { pool } = await start({ ...options, min: 2 });
        const clients = await Promise.all(Array.from({ length: 64 }, () => send(pool, '/')));
        await Promise.all(clients.map((client) => client.until('200 OK')));
        await untilStats(pool, ({ connections }) => connections === 64, 'all are counted');
        const counts = pool.stats().threads.map(({ connections }) => connections);
        shares.push(Math.max(...counts) / 64);
        await pool.stop();
      }
      expect(Math.min(...shares)).toBeLessThan(0.7);
    });
  },
);

describe('threads that fail at once', () => {
  it('are started again after longer and longer pauses', async () => {
    const { pool } = await start({ min: 1 });
    const begun = performance.now();
    for (let i = 1; i <= 3; i++) {
      const client = await send(pool, '/exit');
      await client.end();
      await untilStats(pool, ({ replaced }) => replaced === i, 'the end is noticed');
      await untilServing(pool, 1);
    }
    // 0.1, 0.2 and 0.4 seconds.
    expect(performance.now() - begun).toBeGreaterThan(690);
  });
});

describe.each([false, true])('the queue of an acceptor (blocking: %s)', (blocking) => {
  const acceptor = { mode: 'acceptor', blocking, min: 1 } as const;

  it('has room for acceptedQueueSize connections, and others get 503', async () => {
    const { pool } = await start({ ...acceptor, acceptedQueueSize: 2 });
    const held = mark('/blocking');
    const busy = get(pool.serverAddress, held.path);
    await held.begun();
    const waiting = [get(pool.serverAddress), get(pool.serverAddress)];
    await untilStats(pool, ({ queued }) => queued === 2, 'the queue is full');
    const refused = await get(pool.serverAddress);
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1']);
    held.release();
    const answers = await Promise.all([busy, ...waiting]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(pool.stats()).toMatchObject({ refused: 1, queued: 0 });
    expect((await get(pool.serverAddress)).status).toBe(200);
  });

  it('answers 503 to those that have waited for acceptedQueueTimeout', async () => {
    const { pool } = await start({ ...acceptor, acceptedQueueTimeout: 0.2 });
    const spinning = mark('/spin');
    const stuck = await send(pool, spinning.path);
    await spinning.begun();
    const begun = performance.now();
    expect((await get(pool.serverAddress)).status).toBe(503);
    expect(performance.now() - begun).toBeGreaterThan(190);
    expect(stuck.received()).toBe('');
  });

  it('makes the pool grow while somebody waits, and shrink when threads are idle', async () => {
    const { pool } = await start({ ...acceptor, max: 3, idleTimeout: 0.3 });
    const busy: Client[] = [];
    for (const spinning of [mark('/spin'), mark('/spin')]) {
      busy.push(await send(pool, spinning.path));
      await spinning.begun();
    }
    expect((await get(pool.serverAddress)).status).toBe(200);
    expect(pool.size).toBe(3);
    expect(busy.map((client) => client.received())).toEqual(['', '']);
    await untilStats(pool, ({ size }) => size === 2, 'the idle thread is retired');
  });

  it('is emptied by stop(): by the threads in time, else with 503', async () => {
    const { pool } = await start({ ...acceptor });
    const held = mark('/blocking');
    const busy = await send(pool, held.path);
    await held.begun();
    const waiting = get(pool.serverAddress);
    await untilStats(pool, ({ queued }) => queued === 1, 'one waits');
    const stopped = pool.stop();
    held.release();
    const [summary, answer] = await Promise.all([stopped, waiting]);
    expect([summary.drained, answer.status]).toEqual([1, 200]);
    expect(await busy.end()).toContain('200 OK');

    const { pool: other } = await start({ ...acceptor });
    const spinning = mark('/spin');
    await send(other, spinning.path);
    await spinning.begun();
    const late = get(other.serverAddress);
    await untilStats(other, ({ queued }) => queued === 1, 'one waits');
    expect([(await other.stop(0.1)).terminated, (await late).status]).toEqual([1, 503]);
  });
});
