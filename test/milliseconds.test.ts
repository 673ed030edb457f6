import { describe, expect, it } from 'vitest';
import { toMilliseconds } from '../src/milliseconds.ts';

describe('toMilliseconds', () => {
  it.each([
    [0, 0],
    [-1, 0],
    [1e-9, 1],
    [0.0015, 2],
    [0.05, 50],
    [1.001, 1001],
    [2_147_483.647, 2 ** 31 - 1],
    [2_147_484, 2 ** 31 - 1],
    [Number.POSITIVE_INFINITY, 2 ** 31 - 1],
  ])('%s s -> %i ms', (seconds, milliseconds) => {
    expect(toMilliseconds(seconds)).toBe(milliseconds);
  });

  it('refuses NaN', () => {
    expect(() => toMilliseconds(Number.NaN)).toThrow(
      expect.objectContaining({ code: 'ERR_RYEGATE_TIMEOUT' }),
    );
  });
});
