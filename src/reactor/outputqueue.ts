/** Small pieces are gathered into blocks of this size, in bytes. */
const BLOCK = 16 * 1024;

/** Bytes that the kernel has not taken yet, in order. */
export class OutputQueue {
  #chunks: Uint8Array[] = [];
  /** The chunks' sizes when they were written. */
  #sizes: number[] = [];
  #first = 0;
  /** How much of the first chunk has gone. */
  offset = 0;
  /** The free part of the last block, when it is one of ours. */
  #room: Buffer = Buffer.alloc(0);

  get head(): Uint8Array {
    return this.#chunks[this.#first] as Uint8Array;
  }

  /** Whether the first chunk is no longer what was written. */
  get changed(): boolean {
    return this.head.length !== this.#sizes[this.#first];
  }

  /** Keeps the chunk itself: it must not change until it has gone. */
  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#sizes.push(chunk.length);
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

  /** The kernel has taken `count` bytes of the first chunk. */
  advance(count: number): void {
    this.offset += count;
    if (this.offset < this.head.length) return;
    this.offset = 0;
    this.#chunks[this.#first++] = EMPTY;
    if (this.#first === this.#chunks.length) {
      this.#chunks = [];
      this.#sizes = [];
      this.#first = 0;
      this.#room = Buffer.alloc(0);
    }
  }
}

const EMPTY = new Uint8Array(0);
