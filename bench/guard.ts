// `npm run bench:guard`: whether Ryegate has become slower than it was. See README.md.
import { parseArgs } from 'node:util';
import { type Baseline, checkRatios, readBaseline, recordBaseline } from './guard/baseline.ts';
import { makeCases } from './guard/cases.ts';
import { type Costs, Trial } from './guard/trial.ts';
import { run } from './harness/main.ts';
import { BenchError } from './harness/processes.ts';
import { interleave } from './harness/rounds.ts';
import { pairedRatio, type Spread, short, showSpread, spread } from './harness/statistics.ts';
import { table } from './harness/table.ts';

const ROUNDS = 21;

const HEAD = ['case', 'floor us/request', 'Ryegate us/request', 'baseline', 'now', 'change'];

interface Result {
  readonly name: string;
  readonly floor: Spread;
  readonly ryegate: Spread;
  /** Ryegate's cost as a multiple of the floor's in the same round. */
  readonly ratio: Spread;
}

function summarize(name: string, costs: readonly Costs[]): Result {
  const floor = costs.map((cost) => cost.floor);
  const ryegate = costs.map((cost) => cost.ryegate);
  return {
    name,
    floor: spread(floor),
    ryegate: spread(ryegate),
    ratio: pairedRatio(ryegate, floor),
  };
}

async function measureAll(): Promise<Result[]> {
  const trials: Trial[] = [];
  for (const wanted of makeCases()) trials.push(await Trial.prepare(wanted));
  const costs = await interleave(trials, ROUNDS, (trial) => trial.measure());
  return [...costs].map(([trial, list]) => summarize(trial.name, list));
}

function showChange(now: number, then: number | undefined): string {
  if (then === undefined) return '-';
  const percent = Math.round((now / then - 1) * 100);
  return `${percent > 0 ? '+' : ''}${percent} %`;
}

function show(results: readonly Result[], baseline: Baseline | null): string {
  const rows = results.map(({ name, floor, ryegate, ratio }) => {
    const then = baseline?.ratios[name];
    return [
      name,
      short(floor.median),
      short(ryegate.median),
      short(then ?? Number.NaN),
      showSpread(ratio),
      showChange(ratio.median, then),
    ];
  });
  const recorded = baseline === null ? '' : `Baseline: ${baseline.date}, Node ${baseline.node}. `;
  return `${recorded}Now: Node ${process.version}.\n\n${table(HEAD, rows)}`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { record: { type: 'boolean', default: false } } });
  const baseline = readBaseline();
  if (baseline === null && !values.record) {
    throw new BenchError('there is no baseline: record one by npm run bench:guard -- --record');
  }
  const results = await measureAll();
  console.log(show(results, baseline));
  const ratios = new Map(results.map(({ name, ratio }) => [name, ratio.median]));
  if (values.record) recordBaseline(ratios);
  else if (baseline !== null) checkRatios(ratios, baseline);
}

await run(main);
