const EMPTY: Buffer = Buffer.alloc(0);
const NEWLINE = 10;
/** Chunks up to this many bytes are copied together, as a Buffer object outweighs them. */
const SMALL_CHUNK = 512;
const TAIL_BLOCK = 4096;
/** Consumed slots at the front of the chunk array before it is compacted. */
const COMPACT_AFTER = 1024;

/** Bytes in the order they came, taken in other pieces than they came in. */
export class ByteQueue {
  #chunks: Buffer[] = [];
  #head = 0;
  /** Bytes of the head chunk that were taken already. */
  #offset = 0;
  #length = 0;
  #taken = 0;
  /** The block that the last chunk is a part of, while small chunks may be appended to it. */
  #tail: Buffer | null = null;
  #tailEnd = 0;
  /** How far has been looked for a newline, so that no byte is seen twice. */
  #scanIndex = 0;
  #scanOffset = 0;
  #scanned = 0;

  /** In bytes. */
  get length(): number {
    return this.#length;
  }

  /** Bytes that were taken so far. */
  get taken(): number {
    return this.#taken;
  }

  /** Keeps `chunk` itself, unless it is small. One that lies behind the last becomes a part of it. */
  push(chunk: Buffer): void {
    this.#length += chunk.length;
    const last = this.#chunks.length - 1;
    if (last >= this.#head && isBehind(this.#chunks[last] as Buffer, chunk)) {
      this.#tail = null;
      this.#chunks[last] = withNext(this.#chunks[last] as Buffer, chunk);
    } else if (chunk.length > SMALL_CHUNK || last < this.#head) {
      this.#tail = null;
      this.#chunks.push(chunk);
    } else if (this.#tail !== null && this.#tailEnd + chunk.length <= TAIL_BLOCK) {
      this.#tailEnd += chunk.copy(this.#tail, this.#tailEnd);
      this.#chunks[last] = this.#tail.subarray(0, this.#tailEnd);
    } else {
      this.#tail = Buffer.allocUnsafe(TAIL_BLOCK);
      this.#tailEnd = chunk.copy(this.#tail);
      this.#chunks.push(this.#tail.subarray(0, this.#tailEnd));
    }
  }

  /** What is there, to be looked at. */
  peek(): Buffer[] {
    const chunks = this.#chunks.slice(this.#head);
    if (this.#offset > 0) chunks[0] = this.#headChunk().subarray(this.#offset);
    return chunks;
  }

  /** All that is there counts as taken, with `more` bytes that never came. */
  skip(more: number): void {
    this.#taken += this.#length + more;
    this.clear();
  }

  clear(): void {
    this.#chunks = [];
    this.#tail = null;
    this.#head = this.#offset = this.#length = 0;
    this.scanAgain();
  }

  /** Precondition: `size` bytes are there. Bytes within one chunk are not copied. */
  take(size: number): Buffer {
    let taken = EMPTY;
    if (size > 0) {
      const head = this.#headChunk();
      if (head.length - this.#offset >= size) {
        taken = head.subarray(this.#offset, this.#offset + size);
        this.#advance(size);
      } else {
        taken = this.#gather(size);
      }
    }
    this.scanAgain();
    return taken;
  }

  /** `bytes` were taken last, and are the first again. */
  putBack(bytes: Buffer): void {
    if (bytes.length === 0) return;
    const rest = this.peek();
    if (this.#offset > 0) this.#tail = null;
    this.#chunks = [bytes, ...rest];
    this.#head = this.#offset = 0;
    this.#length += bytes.length;
    this.#taken -= bytes.length;
    this.scanAgain();
  }

  /** The rest of the first chunk. Precondition: there is one. */
  takeChunk(): Buffer {
    return this.take(this.#headChunk().length - this.#offset);
  }

  /**
   * The size of the first line, newline included, or `most` bytes of it; -1 when neither is there.
   * What has been looked at is not looked at again, until something is taken.
   */
  lineSize(most: number): number {
    if (most < this.#scanned) this.scanAgain();
    while (this.#scanned < Math.min(most, this.#length)) {
      const chunk = this.#chunks[this.#scanIndex] as Buffer;
      const from = this.#scanOffset;
      const to = Math.min(chunk.length, from + most - this.#scanned);
      const rest = from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to);
      const newline = rest.indexOf(NEWLINE);
      if (newline !== -1) return this.#scanned + newline + 1;
      this.#scanned += rest.length;
      this.#scanOffset = to;
      if (to === chunk.length && this.#scanIndex < this.#chunks.length - 1) {
        this.#scanIndex += 1;
        this.#scanOffset = 0;
      }
    }
    return this.#scanned >= most ? this.#scanned : -1;
  }

  /** Forgets how far has been looked for a newline. */
  scanAgain(): void {
    this.#scanIndex = this.#head;
    this.#scanOffset = this.#offset;
    this.#scanned = 0;
  }

  #gather(size: number): Buffer {
    const bytes = Buffer.allocUnsafe(size);
    let filled = 0;
    while (filled < size) {
      const copied = this.#headChunk().copy(bytes, filled, this.#offset);
      filled += copied;
      this.#advance(copied);
    }
    return bytes;
  }

  #headChunk(): Buffer {
    return this.#chunks[this.#head] as Buffer;
  }

  /** Precondition: the head chunk holds `count` more bytes. */
  #advance(count: number): void {
    this.#length -= count;
    this.#taken += count;
    this.#offset += count;
    if (this.#offset < this.#headChunk().length) return;
    this.#chunks[this.#head] = EMPTY;
    this.#head += 1;
    this.#offset = 0;
    if (this.#head === this.#chunks.length) {
      this.#chunks = [];
      this.#head = 0;
      this.#tail = null;
    } else if (this.#head >= COMPACT_AFTER && this.#head * 2 >= this.#chunks.length) {
      this.#chunks.splice(0, this.#head);
      this.#head = 0;
    }
  }
}

/** Whether the bytes of `next` lie in memory behind those of `chunk`. */
function isBehind(chunk: Buffer, next: Buffer): boolean {
  return chunk.buffer === next.buffer && chunk.byteOffset + chunk.length === next.byteOffset;
}

function withNext(chunk: Buffer, next: Buffer): Buffer {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length + next.length);
}
