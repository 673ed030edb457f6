import { existsSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { showValue } from '../errors.ts';
import { ConfigError } from './configerror.ts';
import { Layer, labelOf } from './layers.ts';
import { nearest } from './nearest.ts';
import type { Option, OptionTable } from './table/row.ts';
import { UsageError } from './usageerror.ts';

/** Those of the current folder that are taken without being asked for; the first that is there. */
const NAMES: readonly string[] = ['js', 'mjs', 'cjs', 'ts'].map((end) => `ryegate.config.${end}`);

/** The path of the config module; null for none. `file` is the one that was asked for. */
export function findConfig(file: string | null, folder: string): string | null {
  if (file !== null) return resolve(folder, file);
  const name = NAMES.find((candidate) => existsSync(join(folder, candidate)));
  return name === undefined ? null : join(folder, name);
}

/**
 * The object that the module at `path` exports by default, or that the function that it exports
 * returns. A module that has changed since is loaded anew.
 *
 * @throws ConfigError `ERR_RYEGATE_CONFIG`
 */
export async function loadConfig(path: string): Promise<object> {
  const name = basename(path);
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw new ConfigError(`there is no config module ${path}`);
  if (!stats.isFile()) throw new ConfigError(`${path} is no file: give the config module itself`);
  let value: unknown;
  // A CommonJS module is kept by its path, whatever the address that it is imported by.
  const real = realpathSync(path);
  delete createRequire(path).cache[real];
  try {
    // Node keeps where symbolic links led when it followed them first.
    const module = await import(`${pathToFileURL(real).href}?${stats.mtimeMs}`);
    value = module.default;
    if (typeof value === 'function') value = await value();
  } catch (error) {
    throw new ConfigError(`${name} failed while it was loaded: ${describe(error)}`, {
      cause: error,
    });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  const what = value === undefined ? 'nothing' : showValue(value);
  throw new ConfigError(
    `${name} gives ${what}: export an object of options, or a function that returns one, by default`,
  );
}

function describe(error: unknown): string {
  const { code, message, name } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION') {
    return `Node ${process.versions.node} takes no such file; use .mjs, or Node 22.18 for .ts`;
  }
  const [line = ''] = String(message ?? showValue(error)).split('\n');
  return `${name ?? 'thrown'}: ${line}`;
}

export interface ConfigLayer {
  readonly layer: Layer;
  readonly faults: readonly UsageError[];
}

/** Reads what `loadConfig()` gave; null and undefined stand for options that are not given. */
export function readConfig(table: OptionTable<unknown>, config: object, path: string): ConfigLayer {
  const source = basename(path);
  const layer = new Layer();
  const faults: UsageError[] = [];
  for (const [key, value] of Object.entries(config) as [string, unknown][]) {
    const option = table.options.find((candidate) => candidate.key === key && hasKey(candidate));
    if (option === undefined) {
      faults.push(unknownKey(table, key, source));
      continue;
    }
    if (value === undefined || value === null) continue;
    const texts = textsOf(option, value);
    if (texts === null) {
      faults.push(new UsageError(`${source}: ${key} is ${showValue(value)}: ${expected(option)}`));
      continue;
    }
    for (const text of texts) {
      layer.add(option, { text, label: labelOf(option, `${source}: ${key}`, text), source });
    }
  }
  return { layer, faults };
}

/** Whether it can be given in a config module. */
export function hasKey({ commandLineOnly, hasNoKey }: Option): boolean {
  return !commandLineOnly && !hasNoKey;
}

function unknownKey({ options }: OptionTable<unknown>, key: string, source: string): UsageError {
  const keys = options.filter(hasKey).map((option) => option.key);
  // As it is on the command line, or in capitals.
  const camel = key.replace(/[-_]+(.)/g, (_, letter: string) => letter.toUpperCase());
  const near = nearest(camel, keys);
  const hint = near === undefined ? 'no option has that name' : `did you mean ${near}?`;
  return new UsageError(`${source}: unknown key ${showValue(key)}; ${hint}`);
}

/** As they would be on the command line; null for a value of a type that makes no sense. */
function textsOf({ kind }: Option, value: unknown): string[] | null {
  if (kind.shape === 'flag') return typeof value === 'boolean' ? [String(value)] : null;
  const one = textOf(value, kind.write);
  if (one !== null) return [one];
  if (kind.shape === 'single') return null;
  const entries = Array.isArray(value)
    ? value.map((item) => textOf(item, kind.write))
    : kind.named && isObject(value)
      ? entriesOf(value)
      : [null];
  return entries.includes(null) ? null : (entries as string[]);
}

/** Not a `Map`, say, whose items would be overlooked. */
function isObject(value: unknown): value is object {
  return Object.prototype.toString.call(value) === '[object Object]';
}

function textOf(value: unknown, write: (value: number) => string): string | null {
  if (typeof value === 'number') return write(value);
  return typeof value === 'string' ? value : null;
}

function entriesOf(value: object): (string | null)[] {
  const given = Object.entries(value).filter(([, item]) => item !== undefined && item !== null);
  return given.map(([name, item]) => {
    const text = textOf(item, String);
    return text === null ? null : `${name}=${text}`;
  });
}

function expected({ kind }: Option): string {
  if (kind.shape === 'flag') return 'give true or false';
  if (kind.shape === 'single') return 'give a string or a number';
  if (kind.shape === 'pairs') return 'give an object of strings and numbers by name';
  const object = kind.named ? ', or an object of them by name' : '';
  return `give a string, or an array of strings${object}`;
}
