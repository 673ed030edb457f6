import type { InputStream } from './inputstream.ts';

/** Bytes that are put together at most. */
const MOST = 64 * 1024;
const NONE: Buffer = Buffer.alloc(0);

/**
 * Puts bytes that come in several pieces where they lie together, so that who reads them at once has
 * none copied again: 12 % of a request of 64 KiB, echoed.
 */
export class Blocks {
  readonly #input: InputStream;
  #block = NONE;
  #filled = 0;

  constructor(input: InputStream) {
    this.#input = input;
  }

  /** Pushes a copy of the bytes from `start` to `end`; `owed` more are known to follow. */
  push(bytes: Buffer, start: number, end: number, owed: number): void {
    for (let from = start; from < end; ) {
      // An application may have transferred what it has read of a block: then it has no length.
      if (this.#filled >= this.#block.length) {
        this.#block = Buffer.allocUnsafe(Math.min(end - from + owed, MOST));
        this.#filled = 0;
      }
      const filled = this.#filled + bytes.copy(this.#block, this.#filled, from, end);
      this.#input.push(this.#block.subarray(this.#filled, filled));
      from += filled - this.#filled;
      this.#filled = filled;
    }
  }
}
