import { openLoop } from '../load/openloop.ts';
import { sendMeasured } from '../load/send.ts';
import type { Peer, RunningServer } from '../servers/index.ts';
import { PLAIN_HELLO } from '../workloads.ts';
import { checkAnswers, type Entrant, floorEntrant } from './compare.ts';
import { attempt, attemptRounds, type Context } from './context.ts';
import { FLOOR, type Latency, type LatencySample } from './results.ts';
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

interface Tried extends Entrant {
  /** Requests a second. */
  readonly capacity: number;
}

/** About how long it takes for `count` servers and the floor, in seconds. */
export function latencySeconds(count: number, { settings }: Context): number {
  return (count + 1) * (TRIAL + SHARES.length * settings.rounds * (settings.seconds + OVERHEAD));
}

async function trials(context: Context, entrants: readonly Entrant[]): Promise<Tried[]> {
  const tried: Tried[] = [];
  for (const entrant of entrants) {
    const { name, server, workload } = entrant;
    context.progress.step(`capacity, ${name}`, TRIAL);
    const result = await attempt(context, name, LATENCY, () =>
      sendMeasured(PLAIN_HELLO, server, workload, TRIAL),
    );
    if (result) tried.push({ ...entrant, capacity: result.requests / result.seconds });
  }
  return tried;
}

function atRate(
  context: Context,
  entrants: readonly Entrant[],
  rate: number,
): Promise<Record<string, LatencySample[]>> {
  const { progress, settings } = context;
  const { rounds, seconds } = settings;
  return attemptRounds(context, LATENCY, entrants, rounds, (entrant, round) => {
    const { name, server, workload } = entrant;
    progress.step(
      `latency at ${rate}/s, round ${round + 1}/${rounds}, ${name}`,
      seconds + OVERHEAD,
    );
    return openLoop({ server, workload, rate, seconds, connections: CONNECTIONS });
  });
}

/**
 * Latency at fixed rates: shares of what node:http, or else the first server, can do. That of the
 * floor tells what the machine and its neighbours make of it.
 */
export async function measureLatencies(
  context: Context,
  servers: ReadonlyMap<Peer, RunningServer>,
): Promise<Latency[]> {
  const race = await checkAnswers(context, PLAIN_HELLO, servers);
  const floor = await floorEntrant(context, race);
  try {
    const entrants = floor ? [floor, ...race.entrants] : race.entrants;
    return await atShares(context, await trials(context, entrants));
  } finally {
    await floor?.server.stop();
  }
}

async function atShares(context: Context, entrants: readonly Tried[]): Promise<Latency[]> {
  const servers = entrants.filter(({ name }) => name !== FLOOR);
  const reference = servers.find(({ name }) => name === REFERENCE) ?? servers[0];
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
