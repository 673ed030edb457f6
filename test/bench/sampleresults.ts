import type { Comparison, Results } from '../../bench/harness/results.ts';
import type { Sample } from '../../bench/harness/summary.ts';

/**
 * Samples of servers from their costs in microseconds by round, with the floor of the same round
 * beside them; the load costs one each.
 */
export function samples(costs: Record<string, readonly number[]>): Record<string, Sample[]> {
  const lists = Object.entries(costs).map(([name, list]) => {
    const own = list.map((serverCost, round) => {
      const sample = { requests: 100_000, seconds: 1, serverCost, loadCost: 1 };
      const floor = name === 'floor' ? undefined : costs.floor?.[round];
      return floor === undefined ? sample : { ...sample, floor };
    });
    return [name, own] as const;
  });
  return Object.fromEntries(lists);
}

export function comparison(
  name: string,
  costs: Record<string, readonly number[]>,
  withLoad = false,
): Comparison {
  const title = `${name}, a title of about the usual length`;
  const quiet = costs.floor ? { ryegate: { over: 1.0912, share: 0.375 } } : {};
  return { name, title, load: 'blast', withLoad, closing: {}, samples: samples(costs), quiet };
}

/** With names that are long or have to be escaped, bars beyond the scale, and wide whiskers. */
export const RESULTS: Results = {
  date: '2026-01-02T03:04:05.678Z',
  machine: {
    processor: 'A Processor of Some Kind @ 2.00GHz',
    processors: 2,
    memory: 4 * 1024 ** 3,
    system: 'Linux 6.1.0',
    node: '20.19.0',
    pinned: true,
  },
  settings: { rounds: 3, seconds: 1 },
  servers: [
    { name: 'ryegate', version: '0.1.0', description: 'WSGI, serveForever()' },
    { name: 'a<b>&"c"', version: '1', description: 'has to be escaped' },
  ],
  failures: [{ server: 'gunicorn', load: 'hello-64', reason: 'ended with\nstatus 1' }],
  comparisons: [
    comparison('hello-64', {
      floor: [10, 20, 10],
      ryegate: [11, 24, 11.4],
      'ryegate-sync-select': [11.5, 26, 13],
      'a<b>&"c"': [20, 30, 25],
      'a-server-with-a-name-too-long': [24, 46, 24],
      'slow-python': [400, 900, 423],
    }),
    comparison('pipelined', {
      floor: [1, 1, 1],
      ryegate: [1.5, 1.4, 2.9],
      nginx: [13, 12, 14],
      node: [100, 120, 1234],
    }),
    comparison('file-1m', { ryegate: [120, 121, 122], nginx: [100, 90, 110] }, true),
    comparison('chunked', { floor: [1, 1, 1], ryegate: [1.01, 1.02, 1.03] }),
  ],
  latencies: [
    {
      rate: 20_000,
      share: 0.5,
      of: 'node',
      connections: 64,
      samples: {
        ryegate: [
          { p50: 50, p99: 100, p999: 300, max: 1000, late: 0, pause: 20 },
          { p50: 52, p99: 90, p999: 200, max: 2000, late: 0, pause: 20 },
          { p50: 54, p99: 110, p999: 400, max: 900, late: 3, pause: 20 },
        ],
      },
      slow: { 'slow-python': 1234 },
    },
  ],
  idle: {
    connections: 1024,
    seconds: 5,
    samples: {
      ryegate: [{ before: 50 * 1024 ** 2, after: 51 * 1024 ** 2, cpu: 50_000, closedAtEnd: 7 }],
    },
  },
};
