import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHead, RequestHead } from '../../src/http/head.ts';
import { HTTPError } from '../../src/http/httperror.ts';
import { type Limits, resolveLimits } from '../../src/http/limits.ts';
import { binaryText, cuts, endsOf } from './arbitraries.ts';
import { generateCase } from './generator.ts';

/**
 * A buffer of `text` and nothing else, with no memory around it that a view could show. Of single
 * bytes, those beyond it would be undefined: to read one throws.
 */
function fenced(text: string): Buffer {
  const bytes = Buffer.from(new ArrayBuffer(text.length));
  bytes.write(text, 'latin1');
  return new Proxy(bytes, {
    get(target, key) {
      if (key === 'buffer' || key === 'byteOffset' || key === 'length') return target[key];
      if (typeof key === 'string' && /^-?\d+$/.test(key)) {
        const byte = target[Number(key)];
        if (byte === undefined) throw new Error(`byte ${key} is read`);
        return byte;
      }
      if (key !== 'latin1Slice') throw new Error(`${String(key)} is used`);
      return (from: number, to: number) => {
        if (from < 0 || to > text.length) throw new Error(`bytes ${from} to ${to} are read`);
        return target.toString('latin1', from, to);
      };
    },
  });
}

type Place = (text: string) => { bytes: Buffer; start: number };

/** In the midst of a buffer, with the same on both sides. */
function amid(around: string): Place {
  return (text) => ({
    bytes: Buffer.from(around + text + around, 'latin1'),
    start: around.length,
  });
}

/** Whatever is read beyond the bytes of a head, by whatever means, one of these makes a difference. */
const PLACES: readonly Place[] = [
  (text) => ({ bytes: fenced(text), start: 0 }),
  amid('a:a:a:a'),
  amid('\r\n\r\n\r\n'),
  amid('\0\x7f\0\x7f\0'),
];

/** Visible, SP, HTAB or from 0x80 on. */
function isVisible(character: string): boolean {
  return character === '\t' || (character >= ' ' && character !== '\x7f');
}

type Parsed = { taken: number; head: object } | Pick<HTTPError, 'code' | 'status' | 'message'>;

/** Parses what has come up to each of `ends`, which must give the same wherever it stands. */
function parse(text: string, ends: readonly number[], limits: Limits): Parsed {
  const [parsed, ...others] = PLACES.map((place) => parseIn(place, text, ends, limits));
  for (const other of others) expect(other).toEqual(parsed);
  return parsed as Parsed;
}

function parseIn(place: Place, text: string, ends: readonly number[], limits: Limits): Parsed {
  const head = new RequestHead();
  let taken = 0;
  try {
    for (const end of ends) {
      const { bytes, start } = place(text.slice(0, end));
      taken = parseHead(bytes, start, start + end, limits, head);
      if (taken > 0) break;
    }
  } catch (error) {
    if (!(error instanceof HTTPError)) throw error;
    return { code: error.code, status: error.status, message: error.message };
  }
  // What is kept of a head that is not complete may differ.
  return { taken, head: taken > 0 ? { ...head } : {} };
}

const stream = fc
  .tuple(fc.nat(999_999), fc.nat(999_999))
  .map(([seed, number]) => generateCase(seed, number).bytes.toString('latin1'));
/** Of the characters that a head is made of. */
const likely = fc.string({
  unit: fc.constantFrom(...'GET / HTTP/1.1\r\n\r\nHost: a\r\n:\t _-x0'),
  maxLength: 80,
});
const text = fc.oneof(
  { arbitrary: stream, weight: 6 },
  { arbitrary: likely, weight: 2 },
  { arbitrary: binaryText(80), weight: 1 },
  {
    arbitrary: likely.map((rest) => `GET / HTTP/1.1\r\nHost: a\r\n${rest}`),
    weight: 3,
  },
);
const limits = fc
  .record(
    {
      requestLine: fc.integer({ min: 14, max: 100 }),
      headerBytes: fc.integer({ min: 18, max: 300 }),
      headerCount: fc.integer({ min: 1, max: 6 }),
      headerField: fc.integer({ min: 5, max: 60 }),
      bodyBytes: fc.constantFrom(0, 10),
      underscoreHeaders: fc.constantFrom('drop' as const, 'refuse' as const),
    },
    { requiredKeys: [] },
  )
  .map((partial) => resolveLimits(partial));

describe('parseHead', () => {
  it('makes the same of any bytes however they are cut, and reads none beyond them', () => {
    const outcomes = { taken: 0, incomplete: 0, refused: 0 };
    fc.assert(
      fc.property(text, limits, cuts, (bytes, limits, where) => {
        const whole = parse(bytes, [bytes.length], limits);
        expect(parse(bytes, endsOf(where, bytes.length), limits)).toEqual(whole);
        if ('code' in whole) outcomes.refused++;
        else if (whole.taken === 0) outcomes.incomplete++;
        else outcomes.taken++;
      }),
      { numRuns: 5000 },
    );
    expect(Math.min(...Object.values(outcomes)), JSON.stringify(outcomes)).toBeGreaterThan(200);
  });

  it('makes the same of a head whatever follows it', () => {
    fc.assert(
      fc.property(text, limits, binaryText(20), (bytes, limits, after) => {
        const alone = parse(bytes, [bytes.length], limits);
        if ('taken' in alone && alone.taken === 0) return;
        const followed = `${bytes}${after}`;
        expect(parse(followed, [followed.length], limits)).toEqual(alone);
      }),
      { numRuns: 3000 },
    );
  });

  it('gives fields that hold what was sent and nothing that could end a line', () => {
    fc.assert(
      fc.property(text, (bytes) => {
        const parsed = parse(bytes, [bytes.length], resolveLimits());
        if (!('taken' in parsed) || parsed.taken === 0) return;
        const head = parsed.head as RequestHead;
        const sent = bytes.slice(0, parsed.taken).toLowerCase();
        head.fields.forEach((part, index) => {
          if (index % 2 === 0) expect(part).toMatch(/^[!#$%&'*+.^`|~0-9a-z-]+$/);
          else expect([...part].every(isVisible)).toBe(true);
          expect(part).not.toMatch(/^[ \t]|[ \t]$/);
          expect(sent).toContain(part.toLowerCase());
        });
        expect(head.chunked && head.contentLength !== -1).toBe(false);
      }),
      { numRuns: 3000 },
    );
  });
});
