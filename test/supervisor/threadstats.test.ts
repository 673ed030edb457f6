import { describe, expect, it } from 'vitest';
import { clientKeeper, get } from '../support/servers.ts';
import { startedPools, untilServing, untilStats, ways } from '../support/threadpools.ts';

const start = startedPools();
const { connect } = clientKeeper();

describe.each(ways)('the statistics of a pool with %s', (_way, options) => {
  it('sum up what the servers of its threads count, with those that have ended', async () => {
    const { pool } = await start({ ...options, min: 2 });
    const answers = await Promise.all(Array.from({ length: 20 }, () => get(pool.serverAddress)));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    await untilStats(pool, ({ server }) => server.requests === 20, 'all are counted');
    const { server, threads } = pool.stats();
    expect(threads.reduce((sum, thread) => sum + thread.server.requests, 0)).toBe(20);
    expect(server.bytesReceived).toBeGreaterThan(20 * 30);
    expect(server.bytesSent).toBeGreaterThan(20 * 100);
    expect(server.turns).toBeGreaterThan(0);
    expect(server).toMatchObject({ refused: 0, failed: 0, errors: 0 });
    await pool.stop();
    expect(pool.stats().server).toMatchObject({ requests: 20, connections: { open: 0 } });
  });

  it('tell what is refused and what connections do', async () => {
    const { pool } = await start({ ...options, min: 2 });
    const wrong = await connect(pool.serverAddress);
    wrong.socket.write('GET / HTTP/9\r\n\r\n');
    await wrong.end();
    const kept = await connect(pool.serverAddress);
    kept.socket.write('GET / HTTP/1.1\r\nHost: pool\r\n\r\n');
    await kept.until('200 OK');
    const fits = 'one is refused, another idle';
    await untilStats(
      pool,
      ({ server: { refused, connections } }) => refused === 1 && connections.idle === 1,
      fits,
    );
    await untilStats(pool, ({ server }) => server.wakeLatency !== null, 'the latency is measured');
    expect(pool.stats().server.wakeLatency).toBeLessThan(500);
  });

  it('are there at once while a thread hangs', async () => {
    const { pool } = await start({ ...options, min: 1, timeout: 2 });
    await get(pool.serverAddress);
    await untilStats(pool, ({ server }) => server.requests === 1, 'it is counted');
    const stuck = await connect(pool.serverAddress);
    stuck.socket.write('GET /spin HTTP/1.1\r\nHost: pool\r\n\r\n');
    await untilStats(pool, ({ connections }) => connections === 1, 'the handler is called');
    const begun = performance.now();
    const { server, threads } = pool.stats();
    expect(performance.now() - begun).toBeLessThan(500);
    expect([server.requests, threads[0]?.server.requests]).toEqual([1, 1]);
    await untilStats(pool, ({ replaced }) => replaced === 1, 'it is replaced');
    await untilServing(pool, 1);
    expect((await get(pool.serverAddress)).status).toBe(200);
    await untilStats(pool, (stats) => stats.server.requests === 2, 'both count');
  });
});
