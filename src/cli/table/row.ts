import type { Kind } from './kinds.ts';

/** Everything about one option: help, documentation and parsing are made of it. */
export interface OptionRow<Value> {
  /** On the command line, without its dashes. Where it is missing: the key, as in `poll-interval`. */
  readonly name?: string;
  readonly short?: string;
  /** How the help calls its value; a flag has none. */
  readonly metavar?: string;
  readonly kind: Kind<Value>;
  readonly help: string;
  /** Lines below the help: what can be written, and what it means. */
  readonly forms?: readonly (readonly [form: string, meaning: string])[];
  /** An argument without a name on the command line. */
  readonly positional?: boolean;
  /** It is about this one run, thus has neither a variable nor a key. */
  readonly commandLineOnly?: boolean;
  /** It says where the config module is, thus has no key in it. */
  readonly hasNoKey?: boolean;
  /** Its value may begin with a dash. */
  readonly takesDash?: boolean;
  /** What it is given is shown to nobody, but for names before a `=`. */
  readonly isSecret?: boolean;
}

/** The rows of the options in `Values`, by their keys there. */
export type Rows<Values> = { readonly [Key in keyof Values]: OptionRow<Values[Key]> };

/** An option with everything that is made of its key. */
export interface Option extends OptionRow<unknown> {
  /** In the options, and in a config module. */
  readonly key: string;
  readonly name: string;
  /** The environment variable; null where it has none. */
  readonly variable: string | null;
}

export interface Group {
  readonly title: string;
  readonly options: readonly Option[];
}

/** Options whose values make an object of `Values`. */
export interface OptionTable<Values> {
  readonly groups: readonly Group[];
  readonly options: readonly Option[];
  /** All values where nothing is given. */
  readonly none: () => Values;
}

function optionOf(key: string, row: OptionRow<unknown>): Option {
  const kebab = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const { name = kebab } = row;
  const variable = `RYEGATE_${name.toUpperCase().replaceAll('-', '_')}`;
  return { ...row, key, name, variable: row.commandLineOnly ? null : variable };
}

export function makeGroup(
  title: string,
  rows: Readonly<Record<string, OptionRow<unknown>>>,
): Group {
  return { title, options: Object.entries(rows).map(([key, row]) => optionOf(key, row)) };
}

/** `Values` has to be what the rows of the groups give. */
export function makeTable<Values>(groups: readonly Group[]): OptionTable<Values> {
  const options = groups.flatMap((group) => group.options);
  const none = (): Values =>
    Object.fromEntries(options.map(({ key, kind }) => [key, kind.none])) as Values;
  return { groups, options, none };
}
