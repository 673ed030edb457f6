import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../paths.ts';
import { BenchError } from './processes.ts';

/** The programs in C, with their sources. */
const PROGRAMS = {
  blast: ['load/blast.c', 'load/answer.c', 'load/client.c'],
  drain: ['load/drain.c', 'load/client.c'],
  floor: ['floor.c', 'load/client.c'],
  openloop: ['load/openloop.c', 'load/answer.c', 'load/client.c', 'load/histogram.c'],
} as const;

export type CProgram = keyof typeof PROGRAMS;

const bench = join(root, 'bench');

/** When any source or header in C last changed. */
function changed(): number {
  const times = [bench, join(bench, 'load')].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => /\.[ch]$/.test(name))
      .map((name) => statSync(join(folder, name)).mtimeMs),
  );
  return Math.max(...times);
}

/** Compiles a program into the folder unless that is done. Returns the path of the binary. */
export function compile(name: CProgram, folder: string = join(root, 'build-bench')): string {
  const binary = join(folder, name);
  const compiled = statSync(binary, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (compiled > changed()) return binary;
  mkdirSync(folder, { recursive: true });
  const sources = PROGRAMS[name].map((source) => join(bench, source));
  const warnings = ['-Wall', '-Wextra', ...(process.env.RYEGATE_WERROR ? ['-Werror'] : [])];
  const args = ['-O2', ...warnings, '-o', binary, ...sources];
  const { status, error, stderr } = spawnSync('cc', args, { encoding: 'utf8' });
  if (status === 0) return binary;
  throw new BenchError(`cc (Debian: apt-get install gcc): ${error?.message ?? stderr}`);
}
