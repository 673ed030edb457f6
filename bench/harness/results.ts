import { readFileSync } from 'node:fs';
import { BenchError } from './processes.ts';
import type { Quiet } from './spells.ts';
import type { Sample } from './summary.ts';

/** Where and with what the figures came about. */
export interface Machine {
  readonly processor: string;
  readonly processors: number;
  /** Bytes. */
  readonly memory: number;
  readonly system: string;
  readonly node: string;
  /** Whether servers and load had a processor each. */
  readonly pinned: boolean;
}

export interface MeasuredServer {
  readonly name: string;
  readonly version: string;
  readonly description: string;
}

/** A server that could not be measured with something, and why. */
export interface Failure {
  readonly server: string;
  readonly load: string;
  readonly reason: string;
}

/** CPU time of several servers for the same requests, in interleaved rounds. */
export interface Comparison {
  readonly name: string;
  readonly title: string;
  /** The name of the load generator. */
  readonly load: string;
  /** Whether the load's own cost belongs to it, as with large files. */
  readonly withLoad: boolean;
  /** Servers that close each connection after an answer, so that each request had its own. */
  readonly closing: Readonly<Record<string, true>>;
  /** By the server's name, in the order of the rounds. */
  readonly samples: Readonly<Record<string, readonly Sample[]>>;
  /** By the server's name, where there is a floor. */
  readonly quiet: Readonly<Record<string, Quiet>>;
}

/** Microseconds from when a request was due to the end of its answer. */
export interface LatencySample {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** Requests that had found no free connection at the end: the server was too slow for the rate. */
  readonly late: number;
  /** For how long the load generator was away at most: it cannot tell latencies below that. */
  readonly pause: number;
}

export interface Latency {
  /** Requests a second, over all connections. */
  readonly rate: number;
  /** The rate as a share of what the server `of` can do. */
  readonly share: number;
  readonly of: string;
  readonly connections: number;
  readonly samples: Readonly<Record<string, readonly LatencySample[]>>;
  /** The requests a second of servers that cannot do so many. */
  readonly slow: Readonly<Record<string, number>>;
}

export interface IdleSample {
  /** Resident bytes before the connections were opened, and with them. */
  readonly before: number;
  readonly after: number;
  /** CPU time in microseconds while nothing happened. */
  readonly cpu: number;
  /** How many connections the server had closed when that was over. */
  readonly closedAtEnd: number;
}

export interface Idle {
  readonly connections: number;
  /** For how long nothing happened. */
  readonly seconds: number;
  readonly samples: Readonly<Record<string, readonly IdleSample[]>>;
}

/** All of a run. There are no lists of plain values in it, so that formatters leave it as it is. */
export interface Results {
  /** ISO 8601, of its end. */
  readonly date: string;
  readonly machine: Machine;
  readonly settings: {
    readonly rounds: number;
    readonly seconds: number;
  };
  readonly servers: readonly MeasuredServer[];
  readonly failures: readonly Failure[];
  readonly comparisons: readonly Comparison[];
  readonly latencies: readonly Latency[];
  readonly idle: Idle | null;
}

/** The C server that parses nothing. */
export const FLOOR = 'floor';

/** Whom the others are compared with in the second place. */
export const OURS = 'ryegate';

/** Whether a server is Ryegate, whatever it runs on. */
export function isOurs(server: string): boolean {
  return server.startsWith(OURS);
}

/** What the costs of a comparison are divided by: the floor, where there is none nginx. */
export function baseOf({ samples }: Comparison): string {
  const names = Object.keys(samples);
  return [FLOOR, 'nginx'].find((name) => names.includes(name)) ?? (names[0] as string);
}

/** Reads what `--json` has written; of several files, with a comma between, all loads together. */
export function readResults(files: string): Results {
  return files.split(',').map(readFile).reduce(joined);
}

function readFile(file: string): Results {
  try {
    const results = JSON.parse(readFileSync(file, 'utf8')) as Partial<Results> | null;
    const parts = [results?.machine, results?.servers, results?.comparisons, results?.latencies];
    if (!parts.includes(undefined)) return results as Results;
  } catch (error) {
    throw new BenchError(`--from ${file}: ${(error as Error).message}`);
  }
  throw new BenchError(`--from: ${file} is not the result of a run: see --json`);
}

/** A load stays what was measured in one run: the later one has it, where both have. */
function joined(earlier: Results, later: Results): Results {
  const same = ({ machine, settings }: Results): string => JSON.stringify({ machine, settings });
  if (same(earlier) !== same(later)) {
    throw new BenchError(
      '--from: the runs differ in their machine or settings, so do not go together',
    );
  }
  const { comparisons, servers } = later;
  const again = new Set(comparisons.map(({ name }) => name));
  const known = new Set(servers.map(({ name }) => name));
  const others = earlier.comparisons.filter(({ name }) => !again.has(name));
  return {
    ...later,
    servers: [...servers, ...earlier.servers.filter(({ name }) => !known.has(name))],
    failures: [...earlier.failures.filter(({ load }) => !again.has(load)), ...later.failures],
    comparisons: [...comparisons, ...others],
    latencies: later.latencies.length > 0 ? later.latencies : earlier.latencies,
    idle: later.idle ?? earlier.idle,
  };
}

/** Six digits are more than a measurement has. What is shown is then what is kept. */
export function rounded(results: Results): Results {
  return JSON.parse(JSON.stringify(results), (_, value: unknown) => {
    if (typeof value !== 'number' || Number.isInteger(value)) return value;
    return Number(value.toPrecision(6));
  });
}
