import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ByteRange,
  contentRange,
  multipartByteRanges,
  parseRange,
  type RangeResult,
  unsatisfiedContentRange,
} from '../../src/files/ranges.ts';

const MOST = 16;
const HUGE = '9'.repeat(400);

/** Ranges written as in HTTP: `0-9,20-29`. */
function shown(result: RangeResult): string {
  if (typeof result === 'string') return result;
  return result.map(({ start, end }) => `${start}-${end - 1}`).join(',');
}

describe('parseRange of 1000 bytes', () => {
  it.each([
    ['bytes=0-499', '0-499', '14.1.2: the first 500'],
    ['bytes=500-999', '500-999', '14.1.2: the second 500'],
    ['bytes=-500', '500-999', '14.1.2: the last 500'],
    ['bytes=500-', '500-999', '14.1.2: from a position on'],
    ['bytes=0-0', '0-0', 'one byte'],
    ['bytes=0-0,-1', '0-0,999-999', '14.1.2: the first and the last'],
    ['bytes= 0-99, 450-549, -100', '0-99,450-549,900-999', '14.1.2: as its example is spaced'],
    ['bytes=0-', '0-999', 'the whole, asked for as one range'],
    ['bytes=0-999', '0-999', 'the whole, asked for as one range'],
    ['bytes=-1000', '0-999', 'the whole, asked for as one range'],
    ['bytes=0-1000', '0-999', '14.1.2: last-pos cut'],
    [`bytes=999-${HUGE}`, '999-999', '14.1.2: last-pos cut'],
    ['bytes=-1001', '0-999', '14.1.2: suffix-length cut'],
    [`bytes=-${HUGE}`, '0-999', '14.1.2: suffix-length cut'],
    ['bytes=0000-0009', '0-9', '14.1.1: 1*DIGIT'],
    ['BYTES=0-9', '0-9', '14.1: the unit in any case'],
    ['bYtEs=0-9', '0-9', '14.1: the unit in any case'],
    ['bytes=0-9,', '0-9', '5.6.1.2: an empty member'],
    ['bytes=,0-9', '0-9', '5.6.1.2: an empty member'],
    ['bytes=0-9 \t,\t , 200-209', '0-9,200-209', '5.6.1: OWS about commas'],
    ['bytes=1000-', 'unsatisfiable', '14.1.2: first-pos beyond the end'],
    ['bytes=1000-1000', 'unsatisfiable', '14.1.2: first-pos beyond the end'],
    [`bytes=${HUGE}-`, 'unsatisfiable', '14.1.2: first-pos beyond the end'],
    [`bytes=${HUGE}-${HUGE}`, 'unsatisfiable', '14.1.2: first-pos beyond the end'],
    ['bytes=-0', 'unsatisfiable', '14.1.2: no suffix'],
    ['bytes=-000,1000-', 'unsatisfiable', '14.1.2: nothing of it can be satisfied'],
    ['bytes=1000-,0-9', '0-9', '14.1.2: one of it can be satisfied'],
    ['bytes=-0,5-6', '5-6', '14.1.2: one of it can be satisfied'],
    ['bytes=9007199254740993-9007199254740993', 'unsatisfiable', 'equal beyond 2^53'],
    ['bytes=9007199254740992-0009007199254740993', 'unsatisfiable', 'ascending beyond 2^53'],
    ['bytes=9007199254740993-9007199254740992', 'ignored', '14.1.1: last < first beyond 2^53'],
    [`bytes=1${HUGE}-${HUGE}`, 'ignored', '14.1.1: last < first beyond 2^1024'],
    ['bytes=1-0', 'ignored', '14.1.1: last < first'],
    ['bytes=0-9,1-0', 'ignored', '14.1.1: an invalid one makes all invalid'],
    ['bytes=2000-1000', 'ignored', '14.1.1: last < first'],
    ['', 'ignored', 'no unit'],
    ['bytes', 'ignored', 'no ranges'],
    ['bytes=', 'ignored', '14.1.1: 1#range-spec'],
    ['bytes=, ,', 'ignored', '14.1.1: 1#range-spec'],
    ['bytes=-', 'ignored', '14.1.1: no position'],
    ['bytes=0', 'ignored', '14.1.1: no hyphen'],
    ['bytes=0--9', 'ignored', '14.1.1: two hyphens'],
    ['bytes=--9', 'ignored', '14.1.1: two hyphens'],
    ['bytes=0-9-', 'ignored', '14.1.1: two hyphens'],
    ['bytes=+5-9', 'ignored', '14.1.1: DIGIT'],
    ['bytes=0-+9', 'ignored', '14.1.1: DIGIT'],
    ['bytes=0x0-9', 'ignored', '14.1.1: DIGIT'],
    ['bytes=1e1-20', 'ignored', '14.1.1: DIGIT'],
    ['bytes=1_0-20', 'ignored', '14.1.1: DIGIT'],
    ['bytes=0.0-9', 'ignored', '14.1.1: DIGIT'],
    ['bytes=\u0661-9', 'ignored', '14.1.1: DIGIT'],
    ['bytes=0 -9', 'ignored', '14.1.1: no space within'],
    ['bytes=0- 9', 'ignored', '14.1.1: no space within'],
    ['bytes=0-9 10-20', 'ignored', '5.6.1: no comma'],
    ['bytes=0-9;10-20', 'ignored', '5.6.1: no comma'],
    ['bytes=0-9\xa0', 'ignored', '5.6.3: OWS is SP and HTAB'],
    ['bytes=0-9\n', 'ignored', '5.6.3: OWS is SP and HTAB'],
    ['bytes =0-9', 'ignored', '14.1.1: no space before "="'],
    [' bytes=0-9', 'ignored', '5.5: a value has no space around it'],
    ['bytes:0-9', 'ignored', '14.1.1: "="'],
    ['octets=0-9', 'ignored', '14.2: another unit'],
    ['none=0-9', 'ignored', '14.2: another unit'],
    ['0-9', 'ignored', 'no unit'],
    ['bytes=0-9, bytes=20-29', 'ignored', '5.3: two field lines'],
  ])('%s: %s (%s)', (value, expected) => {
    expect(shown(parseRange(value, 1000, MOST))).toBe(expected);
  });

  it.each([
    ['bytes=0-9,5-14', '0-14', 'overlapping'],
    ['bytes=0-9,10-19', '0-19', 'adjacent'],
    ['bytes=0-9,89-99', '0-99', 'a gap of 79'],
    ['bytes=0-9,90-99', '0-9,90-99', 'a gap of 80'],
    ['bytes=0-99,20-29', '0-99', 'one in the other'],
    ['bytes=20-29,0-99', '0-99', 'one in the other'],
    ['bytes=5-5,5-5,5-5', '5-5', 'the same again'],
    ['bytes=500-509,0-9', '500-509,0-9', 'the order is kept'],
    ['bytes=500-509,0-9,510-519', '500-519,0-9', 'the place of the first'],
    ['bytes=510-519,0-9,500-509', '500-519,0-9', 'the place of the first'],
    ['bytes=0-9,600-609,300-309,310-319', '0-9,600-609,300-319', 'the order is kept'],
    ['bytes=0-499,500-999', 'ignored', 'the whole in halves'],
    ['bytes=500-999,0-499', 'ignored', 'the whole in halves'],
    ['bytes=0-,0-,0-', 'ignored', 'the whole three times'],
    ['bytes=0-,2000-', 'ignored', 'the whole and more'],
    ['bytes=0-450,500-', 'ignored', 'the whole but for a small gap'],
    ['bytes=0-998,5-5', '0-998', 'all but a byte'],
  ])('%s: %s (15.3.7.2: %s)', (value, expected) => {
    expect(shown(parseRange(value, 1000, MOST))).toBe(expected);
  });

  it.each([
    [1, 'bytes=0-9', '0-9'],
    [1, 'bytes=0-9,,', '0-9'],
    [1, 'bytes=0-9,500-509', 'ignored'],
    [2, 'bytes=0-9,500-509', '0-9,500-509'],
    [2, 'bytes=0-9,5-6,7-8', 'ignored'],
    [2, 'bytes=0-9,1000-,2000-', 'ignored'],
    [0, 'bytes=0-9', 'ignored'],
  ])('at most %d: %s: %s', (most, value, expected) => {
    expect(shown(parseRange(value, 1000, most))).toBe(expected);
  });

  it.each(['bytes=0-', 'bytes=0-0', 'bytes=5-', 'bytes=-1', 'bytes=-0'])(
    'ignores %s of nothing (14.2 allows it; no Content-Range could tell of no byte)',
    (value) => {
      expect(parseRange(value, 0, MOST)).toBe('ignored');
    },
  );

  it('counts in bytes up to 2^53 - 1', () => {
    const size = Number.MAX_SAFE_INTEGER;
    expect(parseRange(`bytes=${size - 1}-`, size, MOST)).toEqual([{ start: size - 1, end: size }]);
    expect(parseRange(`bytes=-${size + 1}`, size, MOST)).toEqual([{ start: 0, end: size }]);
    expect(parseRange(`bytes=${size}-`, size, MOST)).toBe('unsatisfiable');
    const last = `bytes=5368709120-${size - 2}`;
    expect(parseRange(last, size, MOST)).toEqual([{ start: 5_368_709_120, end: size - 1 }]);
  });
});

