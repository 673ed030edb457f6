import { describeFault, RyegateError } from '../errors.ts';
import type { HeaderList } from '../http/headers.ts';
import type { HTTPRequest } from '../http/request.ts';
import type { Response } from '../http/response.ts';
import { BaseHTTPRequestHandler, HTTPServer, type HTTPServerOptions } from '../httpserver/index.ts';
import { type RequestJournal, sentOf } from '../httpserver/requestjournal.ts';
import { checkNames } from '../options.ts';
import type { ClientAddress } from '../reactor/streamsocket.ts';
import { asyncUnderSync } from '../socketserver/checks.ts';
import type { RequestHandlerClass } from '../socketserver/index.ts';
import { addOthers, type BaseEnviron, makeEnviron, type Remote } from './environ.ts';
import { SimpleHandler } from './simplehandler.ts';
import type { Application, Environ, ErrorStream } from './types.ts';

/** `wsgiref.simple_server.WSGIServer`: an HTTP server that runs a WSGI application. */
export class WSGIServer extends HTTPServer {
  // Without an initial value, so that it may be set while the constructor of HTTPServer binds.
  declare private ownApplication: Application | undefined;
  private ownBaseEnviron: BaseEnviron | null = null;
  /** Whether the base environ may have other keys than the usual ones. */
  private isExtended = false;

  /** What every environ of this server begins with; made when first asked for. */
  get baseEnviron(): BaseEnviron {
    // Whoever has it may add to it.
    this.isExtended = true;
    return this.makeBaseEnviron();
  }

  /**
   * @internal The base environ, if it is certain that nobody has added to it, else null: to look
   * for what has been added takes 2 % of a small request.
   */
  get usualEnviron(): BaseEnviron | null {
    return this.isExtended ? null : (this.ownBaseEnviron ?? this.makeUsualEnviron());
  }

  private makeUsualEnviron(): BaseEnviron | null {
    this.isExtended = isOverridden(this);
    return this.isExtended ? null : this.makeBaseEnviron();
  }

  private makeBaseEnviron(): BaseEnviron {
    this.ownBaseEnviron ??= this.setupEnviron();
    return this.ownBaseEnviron;
  }

  /** Makes the base environ. A subclass may add keys; they reach every application. */
  setupEnviron(): BaseEnviron {
    return {
      SERVER_NAME: this.serverName,
      SERVER_PORT: String(this.serverPort),
      SERVER_SOFTWARE: this.httpSettings.serverSoftware,
    };
  }

  /** The application. Throws `ERR_RYEGATE_APPLICATION` when there is none. */
  getApp(): Application {
    if (this.ownApplication === undefined) throw noApplicationError();
    return this.ownApplication;
  }

  /** Throws `ERR_RYEGATE_APPLICATION` for what is no function. */
  setApp(application: Application): void {
    if (typeof application !== 'function') {
      throw new RyegateError(
        'ERR_RYEGATE_APPLICATION',
        `the application is of type ${typeof application}: expected a function of ` +
          '(environ, startResponse)',
      );
    }
    this.ownApplication = application;
  }
}

const { setupEnviron } = WSGIServer.prototype;
const baseEnviron = findProperty(WSGIServer.prototype, 'baseEnviron')?.get;

/** Whether a subclass makes base environs in a way of its own. */
function isOverridden(server: WSGIServer): boolean {
  if (server.setupEnviron !== setupEnviron) return true;
  return findProperty(server, 'baseEnviron')?.get !== baseEnviron;
}

