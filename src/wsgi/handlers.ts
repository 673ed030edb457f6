import { describeFault, isInstance, RyegateError } from '../errors.ts';
import { isKnown } from '../http/constantheaders.ts';
import { checkHeaders, checkStatus, type HeaderList } from '../http/headers.ts';
import { asHTTPError } from '../http/httperror.ts';
import type { Producer, Response } from '../http/response.ts';
import { reasonPhrase } from '../http/status.ts';
import { byteLength, checkChunk, describe } from '../io/chunk.ts';
import { refusePromise } from '../socketserver/checks.ts';
import { formatException } from '../socketserver/formatexception.ts';
import { attempt, isThenable, observe } from '../thenable.ts';
import { FileSender } from './filesender.ts';
import { checkParts, FileWrapper } from './filewrapper.ts';
import { discardResult, type ResultReader, readResult } from './result.ts';
import type {
  Application,
  ApplicationResult,
  Chunk,
  Closable,
  Environ,
  ErrorStream,
  InputReader,
  StartResponse,
  WriteFunction,
} from './types.ts';
import { guessScheme } from './util.ts';

const ERROR_HEADERS: HeaderList = [['Content-Type', 'text/plain; charset=utf-8']];

/**
 * `wsgiref.handlers.BaseHandler`: runs one application for one request.
 *
 * For the caller: `run()`. To be overridden: `getStdin()`, `getStderr()`, `addCGIVars()`,
 * `setupEnviron()`, `sendfile()`, `logException()`, `errorOutput()`, `close()`, and the settings.
 */
export abstract class BaseHandler implements Producer {
  declare wsgiMultithread: boolean;
  declare wsgiMultiprocess: boolean;
  declare wsgiRunOnce: boolean;
  /** What is answered for an exception of the application, when nothing has been sent yet. */
  declare errorStatus: string;
  declare errorHeaders: HeaderList;
  declare errorBody: string;
  /** What `wsgi.file_wrapper` is; null for none. */
  declare wsgiFileWrapper: typeof FileWrapper | null;

  // Class attributes, as in wsgiref: handlers are made for every request, and few have their own.
  static {
    Object.assign<BaseHandler, Partial<BaseHandler>>(BaseHandler.prototype, {
      wsgiMultithread: true,
      wsgiMultiprocess: true,
      wsgiRunOnce: false,
      errorStatus: '500 Internal Server Error',
      errorHeaders: ERROR_HEADERS,
      errorBody: 'A server error occurred. Please contact the administrator.\n',
      wsgiFileWrapper: FileWrapper,
    });
  }

  // No `#` and no initial values, here or in what extends it: V8 then makes one
  // function of the constructors. With bind() in place of arrow functions it takes 5 % off a
  // pipelined request.
  declare environ: Environ | null;
  /** What the application returned. */
  declare result: ApplicationResult | null;
  /** What `startResponse` was given last; see also `headers`. */
  declare status: string | null;
  /** PEP 3333's `start_response()`. A later call needs `error`, as exc_info does there. */
  declare readonly startResponse: StartResponse;
  declare private readonly ownResponse: Response;
  declare private checkedHeaders: HeaderList | null;
  declare private resultReader: ResultReader | null;
  declare private isClosed: boolean;

  constructor(response: Response) {
    this.environ = null;
    this.result = null;
    this.status = null;
    this.startResponse = BaseHandler.startFor.bind(null, this);
    this.ownResponse = response;
    this.checkedHeaders = null;
    this.resultReader = null;
    this.isClosed = false;
    response.producer = this;
  }

  /** What `startResponse` was given last: a list of one's own, which may be changed. */
  get headers(): HeaderList | null {
    const headers = this.checkedHeaders;
    if (headers !== null && isKnown(headers)) this.checkedHeaders = copyHeaders(headers);
    return this.checkedHeaders;
  }

  set headers(headers: HeaderList | null) {
    this.checkedHeaders = headers;
  }

  get response(): Response {
    return this.ownResponse;
  }

  get closed(): boolean {
    return this.isClosed;
  }

  protected abstract getStdin(): InputReader;
  protected abstract getStderr(): ErrorStream;
  /** Puts what describes the request into `environ`. */
  protected abstract addCGIVars(): void;

  /** Runs `application` and answers with its result. Never throws; ends with `close()`. */
  run(application: Application): void {
    try {
      const made: unknown = this.setupEnviron();
      if (made !== undefined) refusePromise(made, 'setupEnviron()');
      const result = application(this.environ as Environ, this.startResponse);
      if (isThenable(result)) BaseHandler.waitFor(this, result);
      else BaseHandler.finish(this, result);
    } catch (error) {
      this.handleError(error);
    }
  }

  /** An override may be async. */
  private static finish(handler: BaseHandler, result: ApplicationResult): void {
    const finishing: unknown = handler.finishResponse(result);
    if (isThenable(finishing)) BaseHandler.watch(handler, finishing);
  }

