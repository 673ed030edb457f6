import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';

/** Bytes in a word: its first half tells its place, its second half the version. */
const WORD = 8;
const BLOCK = 65_536;

/** A word of zeros, as a hole and a page that was cut off have them. */
export const ZEROS = 0;

/**
 * The bytes from `start` to `end` (not included) of the file of a version, a whole number from 1:
 * every aligned word of 8 tells where it belongs and in which version.
 */
export function knownBytes(version: number, start: number, end: number): Buffer {
  const first = Math.floor(start / WORD);
  const words = new Uint32Array(2 * (Math.ceil(end / WORD) - first));
  for (let at = 0, place = first; at < words.length; at += 2, place++) {
    words[at] = place;
    words[at + 1] = version;
  }
  return Buffer.from(words.buffer, start - first * WORD, end - start);
}

/** Writes a file that holds the bytes from `start` to `end` of a version, block by block. */
export function writeKnown(path: string, version: number, end: number, start: number = 0): void {
  const fd = openSync(path, 'w');
  try {
    writeKnownTo(fd, version, start, end, start);
  } finally {
    closeSync(fd);
  }
}

/** Writes the bytes from `start` to `end` of a version to a file that begins with byte `origin`. */
function writeKnownTo(fd: number, version: number, start: number, end: number, origin = 0): void {
  for (let at = start; at < end; at += BLOCK) {
    const stop = Math.min(at + BLOCK, end);
    writeSync(fd, knownBytes(version, at, stop), 0, stop - at, at - origin);
  }
}

/**
 * Those of `versions` to which the whole words in `bytes`, the beginning of a file, belong; `ZEROS`
 * for words of zeros. One word may be torn, between what was received before a change and after it.
 * Throws for bytes that are of another place, or of no such version.
 */
export function versionsIn(bytes: Buffer, versions: readonly number[]): Set<number> {
  const found = new Set<number>();
  for (let at = 0; at + WORD <= bytes.length; at += WORD) {
    const place = bytes.readUInt32LE(at);
    const version = bytes.readUInt32LE(at + 4);
    const fits = version === ZEROS ? place === 0 : place === at / WORD;
    if (fits && (version === ZEROS || versions.includes(version))) found.add(version);
    else {
      for (const part of tornBetween(bytes.subarray(at, at + WORD), at, versions)) found.add(part);
    }
  }
  return found;
}

/** The version of which a word has the beginning, and that of which it has the rest. */
function tornBetween(word: Buffer, at: number, versions: readonly number[]): [number, number] {
  const words = [ZEROS, ...versions].map((version): [number, Buffer] => [
    version,
    version === ZEROS ? Buffer.alloc(WORD) : knownBytes(version, at, at + WORD),
  ]);
  for (let tear = 1; tear < WORD; tear++) {
    const first = words.find(([, bytes]) => bytes.compare(word, 0, tear, 0, tear) === 0);
    const second = words.find(([, bytes]) => bytes.compare(word, tear, WORD, tear, WORD) === 0);
    if (first && second) return [first[0], second[0]];
  }
  throw new Error(`foreign bytes at ${at} of the file: ${word.toString('hex')}`);
}

/** A sparse file with known bytes in some places. */
export class IslandFile {
  readonly size: number;
  readonly #version: number;
  readonly #islands: readonly (readonly [start: number, end: number])[];
  readonly #zeros: Buffer = Buffer.alloc(BLOCK);

  constructor(version: number, size: number, islands: readonly (readonly [number, number])[]) {
    this.size = size;
    this.#version = version;
    this.#islands = islands;
  }

  write(path: string): void {
    const fd = openSync(path, 'w');
    try {
      ftruncateSync(fd, this.size);
      for (const [start, end] of this.#islands) writeKnownTo(fd, this.#version, start, end);
    } finally {
      closeSync(fd);
    }
  }

  /** At most a block of bytes from `start`, up to `end` or the edge of an island. */
  read(start: number, end: number): Buffer {
    let stop = Math.min(end, start + BLOCK);
    for (const [first, last] of this.#islands) {
      if (start >= first && start < last) {
        return knownBytes(this.#version, start, Math.min(stop, last));
      }
      if (start < first) stop = Math.min(stop, first);
    }
    return this.#zeros.subarray(0, stop - start);
  }
}

/** Compares what comes in pieces with what is expected, and keeps nothing of it. */
export class Comparison {
  readonly #read: (start: number, end: number) => Buffer;
  readonly #end: number;
  #at: number;
  /** Where the first difference is; -1 while there is none. */
  difference = -1;

  /** `read` gives the expected bytes, or the first of them; expected are those from `start` to `end`. */
  constructor(read: (start: number, end: number) => Buffer, start: number, end: number) {
    this.#read = read;
    this.#at = start;
    this.#end = end;
  }

  /** Bytes that are still missing. */
  get missing(): number {
    return this.#end - this.#at;
  }

  take(bytes: Uint8Array): void {
    for (let taken = 0; taken < bytes.length; ) {
      const expected = this.#read(this.#at, Math.min(this.#end, this.#at + bytes.length - taken));
      const piece = bytes.subarray(taken, taken + expected.length);
      if (expected.length === 0 || Buffer.compare(expected, piece) !== 0) {
        if (this.difference < 0) this.difference = this.#at;
        return;
      }
      taken += expected.length;
      this.#at += expected.length;
    }
  }
}
