import { randomUUID } from 'node:crypto';
import { trimOWS } from '../http/grammar.ts';

/** Bytes `start` up to `end`, which is not included, as in `slice(start, end)`. */
export interface ByteRange {
  start: number;
  end: number;
}

/**
 * What a Range field asks for: `'ignored'`, answer as if there were none; `'unsatisfiable'`,
 * answer 416; else one or more ranges that are not empty, do not overlap and lie in the whole.
 */
export type RangeResult = ByteRange[] | 'ignored' | 'unsatisfiable';

const UNIT = 'bytes=';
const SPEC = /^(\d*)-(\d*)$/;

/** Bytes that a further part costs, as RFC 9110 section 15.3.7.2 puts it. */
const PART_OVERHEAD = 80;

/**
 * The ranges that the value of a Range field asks of `size` bytes (RFC 9110 section 14). Ignored
 * are another unit than `bytes`, a malformed or invalid value, more than `most` ranges, several
 * that come to the whole, and any range of nothing (section 14.2 allows all of that). Ranges that
 * overlap or lie less than 80 bytes apart become one (section 15.3.7.2); the order is that in
 * which they were first asked for. A single range is honoured even if it is the whole: media
 * players take the 206 for the sign that they can seek.
 */
export function parseRange(value: string, size: number, most: number): RangeResult {
  if (size === 0 || value.slice(0, UNIT.length).toLowerCase() !== UNIT) return 'ignored';
  const ranges: ByteRange[] = [];
  let count = 0;
  for (let from = UNIT.length, to = 0; to < value.length; from = to + 1) {
    const comma = value.indexOf(',', from);
    to = comma === -1 ? value.length : comma;
    // The grammar has no space after "=", but the examples of section 14.1.2 do.
    const spec = trimOWS(value.slice(from, to));
    if (spec === '') continue;
    count++;
    const range = count > most ? undefined : parseSpec(spec, size);
    if (range === undefined) return 'ignored';
    if (range.start < range.end) ranges.push(range);
  }
  if (count === 0) return 'ignored';
  if (ranges.length === 0) return 'unsatisfiable';
  return count === 1 ? ranges : coalesce(ranges, size);
}

/** A range-spec cut to `size`, empty if it cannot be satisfied; undefined if it is invalid. */
function parseSpec(spec: string, size: number): ByteRange | undefined {
  const parts = SPEC.exec(spec);
  if (parts === null) return undefined;
  const first = parts[1] as string;
  const last = parts[2] as string;
  if (first === '') {
    return last === '' ? undefined : { start: Math.max(0, size - Number(last)), end: size };
  }
  const start = Math.min(Number(first), size);
  if (last === '') return { start, end: size };
  return isLess(last, first) ? undefined : { start, end: Math.min(Number(last) + 1, size) };
}

/** Compares digits of any length: those of more than 2^53 may be equal as numbers only. */
function isLess(left: string, right: string): boolean {
  const number = Number(left);
  if (number !== Number(right) || number <= Number.MAX_SAFE_INTEGER) return number < Number(right);
  const digits = left.replace(/^0+/, '');
  const others = right.replace(/^0+/, '');
  return digits.length === others.length ? digits < others : digits.length < others.length;
}

function coalesce(ranges: ByteRange[], size: number): RangeResult {
  const ascending = ranges.map((range, place) => ({ range, place }));
  ascending.sort((a, b) => a.range.start - b.range.start);
  const merged: typeof ascending = [];
  for (const next of ascending) {
    const before = merged.at(-1);
    if (before === undefined || next.range.start - before.range.end >= PART_OVERHEAD) {
      merged.push(next);
      continue;
    }
    before.range.end = Math.max(before.range.end, next.range.end);
    before.place = Math.min(before.place, next.place);
  }
  const result = merged.sort((a, b) => a.place - b.place).map(({ range }) => range);
  const [{ start, end }] = result as [ByteRange];
  return end - start === size ? 'ignored' : result;
}

/** The Content-Range of a 206 with one range, or of a part (RFC 9110 section 14.4). */
export function contentRange({ start, end }: ByteRange, size: number): string {
  return `bytes ${start}-${end - 1}/${size}`;
}

/** The Content-Range of a 416 (RFC 9110 section 14.4). */
export function unsatisfiedContentRange(size: number): string {
  return `bytes */${size}`;
}

/** The body of a 206 with several ranges (RFC 9110 section 14.6), but for the bytes themselves. */
export interface MultipartByteRanges {
  /** The Content-Type of the response, which must not have a Content-Range (section 15.3.7.2). */
  contentType: string;
  /** Of the whole body. */
  contentLength: number;
  /** What goes before the bytes of each range, in their order. */
  heads: Buffer[];
  /** What goes after the bytes of the last range. */
  tail: Buffer;
}

/**
 * Frames `ranges` of `size` bytes as multipart/byteranges. `contentType` is what the whole would
 * have been sent with; it is not checked here. The default `boundary` cannot be foreseen, so that
 * no content can have been made to hold it.
 */
export function multipartByteRanges(
  ranges: readonly ByteRange[],
  size: number,
  contentType: string | undefined,
  boundary: string = randomUUID(),
): MultipartByteRanges {
  const typeLine = contentType === undefined ? '' : `Content-Type: ${contentType}\r\n`;
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1');
  let contentLength = tail.length;
  const heads = ranges.map((range, i) => {
    const delimiter = `${i === 0 ? '' : '\r\n'}--${boundary}\r\n`;
    const rangeLine = `Content-Range: ${contentRange(range, size)}\r\n`;
    const head = Buffer.from(`${delimiter}${typeLine}${rangeLine}\r\n`, 'latin1');
    contentLength += head.length + range.end - range.start;
    return head;
  });
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    contentLength,
    heads,
    tail,
  };
}
