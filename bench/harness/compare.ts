import { isLarge, loadOf, sendMeasured } from '../load/send.ts';
import { blastInTurns, secondsInTurns, type Turns } from '../load/turns.ts';
import { startFloor } from '../servers/floor.ts';
import type { Peer, RunningServer } from '../servers/index.ts';
import { checkTask, PLAIN_HELLO, type Task } from '../workloads.ts';
import { type Answer, ask } from './answers.ts';
import { attempt, attemptRounds, type Context } from './context.ts';
import { type Comparison, FLOOR, OURS } from './results.ts';
import { takeSample } from './sample.ts';
import { together, whileQuiet } from './spells.ts';
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

/** How long a measurement takes in which the server is measured for `seconds`. */
function measurementSeconds(task: Task, seconds: number): number {
  return (isLarge(task) ? seconds : secondsInTurns(seconds)) + OVERHEAD;
}

/** About how long a race takes, in seconds. */
export function raceSeconds({ task, entrants }: Race, context: Context): number {
  const { rounds, seconds } = context.settings;
  const warmUp = measurementSeconds(task, warmUpSeconds(context));
  return entrants.length * (warmUp + rounds * measurementSeconds(task, seconds));
}

/** The floor, giving the same answer; null where it would only measure the copying of bytes. */
export async function floorEntrant(
  context: Context,
  { answer, task }: Race,
  workload: Workload = task.workload,
): Promise<Entrant | null> {
  if (answer === null || isLarge(task)) return null;
  const server = await attempt(context, FLOOR, task.workload.name, () =>
    startFloor(answer.bytes, workload),
  );
  return server && { name: FLOOR, server, workload };
}

/** The floors of a race, by the request: a floor counts the bytes of one kind. */
type Floors = ReadonlyMap<Buffer, Entrant | null>;

async function startFloors(context: Context, race: Race): Promise<Floors> {
  const floors = new Map<Buffer, Entrant | null>();
  for (const { workload } of race.entrants) {
    const { request } = workload;
    if (floors.has(request)) continue;
    const { close } = race.task.workload;
    floors.set(request, await floorEntrant(context, race, { ...workload, close }));
  }
  return floors;
}

async function stopFloors(floors: Floors): Promise<void> {
  for (const floor of floors.values()) await floor?.server.stop();
}

/** One measurement of a server: with the floor in turns, if there is one. */
interface Measured {
  readonly sample: Sample;
  readonly turns: Turns | null;
}

async function measure(
  task: Task,
  { server, workload }: Entrant,
  floor: Entrant | null,
  seconds: number,
): Promise<Measured> {
  if (floor === null) {
    const sample = await takeSample(server, () => sendMeasured(task, server, workload, seconds));
    return { sample, turns: null };
  }
  // The floor's workload: a server that closes its connections all the same says so in its answer.
  const turns = await blastInTurns({
    server,
    floor: floor.server,
    workload: floor.workload,
    seconds,
  });
  const sample = { ...together(turns.own), floor: together(turns.floor).serverCost };
  return { sample, turns };
}

/** What those that did not fail have done, by name. Before the first round there is a warm-up. */
async function measureRounds(
  context: Context,
  { task, entrants }: Race,
  floors: Floors,
): Promise<Record<string, Measured[]>> {
  const { progress, settings } = context;
  const { name } = task.workload;
  const rounds = settings.rounds + 1;
  const measured = await attemptRounds(context, name, entrants, rounds, (entrant, round) => {
    const seconds = round === 0 ? warmUpSeconds(context) : settings.seconds;
    const what = round === 0 ? 'warm-up' : `round ${round}/${settings.rounds}`;
    progress.step(`${name}, ${what}, ${entrant.name}`, measurementSeconds(task, seconds));
    const floor = floors.get(entrant.workload.request) ?? null;
    return measure(task, entrant, floor, seconds);
  });
  return mapped(measured, (all) => all.slice(1));
}

function mapped<From, To>(
  record: Readonly<Record<string, From>>,
  change: (value: From) => To,
): Record<string, To> {
  const entries = Object.entries(record).map(([name, value]) => [name, change(value)] as const);
  return Object.fromEntries(entries);
}

/** The floor's own sample of each round: it was measured beside all servers. */
function floorSamples(turns: Readonly<Record<string, readonly Turns[]>>): Sample[] {
  const all = Object.values(turns);
  const rounds = all[0] ?? [];
  return rounds.map((_, round) => together(all.flatMap((own) => own[round]?.floor ?? [])));
}

/** Measures all entrants in interleaved rounds, in turns with the floor. Null when nobody is left. */
export async function compare(context: Context, race: Race): Promise<Comparison | null> {
  const { task, entrants } = race;
  const floors = await startFloors(context, race);
  try {
    const measured = await measureRounds(context, race, floors);
    if (Object.keys(measured).length === 0) return null;
    const samples = mapped(measured, (all) => all.map(({ sample }) => sample));
    const turns = mapped(measured, (all) => all.flatMap((one) => one.turns ?? []));
    const floor = floorSamples(turns);
    const closing = task.workload.close ? [] : entrants.filter(({ workload }) => workload.close);
    return {
      name: task.workload.name,
      title: task.workload.title,
      load: loadOf(task),
      withLoad: isLarge(task),
      closing: Object.fromEntries(closing.map(({ name }) => [name, true] as const)),
      samples: floor.length > 0 ? { [FLOOR]: floor, ...samples } : samples,
      quiet: whileQuiet(turns),
    };
  } finally {
    await stopFloors(floors);
  }
}
