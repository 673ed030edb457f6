import { checkChunk } from '../io/chunk.ts';
import { isThenable } from '../thenable.ts';
import type { ApplicationResult, Chunk, Closable } from './types.ts';

/** What a result is read for. */
export interface ResultConsumer {
  /** Whether to pause until the next `pump()`. */
  readonly congested: boolean;
  /** Whether the rest need not be read. */
  readonly satisfied: boolean;
  write(chunk: Chunk): void;
  /** The result is at its end. */
  finishContent(): void;
  handleError(error: unknown): void;
  logException(error: unknown): void;
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
  if (Symbol.asyncIterator in result) return new AsyncReader(result, consumer);
  if (Symbol.iterator in result) return new SyncReader(result, consumer);
  return null;
}

/**
 * Ends a result that has come too late to be read: `return()` of its iterator is called too, since
 * what it leads to (the body of a `fetch()`, say) may hold resources without having been begun.
 */
export function discardResult(result: ApplicationResult, consumer: ResultConsumer): void {
  if (typeof result !== 'object' || result === null || result instanceof Uint8Array) return;
  const closer = new Closer(result as Closable, consumer);
  try {
    if (Symbol.asyncIterator in result) closer.iterator = result[Symbol.asyncIterator]();
    else if (Symbol.iterator in result) closer.iterator = result[Symbol.iterator]();
  } catch (error) {
    consumer.logException(error);
  }
  closer.close();
}

type AnyIterator = Iterator<Chunk> | AsyncIterator<Chunk>;

/** Ends a result that is not read further. What that throws is logged: the answer is decided. */
class Closer {
  iterator: AnyIterator | null = null;
  closed = false;
  readonly #result: Closable;
  readonly #consumer: ResultConsumer;

  constructor(result: Closable, consumer: ResultConsumer) {
    this.#result = result;
    this.#consumer = consumer;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    const { iterator } = this;
    this.iterator = null;
    this.#settle(() => iterator?.return?.());
    this.#settle(() => this.#result.close?.());
  }

  #settle(end: () => unknown): void {
    const failed = (error: unknown): void => this.#consumer.logException(error);
    try {
      const ending = end();
      if (isThenable(ending)) ending.then(null, failed);
    } catch (error) {
      failed(error);
    }
  }
}

class SyncReader implements ResultReader {
  readonly #result: Iterable<Chunk>;
  readonly #consumer: ResultConsumer;
  readonly #closer: Closer;
  #pumping = false;

  constructor(result: Iterable<Chunk>, consumer: ResultConsumer) {
    this.#result = result;
    this.#consumer = consumer;
    this.#closer = new Closer(result as Closable, consumer);
  }

  pump(): void {
    if (this.#pumping || this.#closer.closed) return;
    this.#pumping = true;
    try {
      this.#closer.iterator ??= this.#result[Symbol.iterator]();
      if (this.#read(this.#closer.iterator as Iterator<Chunk>)) this.#consumer.finishContent();
    } catch (error) {
      this.#consumer.handleError(error);
    } finally {
      this.#pumping = false;
    }
  }

  /** Whether the end has been reached. */
  #read(iterator: Iterator<Chunk>): boolean {
    const consumer = this.#consumer;
    while (!this.#closer.closed && !consumer.congested) {
      const step = this.#step(iterator);
      if (step.done === true) {
        this.#closer.iterator = null;
        return true;
      }
      consumer.write(checkChunk(step.value));
      if (consumer.satisfied) return true;
    }
    return false;
  }

  /** An iterator that throws is at its end. */
  #step(iterator: Iterator<Chunk>): IteratorResult<Chunk> {
    try {
      return iterator.next();
    } catch (error) {
      this.#closer.iterator = null;
      throw error;
    }
  }

  close(): void {
    this.#closer.close();
  }
}

class AsyncReader implements ResultReader {
  readonly #result: AsyncIterable<Chunk>;
  readonly #consumer: ResultConsumer;
  readonly #closer: Closer;
  #pumping = false;

  constructor(result: AsyncIterable<Chunk>, consumer: ResultConsumer) {
    this.#result = result;
    this.#consumer = consumer;
    this.#closer = new Closer(result as Closable, consumer);
  }

  pump(): void {
    if (this.#pumping || this.#closer.closed) return;
    try {
      this.#consumer.awaiting();
    } catch (error) {
      this.#consumer.handleError(error);
      return;
    }
    this.#pumping = true;
    this.#run().then(
      () => {
        this.#pumping = false;
        // The drain may have been told while the last chunk was waited for.
        if (!this.#consumer.congested) this.pump();
      },
      (error) => {
        this.#pumping = false;
        this.#consumer.handleError(error);
      },
    );
  }

  async #run(): Promise<void> {
    if (await this.#read()) this.#consumer.finishContent();
  }

  /** Whether the end has been reached. */
  async #read(): Promise<boolean> {
    const consumer = this.#consumer;
    this.#closer.iterator ??= this.#result[Symbol.asyncIterator]();
    const iterator = this.#closer.iterator as AsyncIterator<Chunk>;
    while (!this.#closer.closed && !consumer.congested) {
      const step = await this.#step(iterator);
      if (this.#closer.closed) return false;
      if (step.done === true) {
        this.#closer.iterator = null;
        return true;
      }
      consumer.write(checkChunk(step.value));
      if (consumer.satisfied) return true;
    }
    return false;
  }

  /** An iterator that throws is at its end. */
  async #step(iterator: AsyncIterator<Chunk>): Promise<IteratorResult<Chunk>> {
    try {
      return await iterator.next();
    } catch (error) {
      this.#closer.iterator = null;
      throw error;
    }
  }

  close(): void {
    this.#closer.close();
  }
}
