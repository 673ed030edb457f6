import { describe, expect, it } from 'vitest';
import { together, whileQuiet } from '../../bench/harness/spells.ts';
import type { Turn, Turns } from '../../bench/load/turns.ts';

/** Turns of 1000 requests each, from the costs of one in microseconds. */
function turnsOf(...costs: number[]): Turn[] {
  return costs.map((cost) => ({ requests: 1000, seconds: 0.05, server: cost * 1000, load: 1000 }));
}

function beside(own: number[], floor: number[]): Turns[] {
  return [{ own: turnsOf(...own), floor: turnsOf(...floor) }];
}

describe('the cost while the machine is quiet', () => {
  it('is over the floor before and after', () => {
    const { ours } = whileQuiet({ ours: beside([12.6], [10, 11]) });
    expect(ours?.over).toBeCloseTo(1.2);
    expect(ours?.share).toBe(1);
  });

  it('leaves out the turns before or after which the floor cost more', () => {
    const floor = [10, 10, 11.1, 10, 10];
    const { ours } = whileQuiet({ ours: beside([12, 50, 60, 13], floor) });
    expect(ours?.over).toBeCloseTo(1.25);
    expect(ours?.share).toBe(0.5);
  });

  it("does not look at the server's own cost", () => {
    const { ours } = whileQuiet({ ours: beside([11, 99, 12], [10, 10, 10, 10]) });
    expect(ours).toEqual({ over: 1.2, share: 1 });
  });

  it('takes nothing for the usual that the floor seldom does', () => {
    const floor = [1, ...Array.from({ length: 19 }, () => 10), 10];
    const own = floor.slice(1).map(() => 11);
    expect(whileQuiet({ ours: beside(own, floor) }).ours?.share).toBe(1);
  });

  it('judges all servers by all turns of the floor', () => {
    const quiet = beside([11, 11, 11], [10, 10, 10, 10]);
    const disturbed = beside([11, 11], [20, 20, 20]);
    expect(Object.keys(whileQuiet({ quiet, disturbed }))).toEqual(['quiet']);
  });
});

it('several turns count by their requests', () => {
  const short = { requests: 1000, seconds: 1, server: 6000, load: 3000 };
  const long = { requests: 3000, seconds: 2, server: 30_000, load: 15_000 };
  const all = { requests: 4000, seconds: 3, serverCost: 9, loadCost: 4.5 };
  expect(together([short, long])).toEqual(all);
});
