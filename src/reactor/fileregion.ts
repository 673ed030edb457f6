import { monotonic } from '../clock.ts';
import { RyegateError, SystemCallError } from '../errors.ts';
import { type FileState, IN_PROGRESS } from '../io/filefacts.ts';
import { native } from '../native.ts';
import { type Residence, TRUSTED } from './residence.ts';

/**
 * Bytes of one file that are sent in one turn: a fast client must not keep the others waiting, and
 * over loopback it should read what is in the processor's cache still. Not a multiple of the 64 KiB
 * that Linux passes on at a time within a sendfile(2): 100 MiB in pieces of 256 or 512 KiB cost both
 * ends a third more than in pieces of 288 or 352 KiB.
 */
const MOST_A_TURN = 352 * 1024;

/** Bytes that tell a file that was appended to from one that was written anew. */
const SAMPLE = 64;

/** A part of a file. The descriptor has to stay open until the part has been told of. */
export interface FilePart {
  readonly fd: number;
  /** Where it begins, in bytes. */
  readonly position: number;
  /** Its size in bytes. */
  readonly count: number;
  /** What has become of the file that was promised. */
  state?(): FileState;
  /** What is known of the file's pages, for those who send it as well. */
  readonly residence?: Residence | undefined;
}

/** Unclear: it has been rewritten, or is being appended to; a little later that can be told. */
export type Verdict = 'sound' | 'unclear' | 'broken';

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
  /** The disk, or a writer of the file, is being waited for. */
  waiting = false;
  /** Of the last look. */
  verdict: Verdict = 'sound';
  readonly #part: FilePart;
  readonly #count: number;
  readonly #told: (error: Error | null) => void;
  /** Up to where bytes are known to be in memory. */
  #ahead = 0;
  #aheadAt = 0;
  /** The last bytes that were sent, and where they lie. */
  #sample: Buffer | null = null;
  #sampleAt = 0;
  /** When it was seen that the file had been modified; monotonic milliseconds. */
  #modifiedAt = 0;
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
    if (this.#ahead <= this.position || monotonic() - this.#aheadAt >= TRUSTED) {
      this.#ahead = this.#part.residence?.until(this.position) ?? 0;
    }
    return this.#ahead > this.position;
  }

  /** Bytes to be tried next. */
  get next(): number {
    const most = Math.min(this.remaining, MOST_A_TURN);
    return this.isAhead ? Math.min(most, this.#ahead - this.position) : most;
  }

  /** Whether what was promised and sent goes with what follows. */
  look(): Verdict {
    const state = this.#part.state?.() ?? 'same';
    this.verdict = state === 'same' ? 'sound' : this.#judge(state);
    return this.verdict;
  }

  #judge(state: FileState): Verdict {
    if (state === 'grown') return this.#isAsSent() ? 'sound' : 'broken';
    if (state !== 'modified') return 'broken';
    this.#modifiedAt ||= monotonic();
    return monotonic() - this.#modifiedAt < IN_PROGRESS ? 'unclear' : 'broken';
  }

  /** Whether the last bytes that were sent are there still: the file was appended to. */
  #isAsSent(): boolean {
    const sample = this.#sample;
    if (sample === null) return true;
    const now = Buffer.alloc(sample.length);
    const count = native.readNow(this.fd, now, this.#sampleAt);
    return count < 0 || now.equals(sample);
  }

  /** In case that the file grows before the rest is sent. */
  #takeSample(): void {
    const size = Math.min(this.sent, SAMPLE);
    this.#sample ??= Buffer.alloc(size);
    this.#sampleAt = this.position - this.#sample.length;
    if (native.readNow(this.fd, this.#sample, this.#sampleAt) < 0) this.#sample = null;
  }

  /** The socket took `count` bytes of those that were tried, which are all in memory then. */
  advance(count: number): void {
    this.#isInMemory(this.position + this.next);
    this.position += count;
    this.remaining -= count;
    if (this.remaining > 0 && this.#part.state !== undefined) this.#takeSample();
  }

  #isInMemory(end: number): void {
    if (end <= this.#ahead && this.isAhead) return;
    this.#ahead = end;
    this.#aheadAt = monotonic();
    this.#part.residence?.add(this.position, end);
  }

  /** Has the next bytes brought into memory, without waiting for them. */
  readAhead(done: (error: Error | null) => void): void {
    const { fd, position, next } = this;
    this.waiting = true;
    native.readAhead(fd, position, next, (result) => {
      if (result >= 0) this.#isInMemory(position + next);
      this.#waited(done, result < 0 ? readFailed(result) : null);
    });
  }

  /** Waits until it can be told what a verdict that is unclear means. */
  awaitWriter(done: (error: null) => void): void {
    this.waiting = true;
    // Timers may be a part of a millisecond early.
    setTimeout(() => this.#waited(done, null), IN_PROGRESS + 1);
  }

  #waited<Outcome extends Error | null>(done: (error: Outcome) => void, error: Outcome): void {
    this.waiting = false;
    if (this.#ended) this.#told(this.#outcome);
    else done(error);
  }

  /** The last call. It is told of when nothing reads from the descriptor any more. */
  end(error: Error | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#outcome = error;
    if (!this.waiting) this.#told(error);
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
