import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { resolveGroup, resolveUser } from '../supervisor/index.ts';
import type { ConfigError } from './configerror.ts';
import { checkEach, type Effective, folderProblem } from './prepare.ts';

/** Whether the users, groups, folders and files are there that the options name. */
export function checkNamed(effective: Effective): ConfigError[] {
  return [
    ...checkEach(effective, 'user', (name) => accountProblem(() => resolveUser(name))),
    ...checkEach(effective, 'group', (name) => accountProblem(() => resolveGroup(name))),
    ...checkEach(effective, 'pidFile', writingProblem),
    ...checkEach(effective, 'accessLog', writingProblem),
    ...checkEach(effective, 'errorLog', writingProblem),
    ...checkEach(effective, 'reloadDir', folderProblem),
  ];
}

function accountProblem(resolve: () => void): string | null {
  try {
    resolve();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Of a file that is to be written, or made. */
function writingProblem(file: string): string | null {
  if (file === '-') return null;
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats?.isDirectory()) return 'that is a folder: give a file';
  const folder = dirname(file);
  if (stats === undefined && folderProblem(folder) !== null) return `there is no folder ${folder}`;
  try {
    accessSync(stats === undefined ? folder : file, constants.W_OK);
    return null;
  } catch {
    const what = stats === undefined ? `the folder ${folder}` : 'the file';
    return `${what} may not be written to; change its permissions, or give another`;
  }
}
