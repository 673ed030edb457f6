import { describe, expect, it } from 'vitest';
import type { Outcome } from './outcome.ts';
import { type Random, randomOfCase, randomSeed } from './random.ts';
import { feedAll } from './run.ts';
import { RyegateSide } from './ryegateside.ts';
import { HOUR, longRun } from './settings.ts';

const BATCH = 64;
const NORMAL = Buffer.from('GET /normal HTTP/1.1\r\nHost: a\r\n\r\n');

/** Bytes that mean something to a parser, so that it looks at more than the first of them. */
const ALPHABET = Buffer.from(
  '\r\n\r\n :;=,/?*0159aAfF"\\-_.\t\0\xffGETPOSTHTTP/1.1Host:chunked',
  'latin1',
);
const BEGINNINGS = [
  '',
  'GET ',
  'GET / HTTP/1.1\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n',
  '\x16\x03\x01\x02\x00',
];

interface Junk {
  bytes: Buffer;
  ends: number[];
}

function makeJunk(random: Random): Junk {
  const telling = random.chance(60);
  const beginning = Buffer.from(random.pick(BEGINNINGS), 'latin1');
  const length = random.pick([1, 10, 100, 1000, 20_000]);
  const tail = Buffer.allocUnsafe(random.between(1, length));
  for (let at = 0; at < tail.length; at++) {
    tail[at] = telling ? random.pick(ALPHABET) : random.below(256);
  }
  const bytes = Buffer.concat([beginning, tail]);
  const ends = [random.between(1, bytes.length), bytes.length].sort((a, b) => a - b);
  return { bytes, ends };
}

/**
 * Runs `cases` connections of random bytes. That each gets well-formed answers or none, only errors
 * but for requests that were run, and is closed in the end, is what `RyegateSide` sees to.
 */
async function flood(seed: number, cases: number): Promise<Record<Outcome['ending'], number>> {
  const side = new RyegateSide();
  const endings = { waiting: 0, closed: 0, refused: 0 };
  try {
    for (let done = 0; done < cases; done += BATCH) {
      const junk = Array.from({ length: BATCH }, (_, index) =>
        makeJunk(randomOfCase(seed, done + index)),
      );
      const [outcomes] = await feedAll([side] as const, junk);
      for (const { ending } of outcomes) endings[ending]++;
      const [[normal]] = await feedAll([side] as const, [{ bytes: NORMAL, ends: [NORMAL.length] }]);
      expect(normal?.requests, 'a normal request afterwards').toMatchObject([
        { target: '/normal' },
      ]);
    }
  } finally {
    await side.close();
  }
  return endings;
}

const settings = longRun();

describe.skipIf(settings?.only !== undefined)('random bytes', () => {
  const seed = settings?.seed ?? randomSeed();
  const cases = settings === null ? 1000 : settings.cases / 10;

  it(`are answered with errors or not at all (seed ${seed})`, { timeout: HOUR }, async () => {
    const endings = await flood(seed, cases);
    console.log(`random bytes: ${cases} connections with seed ${seed}: ${JSON.stringify(endings)}`);
    expect(endings.refused).toBeGreaterThan(cases / 2);
  });
});
