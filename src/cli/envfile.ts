import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseEnv } from 'node:util';

/**
 * Adds what the file says to `variables`; null, or what is wrong. Paths are seen from `folder`:
 * some releases of Node read what follows `--env-file` by themselves, wherever it stands, and from
 * the folder where the process has started.
 */
export function readVariables(
  file: string,
  folder: string,
  variables: NodeJS.Dict<string>,
): string | null {
  try {
    Object.assign(variables, parseEnv(readFileSync(resolve(folder, file), 'utf8')));
    return null;
  } catch (error) {
    return `the file cannot be read: ${(error as Error).message}`;
  }
}
