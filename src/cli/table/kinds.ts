import { UsageError } from '../usageerror.ts';

/**
 * - `flag`: true or false; `--no-NAME` is false.
 * - `single`: of several the last counts.
 * - `list`: all count, in order.
 * - `pairs`: each has a name before a `=`; of one name the last counts.
 */
export type Shape = 'flag' | 'single' | 'list' | 'pairs';

/** What the texts that an option is given mean. */
export interface Kind<Value> {
  readonly shape: Shape;
  /** The default as one would write it; null for none. */
  readonly standard: string | null;
  /** The value where there is neither a text nor a default. */
  readonly none: Value;
  /** Whether an object of a config module stands for texts of `NAME=VALUE`. */
  readonly named: boolean;
  /** The value of one text; a UsageError says only what is wrong with it. */
  read(text: string): Value;
  /** The value of both. */
  join(before: Value, next: Value): Value;
  /** How a number of a config module is written. */
  write(value: number): string;
}

const TRUE = ['true', '1', 'yes', 'on'];
const FALSE = ['false', '0', 'no', 'off'];

function readFlag(text: string): boolean {
  const word = text.toLowerCase();
  if (TRUE.includes(word)) return true;
  if (FALSE.includes(word)) return false;
  throw new UsageError(`give ${TRUE.join(', ')} or ${FALSE.join(', ')}`);
}

export function flag(standard = false): Kind<boolean> {
  return { ...single(readFlag, String(standard)), shape: 'flag' };
}

/** Of one value, which is `standard` by default. */
export function single<Value>(
  read: (text: string) => Value,
  standard: string,
  write: (value: number) => string = String,
): Kind<Value> {
  const join = (_before: Value, next: Value): Value => next;
  return { shape: 'single', standard, none: read(standard), named: false, read, join, write };
}

/** Of one value, or null. */
export function optional<Value>(
  read: (text: string) => Value,
  write: (value: number) => string = String,
): Kind<Value | null> {
  const join = (_before: Value | null, next: Value | null): Value | null => next;
  return { shape: 'single', standard: null, none: null, named: false, read, join, write };
}

export function list<Item>(
  read: (text: string) => Item,
  { standard = null, named = false }: { standard?: string | null; named?: boolean } = {},
): Kind<Item[]> {
  return {
    shape: 'list',
    standard,
    none: [],
    named,
    read: (text) => [read(text)],
    join: (before, next) => [...before, ...next],
    write: String,
  };
}

/** `read` gives an object of one property. */
export function pairs<Value extends object>(read: (text: string) => Value): Kind<Value> {
  return {
    shape: 'pairs',
    standard: null,
    none: {} as Value,
    named: true,
    read,
    join: (before, next) => ({ ...before, ...next }),
    write: String,
  };
}
