import { statSync } from 'node:fs';
import { Fact } from '../../src/native.ts';

/** Facts that were not told yet. */
export const UNTOLD = -7;

export function newFacts(): Float64Array {
  return new Float64Array(Fact.count).fill(UNTOLD);
}

/** The facts of a path as `node:fs` tells them, all but the offset. */
export function factsOf(path: string): number[] {
  const { mode, size, mtimeNs, ctimeNs, dev, ino } = statSync(path, { bigint: true });
  const billion = 1_000_000_000n;
  const half = 1n << 32n;
  const times = [mtimeNs / billion, mtimeNs % billion, ctimeNs / billion, ctimeNs % billion];
  return [mode, size, ...times, dev / half, dev % half, ino / half, ino % half].map(Number);
}
