import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../paths.ts';
import { TASK_NAMES } from '../workloads.ts';
import { listed, output, whole } from './options.ts';

/** What is measured besides CPU time. */
export const LATENCY = 'latency';
export const IDLE = 'idle';

export const LOAD_NAMES: readonly string[] = [...TASK_NAMES, LATENCY, IDLE];

export interface Settings {
  readonly rounds: number;
  /** Of one measurement. */
  readonly seconds: number;
  /** Names of servers; null: all. */
  readonly only: readonly string[] | null;
  readonly loads: readonly string[];
  /** Of idle connections: how often they are opened, and the seconds they are watched. */
  readonly idle: { readonly rounds: number; readonly seconds: number };
  readonly json: string | null;
  readonly chart: string;
  /** The page whose places are filled in. */
  readonly markdown: string | null;
  /** Files with the results of runs before, in place of a new one. */
  readonly from: string | null;
}

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  only: { type: 'string' },
  loads: { type: 'string' },
  json: { type: 'string' },
  chart: { type: 'string' },
  markdown: { type: 'string' },
  from: { type: 'string' },
} as const;

const FULL = { rounds: 5, seconds: 2, loads: LOAD_NAMES.join(',') };
const FULL_IDLE = { rounds: 3, seconds: 5 };

/** Under two minutes in all. */
const QUICK = {
  rounds: 3,
  seconds: 0.75,
  only: 'ryegate,nginx,bun,node',
  loads: 'hello-64,varied,pipelined,file-4k,idle',
};
const QUICK_IDLE = { rounds: 1, seconds: 1 };

export function parseSettings(args: string[]): Settings {
  const { values } = parseArgs({ args, options: OPTIONS });
  const standard: typeof FULL & { only?: string } = values.quick ? QUICK : FULL;
  const only = values.only ?? standard.only;
  return {
    rounds: values.rounds === undefined ? standard.rounds : whole('rounds', values.rounds),
    seconds: values.seconds === undefined ? standard.seconds : whole('seconds', values.seconds),
    only: only?.split(',') ?? null,
    loads: listed('loads', values.loads ?? standard.loads, LOAD_NAMES),
    idle: values.quick ? QUICK_IDLE : FULL_IDLE,
    json: output('json', values.json) ?? null,
    // The folder that this program is in.
    chart: output('chart', values.chart) ?? join(root, 'build-bench', 'chart.svg'),
    markdown: output('markdown', values.markdown) ?? null,
    from: values.from ?? null,
  };
}
