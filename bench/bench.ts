// `npm run bench`: what requests cost, beside other servers and beside the kernel. See README.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { drawChart } from './harness/chart.ts';
import {
  checkAnswers,
  compare,
  keepingConnections,
  type Race,
  raceSeconds,
} from './harness/compare.ts';
import type { Context } from './harness/context.ts';
import { idleSeconds, measureIdle } from './harness/idling.ts';
import { latencySeconds, measureLatencies } from './harness/latencies.ts';
import { describeMachine } from './harness/machine.ts';
import { run } from './harness/main.ts';
import { fillPage } from './harness/page.ts';
import { Progress } from './harness/progress.ts';
import {
  comparisonPart,
  idlePart,
  latencyPart,
  machineLines,
  type Part,
  serversTable,
} from './harness/report.ts';
import {
  type Comparison,
  type Failure,
  FLOOR,
  type Idle,
  isOurs,
  type MeasuredServer,
  type Results,
  readResults,
  rounded,
} from './harness/results.ts';
import { IDLE, LATENCY, parseSettings, type Settings } from './harness/settings.ts';
import { makeTestFolder } from './harness/testfiles.ts';
import { choosePeers, type Peer, peers, type RunningServer, withServers } from './servers/index.ts';
import { sizesOf, TASK_NAMES, type Task, tasksOf } from './workloads.ts';

type Servers = ReadonlyMap<Peer, RunningServer>;

function show({ title, text }: Part): void {
  console.log(`\n${title}\n\n${text}`);
}

function showHead(head: Pick<Results, 'machine' | 'date' | 'servers'>): void {
  console.log([...machineLines(head), '', serversTable(head)].join('\n'));
}

async function compareAll(context: Context, races: readonly Race[]): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  for (const race of races) {
    const comparison = await compare(context, race);
    context.progress.clear();
    if (comparison === null) continue;
    comparisons.push(comparison);
    show(comparisonPart(comparison));
  }
  return comparisons;
}

/** Adds the time of what is not a comparison. */
function planRest(context: Context, count: number): void {
  const { loads } = context.settings;
  if (loads.includes(LATENCY)) context.progress.plan(latencySeconds(count, context));
  if (loads.includes(IDLE)) context.progress.plan(idleSeconds(count, context));
}

interface Compared extends Pick<Results, 'comparisons' | 'latencies'> {
  /** Those that can have idle connections. */
  readonly keeping: readonly Peer[];
}

/** What all servers do while they run beside each other. */
async function compareServers(
  context: Context,
  tasks: readonly Task[],
  servers: Servers,
): Promise<Compared> {
  const { progress, settings } = context;
  const keeping = await keepingConnections(context, servers);
  planRest(context, keeping.size);
  const races: Race[] = [];
  for (const task of tasks) {
    progress.step(`checking the answers, ${task.workload.name}`, 0);
    const pipelined = task.workload.pipelined > 1;
    races.push(await checkAnswers(context, task, pipelined ? keeping : servers));
  }
  for (const race of races) progress.plan(raceSeconds(race, context));
  const comparisons = await compareAll(context, races);
  const wanted = settings.loads.includes(LATENCY);
  const latencies = wanted ? await measureLatencies(context, keeping) : [];
  progress.clear();
  for (const latency of latencies) show(latencyPart(latency));
  return { comparisons, latencies, keeping: [...keeping.keys()] };
}

async function idleServers(
  context: Context,
  peers: readonly Peer[],
  root: string,
): Promise<Idle | null> {
  if (!context.settings.loads.includes(IDLE)) return null;
  const idle = await measureIdle(context, peers, root);
  context.progress.clear();
  show(idlePart(idle));
  return idle;
}

function describe(peers: readonly Peer[]): MeasuredServer[] {
  return peers.map((peer) => {
    const { name, description } = peer;
    return { name, version: peer.version(), description };
  });
}

async function measure(settings: Settings): Promise<Results> {
  const names = settings.loads.filter((name) => TASK_NAMES.includes(name));
  const chosen = choosePeers(settings.only ?? peers.map(({ name }) => name));
  const context: Context = { settings, progress: new Progress(process.stderr), failures: [] };
  const machine = describeMachine();
  const servers = describe(chosen);
  const begin = new Date().toISOString();
  showHead({ machine, date: begin, servers });
  const folder = makeTestFolder(sizesOf(names));
  const { keeping, ...compared } = await withServers(chosen, folder.root, (running) =>
    compareServers(context, tasksOf(names, folder.files), running),
  );
  const idle = await idleServers(context, keeping, folder.root);
  const { rounds, seconds } = settings;
  const date = new Date().toISOString();
  const { failures } = context;
  return { date, machine, settings: { rounds, seconds }, servers, failures, ...compared, idle };
}

/** Prints what a run before has found. */
function showAgain(results: Results): void {
  showHead(results);
  results.comparisons.map(comparisonPart).forEach(show);
  results.latencies.map(latencyPart).forEach(show);
  if (results.idle !== null) show(idlePart(results.idle));
}

function write(file: string, text: string): void {
  writeFileSync(file, text);
  console.log(`wrote ${file}`);
}

function writeAll(results: Results, { json, chart, markdown }: Settings): void {
  console.log('');
  if (json !== null) write(json, `${JSON.stringify(results, null, 2)}\n`);
  if (results.comparisons.length > 0) write(chart, drawChart(results));
  if (markdown !== null) write(markdown, fillPage(readFileSync(markdown, 'utf8'), results));
}

async function main(): Promise<void> {
  const settings = parseSettings(process.argv.slice(2));
  const recorded = settings.from === null ? null : readResults(settings.from);
  if (recorded) showAgain(recorded);
  const results = recorded ?? rounded(await measure(settings));
  writeAll(results, settings);
  const failed = ({ server }: Failure): boolean => server === FLOOR || isOurs(server);
  if (recorded === null && results.failures.some(failed)) process.exitCode = 1;
}

await run(main);
