import { close, fstatSync, write, writeSync } from 'node:fs';
import type { Writable } from 'node:stream';

/** Where the text of a log goes. */
export interface LogTarget {
  /** Takes some of `bytes`, from the first on; `done` is called once, later. */
  write(bytes: Buffer, done: (error: NodeJS.ErrnoException | null, count: number) => void): void;
  /** The same at once. Throws what the system refuses with. */
  writeSync(bytes: Buffer): number;
  /** Nothing is being written to it. */
  close(): void;
}

/** A descriptor, which does not block. */
export class DescriptorTarget implements LogTarget {
  readonly #fd: number;
  readonly #isOurs: boolean;

  /** `isOurs`: it is closed in the end. */
  constructor(fd: number, isOurs: boolean) {
    this.#fd = fd;
    this.#isOurs = isOurs;
  }

  write(bytes: Buffer, done: (error: NodeJS.ErrnoException | null, count: number) => void): void {
    write(this.#fd, bytes, 0, bytes.length, null, done);
  }

  writeSync(bytes: Buffer): number {
    return writeSync(this.#fd, bytes);
  }

  close(): void {
    // Whether what was written has reached the disk is not asked anyway.
    if (this.#isOurs) close(this.#fd, () => {});
  }
}

/** Each write is told of its own failure. */
function ignore(): void {}

/** A Node stream, which is left open. */
export class StreamTarget implements LogTarget {
  readonly #stream: Writable;

  constructor(stream: Writable) {
    this.#stream = stream;
    // It stays: a write may fail when the log has been closed.
    if (!stream.listeners('error').includes(ignore)) stream.on('error', ignore);
  }

  write(bytes: Buffer, done: (error: NodeJS.ErrnoException | null, count: number) => void): void {
    try {
      this.#stream.write(bytes, (error) => done(error ?? null, error ? 0 : bytes.length));
    } catch (error) {
      // A stream of the caller's own, which then tells nobody any more.
      queueMicrotask(() => done(error as Error, 0));
    }
  }

  /** One over a pipe tries at once, and keeps what the pipe does not take. */
  writeSync(bytes: Buffer): number {
    if (this.#stream.writableLength > 0) {
      throw Object.assign(new Error('the stream is full'), { code: 'EAGAIN' });
    }
    this.#stream.write(bytes);
    return bytes.length;
  }

  close(): void {}
}

/** Node writes to a file behind standard output at once, and waits for the disk. */
export function targetOf(stream: Writable & { readonly fd?: number }): LogTarget {
  const { fd } = stream;
  const isFile = typeof fd === 'number' && fd >= 0 && fstatSync(fd).isFile();
  return isFile ? new DescriptorTarget(fd, false) : new StreamTarget(stream);
}
