import type { HTTPServerStats } from '../httpserver/index.ts';

type Count = Exclude<keyof HTTPServerStats, 'connections' | 'wakeLatency'>;

const COUNTS: readonly Count[] = [
  'requests',
  'refused',
  'failed',
  'bytesReceived',
  'bytesSent',
  'errors',
  'turns',
];
/** What connections of HTTP can be doing, and all of them. */
const STATES = [
  'open',
  'idle',
  'head',
  'receiving',
  'responding',
  'draining',
  'refused',
  'over',
  'closing',
] as const;

// The numbers of a thread: the counts, the states, and the latency.
const LATENCY = COUNTS.length + STATES.length;
const NUMBERS = LATENCY + 1;

/** What the servers of a pool's threads count, in shared memory. */
export class PoolCounters {
  readonly numbers: Float64Array<SharedArrayBuffer>;

  constructor(numbers: Float64Array<SharedArrayBuffer>) {
    this.numbers = numbers;
  }

  static ofSize(places: number): PoolCounters {
    return new PoolCounters(new Float64Array(new SharedArrayBuffer(8 * NUMBERS * places)));
  }

  /** Another thread begins. */
  clear(place: number): void {
    this.numbers.fill(0, place * NUMBERS, (place + 1) * NUMBERS);
    this.numbers[place * NUMBERS + LATENCY] = -1;
  }

  write(place: number, stats: HTTPServerStats): void {
    const { numbers } = this;
    const start = place * NUMBERS;
    for (const [i, name] of COUNTS.entries()) numbers[start + i] = stats[name];
    for (const [i, state] of STATES.entries()) {
      numbers[start + COUNTS.length + i] = stats.connections[state] ?? 0;
    }
    numbers[start + LATENCY] = stats.wakeLatency ?? -1;
  }

  read(place: number): HTTPServerStats {
    const start = place * NUMBERS;
    const at = (index: number): number => this.numbers[start + index] ?? 0;
    const stats = noStats();
    for (const [i, name] of COUNTS.entries()) stats[name] = at(i);
    for (const [i, state] of STATES.entries()) {
      const count = at(COUNTS.length + i);
      if (state === 'open' || count > 0) stats.connections[state] = count;
    }
    stats.wakeLatency = at(LATENCY) < 0 ? null : at(LATENCY);
    return stats;
  }
}

function noStats(): HTTPServerStats {
  const counts = Object.fromEntries(COUNTS.map((name) => [name, 0])) as Record<Count, number>;
  return { ...counts, connections: { open: 0 }, wakeLatency: null };
}

/** Of several servers: the latency is that of the slowest. */
export function sumStats(all: readonly HTTPServerStats[]): HTTPServerStats {
  const sum = noStats();
  for (const stats of all) {
    for (const name of COUNTS) sum[name] += stats[name];
    for (const [state, count] of Object.entries(stats.connections)) {
      sum.connections[state] = (sum.connections[state] ?? 0) + count;
    }
    const { wakeLatency } = stats;
    if (wakeLatency !== null) sum.wakeLatency = Math.max(sum.wakeLatency ?? 0, wakeLatency);
  }
  return sum;
}

/** What is left of a server that is closed. */
export function afterEnd(stats: HTTPServerStats): HTTPServerStats {
  return { ...stats, connections: { open: 0 }, wakeLatency: null };
}