  private static watch(handler: BaseHandler, finishing: PromiseLike<unknown>): void {
    finishing.then(null, (error) => handler.handleError(error));
  }

  private static waitFor(handler: BaseHandler, promise: PromiseLike<ApplicationResult>): void {
    promise.then(
      (result) => BaseHandler.settled(handler, result),
      (error) => handler.handleError(error),
    );
    handler.awaiting();
  }

  /** Called when the result, or a part of it, has to be waited for. May throw to refuse that. */
  awaiting(): void {}

  private static settled(handler: BaseHandler, result: ApplicationResult): void {
    if (handler.isClosed) {
      // Answered without it, or the client has gone: it still has to be closed.
      discardResult(result, handler);
      return;
    }
    try {
      BaseHandler.finish(handler, result);
    } catch (error) {
      handler.handleError(error);
    }
  }

  /** Makes the environ. */
  setupEnviron(): void {
    this.addCGIVars();
    const environ = this.environ as Environ;
    environ['wsgi.version'] = [1, 0];
    environ['wsgi.url_scheme'] = guessScheme(environ);
    environ['wsgi.input'] = this.getStdin();
    environ['wsgi.errors'] = this.getStderr();
    environ['wsgi.multithread'] = this.wsgiMultithread;
    environ['wsgi.multiprocess'] = this.wsgiMultiprocess;
    environ['wsgi.run_once'] = this.wsgiRunOnce;
    if (this.wsgiFileWrapper !== null) environ['wsgi.file_wrapper'] = this.wsgiFileWrapper;
  }

  private static startFor(
    handler: BaseHandler,
    status: string,
    headers: HeaderList,
    error?: unknown,
  ): WriteFunction {
    if (error !== undefined || handler.status !== null) BaseHandler.checkOrder(handler, error);
    checkStatus(status);
    // A copy: the head may be sent much later, and what was not checked must not get into it.
    const checked = checkHeaders(headers);
    handler.status = status;
    handler.checkedHeaders = checked;
    return BaseHandler.writeChecked.bind(null, handler);
  }

  private static checkOrder(handler: BaseHandler, error: unknown): void {
    if (error !== undefined && error !== null) {
      if (handler.ownResponse.headSent) throw error;
    } else if (handler.status !== null) {
      throw new RyegateError(
        'ERR_RYEGATE_HEADERS_SET',
        'startResponse() was called twice: a second call has to pass the error it is made for',
      );
    }
  }

  private static writeChecked(handler: BaseHandler, chunk: Chunk): void {
    handler.write(checkChunk(chunk));
  }

  /** Sends the result, as far as the client takes it now; the rest follows when it has. */
  protected finishResponse(result: ApplicationResult): void {
    // The usual list of one chunk has nothing to close, thus needs no reader.
    if (isOneChunk(result) && (result as Closable).close === undefined) {
      BaseHandler.finishWith(this, checkChunk(result[0]));
    } else {
      BaseHandler.finishOther(this, result);
    }
  }

  private static finishOther(handler: BaseHandler, result: ApplicationResult): void {
    if (typeof result === 'string' || result instanceof Uint8Array) {
      BaseHandler.finishWith(handler, result);
      return;
    }
    handler.resultReader = readResult(result, handler);
    if (handler.resultReader === null) throw resultError(result);
    handler.result = result;
    if (isOneChunk(result)) BaseHandler.finishWith(handler, checkChunk(result[0]));
    else if (!handler.resultIsFile() || !BaseHandler.trySendfile(handler))
      handler.resultReader?.pump();
  }

  private static trySendfile(handler: BaseHandler): boolean {
    const isSent: unknown = handler.sendfile();
    refusePromise(isSent, 'sendfile()');
    return Boolean(isSent);
  }

  /** Whether the application returned a `wsgi.file_wrapper`. */
  resultIsFile(): boolean {
    return this.wsgiFileWrapper !== null && this.result instanceof this.wsgiFileWrapper;
  }

  /**
   * Sends a file result in a way of its own. False when that cannot be done: then it is iterated.
   * Whoever returns true has sent the head by `sendHeaders()`, and calls `finishContent()` when all
   * has been sent, or `handleError()`. The default hands the file to the connection as it is.
   */
  sendfile(): boolean {
    const { result } = this;
    if (!(result instanceof FileWrapper) || !this.ownResponse.takesFiles) return false;
    const parts = result.parts();
    if (parts === null || this.resultReader === null) return false;
    checkParts(parts);
    const sender = new FileSender(parts, this.ownResponse, this, this.resultReader);
    this.resultReader = sender;
    if (!this.ownResponse.headSent) this.sendHeaders(sender.size);
    sender.pump();
    return true;
  }

  /** The whole body in one chunk, so that its length is known. */
  private static finishWith(handler: BaseHandler, chunk: Chunk): void {
    const size = byteLength(chunk);
    const response = handler.ownResponse;
    const isFirst = !response.headSent;
    if (isFirst) handler.sendHeaders(size, chunk);
    // Unless it went with the head. An override may have sent something else.
    if (!isFirst || !response.hasSent(size)) response.write(chunk, size);
    handler.finishContent();
  }

