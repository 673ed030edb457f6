import { openLoop } from '../load/openloop.ts';
import { sendMeasured } from '../load/send.ts';
import type { Peer, RunningServer } from '../servers/index.ts';
import { PLAIN_HELLO } from '../workloads.ts';
import { attempt, attemptRounds, type Context } from './context.ts';
import type { Latency, LatencySample } from './results.ts';
import { LATENCY } from './settings.ts';

/** Of what the reference can do. */
const SHARES = [0.1, 0.5];
const REFERENCE = 'node';
const CONNECTIONS = 64;
/** Seconds in which a server shows what it can do, and is warmed up. */
const TRIAL = 1;
/** A measurement's warm-up and start, in seconds. */
const OVERHEAD = 1;
/** At more than this share of what a server can do, what is measured is the length of its queue. */
const MOST = 0.9;

interface Entrant {
  readonly name: string;
  readonly server: RunningServer;
  /** Requests a second. */
  readonly capacity: number;
}

export function latencySeconds(count: number, { settings }: Context): number {
  return count * (TRIAL + SHARES.length * settings.rounds * (settings.seconds + OVERHEAD));
}

async function trials(
  context: Context,
  servers: ReadonlyMap<Peer, RunningServer>,
): Promise<Entrant[]> {
  const entrants: Entrant[] = [];
  for (const [{ name }, server] of servers) {
    context.progress.step(`capacity, ${name}`, TRIAL);
    const result = await attempt(context, name, LATENCY, () =>
      sendMeasured(PLAIN_HELLO, server, PLAIN_HELLO.workload, TRIAL),
    );
    if (result) entrants.push({ name, server, capacity: result.requests / result.seconds });
  }
  return entrants;
}

function atRate(
  context: Context,
  entrants: readonly Entrant[],
  rate: number,
): Promise<Record<string, LatencySample[]>> {
  const { progress, settings } = context;
  const { rounds, seconds } = settings;
  const { workload } = PLAIN_HELLO;
  return attemptRounds(context, LATENCY, entrants, rounds, (entrant, round) => {
    const { name, server } = entrant;
    progress.step(
      `latency at ${rate}/s, round ${round + 1}/${rounds}, ${name}`,
      seconds + OVERHEAD,
    );
    return openLoop({ server, workload, rate, seconds, connections: CONNECTIONS });
  });
}

/** Latency at fixed rates: shares of what node:http, or else the first server, can do. */
export async function measureLatencies(
  context: Context,
  servers: ReadonlyMap<Peer, RunningServer>,
): Promise<Latency[]> {
  const entrants = await trials(context, servers);
  const reference = entrants.find(({ name }) => name === REFERENCE) ?? entrants[0];
  if (reference === undefined) return [];
  const latencies: Latency[] = [];
  for (const share of SHARES) {
    const rate = Math.round(reference.capacity * share);
    const slow = entrants.filter(({ capacity }) => rate > MOST * capacity);
    const able = entrants.filter((entrant) => !slow.includes(entrant));
    const samples = await atRate(context, able, rate);
    latencies.push({
      rate,
      share,
      of: reference.name,
      connections: CONNECTIONS,
      samples,
      slow: Object.fromEntries(slow.map(({ name, capacity }) => [name, Math.floor(capacity)])),
    });
  }
  return latencies;
}
