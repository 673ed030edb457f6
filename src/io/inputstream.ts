import { RyegateError } from '../errors.ts';
import { ByteQueue } from './bytequeue.ts';
import type { InputSource, SaveOptions, TrailerList } from './inputsource.ts';
import { saveBytes } from './newfile.ts';
import { type Attempt, SoloReader, type Take, type WaitingReader } from './soloreader.ts';

export type { InputSource, SaveOptions, TrailerList } from './inputsource.ts';

const EMPTY: Buffer = Buffer.alloc(0);
const TO_THE_END = -1;
/** A job that reads alone gets no more than this at a time. */
const MOST_AT_ONCE = 1024 * 1024;

function ignoreRejection(): void {}

/** A rejection that ends no process when a read was never awaited. */
function rejected(error: unknown): Promise<never> {
  const promise = Promise.reject(error);
  promise.catch(ignoreRejection);
  return promise;
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= TO_THE_END;
}

function sizeError(call: string, value: unknown): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_READ_SIZE',
    `${call} got ${String(value)}: give a whole number of bytes, or nothing for no limit`,
  );
}

function checkSize(call: string, value: unknown): void {
  if (!isSize(value)) throw sizeError(call, value);
}

/**
 * The queue of bytes behind `wsgi.input` (PEP 3333) and `rfile` (socketserver): a producer pushes
 * chunks, readers take them with promises. Reads are answered in the order of their calls, each
 * whole before the next, and every method reads on where the one before stopped.
 *
 * The source is paused when more than `highWaterMark` bytes (default 65536) wait and nobody wants
 * them, and resumed at half of that or as soon as a reader needs more than is there.
 */
export class InputStream implements AsyncIterable<Buffer> {
  readonly #source: InputSource | null;
  readonly #highWaterMark: number;
  readonly #readers: WaitingReader[] = [];
  readonly #queue = new ByteQueue();
  #paused = false;
  #finished = false;
  #error: Error | null = null;
  #trailers: TrailerList = [];
  #serving = false;

  constructor(source: InputSource | null, highWaterMark = 65536) {
    this.#source = source;
    this.#highWaterMark = highWaterMark;
  }

  /** Bytes that wait to be read. */
  get buffered(): number {
    return this.#queue.length;
  }

  /** Bytes that were read so far. */
  get bytesRead(): number {
    return this.#queue.taken;
  }

  /** Whether the end was reached and everything before it was read. */
  get ended(): boolean {
    return this.#finished && this.#queue.length === 0;
  }

  /** Whether a reader waits for bytes. */
  get waiting(): boolean {
    const [first] = this.#readers;
    return first !== undefined && first.busy !== true;
  }

  /** The trailer fields that came after a chunked body, kept apart from the header; at its end. */
  get trailers(): TrailerList {
    return this.#trailers;
  }

  /** Appends bytes; the stream owns `chunk` from here on. Ignored after `end()` or `fail()`. */
  push(chunk: Buffer): void {
    if (this.#finished || this.#error !== null || chunk.length === 0) {
      return;
    }
    this.#queue.push(chunk);
    this.#serve();
    this.#pauseOrResume();
  }

  /** The last byte was pushed: readers get what is left, then empty buffers. */
  end(trailers: TrailerList = []): void {
    if (this.#finished || this.#error !== null) {
      return;
    }
    this.#trailers = trailers;
    this.#finished = true;
    this.#serve();
    this.#release();
  }

  /** What waits to be read, without reading it. */
  peek(): readonly Buffer[] {
    return this.#queue.peek();
  }

  /** `count` bytes count as read, those that wait among them, and this is the end. */
  discard(count: number, trailers: TrailerList): void {
    if (this.#error !== null) return;
    this.#queue.skip(count - this.#queue.length);
    this.end(trailers);
  }

  /**
   * The source broke off: waiting readers are rejected with `error` at once, buffered bytes are
   * dropped, and later reads are rejected with the same error. After `end()` it does nothing, as
   * all bytes are there.
   */
  fail(error: Error): void {
    if (!this.#finished && this.#error === null) this.#break(error);
  }

  #break(error: Error): void {
    this.#error = error;
    this.#queue.clear();
    for (const reader of this.#readers.splice(0)) {
      reader.reject(error);
    }
    this.#release();
  }

  /** Nothing more comes that would have to be held back. */
  #release(): void {
    if (!this.#paused) {
      return;
    }
    this.#paused = false;
    this.#source?.resume();
  }

  /**
   * Reads exactly `size` bytes, fewer only at the end; without a size (or with -1) everything to
   * the end. An empty buffer means the end. `ERR_RYEGATE_READ_SIZE`: not an integer from -1 up.
   */
  read(size: number = TO_THE_END): Promise<Buffer> {
    if (!isSize(size)) {
      return rejected(sizeError('read(size)', size));
    }
    return this.#request(() => this.#takeBytes(size));
  }

