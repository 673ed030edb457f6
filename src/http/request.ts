import { emptyInput, type InputStream, type TrailerList } from '../io/inputstream.ts';
import type { HTTPConnection } from './connection.ts';
import type { RequestHead } from './head.ts';
import type { Response } from './response.ts';
import { takesTrailers } from './trailers.ts';

/** One request: its head, its body as a stream, and the response that belongs to it. */
export class HTTPRequest {
  readonly connection: HTTPConnection;
  /** Other requests of the connection may have the same: one that changes it has its own. */
  #head: RequestHead;
  #ownsHead = false;
  /** Whether the connection may be kept after it. */
  keepAlive: boolean;
  /** Ends at the end of the body. */
  body: InputStream = emptyInput;
  declare response: Response;
  /** When its head had come, if it has a body: it may be answered later. Monotonic milliseconds. */
  readonly arrived: number | null = null;
  #aborter: AbortController | null = null;
  #abandoned = false;

  constructor(connection: HTTPConnection, head: RequestHead) {
    this.connection = connection;
    this.#head = head;
    this.keepAlive = head.keepAlive;
    if (head.chunked || head.contentLength > 0) this.arrived = connection.socket.now;
  }

  /** As it was read, or changed. Not to be changed itself. */
  get head(): RequestHead {
    return this.#head;
  }

  #ownHead(): RequestHead {
    if (!this.#ownsHead) {
      this.#head = this.#head.copy();
      this.#ownsHead = true;
    }
    return this.#head;
  }

  get method(): string {
    return this.#head.method;
  }

  set method(method: string) {
    this.#ownHead().method = method;
  }

  /** As sent; see `RequestHead`. */
  get target(): string {
    return this.#head.target;
  }

  set target(target: string) {
    this.#ownHead().target = target;
  }

  /** The y of HTTP/1.y. */
  get minor(): 0 | 1 {
    return this.#head.minor;
  }

  /** Lower-case name, value, name, value ... in the order of arrival; they may be changed. */
  get fields(): string[] {
    return this.#ownHead().fields as string[];
  }

  set fields(fields: string[]) {
    this.#ownHead().fields = fields;
  }

  /**
   * Fires when the client goes away, finishes sending, or is given up (`timeouts.handler`), before
   * the response is complete. Made when first asked for.
   */
  get signal(): AbortSignal {
    if (this.#aborter === null) {
      this.#aborter = new AbortController();
      if (this.#abandoned) this.#aborter.abort();
    }
    return this.#aborter.signal;
  }

  /** Whether the client takes trailers with the response; those of HTTP/1.0 cannot. */
  get takesTrailers(): boolean {
    const { fields, minor } = this.#head;
    // A list may come in several lines.
    const isTaker = (name: string, at: number): boolean =>
      at % 2 === 0 && name === 'te' && takesTrailers(fields[at + 1] as string);
    return minor === 1 && fields.some(isTaker);
  }

  /** The trailer fields of a chunked body, never merged into the header; at the end of the body. */
  get trailers(): TrailerList {
    return this.body.trailers;
  }

  /** @internal The client has gone. */
  abandon(): void {
    this.#abandoned = true;
    this.#aborter?.abort();
  }
}
