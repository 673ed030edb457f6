import { RyegateError } from '../errors.ts';

/** Where the bytes come from: the stream tells it when to stop and when to go on. */
export interface InputSource {
  /** Too many bytes are waiting to be read: stop calling `push()`. */
  pause(): void;
  /** There is room again, or a reader needs more: go on. */
  resume(): void;
  /** A reader began to wait for bytes (the moment to send `100 Continue`). */
  demand(): void;
  /** Pushes more bytes, or the end, at once; a source without it cannot. */
  pull?(): void;
}

/** Names and values of trailer fields, names in lower case. */
export type TrailerList = readonly (readonly [name: string, value: string])[];

/** What a reader wants: tried until it returns a value; `undefined` asks for more bytes. */
type Attempt<T> = () => T | undefined;

interface WaitingReader {
  attempt: Attempt<unknown>;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

const EMPTY: Buffer = Buffer.alloc(0);
const NEWLINE = 10;
const TO_THE_END = -1;
/** Chunks up to this many bytes are copied together, as a Buffer object outweighs them. */
const SMALL_CHUNK = 512;
const TAIL_BLOCK = 4096;
/** Consumed slots at the front of the chunk array before it is compacted. */
const COMPACT_AFTER = 1024;

function ignoreRejection(): void {}

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
  #chunks: Buffer[] = [];
  #head = 0;
  /** Bytes of the head chunk that were taken already. */
  #offset = 0;
  #buffered = 0;
  /** The block that the last chunk is a part of, while small chunks may be appended to it. */
  #tail: Buffer | null = null;
  #tailEnd = 0;
  /** How far the waiting `readline()` has looked for a newline, so that no byte is seen twice. */
  #scanIndex = 0;
  #scanOffset = 0;
  #scanned = 0;
  #paused = false;
  #finished = false;
  #error: Error | null = null;
  #trailers: TrailerList = [];

  constructor(source: InputSource | null, highWaterMark = 65536) {
    this.#source = source;
    this.#highWaterMark = highWaterMark;
  }

  /** Bytes that wait to be read. */
  get buffered(): number {
    return this.#buffered;
  }

  /** Whether the end was reached and everything before it was read. */
  get ended(): boolean {
    return this.#finished && this.#buffered === 0;
  }

  /** Whether a reader waits for bytes. */
  get waiting(): boolean {
    return this.#readers.length > 0;
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
    this.#append(chunk);
    this.#buffered += chunk.length;
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
  }

  /**
   * The source broke off: waiting readers are rejected with `error` at once, buffered bytes are
   * dropped, and later reads are rejected with the same error. After `end()` it does nothing, as
   * all bytes are there.
   */
  fail(error: Error): void {
    if (this.#finished || this.#error !== null) {
      return;
    }
    this.#error = error;
    this.#chunks = [];
    this.#tail = null;
    this.#head = this.#offset = this.#buffered = 0;
    for (const reader of this.#readers.splice(0)) {
      reader.reject(error);
    }
  }

  /**
   * Reads exactly `size` bytes, fewer only at the end; without a size (or with -1) everything to
   * the end. An empty buffer means the end. `ERR_RYEGATE_READ_SIZE`: not an integer from -1 up.
   */
  read(size: number = TO_THE_END): Promise<Buffer> {
    if (!isSize(size)) {
      return Promise.reject(sizeError('read(size)', size));
    }
    return this.#request(() => this.#takeBytes(size));
  }

  /**
   * Reads up to and including the next newline, at most `limit` bytes when a limit is given. An
   * empty buffer means the end. `ERR_RYEGATE_READ_SIZE`: not an integer from -1 up.
   */
  readline(limit: number = TO_THE_END): Promise<Buffer> {
    if (!isSize(limit)) {
      return Promise.reject(sizeError('readline(limit)', limit));
    }
    return this.#request(() => this.#takeLine(limit));
  }

