import { monotonic } from '../clock.ts';
import { RyegateError } from '../errors.ts';
import type { Counters, HTTPSettings } from '../http/connection.ts';
import type { InputBuffering } from '../http/intake.ts';
import { type Limits, type PartialLimits, resolveLimits } from '../http/limits.ts';
import { keptFields } from '../http/response.ts';
import { type PartialTimeouts, resolveTimeouts, type Timeouts } from '../http/timeouts.ts';
import { type ErrorStream, standardError } from '../io/errorstream.ts';
import { AccessLog } from '../logging/accesslog.ts';
import { ErrorLog, type ErrorLogOutput } from '../logging/outputs.ts';
import { checkFlags, checkOption } from '../options.ts';
import type { SocketSettings } from '../reactor/socketsettings.ts';
import type { ClientAddress, StreamSocket } from '../reactor/streamsocket.ts';
import { formatException } from '../socketserver/formatexception.ts';
import type {
  Handling,
  RequestHandlerClass,
  ServerAddress,
  ServerStats,
  TCPServerOptions,
} from '../socketserver/index.ts';
import { TCPServer } from '../socketserver/index.ts';
import { observe } from '../thenable.ts';
import { VERSION } from '../version.ts';
import { Admission } from './admission.ts';
import { busyResponse } from './busyresponse.ts';
import { Notices } from './notices.ts';

export interface HTTPServerOptions extends TCPServerOptions {
  /** What is taken from a client before it is refused; see `Limits`. */
  limits?: PartialLimits | undefined;
  /** How long is waited for clients and handlers, in seconds; see `Timeouts`. */
  timeouts?: PartialTimeouts | undefined;
  /**
   * `'stream'` (the default): a request is answered while its body arrives. `'buffer'`: when all of
   * it has, so that it can be read synchronously.
   */
  inputBuffering?: InputBuffering | undefined;
  /** Whether responses say when they were made. Default true; RFC 9110 section 6.6.1. */
  dateField?: boolean | undefined;
  /** Whether responses tell the server's name and version. Default true. */
  serverField?: boolean | undefined;
  /** Whether applications may send trailers to clients that ask for them. Default false. */
  responseTrailers?: boolean | undefined;
  /**
   * Whether files are sent by sendfile(2) where the system has it; else the addon reads and sends
   * them. Default true. To be switched off for file systems that hand out wrong bytes that way, as
   * shared folders of virtual machines have done.
   */
  sendfile?: boolean | undefined;
  /** Whether the handlers' default `logRequest()` writes a line for each request. Default false. */
  logRequests?: boolean | undefined;
  /**
   * Gets an entry for each request, also for one that failed, was refused or broken off, in place of
   * the line of the handlers' default `logRequest()`. Default none.
   */
  accessLog?: AccessLog | undefined;
  /**
   * Where errors go: what is written to `wsgi.errors`, what handlers fail with, notices. A `LogFile`,
   * an object with `write(text)`, or a logger with `error(message)`. Default standard error.
   */
  errorLog?: ErrorLogOutput | undefined;
}

/**
 * `stats()` of a server of HTTP. Its connections are `idle`, or a `head` has begun to arrive; are
 * `receiving` a body that is buffered, `responding`, or `draining` the rest of a body; `refused`; or
 * `closing`.
 */
export interface HTTPServerStats extends ServerStats, Counters {}

/**
 * `http.server.HTTPServer`: its handlers find `serverName` and `serverPort`, which come from the
 * address as it is: nothing is looked up in DNS.
 */
