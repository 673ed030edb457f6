import { emptyInput, type InputStream } from '../io/inputstream.ts';
import type { HTTPConnection } from './connection.ts';
import { RequestHead } from './head.ts';
import type { Response } from './response.ts';

/** One request: its head, its body as a stream, and the response that belongs to it. */
export class HTTPRequest extends RequestHead {
  readonly connection: HTTPConnection;
  /** Ends at the end of the body. */
  body: InputStream = emptyInput;
  declare response: Response;
  #aborter: AbortController | null = null;
  #abandoned = false;

  constructor(connection: HTTPConnection) {
    super();
    this.connection = connection;
  }

  /**
   * Fires when the client goes away, or finishes sending, before the response is complete. Made when
   * first asked for.
   */
  get signal(): AbortSignal {
    if (this.#aborter === null) {
      this.#aborter = new AbortController();
      if (this.#abandoned) this.#aborter.abort();
    }
    return this.#aborter.signal;
  }

  /** @internal The client has gone. */
  abandon(): void {
    this.#abandoned = true;
    this.#aborter?.abort();
  }
}