function findProperty(object: object, name: string): PropertyDescriptor | undefined {
  for (let at: object | null = object; at !== null; at = Object.getPrototypeOf(at)) {
    const found = Object.getOwnPropertyDescriptor(at, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

const NOBODY: Remote = { address: '', port: '' };

function toRemote(clientAddress: ClientAddress): Remote {
  const [address, port] = typeof clientAddress === 'string' ? ['', ''] : clientAddress;
  return { address, port: String(port) };
}

function noApplicationError(): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_APPLICATION',
    'the server has no application: call setApp(application) before it serves',
  );
}

/** `wsgiref.simple_server.WSGIRequestHandler`: has the requests answered by the application. */
export class WSGIRequestHandler extends BaseHTTPRequestHandler {
  declare readonly server: WSGIServer;
  /**
   * The client's address as text, which takes 1 % of a small request to make, and the array that it
   * was made of.
   */
  private ownRemote: Remote = NOBODY;
  private ownRemoteOf: ClientAddress | null = null;

  /** The environ of the request. */
  getEnviron(): Environ {
    const { httpRequest, server, clientAddress } = this;
    if (clientAddress !== this.ownRemoteOf) {
      this.ownRemote = toRemote(clientAddress);
      this.ownRemoteOf = clientAddress;
    }
    const usual = server.usualEnviron;
    const base = usual ?? server.baseEnviron;
    const errors = this.getStderr();
    const usesSignal = server.getApp().usesSignal !== false;
    const environ = makeEnviron(httpRequest, base, this.ownRemote, errors, usesSignal);
    if (base !== usual) addOthers(environ, base);
    return environ;
  }

  /** `wsgi.errors`: the server's error log, which is standard error by default. */
  getStderr(): ErrorStream {
    return this.server.errorStream;
  }

  override fault(error: RyegateError): void {
    this.guard(() => this.getStderr().write(`${describeFault(error)}\n`));
  }

  override handleOneRequest(): void {
    const { response } = this.httpRequest;
    new ServerHandler(this, response, this.getEnviron()).run(this.server.getApp());
  }
}

/**
 * The request of `response` is done with. To let go of it takes 0.5 KiB off an idle connection; a
 * handler of a class of its own may look at it still, until the next one.
 */
function letGo(handler: WSGIRequestHandler, response: Response): void {
  if (handler.constructor !== WSGIRequestHandler || handler.httpRequest?.response !== response)
    return;
  (handler as { httpRequest: HTTPRequest | undefined }).httpRequest = undefined;
}

function logRequest(handler: WSGIRequestHandler, response: Response): void {
  const { status } = response;
  handler.tryLogRequest(status === 0 ? '-' : status, sentOf(response, handler.command));
}

function logAccess(handler: ServerHandler, { log }: RequestJournal): void {
  const { usesEnviron, usesResponseFields } = log.format;
  handler.requestHandler.tryLogAccess({
    environ: usesEnviron ? handler.environ : null,
    responseFields: usesResponseFields ? sentHeaders(handler) : null,
    isFile: handler.resultIsFile(),
  });
}

/** Those of the error page, if that was sent instead. */
function sentHeaders({ response, status, headers, errorHeaders }: ServerHandler): HeaderList {
  if (!response.headSent) return [];
  return status?.startsWith(String(response.status)) ? (headers as HeaderList) : errorHeaders;
}

/** `wsgiref.simple_server.ServerHandler`: one request of a server's; logs it when it is done. */
export class ServerHandler extends SimpleHandler {
  declare readonly requestHandler: WSGIRequestHandler;

  static {
    ServerHandler.prototype.wsgiMultithread = false;
    ServerHandler.prototype.wsgiMultiprocess = false;
  }

  constructor(requestHandler: WSGIRequestHandler, response: Response, environ: Environ) {
    super(environ['wsgi.input'], response, requestHandler.getStderr(), environ, false, false);
    this.requestHandler = requestHandler;
  }

  /** The environ of the request has everything already. */
  override setupEnviron(): void {
    this.environ = this.baseEnv;
  }

  protected override logFailed(failure: unknown): void {
    const { server, request } = this.requestHandler;
    server.reportError(request, failure);
  }

  override get blocking(): boolean {
    return this.requestHandler.request.blocking;
  }

  override awaiting(): void {
    if (this.blocking) throw asyncUnderSync('the application');
  }

  override clientGone(): void {
    this.requestHandler.journal?.broken();
    super.clientGone();
  }

  override close(): void {
    if (this.closed) return;
    super.close();
    const { requestHandler, response } = this;
    // What is sent instead has a line of its own.
    if (response.replaced) return;
    if (requestHandler.logsRequests) logRequest(requestHandler, response);
    if (requestHandler.journal !== null) logAccess(this, requestHandler.journal);
    letGo(requestHandler, response);
  }
}

/** Settings of `makeServer()`. */
export interface MakeServerOptions extends HTTPServerOptions {
  serverClass?: typeof WSGIServer | undefined;
  handlerClass?: RequestHandlerClass | undefined;
}

/** What `makeServer()` knows; a server class of one's own may know more. */
const OPTIONS: Readonly<Record<keyof MakeServerOptions, true>> = {
  serverClass: true,
  handlerClass: true,
  limits: true,
  timeouts: true,
  inputBuffering: true,
  dateField: true,
  serverField: true,
  responseTrailers: true,
  sendfile: true,
  logRequests: true,
  accessLog: true,
  errorLog: true,
  selector: true,
  bindAndActivate: true,
  addressFamily: true,
  requestQueueSize: true,
  allowReuseAddress: true,
  allowReusePort: true,
  ipv6Only: true,
  socketMode: true,
  fd: true,
};

/**
 * A server for `application`, listening but not serving yet: `wsgiref.simple_server.make_server`.
 *
 * @param host an IP address, `localhost`, or '' for all interfaces by IPv4; nothing is looked up in DNS
 * @param port 0 lets the system choose: the real one is in `serverAddress`
 * @throws RyegateError `ERR_RYEGATE_ADDRESS`, `ERR_RYEGATE_APPLICATION`, `ERR_RYEGATE_LIMIT`,
 *   `ERR_RYEGATE_TIMEOUT`, `ERR_RYEGATE_OPTION`, `ERR_RYEGATE_SELECTOR`; SystemCallError `ERR_RYEGATE_SYSTEM` when the address is refused
 */
export function makeServer(
  host: string,
  port: number,
  application: Application,
  options: MakeServerOptions = {},
): WSGIServer {
  if (options?.serverClass === undefined) checkNames(options, OPTIONS);
  const { serverClass = WSGIServer, handlerClass = WSGIRequestHandler, ...settings } = options;
  const server = new serverClass([host, port], handlerClass, settings);
  try {
    server.setApp(application);
  } catch (error) {
    server.serverClose();
    throw error;
  }
  return server;
}
