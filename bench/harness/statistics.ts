/** The middle of some numbers and how far they lie apart. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spread(numbers: readonly number[]): Spread {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  const high = sorted[Math.floor(middle)] ?? Number.NaN;
  return {
    median: (low + high) / 2,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
  };
}

/** The ratios of two series round by round: what disturbs a whole round cancels out. */
export function pairedRatio(numbers: readonly number[], base: readonly number[]): Spread {
  return spread(numbers.map((number, round) => number / (base[round] ?? Number.NaN)));
}

/** Three significant digits. */
export function short(number: number): string {
  if (!Number.isFinite(number)) return '-';
  return number >= 100 ? String(Math.round(number)) : String(Number(number.toPrecision(3)));
}

export function showSpread({ median, min, max }: Spread): string {
  return `${short(median)} (${short(min)}..${short(max)})`;
}
