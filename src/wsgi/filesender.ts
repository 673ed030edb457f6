import type { Response } from '../http/response.ts';
import type { BodyPart } from './filewrapper.ts';
import type { ResultConsumer, ResultReader } from './result.ts';

/** Sends a file result as it is: one part after the other, each when the last has gone. */
export class FileSender implements ResultReader {
  readonly #parts: readonly BodyPart[];
  readonly #response: Response;
  readonly #consumer: ResultConsumer;
  readonly #reader: ResultReader;
  #at = 0;
  #sending = false;
  #closed = false;

  /** `reader` is the one that has not been needed; it closes the result. */
  constructor(
    parts: readonly BodyPart[],
    response: Response,
    consumer: ResultConsumer,
    reader: ResultReader,
  ) {
    this.#parts = parts;
    this.#response = response;
    this.#consumer = consumer;
    this.#reader = reader;
  }

  /** The size of the body in bytes. */
  get size(): number {
    let size = 0;
    for (const part of this.#parts) size += part instanceof Uint8Array ? part.length : part.count;
    return size;
  }

  pump(): void {
    while (!this.#sending && !this.#closed) {
      const part = this.#parts[this.#at++];
      if (part === undefined) this.#consumer.finishContent();
      else if (part instanceof Uint8Array) this.#response.write(part);
      else this.#sending = this.#response.writeFile(part, (error) => this.#told(error));
    }
  }

  #told(error: Error | null): void {
    this.#sending = false;
    if (this.#closed) this.#reader.close();
    else if (error !== null) this.#consumer.handleError(error);
    else this.#resume();
  }

  #resume(): void {
    try {
      this.pump();
    } catch (error) {
      this.#consumer.handleError(error);
    }
  }

  /** The file stays open for as long as the connection may read from it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#sending) this.#reader.close();
  }
}
