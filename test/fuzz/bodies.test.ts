import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BodyReader, ChunkedReader, LengthReader } from '../../src/http/body.ts';
import { HTTPError } from '../../src/http/httperror.ts';
import { resolveLimits } from '../../src/http/limits.ts';
import {
  binaryText,
  cuts,
  endsOf,
  extensions,
  fieldText,
  token,
  whitespace,
} from './arbitraries.ts';
import { mutate } from './mutations.ts';
import { Random } from './random.ts';
import { type Decoded, decodeChunked, FORBIDDEN_NAMES } from './referencedecoder.ts';

const LIMITS = resolveLimits();

interface Outcome extends Decoded {
  /** The code of the refusal, '' without one. */
  code: string;
  done: boolean;
}

/** Feeds the pieces of `text` that end at `ends`, each out of the middle of a buffer of its own. */
function read(reader: BodyReader, text: string, ends: readonly number[]): Outcome {
  let body = '';
  const sink = {
    bodyData: (bytes: Buffer, start: number, end: number) => {
      body += bytes.toString('latin1', start, end);
    },
  };
  let size = 0;
  let code = '';
  try {
    for (const end of ends) {
      const piece = Buffer.from(`0\r\n${text.slice(size, end)}\r\n`, 'latin1');
      size += reader.feed(piece, 3, piece.length - 2, sink);
    }
  } catch (error) {
    if (!(error instanceof HTTPError)) throw error;
    ({ code } = error);
    // How much was taken before depends on the pieces.
    size = 0;
  }
  const trailers = reader instanceof ChunkedReader ? reader.trailers : [];
  return { body, trailers, size, code, done: reader.done };
}

function readChunked(text: string, where: readonly number[] | 'bytes'): Outcome {
  return read(new ChunkedReader(LIMITS), text, endsOf(where, text.length));
}

const chunk = fc.tuple(
  binaryText(40).filter((data) => data !== ''),
  fc.nat(13),
  fc.boolean(),
  extensions,
);
const trailer = fc.tuple(
  token.filter((name) => !FORBIDDEN_NAMES.has(name.toLowerCase())),
  whitespace,
  fieldText,
  whitespace,
);

/** A chunked body and what it is made of. */
const encoded = fc
  .record({
    chunks: fc.array(chunk, { maxLength: 8 }),
    last: fc.tuple(fc.nat(15), extensions),
    trailers: fc.array(trailer, { maxLength: 4 }),
  })
  .map(({ chunks, last: [zeros, extension], trailers }) => {
    const texts = chunks.map(([data, zeros, upper, extension]) => {
      const digits = `${'0'.repeat(zeros)}${data.length.toString(16)}`;
      return `${upper ? digits.toUpperCase() : digits}${extension}\r\n${data}\r\n`;
    });
    const end = `0${'0'.repeat(zeros)}${extension}\r\n`;
    const lines = trailers.map(
      ([name, before, value, after]) => `${name}:${before}${value}${after}\r\n`,
    );
    return {
      text: `${texts.join('')}${end}${lines.join('')}\r\n`,
      body: chunks.map(([data]) => data).join(''),
      trailers: trailers.flatMap(([name, , value]) => [
        name.toLowerCase(),
        value.replace(/^[ \t]+|[ \t]+$/g, ''),
      ]),
    };
  });

const mutated = fc
  .tuple(encoded, fc.integer(), fc.integer({ min: 1, max: 3 }))
  .map(([{ text }, seed, times]) => {
    const random = new Random(seed);
    let changed = text;
    for (let count = times; count > 0; count--) changed = mutate(random, changed);
    return changed;
  });

describe('ChunkedReader', () => {
  it('reads any body in any chunks with any extensions and trailers, and no further', () => {
    fc.assert(
      fc.property(encoded, binaryText(10), cuts, ({ text, body, trailers }, after, where) => {
        const outcome = readChunked(text + after, where);
        expect(outcome).toEqual({ body, trailers, size: text.length, code: '', done: true });
      }),
      { numRuns: 2000 },
    );
  });

  it('needs more for every beginning of a body', () => {
    fc.assert(
      fc.property(encoded, fc.nat(999), cuts, ({ text }, share, where) => {
        const begun = text.slice(0, Math.floor((share * text.length) / 1000));
        const outcome = readChunked(begun, where);
        expect(outcome).toMatchObject({ size: begun.length, code: '', done: false });
      }),
      { numRuns: 2000 },
    );
  });

  it('takes a changed body only as the grammar has it', () => {
    let taken = 0;
    fc.assert(
      fc.property(mutated, cuts, (text, where) => {
        const reference = decodeChunked(text);
        const { body, trailers, size, code, done } = readChunked(text, where);
        expect(done).toBe(reference !== null);
        if (reference === null) return;
        taken++;
        expect({ body, trailers, size, code }).toEqual({ ...reference, code: '' });
      }),
      { numRuns: 10_000 },
    );
    expect(taken).toBeGreaterThan(1000);
  });

  it('refuses alike however the bytes are cut', () => {
    let refused = 0;
    const anything = fc.oneof(mutated, binaryText(60), mutated);
    fc.assert(
      fc.property(anything, cuts, cuts, (text, where, others) => {
        const outcome = readChunked(text, where);
        expect(readChunked(text, others)).toEqual(outcome);
        if (outcome.code !== '') refused++;
      }),
      { numRuns: 5000 },
    );
    expect(refused).toBeGreaterThan(1000);
  });

  it('looks at each byte a few times at most', () => {
    fc.assert(
      fc.property(encoded, cuts, ({ text }, where) => {
        const reader = new ChunkedReader(LIMITS);
        const counted = countReads(Buffer.from(text, 'latin1'));
        let start = 0;
        for (const end of endsOf(where, text.length)) {
          start += reader.feed(counted.bytes, start, end, { bodyData() {} });
        }
        expect(reader.done).toBe(true);
        expect(counted.reads()).toBeLessThanOrEqual(3 * text.length);
      }),
      { numRuns: 500 },
    );
  });
});

/** The bytes with a count of how often one of them is read. */
function countReads(bytes: Buffer): { bytes: Buffer; reads(): number } {
  let reads = 0;
  const proxy = new Proxy(bytes, {
    get(target, key) {
      if (typeof key === 'string' && /^\d+$/.test(key)) reads++;
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { bytes: proxy, reads: () => reads };
}

describe('LengthReader', () => {
  it('reads its length of any bytes in any pieces, and no further', () => {
    fc.assert(
      fc.property(binaryText(200), fc.nat(250), cuts, (text, length, where) => {
        const reader = new LengthReader(length);
        const outcome = read(reader, text, endsOf(where, text.length));
        const body = text.slice(0, length);
        const done = text.length >= length;
        expect(outcome).toEqual({ body, trailers: [], size: body.length, code: '', done });
        expect(reader.remaining).toBe(length - body.length);
      }),
      { numRuns: 2000 },
    );
  });
});