type Spec = [first: bigint | undefined, last: bigint | undefined];

/** Section 14.1.2 for one spec, byte by byte. */
function bytesOf([first, last]: Spec, size: number): Set<number> {
  const all = Array.from({ length: size }, (_, i) => i);
  if (first === undefined) return new Set(all.filter((i) => BigInt(size - i) <= (last as bigint)));
  return new Set(all.filter((i) => i >= first && (last === undefined || i <= last)));
}

function wanted(specs: Spec[], size: number): Set<number> {
  return new Set(specs.flatMap((spec) => [...bytesOf(spec, size)]));
}

const position = fc.bigInt({ min: 0n, max: 1500n });
const huge = fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n });
const none = fc.constant(undefined);
const spec: fc.Arbitrary<Spec> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .tuple(position, fc.bigInt(0n, 60n))
      .map(([first, more]): Spec => [first, first + more]),
  },
  { weight: 2, arbitrary: fc.tuple(position, none) },
  { weight: 2, arbitrary: fc.tuple(none, position) },
  { weight: 1, arbitrary: fc.tuple(position, huge) },
  { weight: 1, arbitrary: fc.tuple(huge, huge) },
);
const separator = fc.stringMatching(/^[ \t]{0,2},[ \t,]{0,2}$/);
const zeros = fc.stringMatching(/^0{0,2}$/);
const written = fc.array(fc.tuple(spec, separator, zeros), { minLength: 1, maxLength: 6 });