  /** Sends a chunk, after the head if that has not been sent. Empty chunks send nothing. */
  write(chunk: Chunk): void {
    if (chunk.length === 0 || this.isClosed) return;
    if (!this.ownResponse.headSent) this.sendHeaders(-1);
    this.ownResponse.write(chunk);
  }

  /**
   * Sends the head. `length` is the body's in bytes, -1 if not known; `body`, which is all of it, may
   * go with it.
   */
  protected sendHeaders(length: number, body: Chunk | null = null): void {
    if (this.status === null) throw notStartedError();
    this.ownResponse.start(this.status, this.checkedHeaders as HeaderList, length, body);
  }

  /** The result is complete. */
  finishContent(): void {
    if (this.isClosed) return;
    if (!this.ownResponse.headSent) this.sendHeaders(0);
    this.ownResponse.end();
    BaseHandler.end(this);
  }

  /** Whether the result should pause: the client does not keep up. */
  get congested(): boolean {
    return this.ownResponse.congested;
  }

  /** Whether nothing more of the result would be sent: it need not be read further. */
  get satisfied(): boolean {
    return this.ownResponse.satisfied;
  }

  /** Whether no promise settles while the application runs: `serveForeverSync()`. */
  get blocking(): boolean {
    return false;
  }

  drained(): void {
    this.resultReader?.pump();
  }

  clientGone(): void {
    BaseHandler.end(this);
  }

  /** Logs `error`, and answers with an error page or breaks the connection off. */
  handleError(error: unknown): void {
    if (this.isClosed) return;
    this.reportException(error);
    BaseHandler.closeResult(this);
    try {
      if (this.ownResponse.headSent) this.ownResponse.abort(toError(error));
      else refusePromise(this.errorOutput(error), 'errorOutput()');
    } catch (failure) {
      this.reportException(failure);
      this.ownResponse.abort(toError(failure));
    }
    BaseHandler.end(this);
  }

  /** Sends the error page: the status of a request that was refused, else 500. */
  protected errorOutput(error: unknown): void {
    let status = this.errorStatus;
    let body = this.errorBody;
    const refusal = asHTTPError(error);
    if (refusal !== null) {
      status = `${refusal.status} ${reasonPhrase(refusal.status)}`;
      body = `${refusal.message}\n`;
    }
    this.ownResponse.dropTrailers();
    this.ownResponse.start(status, this.errorHeaders, byteLength(body));
    this.ownResponse.write(body);
    this.ownResponse.end();
  }

  /** @internal Calls `logException()`, and survives it. */
  reportException(error: unknown): void {
    attempt(
      () => this.logException(error),
      (failure) => this.logFailed(failure),
    );
  }

  /** Writes to `wsgi.errors`. Never throws. */
  logException(error: unknown): void {
    try {
      const { code } = (error ?? {}) as { code?: unknown };
      // A client that goes away is no fault of anybody here.
      if (code === 'ERR_RYEGATE_CLIENT_GONE') return;
      // What is the client's doing has no stack worth showing.
      const refusal = asHTTPError(error);
      const text = refusal === null ? formatException(error) : describeFault(refusal);
      const writing: unknown = this.getStderr().write(`${text}\n`);
      observe(writing, (failure) => this.logFailed(failure));
    } catch (failure) {
      this.logFailed(failure);
    }
  }

  /** `wsgi.errors` cannot be written to. Must not throw. */
  protected logFailed(_failure: unknown): void {}

  /** The request is done with, in whatever way; called once. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    if (this.resultReader !== null) BaseHandler.closeResult(this);
  }

  /** What `close()` fails with changes nothing: the answer is decided. */
  private static end(handler: BaseHandler): void {
    try {
      const closing: unknown = handler.close();
      if (closing !== undefined) BaseHandler.watchClosing(handler, closing);
    } catch (error) {
      handler.reportException(error);
    }
  }

  private static watchClosing(handler: BaseHandler, closing: unknown): void {
    observe(closing, (error) => handler.reportException(error));
  }

  private static closeResult(handler: BaseHandler): void {
    const reader = handler.resultReader;
    handler.resultReader = null;
    reader?.close();
  }
}

function isOneChunk(result: ApplicationResult): result is [Chunk] {
  return Array.isArray(result) && result.length === 1;
}

function copyHeaders(headers: HeaderList): HeaderList {
  return headers.map(([name, value]) => [name, value]);
}

function toError(error: unknown): Error {
  return isInstance(error, Error) ? error : new Error(formatException(error));
}

function notStartedError(): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_NO_START_RESPONSE',
    'the application returned a result without a call of startResponse(status, headers)',
  );
}

function resultError(result: unknown): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_RESULT',
    `the application returned ${describe(result)}: expected a string, a Uint8Array (Buffer), or ` +
      'an iterable or async iterable of these',
  );
}
