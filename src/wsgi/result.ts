import { checkChunk } from '../io/chunk.ts';
import { attempt } from '../thenable.ts';
import type { ApplicationResult, Chunk, Closable } from './types.ts';

/** What a result is read for. */
export interface ResultConsumer {
  /** Whether to pause until the next `pump()`. */
  readonly congested: boolean;
  /** Whether the rest need not be read. */
  readonly satisfied: boolean;
  /** Whether no promise settles. */
  readonly blocking: boolean;
  write(chunk: Chunk): void;
  /** The result is at its end. */
  finishContent(): void;
  handleError(error: unknown): void;
  /** What ending the result has failed with. */
  reportException(error: unknown): void;
  /** A part of the result has to be waited for. May throw to refuse that. */
  awaiting(): void;
}

/** Reads the result of an application, at the pace of its consumer. */
export interface ResultReader {
  /** Goes on reading until the consumer is congested, or the result at its end. */
  pump(): void;
  /** Calls `close()` of the result, and `return()` of an iterator that is not at its end: once. */
  close(): void;
}

/** Null for what is no iterable. */
export function readResult(
  result: ApplicationResult,
  consumer: ResultConsumer,
): ResultReader | null {
  if (typeof result !== 'object' || result === null || result instanceof Uint8Array) return null;
  const isSync = Symbol.iterator in result;
  if (Symbol.asyncIterator in result && !(isSync && consumer.blocking)) {
    return new AsyncReader(result, consumer);
  }
  return isSync ? new SyncReader(result as Iterable<Chunk>, consumer) : null;
}

/**
 * Ends a result that has come too late to be read: `return()` of its iterator is called too, since
 * what it leads to (the body of a `fetch()`, say) may hold resources without having been begun.
 */
export function discardResult(result: ApplicationResult, consumer: ResultConsumer): void {
  if (typeof result !== 'object' || result === null || result instanceof Uint8Array) return;
  const discarder = new Discarder(result, consumer);
  try {
    discarder.begin(result);
  } catch (error) {
    consumer.reportException(error);
  }
  discarder.close();
}

type AnyIterator = Iterator<Chunk> | AsyncIterator<Chunk>;

/** What both readers have in common: handing chunks over, and ending a result once. */
class Reader {
  protected iterator: AnyIterator | null = null;
  protected closed = false;
  protected pumping = false;
  protected readonly consumer: ResultConsumer;
  readonly #result: Closable;

  constructor(result: ApplicationResult, consumer: ResultConsumer) {
    this.#result = result as Closable;
    this.consumer = consumer;
  }

  /** Hands a step over; whether nothing more is to be read. */
  protected take(step: IteratorResult<Chunk>): boolean {
    if (step.done === true) {
      this.iterator = null;
      return true;
    }
    this.consumer.write(checkChunk(step.value));
    return this.consumer.satisfied;
  }

  /** What ending it throws is logged: the answer is decided. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    const { iterator } = this;
    this.iterator = null;
    this.#settle(() => iterator?.return?.());
    this.#settle(() => this.#result.close?.());
  }

  #settle(end: () => unknown): void {
    attempt(end, (error) => this.consumer.reportException(error));
  }
}

class SyncReader extends Reader implements ResultReader {
  readonly #iterable: Iterable<Chunk>;

  constructor(result: Iterable<Chunk>, consumer: ResultConsumer) {
    super(result, consumer);
    this.#iterable = result;
  }

  pump(): void {
    if (this.pumping || this.closed) return;
    this.pumping = true;
    try {
      this.iterator ??= this.#iterable[Symbol.iterator]();
      if (this.#read(this.iterator as Iterator<Chunk>)) this.consumer.finishContent();
    } catch (error) {
      this.consumer.handleError(error);
    } finally {
      this.pumping = false;
    }
  }

  /** Whether the end has been reached. */
  #read(iterator: Iterator<Chunk>): boolean {
    while (!this.closed && !this.consumer.congested) {
      if (this.take(this.#step(iterator))) return true;
    }
    return false;
  }

  /** An iterator that throws is at its end. */
  #step(iterator: Iterator<Chunk>): IteratorResult<Chunk> {
    try {
      return iterator.next();
    } catch (error) {
      this.iterator = null;
      throw error;
    }
  }
}

class AsyncReader extends Reader implements ResultReader {
  readonly #iterable: AsyncIterable<Chunk>;

  constructor(result: AsyncIterable<Chunk>, consumer: ResultConsumer) {
    super(result, consumer);
    this.#iterable = result;
  }

  pump(): void {
    if (this.pumping || this.closed) return;
    try {
      this.consumer.awaiting();
    } catch (error) {
      this.consumer.handleError(error);
      return;
    }
    this.pumping = true;
    this.#run().then(
      () => {
        this.pumping = false;
        // The drain may have been told while the last chunk was waited for.
        if (!this.consumer.congested) this.pump();
      },
      (error) => {
        this.pumping = false;
        this.consumer.handleError(error);
      },
    );
  }

  async #run(): Promise<void> {
    if (await this.#read()) this.consumer.finishContent();
  }

  /** Whether the end has been reached. */
  async #read(): Promise<boolean> {
    this.iterator ??= this.#iterable[Symbol.asyncIterator]();
    const iterator = this.iterator as AsyncIterator<Chunk>;
    while (!this.closed && !this.consumer.congested) {
      const step = await this.#step(iterator);
      if (this.closed) return false;
      if (this.take(step)) return true;
    }
    return false;
  }

  /** An iterator that throws is at its end. */
  async #step(iterator: AsyncIterator<Chunk>): Promise<IteratorResult<Chunk>> {
    try {
      return await iterator.next();
    } catch (error) {
      this.iterator = null;
      throw error;
    }
  }
}

/** Ends a result without having read it. */
class Discarder extends Reader {
  begin(result: ApplicationResult): void {
    if (typeof result !== 'object') return;
    if (Symbol.asyncIterator in result) this.iterator = result[Symbol.asyncIterator]();
    else if (Symbol.iterator in result) {
      this.iterator = (result as Iterable<Chunk>)[Symbol.iterator]();
    }
  }
}
