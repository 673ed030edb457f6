/** Small pieces are gathered into blocks of this size, in bytes. */
const BLOCK = 16 * 1024;

/** Bytes that the kernel has not taken yet, in order. */
export class OutputQueue {
  #chunks: Uint8Array[] = [];
  #first = 0;
  /** How much of the first chunk has gone. */
  offset = 0;
  /** The free part of the last block, when it is one of ours. */
  #room: Buffer = Buffer.alloc(0);

  get empty(): boolean {
    return this.#first === this.#chunks.length;
  }

  get head(): Uint8Array {
    return this.#chunks[this.#first] as Uint8Array;
  }

  /** Keeps the chunk itself: it must not change until it has gone. */
  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#room = this.#room.subarray(this.#room.length);
  }

  /** Keeps a copy. */
  copy(bytes: Uint8Array): void {
    if (bytes.length > this.#room.length) {
      // Slow: not from Node's pool, which a block would hold as a whole.
      const block = Buffer.allocUnsafeSlow(Math.max(BLOCK, bytes.length));
      block.set(bytes);
      this.#chunks.push(block.subarray(0, bytes.length));
      this.#room = block.subarray(bytes.length);
      return;
    }
    this.#room.set(bytes);
    const last = this.#chunks.length - 1;
    const chunk = this.#chunks[last] as Uint8Array;
    this.#chunks[last] = new Uint8Array(
      chunk.buffer,
      chunk.byteOffset,
      chunk.length + bytes.length,
    );
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
      this.#first = 0;
      this.#room = Buffer.alloc(0);
    }
  }
}

const EMPTY = new Uint8Array(0);
