import { RyegateError } from '../errors.ts';
import { type Chunk, checkChunk } from './chunk.ts';

/** Where a `PacedWriter` writes. */
export interface WriterTarget {
  write(chunk: Chunk): void;
  /** Whether to wait until `drained()` is told. */
  readonly congested: boolean;
  /** Whether nothing can be sent any more. */
  readonly over: boolean;
}

/** The writing side that handlers use: its promises keep to the client's pace. */
export class PacedWriter {
  readonly #target: WriterTarget;
  #failure: RyegateError | null = null;
  #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(target: WriterTarget) {
    this.#target = target;
  }

  /**
   * Sends bytes, or text as UTF-8; `bytes` must not change until they have gone. Awaiting the promise
   * keeps to the client's pace: it resolves at once while little is buffered, else when most of it
   * has gone. Ignoring it is allowed.
   *
   * @throws RyegateError `ERR_RYEGATE_CHUNK` for what is neither; (rejects)
   *   `ERR_RYEGATE_CLIENT_GONE` when the client has gone
   */
  write(chunk: Chunk): Promise<void> {
    checkChunk(chunk);
    if (this.#failure === null && !this.#target.over) this.#target.write(chunk);
    return this.flush();
  }

  async writelines(chunks: Iterable<Chunk>): Promise<void> {
    for (const chunk of chunks) await this.write(chunk);
  }

  /** Resolves when little enough is buffered to write on. Rejects as `write()` does. */
  flush(): Promise<void> {
    if (this.#failure !== null || this.#target.over) return observed(Promise.reject(this.lost()));
    if (!this.#target.congested) return Promise.resolve();
    return observed(
      new Promise((resolve, reject) => {
        this.#waiting.push({ resolve, reject });
      }),
    );
  }

  /** @internal */
  drained(): void {
    for (const waiting of this.#waiting.splice(0)) waiting.resolve();
  }

  /** @internal The client has gone. */
  lost(cause: Error | null = null): RyegateError {
    this.#failure ??= new RyegateError(
      'ERR_RYEGATE_CLIENT_GONE',
      'the client has gone, or has its whole answer: nothing more can be sent to it',
      cause === null ? {} : { cause },
    );
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#failure);
    return this.#failure;
  }
}

/** A synchronous handler ignores these promises, which must not count as unhandled. */
function observed(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}
