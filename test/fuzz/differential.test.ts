import { describe, expect, it } from 'vitest';
import { generateCase } from './generator.ts';
import { NodeSide } from './nodeside.ts';
import { describeCase, LONG_RUN, type Report } from './report.ts';
import { feedAll, fuzz } from './run.ts';
import { RyegateSide } from './ryegateside.ts';
import { HOUR, longRun } from './settings.ts';

function expectExplained(report: Report): void {
  console.log(String(report));
  expect(report.unexplained.join('\n'), 'differences that nothing explains').toBe('');
}

/** Shows what both make of one case. */
async function showCase(seed: number, number: number): Promise<void> {
  const one = generateCase(seed, number);
  const sides = [new RyegateSide(), new NodeSide()] as const;
  const [[ours], [theirs]] = await feedAll(sides, [one]);
  await Promise.all(sides.map((side) => side.close()));
  if (ours !== undefined && theirs !== undefined) {
    console.log(describeCase(seed, one, ours, theirs));
  }
}

const settings = longRun();

describe('generated streams mean the same to node:http', () => {
  if (settings === null) {
    // Fixed, so that a commit is never blamed for what `npm run fuzz` would have found before it.
    it.each([1, 2])('with the seed %d', async (seed) => {
      const report = await fuzz(seed, 0, 5000);
      expectExplained(report);
      // The cases would mean little if most were refused.
      expect(report.accepted, 'cases accepted by both').toBeGreaterThan(report.cases / 3);
      expect(report.acceptedWithBody, 'those with a body').toBeGreaterThan(report.cases / 5);
    });
  } else {
    const { seed, cases, only } = settings;
    it(`with the seed ${seed}`, { timeout: HOUR }, async () => {
      if (only !== undefined) await showCase(seed, only);
      const report = await fuzz(seed, only ?? 0, only === undefined ? cases : 1);
      expectExplained(report);
      if (report.cases < LONG_RUN) return;
      expect(report.unused, 'differences to be taken off the list').toEqual([]);
    });
  }
});
