import { readSync, writeSync } from 'node:fs';
import { RyegateError } from '../errors.ts';
import { Blocks } from './blocks.ts';
import { type InputSource, InputStream, type TrailerList } from './inputstream.ts';
import { copyInto, nameFile, replaceFile } from './newfile.ts';
import { TemporaryFile } from './temporaryfile.ts';

const BLOCK = 64 * 1024;

/**
 * Collects bytes to be read later, at once if need be: the first `memory` bytes stay in memory. Once
 * there are more, a temporary file has them all, and what follows is only there. Files are written
 * and read synchronously.
 */
export class Spool implements InputSource {
  readonly input: InputStream = new InputStream(this, Infinity);
  readonly #blocks = new Blocks(this.input);
  readonly #memory: number;
  #size = 0;
  #file: TemporaryFile | null = null;
  /** Bytes that had been read before there was a file: it begins behind them. */
  #before = 0;
  #written = 0;
  #read = 0;
  #complete = false;
  #trailers: TrailerList = [];

  constructor(memory: number) {
    this.#memory = memory;
  }

  /**
   * Keeps a copy of the bytes from `start` to `end`; `owed` more are known to follow. Throws what the
   * file system throws.
   */
  push(bytes: Buffer, start = 0, end: number = bytes.length, owed = 0): void {
    this.#size += end - start;
    if (this.#size <= this.#memory) {
      this.#blocks.push(bytes, start, end, Math.min(owed, this.#memory - this.#size));
      return;
    }
    if (this.#file === null) this.#open();
    this.#write(bytes.subarray(start, end));
  }

  #open(): void {
    this.#file = new TemporaryFile();
    this.#before = this.input.bytesRead;
    for (const chunk of this.input.peek()) this.#write(chunk);
    // These are read from memory.
    this.#read = this.#written;
  }

  /** Precondition: there is a file. */
  #write(chunk: Buffer): void {
    const { fd } = this.#file as TemporaryFile;
    for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    this.#written += chunk.length;
  }

  /** Everything is there. */
  end(trailers: TrailerList): void {
    this.#trailers = trailers;
    this.#complete = true;
    if (this.#file === null) this.input.end(trailers);
  }

  // What the input asks for.

  pause(): void {}

  resume(): void {}

  demand(): void {}

  pull(): void {
    const left = this.#written - this.#read;
    if (this.#file === null || left === 0) {
      this.input.end(this.#trailers);
      return;
    }
    const block = Buffer.allocUnsafe(Math.min(BLOCK, left));
    const count = readSync(this.#file.fd, block, 0, block.length, this.#read);
    if (count === 0) throw cutShort();
    this.#read += count;
    this.input.push(block.subarray(0, count));
  }

  /** Precondition: everything is there. */
  async save(path: string, mode: number): Promise<number> {
    const count = this.#size - this.input.bytesRead;
    if (this.#file === null) await this.#saveMemory(path, mode);
    else await this.#saveFile(this.#file, count, path, mode);
    this.input.discard(count, this.#trailers);
    return count;
  }

  #saveMemory(path: string, mode: number): Promise<void> {
    const bytes = Buffer.concat(this.input.peek());
    return replaceFile(path, mode, (target) => target.writeFile(bytes));
  }

  async #saveFile(file: TemporaryFile, count: number, path: string, mode: number): Promise<void> {
    const position = this.input.bytesRead - this.#before;
    file.hold();
    try {
      if (position === 0 && (await nameFile(file.fd, path, mode))) return;
      await replaceFile(path, mode, async (target) => {
        if (!(await copyInto(target, file.fd, position, count))) throw cutShort();
      });
    } finally {
      file.release();
    }
  }

  /** Gives the file back; what was not read from it fails for `reason`. */
  close(reason: () => Error): void {
    if (this.#file !== null) this.#file.release();
    else if (this.#complete) return;
    this.#file = null;
    this.input.fail(reason());
  }
}

function cutShort(): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_BODY_BUFFER',
    'the temporary file of a request body is shorter than what was written to it: look for what ' +
      'cuts files in the temporary folder',
  );
}
