import { expect, it } from 'vitest';
import { AccessLog, compileFormat } from '../../src/index.ts';
import { accessEntry } from '../support/logs.ts';
import { readPage, section, tableRows } from '../support/pages.ts';

const rows = tableRows(section(readPage('docs/logging.md'), 'The access log'));
const cells = rows.map(([first = '', second = '']) => [first.replaceAll('`', ''), second] as const);

it('docs/logging.md has every atom, and no other', () => {
  const [, listed = ''] = /or a text with (.*), and %%/.exec(refusal()) ?? [];
  const documented = cells.map(([atom]) => atom).filter((atom) => /^%\(/.test(atom));
  const isNamed = (atom: string): boolean => atom.includes('{');
  const atoms = listed.split(' ');
  expect(documented.filter((atom) => !isNamed(atom)).sort()).toEqual(
    atoms.filter((atom) => !isNamed(atom)).sort(),
  );
  for (const atom of documented) expect(() => compileFormat(atom)).not.toThrow();
});

function refusal(): string {
  try {
    compileFormat('%(z)s');
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('it is not refused');
}

it('docs/logging.md has the presets as they are', () => {
  const preset = (name: string): string =>
    [...(cells.find(([first]) => first === name)?.[1] ?? '').matchAll(/`([^`]*)`/g)]
      .map(([, text]) => text)
      .join('');
  const entry = accessEntry();
  const common = preset('common');
  expect(compileFormat(common).line(entry)).toBe(compileFormat('common').line(entry));
  const combined = common + preset('combined');
  expect(compileFormat(combined).line(entry)).toBe(compileFormat('combined').line(entry));
  const lines: string[] = [];
  new AccessLog({ output: { write: (line) => lines.push(line) } }).log(entry);
  expect(lines).toEqual([`${compileFormat('combined').line(entry)}\n`]);
});

it('docs/logging.md has every key of a JSON line, in its order', () => {
  const entry = accessEntry({ aborted: true }, { fields: ['x-request-id', '1'] });
  const keys = Object.keys(JSON.parse(compileFormat('json').line(entry)));
  const documented = cells.flatMap(([first]) => first.split(', '));
  expect(documented.filter((key) => keys.includes(key))).toEqual(keys);
});
