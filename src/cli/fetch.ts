import type { Writable } from 'node:stream';
import { describeFault, type RyegateError } from '../errors.ts';
import { asHTTPError } from '../http/httperror.ts';
import type { HTTPRequest } from '../http/request.ts';
import { type ByteSink, Response, type ResponseOwner } from '../http/response.ts';
import { standardError } from '../io/errorstream.ts';
import { VERSION } from '../version.ts';
import { makeEnviron } from '../wsgi/environ.ts';
import { type Application, type Environ, SimpleHandler } from '../wsgi/index.ts';
import { makeApplication } from './application.ts';
import type { FetchOptions } from './fetchoptions.ts';
import { addressOf, makeRequest } from './fetchrequest.ts';

const FAILURE = 1;
/** As `curl --fail` ends for a status of 400 and above. */
const NOT_SUCCESSFUL = 22;

/** Prints a response, its head only if asked for. */
class Printer implements ByteSink, ResponseOwner {
  readonly now: number = Number.NaN;
  /** The end of the response could not be sent. */
  isBroken = false;
  readonly #output: Writable;
  readonly #showsHead: boolean;
  #isAtHead = false;

  constructor(output: Writable, showsHead: boolean) {
    this.#output = output;
    this.#showsHead = showsHead;
  }

  get congested(): boolean {
    return this.#output.writableNeedDrain;
  }

  write(bytes: Uint8Array): void {
    this.#output.write(bytes);
  }

  writeLatin1(text: string): void {
    const isHead = this.#isAtHead;
    this.#isAtHead = false;
    if (!isHead || this.#showsHead) this.#output.write(text, 'latin1');
  }

  responseBegins(): void {
    this.#isAtHead = true;
  }

  responseEnded(): void {}

  responseBroken(): void {
    this.isBroken = true;
  }

  responseFault(error: RyegateError): void {
    standardError().write(`${describeFault(error)}\n`);
  }
}

/** Runs the application as `ServerHandler` does. */
class FetchHandler extends SimpleHandler {
  /** The application has thrown. */
  hasFailed = false;
  readonly #done: () => void;

  constructor(environ: Environ, response: Response, done: () => void) {
    super(environ['wsgi.input'], response, standardError(), environ, false, false);
    this.#done = done;
  }

  /** The environ has everything already. */
  override setupEnviron(): void {
    this.environ = this.baseEnv;
  }

  override handleError(error: unknown): void {
    if (!this.closed && asHTTPError(error) === null) this.hasFailed = true;
    super.handleError(error);
  }

  override close(): void {
    if (this.closed) return;
    super.close();
    this.#done();
  }
}

/** One without chunks, as what is printed has no connection that could go on. */
function makeResponse(request: HTTPRequest, printer: Printer, options: FetchOptions): Response {
  const { method } = request;
  const context = { method, minor: 0, keepAlive: false, takesTrailers: false } as const;
  return new Response(printer, context, printer, {
    serverSoftware: `ryegate/${VERSION}`,
    dateField: true,
    serverField: options.serverHeader,
    responseTrailers: false,
    keptFields: '',
    sendfile: false,
  });
}

function environOf(request: HTTPRequest, application: Application, options: FetchOptions): Environ {
  const { host, port } = addressOf(options);
  const base = {
    SERVER_NAME: host,
    SERVER_PORT: String(port),
    SERVER_SOFTWARE: `ryegate/${VERSION}`,
  };
  const remote = { address: '127.0.0.1', port: '0' };
  const usesSignal = application.usesSignal !== false;
  return makeEnviron(request, base, remote, standardError(), usesSignal);
}

/**
 * Calls the application with the request that `options` describe, and prints the response as it
 * comes. Gives the exit status: 0 for a status of 2xx, 22 for any other, 1 when the application
 * throws, breaks its response off or never answers, or when nobody reads what is printed.
 */
export async function fetchApplication(options: FetchOptions): Promise<number> {
  const application = await makeApplication(options);
  const request = await makeRequest(options);
  const output = process.stdout;
  const printer = new Printer(output, options.include);
  const response = makeResponse(request, printer, options);
  request.response = response;
  let isLost = false;
  output.on('drain', () => response.producer?.drained());
  output.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code !== 'EPIPE') standardError().write(`ryegate: the output is lost: ${message}\n`);
    isLost = true;
    response.lose();
    request.abandon();
  });
  process.once('beforeExit', neverAnswered);
  const handler = await new Promise<FetchHandler>((resolve) => {
    const environ = environOf(request, application, options);
    const running = new FetchHandler(environ, response, () => resolve(running));
    running.run(application);
  });
  process.off('beforeExit', neverAnswered);
  await new Promise((resolve) => output.write('', resolve));
  if (handler.hasFailed || printer.isBroken || isLost) return FAILURE;
  return response.status >= 200 && response.status < 300 ? 0 : NOT_SUCCESSFUL;
}

/** Nothing is left that could settle what the application waits for. */
function neverAnswered(): void {
  standardError().write('ryegate: the application has not answered, and waits for nothing\n');
  process.exit(FAILURE);
}
