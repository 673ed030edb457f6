import { expect, it } from 'vitest';
import { OutputLines } from '../../src/supervisor/outputlines.ts';

function outputLines(): { lines: OutputLines; passed: string[] } {
  const passed: string[] = [];
  return { lines: new OutputLines((text) => passed.push(text)), passed };
}

it('whole lines are passed on, however much comes at once', () => {
  const { lines, passed } = outputLines();
  const line = `${'x'.repeat(999)}\n`;
  const all = line.repeat(200);
  for (let at = 0; at < all.length; at += 65_536) lines.write(all.slice(at, at + 65_536));
  lines.end();
  expect(passed.join('')).toBe(all);
  for (const text of passed) expect(text.endsWith('\n')).toBe(true);
});

it('a line without an end is held back only for so long, and kept in part', () => {
  const { lines, passed } = outputLines();
  let passedOn = 0;
  for (let i = 1; i <= 1000; i++) {
    lines.write('x'.repeat(10_000));
    passedOn += passed.splice(0).join('').length;
    expect(i * 10_000 - passedOn).toBeLessThanOrEqual(16 * 1024);
  }
  lines.write('the end\n');
  expect(passed.join('').endsWith('the end\n')).toBe(true);
  expect(lines.last.join('').length).toBeLessThanOrEqual(10_000);
});
