import {
  baseOf,
  type Comparison,
  FLOOR,
  type Idle,
  type Latency,
  type LatencySample,
  OURS,
  type Results,
} from './results.ts';
import { pairedRatio, type Spread, short, showSpread, spread } from './statistics.ts';
import { type Sample, type Summary, serverCost, sum, summarize } from './summary.ts';
import { table } from './table.ts';

const CLOSES_NOTE =
  '\n\n(closes): it ends each connection after one answer, so each request has its own.';

/**
 * What a server cost in each round. Where there is a floor, it is measured by what that cost in turns
 * with it: the machine may have been disturbed more than in another server's part of the round.
 */
function costs({ samples, withLoad }: Comparison, server: string): number[] {
  const own = samples[server] ?? [];
  if (samples[FLOOR] === undefined) return own.map(withLoad ? sum : serverCost);
  const floor = (sample: Sample): number =>
    (server === FLOOR ? sample.serverCost : sample.floor) ?? Number.NaN;
  return own.map((sample) => sample.serverCost / floor(sample));
}

/** The cost of a server over that of another in the same rounds. */
function over(comparison: Comparison, server: string, other: string): Spread {
  return pairedRatio(costs(comparison, server), costs(comparison, other));
}

interface Ranked extends Summary {
  /** Its cost over the base. */
  readonly over: Spread;
}

/** The servers of a comparison by their cost over the base, the cheapest first. */
export function ranked(comparison: Comparison): Ranked[] {
  const base = baseOf(comparison);
  return summarize(new Map(Object.entries(comparison.samples)))
    .map((summary) => ({ ...summary, over: over(comparison, summary.server, base) }))
    .sort((a, b) => a.over.median - b.over.median);
}

/** The name of the base as it is put into sentences. */
export function baseName(base: string): string {
  return base === FLOOR ? 'the floor' : base;
}

/** The cost over the floor while the machine was quiet, and for what part of the time it was. */
function whenQuiet({ quiet }: Comparison, { server }: Summary): string {
  const own = quiet[server];
  return own === undefined ? '-' : `${short(own.over)} (${percent(own.share)})`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function comparisonTable(comparison: Comparison): string {
  const base = baseOf(comparison);
  const head = [
    'server',
    comparison.withLoad ? 'server + load, us/request' : 'us/request',
    `over ${baseName(base)}`,
    ...(base === FLOOR ? ['while quiet'] : []),
    `times ${OURS}`,
    'requests/s',
    'server busy',
    'load busy',
  ];
  const hasOurs = comparison.samples[OURS] !== undefined;
  const rows = ranked(comparison).map((summary) => [
    comparison.closing[summary.server] ? `${summary.server} (closes)` : summary.server,
    showSpread(comparison.withLoad ? summary.sum : summary.serverCost),
    showSpread(summary.over),
    ...(base === FLOOR ? [whenQuiet(comparison, summary)] : []),
    hasOurs ? showSpread(over(comparison, summary.server, OURS)) : '-',
    short(summary.requestsPerSecond),
    percent((summary.serverCost.median * summary.requestsPerSecond) / 1e6),
    percent(summary.loadBusy),
  ]);
  return table(head, rows);
}

const LATENCY_COLUMNS: readonly (keyof LatencySample)[] = [
  'p50',
  'p99',
  'p999',
  'max',
  'late',
  'pause',
];

function latencyTable({ samples, slow }: Latency): string {
  const head = ['server', 'p50, us', 'p99, us', 'p99.9, us', 'max, us', 'late', 'load away, us'];
  const rows = Object.entries(samples).map(([server, own]) => [
    server,
    ...LATENCY_COLUMNS.map((column) => showSpread(spread(own.map((sample) => sample[column])))),
  ]);
  const most = Object.entries(slow).map(([server, rate]) => [server, `at most ${rate} requests/s`]);
  return table(head, [...rows, ...most]);
}

const KIB = 1024;
const MIB = KIB ** 2;
const GIB = KIB ** 3;
function idleTable({ connections, seconds, samples }: Idle): string {
  const head = ['server', 'KiB each', 'before, MiB', 'after, MiB', 'CPU, %', 'closed'];
  const rows = Object.entries(samples).map(([server, own]) => [
    server,
    showSpread(spread(own.map(({ before, after }) => (after - before) / connections / KIB))),
    showSpread(spread(own.map(({ before }) => before / MIB))),
    showSpread(spread(own.map(({ after }) => after / MIB))),
    showSpread(spread(own.map(({ cpu }) => cpu / (seconds * 1e4)))),
    showSpread(spread(own.map(({ closedAtEnd }) => closedAtEnd))),
  ]);
  return table(head, rows);
}

export function serversTable({ servers }: Pick<Results, 'servers'>): string {
  const rows = servers.map(({ name, version, description }) => [name, version, description]);
  return table(['server', 'version', 'what runs'], rows);
}

/** When and where, and with what. */
export function machineLines(results: Pick<Results, 'machine' | 'date'>): [string, string] {
  const { processor, processors, memory, system, node, pinned } = results.machine;
  const day = results.date.slice(0, 10);
  const pins = pinned ? 'servers and load on a processor each' : 'not pinned to processors';
  return [
    `${day}: ${processor}, ${processors} processors, ${Math.round(memory / GIB)} GiB`,
    `${system}, Node.js ${node}, ${pins}`,
  ];
}

/** What is between the titles of a whole report. */
export interface Part {
  readonly title: string;
  readonly text: string;
}

export function comparisonPart(comparison: Comparison): Part {
  const note = Object.keys(comparison.closing).length > 0 ? CLOSES_NOTE : '';
  return { title: comparison.title, text: comparisonTable(comparison) + note };
}

export function latencyPart(latency: Latency): Part {
  const { rate, share, of, connections } = latency;
  const part = `${percent(share)} of what ${of} can do`;
  const title = `latency at ${rate} requests/s, ${part}, ${connections} connections`;
  return { title, text: latencyTable(latency) };
}

export function idlePart(idle: Idle): Part {
  return { title: `${idle.connections} idle connections`, text: idleTable(idle) };
}
