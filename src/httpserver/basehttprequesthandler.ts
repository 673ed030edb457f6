import { describeFault, isInstance, RyegateError } from '../errors.ts';
import { HTTPConnection } from '../http/connection.ts';
import { httpDate } from '../http/date.ts';
import { errorPage } from '../http/errorpage.ts';
import type { Gateway } from '../http/gateway.ts';
import { checkHeaders, checkStatus, type HeaderList, Headers, toPairs } from '../http/headers.ts';
import { asHTTPError, type HTTPError } from '../http/httperror.ts';
import type { HTTPRequest } from '../http/request.ts';
import { reasonPhrase } from '../http/status.ts';
import type { InputStream } from '../io/inputstream.ts';
import { formatLogTime, printable } from '../logging/logtext.ts';
import type { ClientAddress, StreamSocket } from '../reactor/streamsocket.ts';
import { asyncUnderSync, refusePromise } from '../socketserver/checks.ts';
import { BaseRequestHandler, CONTINUES, type Handling } from '../socketserver/index.ts';
import { isThenable, observe } from '../thenable.ts';
import { VERSION } from '../version.ts';
import type { HTTPServer } from './httpserver.ts';
import { type RequestFacts, RequestJournal } from './requestjournal.ts';
import { ResponseFile } from './responsefile.ts';

/** A method for one request method: `doGET`, `doPOST`; it may be async. */
type DoMethod = () => void | Promise<void>;

/** What a handler has made of its request, and of its response before that is sent. */
class Draft {
  headers: Headers | null = null;
  wfile: ResponseFile | null = null;
  status = '';
  responseHeaders: HeaderList = [];
}

/**
 * `http.server.BaseHTTPRequestHandler`: serves the requests of one connection. A subclass defines
 * `doGET()`, `doPOST()` and so on; each calls `sendResponse()`, `sendHeader()`, `endHeaders()` and
 * writes to `wfile`. Requests of other methods are answered with 501.
 *
 * Unlike CPython's it speaks HTTP/1.1 with persistent connections, limits the body to what belongs
 * to the request, and delimits the response by itself when no Content-Length is sent.
 */
export class BaseHTTPRequestHandler extends BaseRequestHandler implements Gateway {
  /** First part of the Server field. */
  static serverVersion = `ryegate/${VERSION}`;

  declare readonly server: HTTPServer;
  /**
   * The request that is being answered, or was last. Undefined before the first, and between the
   * requests of a `WSGIRequestHandler` that is not extended.
   */
  declare httpRequest: HTTPRequest;
  /** Made by the first who asks for a part of it. */
  #draft: Draft | null = null;
  /** @internal Null without an access log. */
  readonly journal: RequestJournal | null;

  constructor(request: StreamSocket, clientAddress: ClientAddress, server: HTTPServer) {
    super(request, clientAddress, server);
    const { accessLog } = server;
    this.journal = accessLog === null ? null : new RequestJournal(accessLog, this);
  }

  /** The method of the request, such as `GET`. */
  get command(): string {
    return this.httpRequest.method;
  }

  /** The request target as sent. */
  get path(): string {
    return this.httpRequest.target;
  }

  get requestVersion(): string {
    return `HTTP/1.${this.httpRequest.minor}`;
  }

  /** The request line, empty when it could not be read. */
  get requestline(): string {
    const { method, target } = this.httpRequest;
    return method === '' ? '' : `${method} ${target} ${this.requestVersion}`;
  }

  /** The header fields of the request. */
  get headers(): Headers {
    const draft = this.#ownDraft();
    draft.headers ??= new Headers(toPairs(this.httpRequest.head.fields));
    return draft.headers;
  }

  /** The body of the request; it ends where the body does. */
  get rfile(): InputStream {
    return this.httpRequest.body;
  }

  /** Takes the body of the response, after `endHeaders()`. */
  get wfile(): ResponseFile {
    const draft = this.#ownDraft();
    draft.wfile ??= new ResponseFile(this.httpRequest.response);
    return draft.wfile;
  }

