import { describeFault } from '../errors.ts';
import { type ByteSink, Response, type ResponseOwner } from '../http/response.ts';
import { VERSION } from '../version.ts';
import { BaseHandler } from './handlers.ts';
import type { Environ, ErrorStream, InputReader } from './types.ts';

/** What a response may be written to: a `node:stream`, a socket, a buffer of one's own. */
export interface OutputFile {
  write(bytes: Uint8Array): unknown;
}

/**
 * `wsgiref.handlers.SimpleHandler`: a handler over given files. `stdout` is a file that takes the
 * whole response, head included, or the `Response` of a request that a server has read.
 */
export class SimpleHandler extends BaseHandler {
  declare readonly stdin: InputReader;
  declare readonly stderr: ErrorStream;
  declare readonly baseEnv: Environ;

  // Two signatures, as a function in an object literal would lose its parameter types in a union.
  constructor(
    stdin: InputReader,
    stdout: OutputFile,
    stderr: ErrorStream,
    environ: Environ,
    multithread?: boolean,
    multiprocess?: boolean,
  );
  constructor(
    stdin: InputReader,
    stdout: Response,
    stderr: ErrorStream,
    environ: Environ,
    multithread?: boolean,
    multiprocess?: boolean,
  );
  constructor(
    stdin: InputReader,
    stdout: OutputFile | Response,
    stderr: ErrorStream,
    environ: Environ,
    multithread: boolean = true,
    multiprocess: boolean = false,
  ) {
    super(stdout instanceof Response ? stdout : responseTo(stdout, stderr, environ));
    this.stdin = stdin;
    this.stderr = stderr;
    this.baseEnv = environ;
    if (this.wsgiMultithread !== multithread) setOwn(this, 'wsgiMultithread', multithread);
    if (this.wsgiMultiprocess !== multiprocess) setOwn(this, 'wsgiMultiprocess', multiprocess);
  }

  protected override getStdin(): InputReader {
    return this.stdin;
  }

  protected override getStderr(): ErrorStream {
    return this.stderr;
  }

  protected override addCGIVars(): void {
    this.environ = { ...this.baseEnv };
  }
}

/** A subclass may have a getter of that name, which cannot be assigned to. */
function setOwn(
  handler: SimpleHandler,
  name: 'wsgiMultithread' | 'wsgiMultiprocess',
  value: boolean,
): void {
  const own = { value, configurable: true, enumerable: true, writable: true };
  Object.defineProperty(handler, name, own);
}

/** The response to the request that `environ` describes, for a connection that then ends. */
function responseTo(stdout: OutputFile, stderr: ErrorStream, environ: Environ): Response {
  const sink: ByteSink = {
    congested: false,
    now: Number.NaN,
    write: (bytes) => stdout.write(bytes),
    writeLatin1: (text) => stdout.write(Buffer.from(text, 'latin1')),
  };
  const owner: ResponseOwner = {
    responseBegins() {},
    responseEnded() {},
    responseBroken() {},
    responseFault: (error) => stderr.write(`${describeFault(error)}\n`),
  };
  const context = {
    method: environ.REQUEST_METHOD,
    minor: environ.SERVER_PROTOCOL === 'HTTP/1.1' ? 1 : 0,
    keepAlive: false,
    takesTrailers: false,
  } as const;
  return new Response(sink, context, owner, {
    serverSoftware: environ.SERVER_SOFTWARE ?? `ryegate/${VERSION}`,
    dateField: true,
    serverField: true,
    responseTrailers: false,
    keptFields: '',
    sendfile: false,
  });
}