function isInvalid([first, last]: Spec): boolean {
  return first !== undefined && last !== undefined && last < first;
}

function textOf(members: [Spec, string, string][]): string {
  const specs = members.map(([[first, last], comma, zero], i) => {
    const positions = [first, last].map((value) => (value === undefined ? '' : zero + value));
    const text = positions.join('-');
    return i === members.length - 1 ? text : text + comma;
  });
  return `bytes=${specs.join('')}`;
}

function checkRanges(result: ByteRange[], specs: Spec[], size: number): void {
  const bytes = wanted(specs, size);
  const sent = result.map(({ start, end }) =>
    Array.from({ length: end - start }, (_, i) => start + i),
  );
  const flat = sent.flat();
  // All that was asked for, no byte twice.
  expect(flat.length).toBe(new Set(flat).size);
  const sentBytes = new Set(flat);
  expect([...bytes].filter((byte) => !sentBytes.has(byte))).toEqual([]);
  for (const { start, end } of result) {
    // It begins and ends with a byte that was asked for, and has no gap of 80 bytes within.
    expect(bytes.has(start) && bytes.has(end - 1)).toBe(true);
    let gap = 0;
    for (let i = start; i < end; i++) {
      gap = bytes.has(i) ? 0 : gap + 1;
      expect(gap).toBeLessThan(80);
    }
  }
  const ascending = [...result].sort((a, b) => a.start - b.start);
  for (const [i, { start }] of ascending.entries()) {
    const before = ascending[i - 1];
    if (before !== undefined) expect(start - before.end).toBeGreaterThanOrEqual(80);
  }
  // Each stands where the first spec stood that it answers.
  const place = ({ start, end }: ByteRange): number =>
    specs.findIndex((spec) => [...bytesOf(spec, size)].some((i) => i >= start && i < end));
  const places = result.map(place);
  expect(places).toEqual([...places].sort((a, b) => a - b));
}

