import { idle } from '../load/idle.ts';
import type { Peer } from '../servers/index.ts';
import { attemptRounds, type Context } from './context.ts';
import { BenchError } from './processes.ts';
import type { Idle, IdleSample } from './results.ts';
import { IDLE } from './settings.ts';

const CONNECTIONS = 5000;
/** Starting the server, warming it up and opening the connections, in seconds. */
const OVERHEAD = 4;

export function idleSeconds(count: number, { settings }: Context): number {
  const { rounds, seconds } = settings.idle;
  return count * rounds * (seconds + OVERHEAD);
}

/** By a process of its own: in one that has worked long, there is room for connections already. */
async function measure(peer: Peer, root: string, seconds: number): Promise<IdleSample> {
  const server = await peer.start(root);
  try {
    const sample = await idle({ server, connections: CONNECTIONS, seconds });
    if (sample.closedAfter === 0) return sample;
    throw new BenchError(`it closed ${sample.closedAfter} of ${CONNECTIONS} connections at once`);
  } finally {
    await server.stop();
  }
}

/** What open connections cost on which nothing happens. */
export async function measureIdle(
  context: Context,
  peers: readonly Peer[],
  root: string,
): Promise<Idle> {
  const { rounds, seconds } = context.settings.idle;
  const samples = await attemptRounds(context, IDLE, peers, rounds, (peer, round) => {
    const what = `idle connections, round ${round + 1}/${rounds}, ${peer.name}`;
    context.progress.step(what, seconds + OVERHEAD);
    return measure(peer, root, seconds);
  });
  return { connections: CONNECTIONS, seconds, samples };
}
