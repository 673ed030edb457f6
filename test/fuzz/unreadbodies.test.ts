import { expect, it } from 'vitest';
import { generateCase } from './generator.ts';
import type { Outcome, SeenRequest } from './outcome.ts';
import { randomSeed } from './random.ts';
import { feedAll } from './run.ts';
import { RyegateSide } from './ryegateside.ts';

const CASES = 3000;
const BATCH = 100;

function heads({ requests }: Outcome): string[] {
  return requests.map(({ method, target, version, fields }) =>
    JSON.stringify([method, target, version, ...fields]),
  );
}

/** Whether the client may not send the body, as nobody told it to continue (RFC 9110 10.1.1). */
function mayWithhold(request: SeenRequest | undefined): boolean {
  return request?.fields.includes('expect') === true;
}

// A body that nobody reads must not be taken for requests, nor a request for the rest of a body.
it.each([1, randomSeed()])('unread bodies end where read ones do (seed %d)', async (seed) => {
  const sides = [new RyegateSide(), new RyegateSide(false)] as const;
  let withBody = 0;
  try {
    for (let first = 0; first < CASES; first += BATCH) {
      const cases = Array.from({ length: BATCH }, (_, index) => generateCase(seed, first + index));
      const [reading, ignoring] = await feedAll(sides, cases);
      ignoring.forEach((ignored, index) => {
        const read = reading[index] as Outcome;
        const stopped = mayWithhold(ignored.requests.at(-1)) && ignored.ending === 'closed';
        const expected = stopped ? heads(read).slice(0, ignored.requests.length) : heads(read);
        expect(heads(ignored), `case ${first + index}`).toEqual(expected);
        if (read.requests.slice(0, -1).some(({ body }) => body !== '')) withBody++;
      });
    }
  } finally {
    await Promise.all(sides.map((side) => side.close()));
  }
  expect(withBody, 'cases with a request after a body').toBeGreaterThan(CASES / 10);
});
