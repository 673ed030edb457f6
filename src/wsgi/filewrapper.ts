import { closeSync, read, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { RyegateError, SystemCallError, showValue } from '../errors.ts';
import type { Chunk } from '../io/chunk.ts';
import { FileFacts, IN_PROGRESS } from '../io/filefacts.ts';
import { checkOption, isWhole } from '../options.ts';
import { type FilePart, fileChanged } from '../reactor/fileregion.ts';
import { asyncUnderSync } from '../socketserver/checks.ts';
import { isThenable } from '../thenable.ts';
import type { Closable } from './types.ts';

const readAt = promisify(read);

/** Something with a descriptor, such as a FileHandle of `node:fs/promises`. */
export interface DescriptorFile extends Closable {
  readonly fd: number;
}

/** Something to be read in blocks, of which an empty one, or null, is the end. */
export interface ReadableFile extends Closable {
  read(size: number): Chunk | null | undefined | Promise<Chunk | null | undefined>;
}

/** What a `FileWrapper` wraps. A bare descriptor is taken over, and closed in the end. */
export type FileLike =
  | number
  | DescriptorFile
  | ReadableFile
  | (AsyncIterable<Chunk> & Closable)
  | (Iterable<Chunk> & Closable);

/** A piece of a body: bytes, or a part of a file. */
export type BodyPart = Uint8Array | FilePart;

/**
 * A file as the result of an application: `wsgiref.util.FileWrapper`, PEP 3333's
 * `wsgi.file_wrapper`. The server sends a regular file from its current offset on, without having
 * it pass through JavaScript; everything else is read in blocks.
 */
export class FileWrapper implements AsyncIterable<Chunk>, Iterable<Chunk>, Closable {
  readonly fileLike: FileLike;
  /** In bytes. */
  readonly blockSize: number;

  /** Throws `ERR_RYEGATE_FILE` for what cannot be read, `ERR_RYEGATE_OPTION` for the size. */
  constructor(fileLike: FileLike, blockSize: number = 65536) {
    if (!isFileLike(fileLike)) throw fileError(`got ${showValue(fileLike)}`);
    const isSize = (size: number): boolean => isWhole(size, 1, 2 ** 30);
    checkOption('blockSize', blockSize, isSize, 'a whole number of bytes from 1 to 1 GiB');
    this.fileLike = fileLike;
    this.blockSize = blockSize;
  }

  /**
   * What can be sent as it is; null when the file has to be read: a pipe, say, or a file that does
   * not tell its size, as those of /proc.
   *
   * @throws RyegateError `ERR_RYEGATE_FILE` for a descriptor that is not open for reading, or a folder
   */
  parts(): readonly BodyPart[] | null {
    const fd = descriptorOf(this.fileLike);
    if (fd === null) return null;
    const facts = factsOf(fd);
    if (!facts.isRegular || facts.size === 0 || facts.offset < 0) return null;
    const count = Math.max(facts.size - facts.offset, 0);
    return [{ fd, position: facts.offset, count, state: () => facts.stateOf(fd) }];
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Chunk, void, undefined> {
    const { fileLike, blockSize } = this;
    const parts = this.parts();
    if (parts !== null) yield* readParts(parts, blockSize);
    else if (isIterable(fileLike)) yield* fileLike;
    else if (isAsyncIterable(fileLike)) yield* fileLike;
    else {
      for (;;) {
        const block = await this.#read(fileLike);
        if (isEnd(block)) return;
        yield block;
      }
    }
  }

  #read(file: number | DescriptorFile | ReadableFile): ReturnType<ReadableFile['read']> {
    const fd = descriptorOf(file);
    if (fd === null) return (file as ReadableFile).read(this.blockSize);
    return readBlock(fd, this.blockSize, null);
  }

  /** For a server that blocks its thread, where no promise settles. */
  *[Symbol.iterator](): Generator<Chunk, void, undefined> {
    const { fileLike, blockSize } = this;
    const parts = this.parts();
    if (parts !== null) yield* readPartsSync(parts, blockSize);
    else if (isIterable(fileLike)) yield* fileLike;
    else if (isAsyncIterable(fileLike)) throw asyncUnderSync('a file');
    else {
      for (;;) {
        const block = this.#readSync(fileLike);
        if (isEnd(block)) return;
        yield block;
      }
    }
  }

  #readSync(file: number | DescriptorFile | ReadableFile): Chunk | null | undefined {
    const fd = descriptorOf(file);
    if (fd !== null) return readBlockSync(fd, this.blockSize, null);
    const block = (file as ReadableFile).read(this.blockSize);
    if (isThenable(block)) throw asyncUnderSync('a file');
    return block;
  }

  /** Closes what is wrapped. To be called once. */
  close(): void | Promise<void> {
    const { fileLike } = this;
    if (typeof fileLike === 'number') closeSync(fileLike);
    else return fileLike.close?.();
  }
}

