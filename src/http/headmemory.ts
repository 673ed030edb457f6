import { viewOf } from './byteview.ts';
import type { RequestHead } from './head.ts';

/** So many connections have a head kept at a time, each of so many bytes at most: 1 MiB in all. */
const PLACES = 1024;
const MOST_BYTES = 1024;

/** So often in vain is a head kept of a connection whose heads do not repeat. */
const TRIES = 3;

/** Whose head has each place of the pool. */
const holders: (HeadMemory | undefined)[] = [];
let pool: DataView | null = null;
let lastPlace = 0;

/** Whether the `length` bytes behind the first `skipped` of a place are what stands at `start`. */
function matches(
  place: number,
  skipped: number,
  length: number,
  bytes: Buffer,
  start: number,
  end: number,
): boolean {
  if (end - start < length) return false;
  const ours = pool as DataView;
  const theirs = viewOf(bytes);
  // As numbers of eight bytes, for a tenth of the time of single ones. Those that equal another
  // spelling, or may be taken for zero where a thread flushes the smallest to it, begin with a NUL
  // or 0x80, and are not kept. What is no number equals nothing, and so is parsed.
  // The last eight may be some that were compared before.
  const offset = place * MOST_BYTES + skipped;
  const last = length - 8;
  for (let i = 0; i < last; i += 8) {
    if (ours.getFloat64(offset + i, true) !== theirs.getFloat64(start + i, true)) return false;
  }
  return ours.getFloat64(offset + last, true) === theirs.getFloat64(start + last, true);
}

/**
 * What a client sends again and again on one connection: its header fields, often with the same
 * request line. To parse them anew takes most of the time that HTTP takes of a small request.
 *
 * Nothing is taken for known but the very same bytes, which were parsed by the same rules.
 */
export class HeadMemory {
  /** The kept head. No other connection finds it: the time it takes would tell what is in it. */
  private head: RequestHead | null = null;
  /** Bytes of its request line with its CRLF. */
  private lineLength = 0;
  /** Bytes of the kept head; for others to read. */
  length = 0;
  private readonly place: number;
  private tries = TRIES;
  /** Bytes of the fields of the last head that was parsed. */
  private lastLength = 0;

  constructor() {
    lastPlace = (lastPlace + 1) % PLACES;
    this.place = lastPlace;
  }

  /** The head that begins at `start`, if it is the kept one; it takes `length` bytes then. */
  recall(bytes: Buffer, start: number, end: number): RequestHead | null {
    const { head } = this;
    if (head === null || !matches(this.place, 0, this.length, bytes, start, end)) return null;
    this.tries = TRIES;
    return head;
  }

  /**
   * Reads the fields at `from`, behind a request line of HTTP/1.1 that is another, if they are the
   * kept ones. Bytes taken, or 0.
   */
  recallFields(bytes: Buffer, from: number, end: number, head: RequestHead): number {
    const known = this.head;
    const { place, lineLength } = this;
    const length = this.length - lineLength;
    if (known === null || !matches(place, lineLength, length, bytes, from, end)) return 0;
    head.fields = known.fields;
    head.contentLength = known.contentLength;
    head.chunked = known.chunked;
    head.keepAlive = known.keepAlive;
    head.expectContinue = known.expectContinue;
    return length;
  }

  /** Keeps the head at `start..end`, which was parsed, if it seems worth it. */
  keep(bytes: Buffer, start: number, fieldsStart: number, end: number, head: RequestHead): void {
    const repeats = end - fieldsStart === this.lastLength;
    this.lastLength = end - fieldsStart;
    // Shorter fields have not even a Host.
    const isSuitable = head.minor === 1 && end - start <= MOST_BYTES && end - fieldsStart >= 8;
    if (this.tries === 0) {
      // What was kept in vain is not compared any longer.
      this.head = null;
      return;
    }
    if (!repeats || !isSuitable) return;
    this.tries--;
    // The first of them cannot be in a head that was parsed.
    if (bytes.subarray(start, end).includes(0x80)) return;
    pool ??= new DataView(new ArrayBuffer(PLACES * MOST_BYTES));
    bytes.copy(new Uint8Array(pool.buffer), this.place * MOST_BYTES, start, end);
    const holder = holders[this.place];
    if (holder !== undefined) holder.head = null;
    holders[this.place] = this;
    this.head = head;
    this.lineLength = fieldsStart - start;
    this.length = end - start;
  }

  /** The connection is over. */
  forget(): void {
    this.head = null;
    if (holders[this.place] === this) holders[this.place] = undefined;
  }
}
