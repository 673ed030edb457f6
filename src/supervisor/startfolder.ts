import { realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, sep } from 'node:path';

/**
 * The current folder by the name that whoever started this program has for it: PWD, where that is
 * the same folder. Unlike `process.cwd()` it may lead through a symbolic link, such as `current`,
 * which a deployment points to another release. As gunicorn's `util.getcwd`.
 */
export function startFolder({ PWD }: NodeJS.ProcessEnv = process.env): string {
  const folder = process.cwd();
  return PWD !== undefined && isAbsolute(PWD) && areSame(PWD, folder) ? PWD : folder;
}

function areSame(one: string, other: string): boolean {
  try {
    const [first, second] = [statSync(one), statSync(other)];
    return first.dev === second.dev && first.ino === second.ino;
  } catch {
    // It is not there, or may not be looked at.
    return false;
  }
}

/** Where `path` leads now; what is not there is told by whoever uses it. */
export function realFolder(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** What a program was started with that is to be started again. */
export class Start {
  /** By a name that may lead elsewhere by now. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  /** Where the name led. */
  readonly #real: string;

  constructor(folder: string, env: NodeJS.ProcessEnv) {
    this.folder = folder;
    this.env = env;
    this.#real = realFolder(folder);
  }

  /** The arguments of `node`. It has the path of the script as it was, in the folder as it was. */
  get args(): string[] {
    const [script, ...others] = process.argv.slice(1);
    if (script === undefined) return [...process.execArgv];
    const { length } = this.#real;
    const isBelow = script.startsWith(`${this.#real}${sep}`);
    const path = isBelow ? join(this.folder, script.slice(length)) : script;
    return [...process.execArgv, path, ...others];
  }
}