/** Several specs that leave no gap of 80 bytes, neither within nor at the ends. */
function checkWhole(specs: Spec[], size: number): void {
  expect(specs.length).toBeGreaterThan(1);
  const bytes = wanted(specs, size);
  expect(bytes.has(0) && bytes.has(size - 1)).toBe(true);
  const ascending = [...bytes].sort((a, b) => a - b);
  const gaps = ascending.map((byte, i) => byte - (ascending[i - 1] ?? -1) - 1);
  expect(Math.max(...gaps)).toBeLessThan(80);
}

describe('parseRange of any specs', () => {
  it('sends the bytes of section 14.1.2, coalesced as section 15.3.7.2 allows', () => {
    fc.assert(
      fc.property(written, fc.integer({ min: 1, max: 1500 }), (members, size) => {
        const specs = members.map(([member]) => member);
        const result = parseRange(textOf(members), size, MOST);
        if (specs.some(isInvalid)) expect(result).toBe('ignored');
        else if (wanted(specs, size).size === 0) expect(result).toBe('unsatisfiable');
        else if (result === 'ignored') checkWhole(specs, size);
        else checkRanges(result as ByteRange[], specs, size);
      }),
      { numRuns: 600 },
    );
  });

  it('takes no text that the grammar does not have', () => {
    const grammar =
      /^bytes=[ \t,]*(?:\d+-\d*|-\d+)[ \t]*(?:,[ \t,]*(?:(?:\d+-\d*|-\d+)[ \t]*)?)*$/i;
    const piece = fc.constantFrom('0', '7', '-', '-', ',', ' ', '\t', '+', 'x', '=', '0-5', '-5');
    const texts = fc.array(piece, { maxLength: 8 }).map((pieces) => `bytes=${pieces.join('')}`);
    fc.assert(
      fc.property(texts, (text) => {
        if (!grammar.test(text)) expect(parseRange(text, 10, MOST)).toBe('ignored');
      }),
      { numRuns: 5000 },
    );
  });
});

// What grows with the square of the length would take minutes here.
describe('a megabyte of hostile input', () => {
  const LENGTH = 1_000_000;
  it.each([
    ['0-,'],
    ['-1,'],
    ['5-5,'],
    [','],
    [' '],
    ['\t,'],
    ['-'],
    ['0'],
    ['9'],
    ['0-0 '],
    ['1000-,'],
  ])('%j', (text) => {
    const value = `bytes=${text.repeat(LENGTH / text.length)}`;
    expect(parseRange(value, 1000, MOST)).toBe('ignored');
    expect(parseRange(`${value}x`, 1000, Infinity)).toBe('ignored');
  });

  it('digits', () => {
    const nines = '9'.repeat(LENGTH);
    const zeros = '0'.repeat(LENGTH);
    expect(parseRange(`bytes=${nines}-${nines}`, 1000, MOST)).toBe('unsatisfiable');
    expect(parseRange(`bytes=${zeros}1-${zeros}2`, 1000, MOST)).toEqual([{ start: 1, end: 3 }]);
    expect(parseRange(`bytes=${nines}-${zeros}${nines.slice(1)}`, 1000, MOST)).toBe('ignored');
  });

  it('ranges by the hundred thousand, when they are let through', () => {
    const specs = Array.from({ length: 300_000 }, (_, i) => `${i * 100}-${i * 100}`).reverse();
    const result = parseRange(`bytes=${specs.join(',')}`, 1e9, Infinity);
    expect(result).toHaveLength(300_000);
    const overlapping = specs.map((spec) => spec.replace(/-.*/, '-'));
    const all = parseRange(`bytes=${overlapping.join(',')}`, 1e9, Infinity);
    expect(all).toBe('ignored');
  });
});

