import { statSync } from 'node:fs';
import { ConfigError } from './configerror.ts';
import { readVariables } from './envfile.ts';
import type { Combined, Given } from './layers.ts';
import type { Options } from './table/table.ts';

export type Effective = Combined<unknown>['effective'];

/** What is wrong with what an option names; null for nothing. */
type Check = (text: string) => string | null;

/**
 * Changes the environment, the folder and the umask as the options say; other paths of options are
 * seen from that folder. Gives what went wrong.
 */
export function prepare(
  { env, umask }: Pick<Options, 'env' | 'umask'>,
  effective: Effective,
): ConfigError[] {
  const fromFiles: NodeJS.Dict<string> = {};
  const folder = process.cwd();
  const faults = [
    ...checkEach(effective, 'envFile', (file) => readVariables(file, folder, fromFiles)),
    ...checkEach(effective, 'chdir', changeFolder),
  ];
  Object.assign(process.env, { ...fromFiles, ...process.env, ...env });
  if (umask !== null) process.umask(umask);
  return faults;
}

function changeFolder(folder: string): string | null {
  try {
    process.chdir(folder);
    return null;
  } catch {
    return folderProblem(folder) ?? 'the folder may not be entered';
  }
}

/** A fault for each value of an option that `check` finds one in. */
export function checkEach(effective: Effective, key: keyof Options, check: Check): ConfigError[] {
  const problems = (effective.get(key) ?? []).map(({ text, label }: Given) => {
    const problem = check(text);
    return problem === null ? null : new ConfigError(`${label}: ${problem}`);
  });
  return problems.filter((problem) => problem !== null);
}

export function folderProblem(folder: string): string | null {
  const stats = statSync(folder, { throwIfNoEntry: false });
  if (stats === undefined) return 'there is no such folder; create it, or correct the path';
  return stats.isDirectory() ? null : 'that is no folder';
}
