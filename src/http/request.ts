import { emptyInput, type InputStream, type TrailerList } from '../io/inputstream.ts';
import type { HTTPConnection } from './connection.ts';
import type { RequestHead } from './head.ts';
import type { Response } from './response.ts';
import { takesTrailers } from './trailers.ts';

/** One request: its head, its body as a stream, and the response that belongs to it. */
export class HTTPRequest {
  // `declare`, as the constructor sets all: see "What keeps a request cheap" in docs/performance.md.
  declare readonly connection: HTTPConnection;
  /** Other requests of the connection may have the same: one that changes it has its own. */
  declare private ownHead: RequestHead;
  declare private ownsHead: boolean;
  /** Whether the connection may be kept after it. */
  declare keepAlive: boolean;
  /** Ends at the end of the body. */
  declare body: InputStream;
  declare response: Response;
  /** When its head had come, if its body is taken in: it may be answered later. Monotonic milliseconds. */
  declare arrived: number | null;
  declare private aborter: AbortController | null;
  declare private abandoned: boolean;

  constructor(connection: HTTPConnection, head: RequestHead) {
    this.connection = connection;
    this.ownHead = head;
    this.ownsHead = false;
    this.keepAlive = head.keepAlive;
    this.body = emptyInput;
    this.arrived = null;
    this.aborter = null;
    this.abandoned = false;
  }

  /** As it was read, or changed. Not to be changed itself. */
  get head(): RequestHead {
    return this.ownHead;
  }

  private takeHead(): RequestHead {
    if (!this.ownsHead) {
      this.ownHead = this.ownHead.copy();
      this.ownsHead = true;
    }
    return this.ownHead;
  }

  get method(): string {
    return this.ownHead.method;
  }

  set method(method: string) {
    this.takeHead().method = method;
  }

  /** As sent; see `RequestHead`. */
  get target(): string {
    return this.ownHead.target;
  }

  set target(target: string) {
    this.takeHead().target = target;
  }

  /** The y of HTTP/1.y. */
  get minor(): 0 | 1 {
    return this.ownHead.minor;
  }

  /** Lower-case name, value, name, value ... in the order of arrival; they may be changed. */
  get fields(): string[] {
    return this.takeHead().fields as string[];
  }

  set fields(fields: string[]) {
    this.takeHead().fields = fields;
  }

  /**
   * Fires when the client goes away, finishes sending, or is given up (`timeouts.handler`), before
   * the response is complete. Made when first asked for.
   */
  get signal(): AbortSignal {
    if (this.aborter === null) {
      this.aborter = new AbortController();
      if (this.abandoned) this.aborter.abort();
    }
    return this.aborter.signal;
  }

  /** Whether the client takes trailers with the response; those of HTTP/1.0 cannot. */
  get takesTrailers(): boolean {
    const { fields, minor } = this.ownHead;
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
    this.abandoned = true;
    this.aborter?.abort();
  }
}