describe('Content-Range', () => {
  it('has inclusive positions (section 14.4)', () => {
    expect(contentRange({ start: 42, end: 1234 }, 1234)).toBe('bytes 42-1233/1234');
    expect(contentRange({ start: 0, end: 1 }, 5_368_709_120)).toBe('bytes 0-0/5368709120');
    expect(unsatisfiedContentRange(1234)).toBe('bytes */1234');
  });
});

describe('multipartByteRanges', () => {
  const content = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 256));
  const ranges = [
    { start: 500, end: 600 },
    { start: 0, end: 1 },
    { start: 999, end: 1000 },
  ];

  function bodyOf(framing: ReturnType<typeof multipartByteRanges>): Buffer {
    const parts = ranges.flatMap(({ start, end }, i) => [
      framing.heads[i] as Buffer,
      content.subarray(start, end),
    ]);
    return Buffer.concat([...parts, framing.tail]);
  }

  it('writes what section 14.6 shows', () => {
    const framing = multipartByteRanges(ranges, 1000, 'text/html; charset=utf-8', 'THE_BOUNDARY');
    expect(framing.contentType).toBe('multipart/byteranges; boundary=THE_BOUNDARY');
    const part = (range: string, bytes: Buffer): string =>
      '--THE_BOUNDARY\r\nContent-Type: text/html; charset=utf-8\r\n' +
      `Content-Range: bytes ${range}/1000\r\n\r\n${bytes.toString('latin1')}\r\n`;
    const expected =
      part('500-599', content.subarray(500, 600)) +
      part('0-0', content.subarray(0, 1)) +
      part('999-999', content.subarray(999)) +
      '--THE_BOUNDARY--\r\n';
    expect(bodyOf(framing).toString('latin1')).toBe(expected);
    expect(framing.contentLength).toBe(expected.length);
  });

  it('has no Content-Type in the parts of what has none', () => {
    const framing = multipartByteRanges(ranges, 1000, undefined);
    expect(framing.heads.join('')).not.toContain('Content-Type');
    expect(framing.contentLength).toBe(bodyOf(framing).length);
  });

  it('is read back by an independent parser, with a boundary of its own each time', async () => {
    const boundaries = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const framing = multipartByteRanges(ranges, 1000, 'image/png');
      const boundary = /boundary=(.*)$/.exec(framing.contentType)?.[1] as string;
      // RFC 2046 section 5.1.1, and a token, so that it needs no quotes.
      expect(boundary).toMatch(/^[0-9A-Za-z'+_.-]{20,70}$/);
      boundaries.add(boundary);
      const pieces = `\r\n${bodyOf(framing).toString('latin1')}`.split(`\r\n--${boundary}`);
      expect(pieces.shift()).toBe('');
      expect(pieces.pop()).toBe('--\r\n');
      const bodies = pieces.map((piece) => piece.slice(piece.indexOf('\r\n\r\n') + 4));
      const sent = ranges.map(({ start, end }) => content.toString('latin1', start, end));
      expect(bodies).toEqual(sent);
    }
    expect(boundaries.size).toBe(20);
  });

  it('counts beyond 2 GiB', () => {
    const size = 5_368_709_120;
    const framing = multipartByteRanges(
      [
        { start: 0, end: 3_000_000_000 },
        { start: 4_000_000_000, end: size },
      ],
      size,
      undefined,
    );
    const framed = [...framing.heads, framing.tail].reduce((sum, { length }) => sum + length, 0);
    expect(framing.contentLength).toBe(framed + 3_000_000_000 + size - 4_000_000_000);
  });
});
