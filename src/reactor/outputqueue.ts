import { FileRegion } from './fileregion.ts';

/** Small pieces are gathered into blocks of this size, in bytes. */
const BLOCK = 16 * 1024;

/** What the kernel has not taken yet, in order. */
export class OutputQueue {
  #chunks: (Uint8Array | FileRegion)[] = [];
  /** The chunks' sizes when they were written; 0 for a file. */
  #sizes: number[] = [];
  #first = 0;
  /** How much of the first chunk has gone. */
  offset = 0;
  /** The free part of the last block, when it is one of ours. */
  #room: Buffer = Buffer.alloc(0);

  get head(): Uint8Array | FileRegion {
    return this.#chunks[this.#first] as Uint8Array | FileRegion;
  }

  /** Whether a file has to be waited for. */
  get waiting(): boolean {
    const { head } = this;
    return head instanceof FileRegion && head.waiting;
  }

  /** Whether `chunk`, the first one, is no longer what was written. */
  hasChanged(chunk: Uint8Array): boolean {
    return chunk.length !== this.#sizes[this.#first];
  }

  /** Keeps the chunk itself: it must not change until it has gone. */
  push(chunk: Uint8Array | FileRegion): void {
    this.#chunks.push(chunk);
    this.#sizes.push(chunk instanceof FileRegion ? 0 : chunk.length);
    this.#room = this.#room.subarray(this.#room.length);
  }

  /** Keeps a copy. */
  copy(bytes: Uint8Array): void {
    if (bytes.length > this.#room.length) {
      // Slow: not from Node's pool, which a block would hold as a whole.
      const block = Buffer.allocUnsafeSlow(Math.max(BLOCK, bytes.length));
      block.set(bytes);
      this.#chunks.push(block.subarray(0, bytes.length));
      this.#sizes.push(bytes.length);
      this.#room = block.subarray(bytes.length);
      return;
    }
    this.#room.set(bytes);
    const last = this.#chunks.length - 1;
    const { buffer, byteOffset, length } = this.#chunks[last] as Uint8Array;
    this.#chunks[last] = new Uint8Array(buffer, byteOffset, length + bytes.length);
    this.#sizes[last] = length + bytes.length;
    this.#room = this.#room.subarray(bytes.length);
  }

  /** The kernel has taken `count` bytes of the first chunk, which is not a file. */
  advance(count: number): void {
    this.offset += count;
    if (this.offset === this.#sizes[this.#first]) this.shift();
  }

  /** The first chunk has gone. */
  shift(): void {
    this.offset = 0;
    this.#chunks[this.#first++] = EMPTY;
    if (this.#first === this.#chunks.length) {
      this.#chunks = [];
      this.#sizes = [];
      this.#first = 0;
      this.#room = Buffer.alloc(0);
    }
  }

  /** Nothing of it will be sent. */
  drop(error: Error): void {
    for (const chunk of this.#chunks) if (chunk instanceof FileRegion) chunk.end(error);
  }
}

const EMPTY = new Uint8Array(0);