export class HTTPServer extends TCPServer {
  readonly httpSettings: HTTPSettings;
  readonly logRequests: boolean;
  /** The option; null without one. */
  readonly accessLog: AccessLog | null;
  readonly #errorLog: ErrorLog | null;
  readonly #admission: Admission;
  readonly #notices = new Notices((notice) => {
    observe(this.logNotice(notice), (error) => this.reportFault(error));
  });

  /**
   * @throws RyegateError `ERR_RYEGATE_LIMIT`, `ERR_RYEGATE_TIMEOUT`, `ERR_RYEGATE_OPTION` for
   *   options that make no sense; and as `TCPServer`
   */
  constructor(
    serverAddress: ServerAddress,
    requestHandlerClass: RequestHandlerClass,
    options: HTTPServerOptions = {},
  ) {
    // Before anything is opened that would have to be closed again.
    const httpSettings = settingsOf(options);
    const isLog = (value: unknown): boolean => value instanceof AccessLog;
    checkOption('accessLog', options.accessLog, isLog, 'an AccessLog');
    const errorLog =
      options.errorLog === undefined
        ? null
        : new ErrorLog(options.errorLog, () => this.reactor.blocking);
    super(serverAddress, requestHandlerClass, options);
    this.httpSettings = httpSettings;
    this.logRequests = options.logRequests ?? false;
    this.accessLog = options.accessLog ?? null;
    this.#errorLog = errorLog;
    this.#admission = new Admission(httpSettings.limits);
    this.reactor.onClose = (socket) => this.#admission.leave(socket);
  }

  get serverName(): string {
    return typeof this.serverAddress === 'string' ? 'localhost' : this.serverAddress[0];
  }

  /** 0 for a unix socket. */
  get serverPort(): number {
    return typeof this.serverAddress === 'string' ? 0 : this.serverAddress[1];
  }

  /** Where errors are written to; see the option `errorLog`. */
  get errorStream(): ErrorStream {
    return this.#errorLog ?? standardError();
  }

  /** Serves the connection, or answers 503 when there are too many. */
  override finishRequest(request: StreamSocket, clientAddress: ClientAddress): Handling {
    // It may have been aborted by whoever came between.
    if (request.closed) return undefined;
    const canWatch = this.reactor.canWatch(request.fd);
    if (canWatch && this.#admission.admit(request)) {
      return super.finishRequest(request, clientAddress);
    }
    request.configure(this.httpSettings.socket);
    this.#admission.refuse(request, busyResponse, canWatch);
    this.notice(
      new RyegateError(
        'ERR_RYEGATE_TOO_MANY_CONNECTIONS',
        'clients are turned away with 503, as there are too many connections: raise ' +
          'limits.connections or limits.connectionsPerAddress, or use another selector than ' +
          'select, if there is room for more',
      ),
    );
    return undefined;
  }

  protected override get refusal(): Uint8Array {
    return busyResponse;
  }

  /** As `BaseServer.stats()`, with the requests. Connections are counted by the states of HTTP. */
  override stats(): HTTPServerStats {
    return { ...super.stats(), ...this.httpSettings.counters };
  }

  /** @internal Something that clients cause and the operator should know. */
  notice(notice: RyegateError): void {
    this.#notices.add(notice, monotonic());
  }

  /** Called for what clients cause, at most once a minute for each code. Writes to the error log. */
  logNotice(notice: RyegateError): void {
    const { code, message, cause } = notice;
    const why = cause instanceof Error ? ` (${cause.message})` : '';
    this.errorStream.write(`ryegate: ${code}: ${message}${why}\n`);
  }

  /** As of `BaseServer`; to the error log, if there is one. */
  override handleError(request: StreamSocket, clientAddress: ClientAddress, error: unknown): void {
    if (this.#errorLog === null) {
      super.handleError(request, clientAddress, error);
      return;
    }
    const client = typeof clientAddress === 'string' ? 'a unix socket' : clientAddress[0];
    this.#errorLog.write(`ryegate: a request from ${client} failed: ${formatException(error)}\n`);
  }

  protected override logError(error: unknown): void {
    if (this.#errorLog === null) super.logError(error);
    else this.#errorLog.write(`ryegate: ${formatException(error)}\n`);
  }
}

function settingsOf(options: HTTPServerOptions): HTTPSettings {
  const limits = resolveLimits(options.limits);
  const timeouts = resolveTimeouts(options.timeouts);
  const { inputBuffering = 'stream' } = options;
  const isBuffering = (value: string): boolean => value === 'stream' || value === 'buffer';
  checkOption('inputBuffering', inputBuffering, isBuffering, "'stream' or 'buffer'");
  checkFlags(options, ['dateField', 'serverField', 'responseTrailers', 'sendfile', 'logRequests']);
  const { body: silence, bodyGrace: grace } = timeouts;
  return {
    limits,
    timeouts,
    inputBuffering,
    bodyPace: { silence, grace, rate: limits.bodyRate },
    socket: socketSettings(limits, timeouts),
    serverSoftware: `ryegate/${VERSION}`,
    dateField: options.dateField ?? true,
    serverField: options.serverField ?? true,
    responseTrailers: options.responseTrailers ?? false,
    sendfile: options.sendfile ?? true,
    keptFields: keptFields(timeouts.keepAlive),
    counters: { requests: 0, refused: 0, failed: 0 },
  };
}

/** Seconds, for a server that waits for ever for a client that takes nothing. */
const LONGEST_GRACE = 60;

function socketSettings(limits: Limits, timeouts: Timeouts): SocketSettings {
  const { write, linger } = timeouts;
  return {
    highWater: limits.bufferedBytes,
    // The kernel frees its buffer in large steps, so that a rate shows only in the long run.
    write: { silence: write, grace: Math.min(write, LONGEST_GRACE), rate: limits.responseRate },
    linger,
  };
}