  /**
   * Reads up to and including the next newline, at most `limit` bytes when a limit is given. An
   * empty buffer means the end. `ERR_RYEGATE_READ_SIZE`: not an integer from -1 up.
   */
  readline(limit: number = TO_THE_END): Promise<Buffer> {
    if (!isSize(limit)) {
      return rejected(sizeError('readline(limit)', limit));
    }
    return this.#request(() => this.#takeLine(limit));
  }

  /**
   * Reads all lines to the end, or whole lines until they hold `hint` bytes or more (PEP 3333;
   * 0 and -1 mean no hint). `ERR_RYEGATE_READ_SIZE`: not an integer from -1 up.
   */
  readlines(hint: number = TO_THE_END): Promise<Buffer[]> {
    if (!isSize(hint)) {
      return rejected(sizeError('readlines(hint)', hint));
    }
    return this.#request(this.#linesTaker(hint, []));
  }

  /** An attempt that goes on where it stopped, and gathers in `lines`. */
  #linesTaker(hint: number, lines: Buffer[]): Attempt<Buffer[]> {
    let total = 0;
    return () => {
      while (hint <= 0 || total < hint) {
        const line = this.#takeLine(TO_THE_END);
        if (line === undefined) {
          return undefined;
        }
        if (line.length === 0) {
          break;
        }
        lines.push(line);
        total += line.length;
      }
      return lines;
    };
  }

  /**
   * Saves the rest, to its end, as a new file that replaces `path` at once, also where that is a
   * symlink: nobody ever sees a part of it. Gives its size in bytes. What a server has put into a
   * temporary file is moved, or copied by the kernel. Reads that are called later wait until it has
   * ended; `readSync()` and the like throw.
   *
   * @throws (rejects) what the file system throws, or a read would; then `path` is as it was. With
   *   `inputBuffering: 'buffer'` the body is still unread, else what was taken of it is lost, and
   *   whatever is read or saved afterwards fails with the same error.
   */
  saveTo(path: string, { mode = 0o600 }: SaveOptions = {}): Promise<number> {
    // What has ended may be the one input that all requests without a body share.
    const saving =
      this.#error === null && this.ended && this.#readers.length === 0
        ? saveBytes(path, mode, () => Promise.resolve(EMPTY))
        : this.#save(path, mode);
    saving.catch(ignoreRejection);
    return saving;
  }

  #save(path: string, mode: number): Promise<number> {
    if (this.#error !== null) return rejected(this.#error);
    const reader = new SoloReader<number>(
      (take) => {
        if (this.#error !== null) throw this.#error;
        return this.#source?.save?.(path, mode) ?? this.#saveBytes(path, mode, take);
      },
      () => this.#takeWaiting(),
      () => this.#soloChanged(reader),
    );
    this.#readers.push(reader);
    this.#serve();
    return reader.promise;
  }

  /** What was taken for a file that failed cannot be had again: nobody is to take the rest for all. */
  async #saveBytes(path: string, mode: number, take: Take): Promise<number> {
    let taken = 0;
    try {
      return await saveBytes(path, mode, async () => {
        const bytes = await take();
        taken += bytes.length;
        return bytes;
      });
    } catch (error) {
      if (taken > 0 && this.#error === null) this.#break(error as Error);
      throw error;
    }
  }

  #soloChanged(reader: SoloReader<unknown>): void {
    if (this.#error === null) this.#serve();
    else reader.reject(this.#error);
    this.#pauseOrResume();
    if (this.waiting) this.#source?.demand();
  }

  /**
   * As `read()`, at once: for a body that was buffered before its request was answered, or as far
   * as bytes are there. Throws `ERR_RYEGATE_INPUT_NOT_BUFFERED` when it would have to wait.
   */
  readSync(size: number = TO_THE_END): Buffer {
    checkSize('readSync(size)', size);
    return this.#takeNow(() => this.#takeBytes(size));
  }

  /** As `readline()`, at once; see `readSync()`. */
  readlineSync(limit: number = TO_THE_END): Buffer {
    checkSize('readlineSync(limit)', limit);
    return this.#takeNow(() => this.#takeLine(limit));
  }

  /** As `readlines()`, at once; see `readSync()`. */
  readlinesSync(hint: number = TO_THE_END): Buffer[] {
    checkSize('readlinesSync(hint)', hint);
    const lines: Buffer[] = [];
    try {
      return this.#takeNow(this.#linesTaker(hint, lines));
    } catch (error) {
      if (this.#error === null) {
        this.#queue.putBack(Buffer.concat(lines));
      }
      throw error;
    }
  }

  #takeNow<T>(attempt: Attempt<T>): T {
    if (this.#error !== null) {
      throw this.#error;
    }
    const value = this.#readers.length === 0 ? this.#attempt(attempt) : undefined;
    if (value === undefined) {
      // How far a reader has looked that waits is its own.
      if (this.#readers.length === 0) {
        this.#queue.scanAgain();
      }
      throw new RyegateError(
        'ERR_RYEGATE_INPUT_NOT_BUFFERED',
        'the body has not arrived yet, so it cannot be read synchronously: make the server with ' +
          "inputBuffering: 'buffer', or await the method without Sync",
      );
    }
    this.#pauseOrResume();
    return value;
  }

  /** Tries, and pulls from the source as long as that helps. */
  #attempt<T>(attempt: Attempt<T>): T | undefined {
    for (;;) {
      const value = attempt();
      if (value !== undefined || this.#source?.pull === undefined) {
        return value;
      }
      this.#source.pull();
      if (this.#error !== null) {
        throw this.#error;
      }
    }
  }

  /** Yields chunks as they come. Breaking off leaves the rest to be read. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const chunk = await this.#request(() => this.#takeChunk());
      if (chunk.length === 0) {
        return;
      }
      yield chunk;
    }
  }

  #request<T>(attempt: Attempt<T>): Promise<T> {
    if (this.#error === null && this.#readers.length === 0) {
      try {
        const value = this.#attempt(attempt);
        if (value !== undefined) {
          this.#pauseOrResume();
          return Promise.resolve(value);
        }
      } catch (error) {
        return rejected(error);
      }
    }
    const promise = new Promise<T>((resolve, reject) => {
      if (this.#error !== null) {
        reject(this.#error);
      } else {
        this.#readers.push({ attempt, resolve: resolve as (value: unknown) => void, reject });
      }
    });
    // A client that goes away must not end the process because a read was never awaited.
    promise.catch(ignoreRejection);
    if (this.#readers.length === 1) {
      this.#pauseOrResume();
      this.#source?.demand();
    }
    return promise;
  }

  #serve(): void {
    // A source that is pulled from pushes while a reader is served.
    if (this.#serving) return;
    this.#serving = true;
    let served = 0;
    while (this.#serveOne(this.#readers[served])) served += 1;
    this.#serving = false;
    this.#readers.splice(0, served);
    // The next one begins to wait now.
    if (served > 0 && this.waiting) this.#source?.demand();
  }

  /** Whether it needs to wait no longer. */
  #serveOne(reader: WaitingReader | undefined): boolean {
    if (reader === undefined) return false;
    try {
      const value = reader.busy ? reader.attempt() : this.#attempt(reader.attempt);
      if (value === undefined) return false;
      reader.resolve(value);
    } catch (error) {
      reader.reject(error);
    }
    return true;
  }

  #pauseOrResume(): void {
    if (this.#error !== null) {
      return;
    }
    const wanted = this.waiting;
    if (this.#paused) {
      if (wanted || this.#queue.length <= this.#highWaterMark / 2) {
        this.#paused = false;
        this.#source?.resume();
      }
    } else if (!wanted && !this.#finished && this.#queue.length > this.#highWaterMark) {
      this.#paused = true;
      this.#source?.pause();
    }
  }

  #takeBytes(size: number): Buffer | undefined {
    const { length } = this.#queue;
    if (this.#finished) {
      return this.#queue.take(size === TO_THE_END ? length : Math.min(size, length));
    }
    return size === TO_THE_END || size > length ? undefined : this.#queue.take(size);
  }

  /** All that is there, within reason. */
  #takeWaiting(): Buffer | undefined {
    const { length } = this.#queue;
    if (length === 0 && !this.#finished) return undefined;
    return this.#queue.take(Math.min(length, MOST_AT_ONCE));
  }

  #takeChunk(): Buffer | undefined {
    if (this.#queue.length === 0) {
      return this.#finished ? EMPTY : undefined;
    }
    return this.#queue.takeChunk();
  }

  #takeLine(limit: number): Buffer | undefined {
    const size = this.#queue.lineSize(limit === TO_THE_END ? Infinity : limit);
    if (size !== -1) {
      return this.#queue.take(size);
    }
    return this.#finished ? this.#queue.take(this.#queue.length) : undefined;
  }
}

function createEmptyInput(): InputStream {
  const stream = new InputStream(null);
  stream.end();
  return stream;
}

/** The body of a request without one: ended from the start, so that it can be shared by all. */
export const emptyInput: InputStream = createEmptyInput();
