import type { Option, OptionTable } from './table/row.ts';
import { UsageError } from './usageerror.ts';

/** A text that an option is given. */
export interface Given {
  readonly text: string;
  /** How an error names it: `--bind :80`, `RYEGATE_BIND :80`, `ryegate.config.js: bind :80`. */
  readonly label: string;
  /** Where it comes from: `command line`, `RYEGATE_BIND`, `ryegate.config.js`, `default`. */
  readonly source: string;
}

/** How an error names what `name` gives for an option; secrets are shown to nobody. */
export function labelOf({ isSecret }: Option, name: string, text: string): string {
  return isSecret ? name : `${name} ${text}`;
}

/** What one source gives, by the keys of the options. */
export class Layer {
  readonly #given = new Map<string, Given[]>();

  add(option: Option, given: Given): void {
    const before = this.#given.get(option.key);
    if (before === undefined) this.#given.set(option.key, [given]);
    else before.push(given);
  }

  of(option: Option): readonly Given[] {
    return this.#given.get(option.key) ?? [];
  }
}

/** All options with their values, and what these are made of. */
export interface Combined<Values> {
  readonly values: Values;
  /** By key, the texts that count; nothing where an option has no value. */
  readonly effective: ReadonlyMap<string, readonly Given[]>;
  readonly faults: readonly UsageError[];
}

/** `layers`: the one that counts most comes last. Pairs are joined over all of them. */
export function combine<Values>(
  table: OptionTable<Values>,
  layers: readonly Layer[],
): Combined<Values> {
  const values = table.none() as Record<string, unknown>;
  const effective = new Map<string, readonly Given[]>();
  const faults: UsageError[] = [];
  for (const option of table.options) {
    const given = effectiveOf(option, layers);
    effective.set(option.key, given);
    values[option.key] = readAll(option, given, faults);
  }
  return { values: values as Values, effective, faults };
}

function effectiveOf(option: Option, layers: readonly Layer[]): readonly Given[] {
  const { kind } = option;
  const perLayer = layers.map((layer) => layer.of(option));
  if (kind.shape === 'pairs') return lastOfEachName(perLayer.flat());
  const given = perLayer.findLast((some) => some.length > 0) ?? [];
  if (given.length > 0) return kind.shape === 'list' ? given : given.slice(-1);
  const { standard } = kind;
  return standard === null ? [] : [{ text: standard, label: '', source: 'default' }];
}

function nameOf({ text }: Given): string {
  return text.split('=', 1)[0] as string;
}

function lastOfEachName(given: readonly Given[]): readonly Given[] {
  const last = new Map(given.map((one) => [nameOf(one), one]));
  return [...last.values()];
}

/** What cannot be read is told, and left out. */
function readAll({ kind }: Option, given: readonly Given[], faults: UsageError[]): unknown {
  let value: unknown;
  for (const { text, label } of given) {
    try {
      const next = kind.read(text);
      value = value === undefined ? next : kind.join(value, next);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      faults.push(new UsageError(`${label}: ${error.message}`));
    }
  }
  return value === undefined ? kind.none : value;
}
