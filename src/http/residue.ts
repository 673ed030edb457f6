const LEAST = 1024;

/** Received bytes that cannot be used yet: the beginning of a head, or requests to come. */
export class Residue {
  bytes: Buffer = Buffer.allocUnsafeSlow(LEAST);
  start = 0;
  end = 0;

  get length(): number {
    return this.end - this.start;
  }

  append(source: Buffer, start: number, end: number): void {
    const size = end - start;
    if (this.end + size > this.bytes.length) this.#makeRoom(size);
    source.copy(this.bytes, this.end, start, end);
    this.end += size;
  }

  /** Moves to the front, into a buffer of twice the need when it does not fit. */
  #makeRoom(size: number): void {
    const needed = this.length + size;
    const target = needed > this.bytes.length ? Buffer.allocUnsafeSlow(2 * needed) : this.bytes;
    this.bytes.copy(target, 0, this.start, this.end);
    this.bytes = target;
    this.end -= this.start;
    this.start = 0;
  }
}
