import type { Chunk, Producer, Response } from '../http/response.ts';

/** The `wfile` of an HTTP handler: writes to the body of one response. */
export class ResponseFile implements Producer {
  readonly #response: Response;
  #waiting: (() => void)[] = [];

  constructor(response: Response) {
    this.#response = response;
    response.producer = this;
  }

  /** Awaiting the promise keeps to the client's pace; ignoring it is allowed. */
  write(chunk: Chunk): Promise<void> {
    this.#response.write(chunk);
    return this.flush();
  }

  async writelines(chunks: Iterable<Chunk>): Promise<void> {
    for (const chunk of chunks) await this.write(chunk);
  }

  /** Resolves when little enough is buffered to write on, or nothing can be sent any more. */
  flush(): Promise<void> {
    if (!this.#response.congested) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** @internal */
  drained(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** @internal */
  clientGone(): void {
    this.drained();
  }
}
