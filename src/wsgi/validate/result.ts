import { isThenable } from '../../thenable.ts';
import type { ApplicationResult, Chunk, Closable } from '../types.ts';
import type { ResponseRecord } from './startresponse.ts';
import { shown, violation, warn } from './violation.ts';

/** The result of an application with its chunks, and what the server does with it, checked. */
export function checkedResult(result: unknown, record: ResponseRecord): ApplicationResult {
  if (typeof result === 'string' || result instanceof Uint8Array) {
    record.checkChunk(result);
    return result;
  }
  if (typeof result === 'object' && result !== null) {
    if (Array.isArray(result)) return checkedArray(result, record);
    if (Symbol.asyncIterator in result) {
      return new CheckedAsyncIterable(result as AsyncIterable<unknown>, record);
    }
    if (Symbol.iterator in result) {
      return new CheckedIterable(result as Iterable<unknown>, record);
    }
  }
  throw violation(
    `the application returned ${shown(result)}: expected a string, a Uint8Array (Buffer), or an ` +
      'iterable or async iterable of these, if only an empty array',
  );
}

const NEVER_CLOSED =
  'the result of an application was garbage collected without a call of its close(): whoever ' +
  'runs an application has to close its result, also one that is not read to its end';
const unclosed = new FinalizationRegistry<undefined>(() => warn(NEVER_CLOSED));

/** Ends what will not be read: the violation that is about to be thrown counts for more. */
function endQuietly(end: () => unknown): void {
  try {
    const ending = end();
    if (isThenable(ending)) ending.then(null, () => {});
  } catch {
    // As above.
  }
}

/** What all iterables have in common: they are read once, until they are closed, once. */
class CheckedBody implements Closable {
  protected readonly record: ResponseRecord;
  readonly #result: Closable;
  #begun = false;
  #closed = false;

  constructor(result: object, record: ResponseRecord) {
    this.#result = result as Closable;
    this.record = record;
    unclosed.register(this, undefined, this);
  }

  close(): void | Promise<void> {
    if (this.#closed) {
      throw violation('close() of a result was called twice: the server has to call it once');
    }
    this.#closed = true;
    unclosed.unregister(this);
    return this.#result.close?.();
  }

  protected begin(): void {
    if (this.#begun) {
      throw violation('a result was iterated twice: the server has to read it once');
    }
    this.#begun = true;
  }

  protected checkOpen(): void {
    if (!this.#closed) return;
    throw violation('a result was read after its close(): the server has to stop before that');
  }

  /** A step of `iterator`, which is ended when that breaks a rule. */
  protected checkStep(
    step: IteratorResult<unknown>,
    iterator: Iterator<unknown> | AsyncIterator<unknown>,
  ): IteratorResult<Chunk> {
    try {
      if (step.done === true) this.record.checkStarted();
      else this.record.checkChunk(step.value);
    } catch (error) {
      if (step.done !== true) endQuietly(() => iterator.return?.());
      throw error;
    }
    return step as IteratorResult<Chunk>;
  }
}

class CheckedIterable extends CheckedBody implements Iterable<Chunk> {
  readonly #iterable: Iterable<unknown>;

  constructor(result: Iterable<unknown>, record: ResponseRecord) {
    super(result, record);
    this.#iterable = result;
  }

  [Symbol.iterator](): IterableIterator<Chunk> {
    this.begin();
    const inner = this.#iterable[Symbol.iterator]();
    const iterator: IterableIterator<Chunk> = {
      next: () => {
        this.checkOpen();
        return this.checkStep(inner.next(), inner);
      },
      return: () => {
        inner.return?.();
        return { done: true, value: undefined };
      },
      [Symbol.iterator]: () => iterator,
    };
    return iterator;
  }
}

class CheckedAsyncIterable extends CheckedBody implements AsyncIterable<Chunk> {
  readonly #iterable: AsyncIterable<unknown>;

  constructor(result: AsyncIterable<unknown>, record: ResponseRecord) {
    super(result, record);
    this.#iterable = result;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Chunk> {
    this.begin();
    const inner = this.#iterable[Symbol.asyncIterator]();
    const iterator: AsyncIterableIterator<Chunk> = {
      next: async () => {
        this.checkOpen();
        return this.checkStep(await inner.next(), inner);
      },
      return: async () => {
        await inner.return?.();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }
}

/** Still an array, since servers compute the length of one with a single chunk. */
function checkedArray(result: unknown[], record: ResponseRecord): Chunk[] {
  const body = new CheckedIterable(result, record);
  try {
    record.checkStarted();
    // By index: an array that was checked already, behind a middleware, is iterated once only.
    for (let i = 0; i < result.length; i++) record.checkChunk(result[i]);
  } catch (error) {
    endQuietly(() => body.close());
    throw error;
  }
  return Object.defineProperties(result.slice() as Chunk[], {
    [Symbol.iterator]: { value: () => body[Symbol.iterator]() },
    close: { value: () => body.close() },
  });
}
