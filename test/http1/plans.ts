import type { Case } from './casefile.ts';

/** A valid request that can stand before any other. */
const BEFORE = Buffer.from('GET /before HTTP/1.1\r\nHost: a\r\n\r\n');
/** One that can stand after any other. */
const AFTER = Buffer.from('GET /after HTTP/1.1\r\nHost: a\r\n\r\n');

/**
 * Longer ones consist of padding, and a round for each of its bytes would tell nothing new: they
 * are parted at every offset at their edges, and at each multiple of a prime between.
 */
const SHORT = 400;
const EDGE = 100;
const STRIDE = 997;

/** A way to send a case. */
export interface Plan {
  readonly item: Case;
  /** Each is received before the next is sent. */
  readonly pieces: readonly Buffer[];
  /** `BEFORE` comes before it. */
  readonly before: boolean;
  /** `AFTER` comes after it. */
  readonly after: boolean;
  /** The head may be received before the end of the request. */
  readonly split: boolean;
}

export function isShort({ bytes }: Case): boolean {
  return bytes.length <= SHORT;
}

/** Whether what follows is a request of its own. */
export function isDecided({ expected }: Case): boolean {
  return expected.at(-1)?.kind !== 'incomplete';
}

/** All at once. */
export function whole(item: Case, { before = false, after = false } = {}): Plan {
  const bytes = [...(before ? [BEFORE] : []), item.bytes, ...(after ? [AFTER] : [])];
  return { item, pieces: [Buffer.concat(bytes)], before, after, split: false };
}

/** Byte by byte, then `AFTER`. */
export function byteByByte(item: Case): Plan {
  const { length } = item.bytes;
  const isEnd = (end: number): boolean =>
    isShort(item) || end <= EDGE || end % STRIDE === 0 || end > length - EDGE;
  const pieces = parted(item.bytes, Array.from(item.bytes, (_, index) => index + 1).filter(isEnd));
  const after = isDecided(item);
  return { item, pieces: after ? [...pieces, AFTER] : pieces, before: false, after, split: true };
}

/** In two, at the offsets of one of `parts` parts. */
export function splits(item: Case, part: number, parts: number): Plan[] {
  const { bytes } = item;
  const offsets = Array.from(bytes, (_, index) => index).filter(
    (offset) => offset > 0 && offset % parts === part,
  );
  return offsets.map((offset) => {
    const pieces = parted(bytes, [offset, bytes.length]);
    return { item, pieces, before: false, after: false, split: true };
  });
}

function parted(bytes: Buffer, ends: readonly number[]): Buffer[] {
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}
