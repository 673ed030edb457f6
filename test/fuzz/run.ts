import { setImmediate as nextTurn } from 'node:timers/promises';
import { compare } from './compare.ts';
import { type FuzzCase, generateCase } from './generator.ts';
import { NodeSide } from './nodeside.ts';
import type { Outcome, Side } from './outcome.ts';
import { describeCase, Report } from './report.ts';
import { RyegateSide } from './ryegateside.ts';

/** Connections that are served side by side. */
const BATCH = 128;

/** Unexplained cases after which a run gives up. */
const MOST_UNEXPLAINED = 10;

/** Runs the cases from `first` on through both parsers. */
export async function fuzz(seed: number, first: number, count: number): Promise<Report> {
  const report = new Report(seed);
  const sides = [new RyegateSide(), new NodeSide()] as const;
  try {
    for (
      let done = 0;
      done < count && report.unexplained.length < MOST_UNEXPLAINED;
      done += BATCH
    ) {
      const length = Math.min(BATCH, count - done);
      const cases = Array.from({ length }, (_, index) => generateCase(seed, first + done + index));
      const [ours, theirs] = await feedAll(sides, cases);
      cases.forEach((one, index) => {
        judge(report, one, ours[index] as Outcome, theirs[index] as Outcome);
      });
    }
  } finally {
    await Promise.all(sides.map((side) => side.close()));
  }
  return report;
}

/** Both sides get piece by piece, all cases side by side, with a turn for each piece. */
export async function feedAll<T extends readonly Side[]>(
  sides: T,
  cases: readonly { readonly bytes: Buffer; readonly ends: readonly number[] }[],
): Promise<{ [Index in keyof T]: Outcome[] }> {
  await Promise.all(sides.map((side) => side.begin(cases.length)));
  const rounds = Math.max(...cases.map(({ ends }) => ends.length));
  for (let round = 0; round < rounds; round++) {
    cases.forEach(({ bytes, ends }, index) => {
      if (round >= ends.length) return;
      const piece = bytes.subarray(ends[round - 1] ?? 0, ends[round]);
      for (const side of sides) side.feed(index, piece);
    });
    // One until the sockets have been polled, another for what follows from that.
    await nextTurn();
    await nextTurn();
  }
  const outcomes = await Promise.all(sides.map((side) => side.finish()));
  return outcomes as { [Index in keyof T]: Outcome[] };
}

function judge(report: Report, one: FuzzCase, ours: Outcome, theirs: Outcome): void {
  const { used, unexplained } = compare(one.bytes, ours, theirs);
  report.count(one, ours, theirs, used);
  if (unexplained >= 0) {
    report.unexplained.push(describeCase(report.seed, one, ours, theirs));
  }
}