/** `position` null: from the descriptor's offset on. */
async function readBlock(fd: number, size: number, position: number | null): Promise<Buffer> {
  const block = Buffer.allocUnsafe(size);
  const { bytesRead } = await readAt(fd, block, 0, size, position);
  return block.subarray(0, bytesRead);
}

function readBlockSync(fd: number, size: number, position: number | null): Buffer {
  const block = Buffer.allocUnsafe(size);
  return block.subarray(0, readSync(fd, block, 0, size, position));
}

async function* readParts(parts: readonly BodyPart[], size: number): AsyncGenerator<Chunk> {
  for (const part of parts) {
    if (part instanceof Uint8Array) yield part;
    else {
      for (let at = 0; at < part.count; ) {
        const wanted = Math.min(size, part.count - at);
        const block = await readBlock(part.fd, wanted, part.position + at);
        if (part.state?.() === 'modified') await sleep(IN_PROGRESS);
        yield checkBlock(part, block);
        at += block.length;
      }
    }
  }
}

function* readPartsSync(parts: readonly BodyPart[], size: number): Generator<Chunk> {
  for (const part of parts) {
    if (part instanceof Uint8Array) yield part;
    else {
      for (let at = 0; at < part.count; ) {
        const wanted = Math.min(size, part.count - at);
        const block = readBlockSync(part.fd, wanted, part.position + at);
        yield checkBlock(part, block);
        at += block.length;
      }
    }
  }
}

function checkBlock(part: FilePart, block: Buffer): Buffer {
  const state = part.state?.() ?? 'same';
  if (block.length === 0 || (state !== 'same' && state !== 'grown')) throw fileChanged();
  return block;
}

function isEnd(block: Chunk | null | undefined): block is null | undefined {
  return block === null || block === undefined || block.length === 0;
}

function isAsyncIterable(file: FileLike): file is AsyncIterable<Chunk> & Closable {
  return typeof file === 'object' && Symbol.asyncIterator in file;
}

function isIterable(file: FileLike): file is Iterable<Chunk> & Closable {
  return typeof file === 'object' && Symbol.iterator in file;
}

/** Null for what has none, or a stream over one, which may have read on already. */
function descriptorOf(file: FileLike): number | null {
  if (typeof file === 'number') return file;
  if (isAsyncIterable(file) || !('fd' in file)) return null;
  return file.fd;
}

function isFileLike(file: unknown): file is FileLike {
  if (typeof file === 'number') return Number.isInteger(file);
  if (typeof file !== 'object' || file === null || file instanceof Uint8Array) return false;
  if (Symbol.asyncIterator in file || Symbol.iterator in file) return true;
  if ('fd' in file) return Number.isInteger(file.fd);
  return 'read' in file && typeof file.read === 'function';
}

/** Throws `ERR_RYEGATE_FILE` for parts of an override that make no sense. */
export function checkParts(parts: readonly BodyPart[]): void {
  for (const part of parts) {
    if (part instanceof Uint8Array) continue;
    const { fd, position, count } = part;
    if ([fd, position, count, position + count].every((n) => Number.isSafeInteger(n) && n >= 0)) {
      continue;
    }
    throw fileError(`has a part of ${count} bytes at ${position} of the descriptor ${fd}`);
  }
}

/** Throws `ERR_RYEGATE_FILE` unless the descriptor can be read. */
function factsOf(fd: number): FileFacts {
  const facts = new FileFacts();
  const failure = facts.look(fd);
  if (failure < 0) {
    const cause = new SystemCallError(failure, 'fstat', 'a descriptor of an application');
    throw fileError(`got the descriptor ${fd}, which is not open for reading`, cause);
  }
  if (facts.isFolder) throw fileError(`got the descriptor ${fd}, which is that of a folder`);
  return facts;
}

function fileError(problem: string, cause?: Error): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_FILE',
    `FileWrapper ${problem}: give it a descriptor that is open for reading, a FileHandle, or ` +
      'something to be iterated or read in blocks',
    { cause },
  );
}
