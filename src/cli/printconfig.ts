import type { Combined, Given } from './layers.ts';
import type { Option, OptionTable } from './table/row.ts';

/** A line for each option and value, aligned: name, value, where it comes from. */
export function renderConfig(
  table: OptionTable<unknown>,
  { effective }: Pick<Combined<unknown>, 'effective'>,
): string {
  const rows = table.options
    .filter(({ commandLineOnly }) => !commandLineOnly)
    .flatMap((option) => rowsOf(option, effective.get(option.key) ?? []));
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map(([name, value, source]) => {
    return `${name.padEnd(widths[0] as number)}  ${value.padEnd(widths[1] as number)}  ${source}\n`;
  });
  return lines.join('');
}

type Row = readonly [name: string, value: string, source: string];

function rowsOf(option: Option, given: readonly Given[]): Row[] {
  if (given.length === 0) return [[option.name, '(none)', 'default']];
  return given.map(({ text, source }, at) => [
    at === 0 ? option.name : '',
    shown(option, text),
    source,
  ]);
}

function shown({ isSecret }: Option, text: string): string {
  return isSecret ? text.replace(/=.*/s, '=(not shown)') : text;
}
