import { accessSync, constants, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { BenchError } from './processes.ts';

/** The whole number that an option is given. */
export function whole(name: string, text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new BenchError(`--${name} is ${text}: give a whole number from 1 to 9999`);
}

/** The names in a list with commas, each of which has to be among `known`. */
export function listed(name: string, text: string, known: readonly string[]): string[] {
  const names = text.split(',');
  const unknown = names.find((one) => !known.includes(one));
  if (unknown === undefined) return [...new Set(names)];
  throw new BenchError(`--${name}: there is no '${unknown}', only ${known.join(', ')}`);
}

/** The file that an option names, in a folder that it can be written to: known before the run. */
export function output<T extends string | undefined>(name: string, file: T): T {
  if (file === undefined) return file;
  const folder = dirname(resolve(file));
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    if (statSync(file, { throwIfNoEntry: false })?.isDirectory() !== true) return file;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new BenchError(
      `--${name} ${file}: ${folder} cannot be written to (${code}): make it first`,
    );
  }
  throw new BenchError(`--${name} ${file}: that is a folder, give the name of a file in it`);
}