  /**
   * Reads all lines to the end, or whole lines until they hold `hint` bytes or more (PEP 3333;
   * 0 and -1 mean no hint). `ERR_RYEGATE_READ_SIZE`: not an integer from -1 up.
   */
  readlines(hint: number = TO_THE_END): Promise<Buffer[]> {
    if (!isSize(hint)) {
      return Promise.reject(sizeError('readlines(hint)', hint));
    }
    return this.#request(this.#linesTaker(hint));
  }

  /** An attempt that goes on where it stopped. */
  #linesTaker(hint: number): Attempt<Buffer[]> {
    const lines: Buffer[] = [];
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
    return this.#takeNow(this.#linesTaker(hint));
  }

  #takeNow<T>(attempt: Attempt<T>): T {
    if (this.#error !== null) {
      throw this.#error;
    }
    const value = this.#readers.length === 0 ? this.#attempt(attempt) : undefined;
    if (value === undefined) {
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
        return Promise.reject(error);
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
    let served = 0;
    for (const reader of this.#readers) {
      const value = reader.attempt();
      if (value === undefined) {
        break;
      }
      served += 1;
      reader.resolve(value);
    }
    this.#readers.splice(0, served);
    // The next one begins to wait now.
    if (served > 0 && this.#readers.length > 0) this.#source?.demand();
  }

  #pauseOrResume(): void {
    if (this.#error !== null) {
      return;
    }
    const wanted = this.#readers.length > 0;
    if (this.#paused) {
      if (wanted || this.#buffered <= this.#highWaterMark / 2) {
        this.#paused = false;
        this.#source?.resume();
      }
    } else if (!wanted && !this.#finished && this.#buffered > this.#highWaterMark) {
      this.#paused = true;
      this.#source?.pause();
    }
  }

  #takeBytes(size: number): Buffer | undefined {
    if (this.#finished) {
      return this.#take(size === TO_THE_END ? this.#buffered : Math.min(size, this.#buffered));
    }
    return size === TO_THE_END || size > this.#buffered ? undefined : this.#take(size);
  }

  #takeChunk(): Buffer | undefined {
    if (this.#buffered === 0) {
      return this.#finished ? EMPTY : undefined;
    }
    return this.#take(this.#headChunk().length - this.#offset);
  }

  #takeLine(limit: number): Buffer | undefined {
    const most = limit === TO_THE_END ? Number.POSITIVE_INFINITY : limit;
    while (this.#scanned < Math.min(most, this.#buffered)) {
      const chunk = this.#chunks[this.#scanIndex] as Buffer;
      const from = this.#scanOffset;
      const to = Math.min(chunk.length, from + most - this.#scanned);
      const rest = from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to);
      const newline = rest.indexOf(NEWLINE);
      if (newline !== -1) {
        return this.#take(this.#scanned + newline + 1);
      }
      this.#scanned += rest.length;
      this.#scanOffset = to;
      if (to === chunk.length && this.#scanIndex < this.#chunks.length - 1) {
        this.#scanIndex += 1;
        this.#scanOffset = 0;
      }
    }
    return this.#finished || this.#scanned >= most ? this.#take(this.#scanned) : undefined;
  }

  #append(chunk: Buffer): void {
    const last = this.#chunks.length - 1;
    if (chunk.length > SMALL_CHUNK || last < this.#head) {
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

  /** Precondition: `size` bytes are buffered. Bytes within one chunk are not copied. */
  #take(size: number): Buffer {
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
    this.#scanIndex = this.#head;
    this.#scanOffset = this.#offset;
    this.#scanned = 0;
    return taken;
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
    this.#buffered -= count;
    this.#offset += count;
    if (this.#offset < this.#headChunk().length) {
      return;
    }
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

function createEmptyInput(): InputStream {
  const stream = new InputStream(null);
  stream.end();
  return stream;
}

/** The body of a request without one: ended from the start, so that it can be shared by all. */
export const emptyInput: InputStream = createEmptyInput();
