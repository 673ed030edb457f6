import { RyegateError, showValue } from '../errors.ts';

/** One row of a table of settings. */
export interface Setting {
  /** What is counted: `bytes`, `fields`, `connections`, `seconds` ... */
  readonly unit: string;
  readonly default: number;
  readonly minimum: number;
  /** `Infinity`: the setting can be switched off by that value. */
  readonly maximum: number;
  /** Why it exists and why the default is what it is. */
  readonly reason: string;
}

export type SettingsTable<Name extends string> = Readonly<Record<Name, Setting>>;

export type Settings<Name extends string> = Readonly<Record<Name, number>>;

/** What errors about a table say: `limit`, `ERR_RYEGATE_LIMIT`. */
export interface SettingsKind {
  readonly name: string;
  readonly code: string;
  /** Only whole numbers make sense. */
  readonly whole: boolean;
}

export function defaultsOf<Name extends string>(table: SettingsTable<Name>): Settings<Name> {
  const defaults = Object.entries<Setting>(table).map(([name, row]) => [name, row.default]);
  return Object.freeze(Object.fromEntries(defaults));
}

/** The settings among `partial` that are given at all: an `undefined` stands for the default. */
export function givenSettings(kind: SettingsKind, partial: unknown): [string, unknown][] {
  if (!isPlainObject(partial)) {
    throw new RyegateError(kind.code, `${kind.name}s: give an object of ${kind.name}s by name.`);
  }
  return Object.entries(partial).filter(([, value]) => value !== undefined);
}

/** A `Map`, say, would have its settings overlooked. */
function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Throws an error with the code of `kind` for an unknown name or a senseless value. */
export function checkSetting(
  kind: SettingsKind,
  table: SettingsTable<string>,
  name: string,
  value: unknown,
): void {
  const row = Object.hasOwn(table, name) ? table[name] : undefined;
  if (row === undefined) throw unknownSetting(kind, name, Object.keys(table));
  const { minimum, maximum } = row;
  if (typeof value === 'number' && value >= minimum && value <= maximum) {
    if (!kind.whole || value === Infinity || Number.isSafeInteger(value)) return;
  }
  const what = kind.whole ? 'a whole number of' : 'a number of';
  const most = maximum === Infinity ? 'or Infinity for no limit' : `up to ${maximum}`;
  throw senselessSetting(kind, name, value, `${what} ${row.unit} from ${minimum}, ${most}`);
}

export function unknownSetting(
  kind: SettingsKind,
  name: string,
  known: readonly string[],
): RyegateError {
  return new RyegateError(
    kind.code,
    `Unknown ${kind.name} ${showValue(name)}: use one of ${known.join(', ')}.`,
  );
}

export function senselessSetting(
  kind: SettingsKind,
  name: string,
  value: unknown,
  expected: string,
): RyegateError {
  return new RyegateError(
    kind.code,
    `The ${kind.name} ${name} is ${showValue(value)}: give ${expected}.`,
  );
}
