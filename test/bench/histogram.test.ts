import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'ryegate-histogram-'));
const program = join(folder, 'quantiles');

beforeAll(() => {
  const sources = ['quantiles.c', '../../bench/load/histogram.c'];
  const paths = sources.map((source) => resolve(import.meta.dirname, source));
  execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', program, ...paths]);
});

afterAll(() => rmSync(folder, { recursive: true }));

/** The quantiles 0.5, 0.99, 0.999 and 1 by the histogram. */
function quantiles(numbers: readonly number[]): number[] {
  const output = execFileSync(program, { input: numbers.join('\n'), encoding: 'utf8' });
  return output.trim().split('\n').map(Number);
}

/** The same from the sorted numbers: the least that this share of them do not exceed. */
function exact(numbers: readonly number[]): number[] {
  const sorted = numbers.toSorted((a, b) => a - b);
  return [0.5, 0.99, 0.999, 1].map((share) => sorted[Math.ceil(share * sorted.length) - 1] ?? 0);
}

test.each<[string, number[]]>([
  ['one', [12_345_678]],
  ['small ones, which are exact', [0, 1, 1, 2, 3, 127]],
  [
    'beside the powers of two',
    [127, 128, 129, 255, 256, 257, 65_535, 65_536, 2 ** 40 - 1, 2 ** 40],
  ],
  ['of many magnitudes', Array.from({ length: 5000 }, (_, i) => Math.round(1.004 ** i))],
  ['in no order', Array.from({ length: 2000 }, (_, i) => (i * 7919) % 2003)],
])('quantiles are within 1 %: %s', (_, numbers) => {
  const expected = exact(numbers);
  quantiles(numbers).forEach((found, index) => {
    const value = expected[index] as number;
    expect(Math.abs(found - value)).toBeLessThanOrEqual(value < 128 ? 0 : value / 100);
  });
});

test('what is too long for the last bucket is counted in it, and there may be nothing at all', () => {
  expect(quantiles([2 ** 52, 2 ** 52]).at(0)).toBeGreaterThan(2 ** 45);
  expect(quantiles([])).toEqual([0, 0, 0, 0]);
});
