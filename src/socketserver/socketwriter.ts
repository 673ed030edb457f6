import { RyegateError } from '../errors.ts';
import type { StreamSocket } from '../reactor/streamsocket.ts';

/** The `wfile` of a stream handler. */
export class SocketWriter {
  readonly #socket: StreamSocket;
  #failure: Error | null = null;
  #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(socket: StreamSocket) {
    this.#socket = socket;
  }

  /**
   * Sends bytes, or text as UTF-8; `bytes` must not change until they have gone. Awaiting the promise
   * keeps to the client's pace: it resolves at once while little is buffered, else when most of it
   * has gone. Ignoring it is allowed.
   *
   * @throws (rejects) RyegateError `ERR_RYEGATE_CLIENT_GONE` when the client has gone
   */
  write(chunk: Uint8Array | string): Promise<void> {
    if (this.#failure === null && !this.#socket.closed) {
      this.#socket.write(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    }
    return this.flush();
  }

  async writelines(chunks: Iterable<Uint8Array | string>): Promise<void> {
    for (const chunk of chunks) await this.write(chunk);
  }

  /** Resolves when little enough is buffered to write on. */
  flush(): Promise<void> {
    if (this.#failure !== null || this.#socket.closed) {
      this.lost(null);
      return observed(Promise.reject(this.#failure));
    }
    if (!this.#socket.congested) return Promise.resolve();
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

  /** @internal */
  lost(cause: Error | null): void {
    this.#failure ??= new RyegateError(
      'ERR_RYEGATE_CLIENT_GONE',
      'the client has gone: nothing more can be sent to it',
      cause === null ? {} : { cause },
    );
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#failure);
  }
}

/** A synchronous handler ignores these promises, which must not count as unhandled. */
function observed(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}
