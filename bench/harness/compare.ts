import { isLarge, loadOf, sendMeasured } from '../load/send.ts';
import { startFloor } from '../servers/floor.ts';
import type { Peer, RunningServer } from '../servers/index.ts';
import { checkTask, PLAIN_HELLO, type Task } from '../workloads.ts';
import { type Answer, ask } from './answers.ts';
import { attempt, attemptRounds, type Context } from './context.ts';
import { type Comparison, FLOOR, OURS } from './results.ts';
import { takeSample } from './sample.ts';
import type { Sample } from './summary.ts';
import type { Workload } from './workload.ts';

/** What starting a load and reading the clocks takes besides, in seconds. */
const OVERHEAD = 0.1;

/** One of those that are compared: a server, and what it is asked for. */
export interface Entrant {
  readonly name: string;
  readonly server: RunningServer;
  readonly workload: Workload;
}

/** A task whose answers have been checked. */
export interface Race {
  readonly task: Task;
  readonly entrants: readonly Entrant[];
  /** Ryegate's answer, or else the first server's: the floor gives it too. */
  readonly answer: Answer | null;
}

/** Those of the servers that answer more than one request on a connection. */
export async function keepingConnections(
  context: Context,
  servers: ReadonlyMap<Peer, RunningServer>,
): Promise<Map<Peer, RunningServer>> {
  const keeping = new Map<Peer, RunningServer>();
  const { workload } = PLAIN_HELLO;
  for (const [peer, server] of servers) {
    if (!peer.routes.has(workload.route)) continue;
    const answers = await attempt(context, peer.name, 'latency and idle', () =>
      ask(server.port, workload.request),
    );
    if (answers?.every(({ persistent }) => persistent)) keeping.set(peer, server);
  }
  return keeping;
}

/** Those of the servers that answer this task, and as they should. */
export async function checkAnswers(
  context: Context,
  task: Task,
  servers: ReadonlyMap<Peer, RunningServer>,
): Promise<Race> {
  const { workload } = task;
  const entrants: Entrant[] = [];
  let given: Answer | null = null;
  for (const [peer, server] of servers) {
    if (!peer.routes.has(workload.route)) continue;
    const answer = await attempt(context, peer.name, workload.name, () =>
      checkTask(task, peer.name, server.port),
    );
    if (answer === null) continue;
    if (given === null || peer.name === OURS) given = answer;
    const close = workload.close || !answer.persistent;
    entrants.push({ name: peer.name, server, workload: { ...workload, close } });
  }
  const [leader] = entrants;
  if (workload.route === 'promise' && leader) {
    const name = `${leader.name}, no promise`;
    entrants.push({ name, server: leader.server, workload: PLAIN_HELLO.workload });
  }
  return { task, entrants, answer: given };
}

/** Of the warm-up, which is not counted. */
function warmUpSeconds({ settings }: Context): number {
  return settings.seconds / 2;
}

/** About how long a race takes, in seconds. */
export function raceSeconds({ entrants }: Race, context: Context): number {
  const { rounds, seconds } = context.settings;
  const each = warmUpSeconds(context) + rounds * seconds + (rounds + 1) * OVERHEAD;
  return (entrants.length + 1) * each;
}

/** The floor, giving the same answer; null where it would only measure the copying of bytes. */
export async function floorEntrant(context: Context, race: Race): Promise<Entrant | null> {
  const { answer, task } = race;
  if (answer === null || isLarge(task)) return null;
  const { workload } = task;
  const server = await attempt(context, FLOOR, workload.name, () =>
    startFloor(answer.bytes, workload),
  );
  return server && { name: FLOOR, server, workload };
}

function measure(task: Task, { server, workload }: Entrant, seconds: number): Promise<Sample> {
  return takeSample(server, () => sendMeasured(task, server, workload, seconds));
}

/** The samples of those that did not fail, by name. Before the first round there is a warm-up. */
async function sampleRounds(
  context: Context,
  task: Task,
  entrants: readonly Entrant[],
): Promise<Record<string, Sample[]>> {
  const { progress, settings } = context;
  const { name } = task.workload;
  const rounds = settings.rounds + 1;
  const samples = await attemptRounds(context, name, entrants, rounds, (entrant, round) => {
    const seconds = round === 0 ? warmUpSeconds(context) : settings.seconds;
    const what = round === 0 ? 'warm-up' : `round ${round}/${settings.rounds}`;
    progress.step(`${name}, ${what}, ${entrant.name}`, seconds + OVERHEAD);
    return measure(task, entrant, seconds);
  });
  const counted = Object.entries(samples).map(([entrant, all]) => [entrant, all.slice(1)] as const);
  return Object.fromEntries(counted);
}

/** Measures all entrants and the floor in interleaved rounds. Null when nobody is left. */
export async function compare(context: Context, race: Race): Promise<Comparison | null> {
  const { task } = race;
  const floor = await floorEntrant(context, race);
  try {
    const entrants = floor ? [floor, ...race.entrants] : race.entrants;
    const samples = await sampleRounds(context, task, entrants);
    if (Object.keys(samples).length === 0) return null;
    const closing = task.workload.close ? [] : entrants.filter(({ workload }) => workload.close);
    return {
      name: task.workload.name,
      title: task.workload.title,
      load: loadOf(task),
      withLoad: isLarge(task),
      closing: Object.fromEntries(closing.map(({ name }) => [name, true] as const)),
      samples,
    };
  } finally {
    await floor?.server.stop();
  }
}
