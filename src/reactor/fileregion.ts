import { RyegateError, SystemCallError } from '../errors.ts';
import { native } from '../native.ts';
import type { Residence } from './residence.ts';

/** Bytes of one file that are sent in one turn: a fast client must not keep the others waiting. */
const MOST_A_TURN = 1024 * 1024;

/** A part of a file. The descriptor has to stay open until the part has been told of. */
export interface FilePart {
  readonly fd: number;
  /** Where it begins, in bytes. */
  readonly position: number;
  /** Its size in bytes. */
  readonly count: number;
  /** Whether the file is no longer the one that was promised. */
  changed?(): boolean;
  /** What is known of the file's pages, for those who send it as well. */
  readonly residence?: Residence | undefined;
}

export interface FileProgress {
  /** Bytes that the kernel has taken. */
  readonly sent: number;
}

/** A part of a file on its way to a socket. */
export class FileRegion implements FileProgress {
  readonly fd: number;
  /** Where the rest begins. */
  position: number;
  remaining: number;
  /** Whether sendfile(2) is not to be used. */
  readonly copy: boolean;
  /** The disk is being waited for. */
  reading = false;
  readonly #part: FilePart;
  readonly #count: number;
  readonly #told: (error: Error | null) => void;
  /** Up to where bytes are known to be in memory. */
  #ahead = 0;
  #ended = false;
  #outcome: Error | null = null;

  /** The first `count` bytes of `part`. `told` is called once: with null when all were taken. */
  constructor(part: FilePart, count: number, copy: boolean, told: (error: Error | null) => void) {
    this.fd = part.fd;
    this.position = part.position;
    this.remaining = count;
    this.#count = count;
    this.copy = copy;
    this.#part = part;
    this.#told = told;
  }

  get sent(): number {
    return this.#count - this.remaining;
  }

  /** Whether the bytes to be tried next are known to be in memory. */
  get isAhead(): boolean {
    if (this.#ahead <= this.position) {
      this.#ahead = this.#part.residence?.until(this.position) ?? 0;
    }
    return this.#ahead > this.position;
  }

  /** Bytes to be tried next. */
  get next(): number {
    const most = Math.min(this.remaining, MOST_A_TURN);
    return this.isAhead ? Math.min(most, this.#ahead - this.position) : most;
  }

  /** Why what was sent does not go with what follows, or followed meanwhile. */
  get fault(): Error | null {
    return this.sent > 0 && this.#part.changed?.() === true ? fileChanged() : null;
  }

  /** The socket took `count` bytes of those that were tried, which are all in memory then. */
  advance(count: number): void {
    this.#isInMemory(this.position + this.next);
    this.position += count;
    this.remaining -= count;
  }

  #isInMemory(end: number): void {
    if (end <= this.#ahead) return;
    this.#ahead = end;
    this.#part.residence?.add(this.position, end);
  }

  /** Has the next bytes brought into memory, without waiting for them. */
  readAhead(done: (error: Error | null) => void): void {
    const { fd, position, next } = this;
    this.reading = true;
    native.readAhead(fd, position, next, (result) => {
      this.reading = false;
      this.#isInMemory(position + next);
      if (this.#ended) this.#told(this.#outcome);
      else done(result < 0 ? readFailed(result) : null);
    });
  }

  /** The last call. It is told of when nothing reads from the descriptor any more. */
  end(error: Error | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#outcome = error;
    if (!this.reading) this.#told(error);
  }
}

export function fileChanged(): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_FILE_CHANGED',
    'a file was cut or rewritten while it was sent, so the connection was aborted: replace files ' +
      'by renaming new ones over them',
  );
}

export function readFailed(errno: number): SystemCallError {
  return new SystemCallError(errno, 'read', 'a file could not be read, so its response ends here');
}
