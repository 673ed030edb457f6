import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError } from '../harness/processes.ts';
import { root } from '../paths.ts';

/** So many times the baseline is a gross slow-down, which no noise explains. */
const GROSS = 1.5;

/** What each case cost when it was last recorded, as a multiple of the floor. */
export interface Baseline {
  readonly node: string;
  /** YYYY-MM-DD. */
  readonly date: string;
  readonly ratios: Readonly<Record<string, number>>;
}

const file = join(root, 'bench', 'guard.json');

/** Null when none was ever recorded. */
export function readBaseline(): Baseline | null {
  if (!existsSync(file)) return null;
  return JSON.parse(readFileSync(file, 'utf8')) as Baseline;
}

export function recordBaseline(ratios: ReadonlyMap<string, number>): void {
  const baseline: Baseline = {
    node: process.version,
    date: new Date().toISOString().slice(0, 10),
    ratios: Object.fromEntries(
      [...ratios].map(([name, ratio]) => [name, Number(ratio.toFixed(3))]),
    ),
  };
  writeFileSync(file, `${JSON.stringify(baseline, null, 2)}\n`);
}

/** Fails when a case costs grossly more than it did. A case that is not recorded passes. */
export function checkRatios(ratios: ReadonlyMap<string, number>, { ratios: then }: Baseline): void {
  const slow = [...ratios].filter(([name, ratio]) => ratio > GROSS * (then[name] ?? Infinity));
  if (slow.length === 0) return;
  const names = slow.map(([name]) => name).join('; ');
  throw new BenchError(`over ${GROSS} times the baseline: ${names}`);
}
