import type { HeaderList } from '../http/headers.ts';
import type { HTTPRequest } from '../http/request.ts';
import type { Response } from '../http/response.ts';
import { bodyForbidden } from '../http/status.ts';
import type { AccessLog } from '../logging/accesslog.ts';

/** Whose requests are logged. */
export interface RequestSource {
  addressString(): string;
}

/** What only the handler of a request knows. */
export interface RequestFacts {
  readonly environ?: Readonly<Record<string, unknown>> | null;
  readonly responseFields?: HeaderList | null;
  /** The body was a file, of which only what has gone is counted. */
  readonly isFile?: boolean;
}

const NO_FACTS: RequestFacts = {};

/** Sees to it that each request of one connection has one entry in the access log. */
export class RequestJournal {
  readonly log: AccessLog;
  readonly #source: RequestSource;
  /** The one whose entry is due. */
  #request: HTTPRequest | null = null;
  /** Monotonic milliseconds. */
  #began = 0;
  #fields: HeaderList | null = null;
  #isBroken = false;

  constructor(log: AccessLog, source: RequestSource) {
    this.log = log;
    this.#source = source;
  }

  /** A request has come, or is answered by another response than before. */
  begin(request: HTTPRequest): void {
    if (!this.isFor(request)) this.#began = request.arrived ?? request.connection.socket.now;
    this.#request = request;
    this.#fields = null;
    this.#isBroken = false;
  }

  /** Whether `request` is the one whose entry is due. */
  isFor(request: HTTPRequest): boolean {
    return this.#request === request;
  }

  /** The head of the response is sent with these. */
  sent(fields: HeaderList): void {
    if (this.log.format.usesResponseFields) this.#fields = fields;
  }

  /** The response is about to be given up. */
  broken(): void {
    this.#isBroken = true;
  }

  /** Whether there is an entry to be made: the response is over. */
  get isDue(): boolean {
    return this.#request?.response.over === true;
  }

  /** Logs the request, unless it has been. Throws what the log throws, and gives what it gives. */
  end(facts: RequestFacts = NO_FACTS): unknown {
    const request = this.#request;
    if (request === null) return undefined;
    this.#request = null;
    const { response, connection, head } = request;
    const { socket } = connection;
    const aborted = this.#isBroken || !isComplete(response, socket.closed);
    const unsent = aborted && facts.isFile !== true ? socket.buffered : 0;
    const fields = facts.responseFields ?? this.#fields;
    this.#fields = null;
    const logged = this.log.log({
      time: Date.now(),
      client: this.#source.addressString(),
      head,
      status: response?.status ?? 0,
      bytes: Math.max(0, bodyBytes(request) - unsent),
      // The reactor's clock stands still while a handler works.
      seconds: (performance.now() - this.#began) / 1000,
      aborted,
      responseFields: fields,
      environ: facts.environ ?? null,
    });
    if (socket.blocking) this.log.flushSync();
    return logged;
  }
}

/** A request whose body did not come has no response. */
function isComplete(response: Response | undefined, closed: boolean): boolean {
  return response?.over === true && response.headSent && (!closed || response.owed <= 0);
}

function bodyBytes({ response, method }: HTTPRequest): number {
  return response === undefined ? 0 : sentOf(response, method);
}

/** Without what a GET would have been sent. */
export function sentOf({ status, bytesSent }: Response, method: string): number {
  return method === 'HEAD' || bodyForbidden(status) ? 0 : bytesSent;
}
