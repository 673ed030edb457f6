import type { HeaderList } from '../http/headers.ts';
import type { Chunk } from '../io/chunk.ts';
import type { ErrorStream } from '../io/errorstream.ts';
import type { SaveOptions, TrailerList } from '../io/inputstream.ts';
import type { FileLike } from './filewrapper.ts';

export type { HeaderList } from '../http/headers.ts';

export type { Chunk } from '../io/chunk.ts';
export type { ErrorStream } from '../io/errorstream.ts';

/** What `wsgi.input` offers (PEP 3333, "Input and Error Streams", with promises). */
export interface InputReader extends AsyncIterable<Uint8Array> {
  /** Exactly `size` bytes, fewer only at the end of the body; without a size all the rest. */
  read(size?: number): Promise<Buffer>;
  /** Up to and including the next newline, at most `limit` bytes. */
  readline(limit?: number): Promise<Buffer>;
  /** All lines to the end, or whole lines until they hold `hint` bytes. */
  readlines(hint?: number): Promise<Buffer[]>;
  /**
   * The same at once, for a server with `inputBuffering: 'buffer'`: otherwise
   * `ERR_RYEGATE_INPUT_NOT_BUFFERED` is thrown when there would be a wait.
   */
  readSync(size?: number): Buffer;
  readlineSync(limit?: number): Buffer;
  readlinesSync(hint?: number): Buffer[];
  /**
   * Saves the rest of the body as a new file that replaces `path` at once, or not at all; a body
   * that was spooled to a file does not pass through JavaScript. Gives its size in bytes.
   */
  saveTo(path: string, options?: SaveOptions): Promise<number>;
  /** The trailer fields of a chunked body, kept apart from the environ; there at its end. */
  readonly trailers: TrailerList;
}

/**
 * The environment of one request (PEP 3333, "environ Variables"; CGI/1.1, RFC 3875 section 4.1).
 * A plain object: keys can be listed, assigned and added. Strings that come from the request hold
 * its bytes as Latin-1, one character per byte.
 */
export interface Environ {
  REQUEST_METHOD: string;
  /** The part of the path that led to the application; empty for the root. */
  SCRIPT_NAME: string;
  /** The rest of the path, percent-decoded. */
  PATH_INFO: string;
  /** What follows `?` in the request target, undecoded; empty without one. */
  QUERY_STRING: string;
  SERVER_NAME: string;
  SERVER_PORT: string;
  /** `HTTP/1.1` or `HTTP/1.0`: the version of the request. */
  SERVER_PROTOCOL: string;
  SERVER_SOFTWARE: string;
  GATEWAY_INTERFACE: string;
  REMOTE_ADDR: string;
  REMOTE_PORT: string;
  /** Never looked up in DNS. */
  REMOTE_HOST?: string | undefined;
  /** The request target as it was sent. */
  REQUEST_URI: string;
  /** The same, by the name that gunicorn gives it. */
  RAW_URI: string;
  CONTENT_TYPE?: string | undefined;
  CONTENT_LENGTH?: string | undefined;
  'wsgi.version': readonly [major: 1, minor: 0];
  'wsgi.url_scheme': string;
  'wsgi.input': InputReader;
  'wsgi.errors': ErrorStream;
  'wsgi.multithread': boolean;
  'wsgi.multiprocess': boolean;
  'wsgi.run_once': boolean;
  /** `wsgi.input` ends at the end of the body, so that it may be read without CONTENT_LENGTH. */
  'wsgi.input_terminated': boolean;
  /** Wraps a file, as the result of an application; PEP 3333, "File Handling". */
  'wsgi.file_wrapper'?: FileWrapperClass | undefined;
  /** Whether no promise settles while the application runs: `serveForeverSync()`. */
  'ryegate.blocking'?: boolean | undefined;
  /** Fires when the client goes away, or finishes sending, before the response is complete. */
  'ryegate.signal': AbortSignal;
  /**
   * Sends trailer fields after the body, for integrity checks and the like. Only there when the
   * server has `responseTrailers` and the client sent `TE: trailers` (RFC 9110 section 6.5).
   */
  'ryegate.trailers'?: ((trailers: HeaderList) => void) | undefined;
  [header: `HTTP_${string}`]: string | undefined;
  [key: string]: unknown;
}

/** What `FileWrapper` is to an application: it makes a result of a file. */
export type FileWrapperClass = new (
  fileLike: FileLike,
  blockSize?: number,
) => AsyncIterable<Chunk> & Closable;

/** Sends a chunk of the body before those of the application's result (PEP 3333, "write()"). */
export type WriteFunction = (chunk: Chunk) => void;

/**
 * Begins the response (PEP 3333, "The start_response() Callable"). `error` is what `exc_info` is
 * there: given, it replaces a head that is not sent yet, and is thrown again once it is.
 */
export type StartResponse = (status: string, headers: HeaderList, error?: unknown) => WriteFunction;

/** A result may have `close()`: it is called exactly once, whatever becomes of the response. */
export interface Closable {
  close?(): void | Promise<void>;
}

/** The body: one chunk, or an iterable of chunks. */
export type ApplicationResult =
  | Chunk
  | (Iterable<Chunk> & Closable)
  | (AsyncIterable<Chunk> & Closable);

/** A WSGI application (PEP 3333); it may be async. */
export interface Application {
  (environ: Environ, startResponse: StartResponse): ApplicationResult | Promise<ApplicationResult>;
  /**
   * False for one that neither looks at `ryegate.signal` nor passes its environ on: the server then
   * leaves it out, which is 3 % of a small request. Default true.
   */
  usesSignal?: boolean | undefined;
}
