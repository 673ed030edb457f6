import type { Group, Option, OptionTable } from './table/row.ts';

const WIDTH = 88;
/** Where the text of an option begins. */
const COLUMN = 31;
const FORM_COLUMN = COLUMN + 2;

/** What stands around the options. */
export interface HelpFrame {
  readonly before: string;
  readonly after: string;
}

/** The help, made of the table. */
export function renderHelp(table: OptionTable<unknown>, { before, after }: HelpFrame): string {
  const groups = table.groups.map(renderGroup).filter((text) => text !== '');
  return `${[before, ...groups, after].join('\n')}`;
}

function renderGroup({ title, options }: Group): string {
  const named = options.filter(({ positional }) => !positional);
  if (named.length === 0) return '';
  return `${title}:\n${named.map(renderOption).join('')}`;
}

/** As it is written: what is on by default is there to be switched off. */
export function spelling({ name, kind, metavar }: Option): string {
  if (kind.shape === 'flag') return kind.standard === 'true' ? `--no-${name}` : `--${name}`;
  return `--${name} ${metavar}`;
}

function renderOption(option: Option): string {
  const { short, kind, forms = [] } = option;
  const left = `  ${short === undefined ? '   ' : `-${short},`} ${spelling(option)}`;
  const standard = kind.shape === 'flag' ? null : kind.standard;
  const text = standard === null ? option.help : `${option.help} (default ${standard})`;
  const lines = wrap(text, WIDTH - COLUMN).map((line) => ' '.repeat(COLUMN) + line);
  const first = lines[0] as string;
  if (left.length + 2 <= COLUMN) lines[0] = left + first.slice(left.length);
  else lines.unshift(left);
  const formWidth = Math.max(...forms.map(([form]) => form.length)) + 4;
  for (const [form, meaning] of forms) {
    lines.push(' '.repeat(FORM_COLUMN) + form.padEnd(formWidth) + meaning);
  }
  return `${lines.join('\n')}\n`;
}

/** Lines of at most `width` characters; what is in parentheses stays together. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.match(/\(default [^)]*\)|\S+/g) ?? []) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
