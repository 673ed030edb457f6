import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RyegateError } from '../errors.ts';
import { type InputSource, InputStream, type TrailerList } from './inputstream.ts';

const BLOCK = 64 * 1024;

/**
 * Collects bytes to be read later, at once if need be: the first `memory` bytes stay in memory, what
 * follows goes to a temporary file. The file has no name, so that it is gone when it is closed, or
 * the process ends. Files are written and read synchronously.
 */
export class Spool implements InputSource {
  readonly input: InputStream = new InputStream(this, Infinity);
  readonly #memory: number;
  #size = 0;
  #fd = -1;
  #written = 0;
  #read = 0;
  #complete = false;
  #trailers: TrailerList = [];

  constructor(memory: number) {
    this.#memory = memory;
  }

  /** Keeps `chunk`, a copy in case of the file. Throws what the file system throws. */
  push(chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#size <= this.#memory) {
      this.input.push(Buffer.from(chunk));
      return;
    }
    if (this.#fd === -1) this.#fd = openUnnamed();
    for (let at = 0; at < chunk.length; ) at += writeSync(this.#fd, chunk, at);
    this.#written += chunk.length;
  }

  /** Everything is there. */
  end(trailers: TrailerList): void {
    this.#trailers = trailers;
    this.#complete = true;
    if (this.#fd === -1) this.input.end(trailers);
  }

  // What the input asks for.

  pause(): void {}

  resume(): void {}

  demand(): void {}

  pull(): void {
    const left = this.#written - this.#read;
    if (left === 0) {
      this.input.end(this.#trailers);
      return;
    }
    const block = Buffer.allocUnsafe(Math.min(BLOCK, left));
    const count = readSync(this.#fd, block, 0, block.length, this.#read);
    if (count === 0) throw cutShort();
    this.#read += count;
    this.input.push(block.subarray(0, count));
  }

  /** Gives the file back; what was not read from it fails for `reason`. */
  close(reason: () => Error): void {
    if (this.#fd !== -1) closeSync(this.#fd);
    else if (this.#complete) return;
    this.#fd = -1;
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

function openUnnamed(): number {
  const path = join(tmpdir(), `ryegate-${randomUUID()}`);
  const fd = openSync(path, 'wx+', 0o600);
  try {
    unlinkSync(path);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}