  #ownDraft(): Draft {
    this.#draft ??= new Draft();
    return this.#draft;
  }

  /** Serves requests as they arrive, until the connection ends. */
  override run(): Handling {
    refusePromise(this.setup(), 'setup()');
    const { request, server } = this;
    const serverSoftware = this.versionString();
    const settings =
      serverSoftware === server.httpSettings.serverSoftware
        ? server.httpSettings
        : { ...server.httpSettings, serverSoftware };
    new HTTPConnection(request, this, settings, server.handlingOneRequest).open();
    return CONTINUES;
  }

  // What the connection tells.

  respond(request: HTTPRequest): void {
    this.#begin(request);
    try {
      const isToBeServed: unknown = this.parseRequest();
      // A promise is truthy: taking it for a yes would serve everybody.
      if (isToBeServed !== true) refusePromise(isToBeServed, 'parseRequest()');
      if (isToBeServed) {
        const done: unknown = this.handleOneRequest();
        // An override may be async although the method is not.
        if (isThenable(done)) this.#await(done, 'handleOneRequest()');
      } else if (!request.response.headSent) {
        this.#answer(400);
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#settle();
  }

  refuse(request: HTTPRequest, error: HTTPError): void {
    this.#begin(request);
    this.#answer(error.status, error.message);
    this.#settle();
  }

  abandon(request: HTTPRequest): void {
    this.#begin(request);
    this.tryLogRequest();
    this.tryLogAccess();
  }

  #begin(request: HTTPRequest): void {
    this.httpRequest = request;
    this.#draft = null;
    if (this.journal !== null) this.#beginEntry(this.journal, request);
  }

  fault(error: RyegateError): void {
    this.guard(() => this.logError(describeFault(error)));
  }

  /** Passes on what the operator should know; see `HTTPServer.logNotice()`. */
  notice(error: RyegateError): void {
    this.guard(() => this.server.notice(error));
  }

  connectionLost(_error: Error | null): void {
    this.tryLogAccess();
    this.guard(() => this.finish());
    this.guard(() => this.server.shutdownRequest(this.request));
  }

  /** @internal Runs an override whose failure must not become that of the response. */
  guard(override: () => unknown): void {
    try {
      this.#observe(override());
    } catch (error) {
      this.#report(error);
    }
  }

  /** @internal Whether `logRequest()` has something to do. */
  get logsRequests(): boolean {
    return this.server.logRequests || this.logRequest !== logRequest;
  }

  /** @internal As `guard()`, for `logRequest()`: a closure less for every request. */
  tryLogRequest(code?: number | string, size?: number | string): void {
    try {
      this.#observe(this.logRequest(code, size));
    } catch (error) {
      this.#report(error);
    }
  }

  /** @internal The request is done with: it gets its entry in the access log, unless it has. */
  tryLogAccess(facts?: RequestFacts): void {
    try {
      this.#observe(this.journal?.end(facts));
    } catch (error) {
      this.#report(error);
    }
  }

  #beginEntry(journal: RequestJournal, request: HTTPRequest): void {
    // A handler of one's own may have ended the last response without a word.
    if (!journal.isFor(request)) this.tryLogAccess();
    journal.begin(request);
  }

  /** Whatever has ended the response. */
  #settle(): void {
    if (this.journal?.isDue) this.tryLogAccess();
  }

  #observe(done: unknown): void {
    if (isThenable(done)) observe(done, (error) => this.#report(error));
  }

  // What a subclass overrides or calls.

  /** Looks at a request whose head has been read: false when it has been answered already. */
  parseRequest(): boolean {
    return true;
  }

  /** Answers one request: by the method `do` + its name. */
  handleOneRequest(): void {
    // A method such as `wnload` must not reach download().
    const isName = /^[A-Z][A-Z0-9_-]*$/.test(this.command);
    const method = isName
      ? (this as unknown as Record<string, unknown>)[`do${this.command}`]
      : null;
    if (typeof method !== 'function') {
      this.sendError(501, `Unsupported method ('${this.command}')`);
      return;
    }
    const done: unknown = (method as DoMethod).call(this);
    if (isThenable(done)) this.#await(done, `do${this.command}()`);
    else this.#complete();
  }

  #await(done: PromiseLike<unknown>, what: string): void {
    const { response } = this.httpRequest;
    const current = (): boolean => this.httpRequest.response === response;
    done.then(
      () => {
        if (!current()) return;
        this.#complete();
        this.#settle();
      },
      (error) => {
        if (!current()) return;
        this.#fail(error);
        this.#settle();
      },
    );
    if (this.request.blocking) this.#fail(asyncUnderSync(what));
  }

  #complete(): void {
    const { response } = this.httpRequest;
    if (response.over) {
      this.#logUnanswered();
      return;
    }
    try {
      if (!response.headSent && this.#ownDraft().status !== '') {
        refusePromise(this.endHeaders(), 'endHeaders()');
      }
      if (response.headSent) response.end();
      else this.#answer(500, `do${this.command}() sent no response`);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Answers a failure, by the status of a request that is refused, else 500. */
  #fail(error: unknown): void {
    const { response } = this.httpRequest;
    const refusal = asHTTPError(error);
    // What the client did is no fault of anybody here.
    if (refusal === null && !isClientGone(error)) this.#report(error);
    if (response.over) this.#logUnanswered();
    else if (response.headSent) response.abort(new Error('the handler failed', { cause: error }));
    else if (refusal !== null) this.#answer(refusal.status, refusal.message);
    else this.#answer(500);
  }

  /** Answers by `sendError()`. When that fails, too, the connection is broken off. */
  #answer(code: number, explain?: string): void {
    const { response } = this.httpRequest;
    const failed = (error: unknown): void => {
      this.#report(error);
      response.abort(new Error('the error page failed', { cause: error }));
    };
    try {
      const sending: unknown = this.sendError(code, undefined, explain);
      // One that is over already may be as async as it likes.
      if (!response.over) refusePromise(sending, 'sendError()');
      observe(sending, failed);
    } catch (error) {
      failed(error);
    }
  }

  /** The client has gone before it was answered. */
  #logUnanswered(): void {
    const { response } = this.httpRequest;
    if (!response.headSent && !response.replaced) this.tryLogRequest();
  }

  #report(error: unknown): void {
    this.server.reportError(this.request, error);
  }

  /**
   * Answers with an error page, and closes the connection.
   *
   * @param message short, default the reason phrase; @param explain longer, for the page
   */
  sendError(code: number, message: string = reasonPhrase(code), explain?: string): void {
    const { response } = this.httpRequest;
    this.guard(() => this.logError(`code ${code}, message ${message}`));
    const draft = this.#ownDraft();
    draft.responseHeaders = [['Connection', 'close']];
    draft.status = `${code} ${String(message).replace(/[^\x20-\x7e]/g, '?')}`;
    checkStatus(draft.status);
    const page = errorPage(code, message, explain);
    refusePromise(this.sendHeader('Content-Type', 'text/html; charset=utf-8'), 'sendHeader()');
    refusePromise(this.sendHeader('Content-Length', String(page.length)), 'sendHeader()');
    refusePromise(this.endHeaders(), 'endHeaders()');
    response.write(page);
    response.end();
  }

  /** Begins the response. Date and Server are added. */
  sendResponse(code: number, message: string = reasonPhrase(code)): void {
    const status = `${code} ${message}`;
    checkStatus(status);
    const draft = this.#ownDraft();
    draft.status = status;
    draft.responseHeaders = [];
  }

  sendHeader(name: string, value: string): void {
    this.#ownDraft().responseHeaders.push([name, value]);
  }

  /**
   * Sends the head.
   *
   * @throws RyegateError `ERR_RYEGATE_NO_STATUS` without `sendResponse()`, `ERR_RYEGATE_HEADER`,
   *   `ERR_RYEGATE_HOP_BY_HOP`
   */
  endHeaders(): void {
    const { response } = this.httpRequest;
    const draft = this.#ownDraft();
    const { status, responseHeaders: headers } = draft;
    if (status === '') {
      throw new RyegateError(
        'ERR_RYEGATE_NO_STATUS',
        'endHeaders() was called without a status: call sendResponse(code) before it',
      );
    }
    draft.status = '';
    draft.responseHeaders = [];
    response.start(status, checkHeaders(headers), -1);
    this.journal?.sent(headers);
    this.tryLogRequest(response.status);
  }

  /**
   * Called for each response. The default logs a line when the server's `logRequests` is on, and it
   * has no `accessLog`, which gets its entry anyway.
   */
  logRequest(code: number | string = '-', size: number | string = '-'): void {
    if (!this.server.logRequests || this.journal !== null) return;
    this.guard(() => this.logMessage(`"${this.requestline}" ${code} ${size}`));
  }

  /** Called for what goes wrong with a request. The default logs as `logRequest()` does. */
  logError(message: string): void {
    if (this.server.logRequests) this.guard(() => this.logMessage(message));
  }

  /** Writes a line with the client's address and the time to the server's error log. */
  logMessage(message: string): void {
    this.server.errorStream.write(
      `${this.addressString()} - - [${this.logDateTimeString()}] ${printable(message)}\n`,
    );
  }

  /** The client's address; nothing is looked up. */
  addressString(): string {
    const address = this.clientAddress;
    return typeof address === 'string' ? address || 'unix' : address[0];
  }

  /** The value of the Server field. */
  versionString(): string {
    return (this.constructor as typeof BaseHTTPRequestHandler).serverVersion;
  }

  dateTimeString(milliseconds: number = Date.now()): string {
    return httpDate(milliseconds);
  }

  logDateTimeString(): string {
    return formatLogTime(new Date());
  }
}

/** As it was before anybody could replace it. */
const { logRequest } = BaseHTTPRequestHandler.prototype;

function isClientGone(error: unknown): boolean {
  return isInstance(error, RyegateError) && error.code === 'ERR_RYEGATE_CLIENT_GONE';
}
