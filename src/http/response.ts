import { RyegateError } from '../errors.ts';
import { byteLength, type Chunk } from '../io/chunk.ts';
import type { FilePart, FileProgress } from '../reactor/fileregion.ts';
import { commonFields } from './commonfields.ts';
import { type ConstantHeaders, constantHeaders, lengthApart } from './constantheaders.ts';
import { parseDecimal } from './grammar.ts';
import type { HeaderList } from './headers.ts';
import { type GivenFields, renderHead, scanFields } from './responsehead.ts';
import { bodyForbidden } from './status.ts';
import { checkTrailers } from './trailers.ts';

/** Where a response goes. */
export interface ByteSink {
  /** `bytes` must not change until they have gone. */
  write(bytes: Uint8Array): void;
  /** Text of code points up to U+00FF. */
  writeLatin1(text: string): void;
  /**
   * Writes `head`, behind it `length` in decimal digits and an empty line if it is not -1, and
   * `body`, which is `bodySize` bytes that must not change until they have gone, or as many
   * characters up to U+00FF. Where it is missing, connections are not kept.
   */
  writeMessage?(head: Uint8Array, length: number, body: Chunk, bodySize: number): void;
  /** Whether a producer should wait until it is told of the drain. */
  readonly congested: boolean;
  /** Monotonic milliseconds, the same throughout a turn of the reactor; NaN without one. */
  readonly now: number;
  /**
   * Takes the first `count` bytes of a part of a file. `copy`: not by sendfile(2). `told` is called
   * once, later: with null when all of them went. Where it is missing, files are read and written.
   */
  writeFile?(
    part: FilePart,
    count: number,
    copy: boolean,
    told: (error: Error | null) => void,
  ): FileProgress;
}

/** Whoever makes the body of a response. */
export interface Producer {
  /** What had made the sink congested has gone. */
  drained(): void;
  /** The client has gone: nothing more can be sent. */
  clientGone(): void;
}

/** Told once what becomes of a response. */
export interface ResponseOwner {
  /** Its head is about to be rendered: the last moment to decide about `keepAlive`. */
  responseBegins(response: Response): void;
  /** It is complete. */
  responseEnded(response: Response): void;
  /** Its end cannot be sent: the connection has to be broken off, so that the client can tell. */
  responseBroken(response: Response, error: Error): void;
  /** The producer did something wrong, which is to be logged. */
  responseFault(error: RyegateError): void;
}

/** What a response has to know of its request. */
export interface ResponseContext {
  readonly method: string;
  readonly minor: 0 | 1;
  readonly keepAlive: boolean;
  /** Whether the client has said that it takes trailers. */
  readonly takesTrailers: boolean;
}

export interface ResponseSettings {
  /** The value of the Server field. */
  readonly serverSoftware: string;
  /** Whether the fields Date and Server are added. */
  readonly dateField: boolean;
  readonly serverField: boolean;
  /** Whether trailers may be sent. */
  readonly responseTrailers: boolean;
  /** The fields of a response after which the connection is kept; see `keptFields()`. */
  readonly keptFields: string;
  /** Whether files are sent by sendfile(2), where the system has it. */
  readonly sendfile: boolean;
}

/** Tells the client for how many whole seconds it may count on an idle connection. */
export function keptFields(seconds: number): string {
  const whole = Math.floor(seconds);
  const isTold = whole > 0 && Number.isSafeInteger(whole);
  const hint = isTold ? `Keep-Alive: timeout=${whole}\r\n` : '';
  return `Connection: keep-alive\r\n${hint}`;
}

const CLOSE = 'Connection: close\r\n';

// The ends of heads.
const END = '\r\n';
const CHUNKED = 'Transfer-Encoding: chunked\r\n\r\n';
/** The number and an empty line follow: apart, so that what precedes is the same for all lengths. */
const SIZED = 'Content-Length: ';

let lastStatus = '';
let lastCode = 0;

/** The last is kept: mostly there is one, and to read it anew takes 1 % of a small request. */
function codeOf(status: string): number {
  return status === lastStatus ? lastCode : readCode(status);
}

function readCode(status: string): number {
  lastCode = parseDecimal(status, 3);
  lastStatus = status;
  return lastCode;
}

/** The Content-Length that `headers` have apart from what is kept of them, else `length`. */
function lengthOf(headers: HeaderList, length: number): number {
  const apart = lengthApart(headers);
  return apart < 0 ? length : apart;
}

function headSentError(): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_HEAD_SENT',
    'the head of the response has been sent already: decide for one response before that',
  );
}

/** What marks the end of the body; RFC 9112 section 6.3. */
type Framing = 'none' | 'length' | 'chunked' | 'close';

/**
 * Writes one response: decides how its body is delimited, renders the head, and keeps to what was
 * promised. The order of calls is `start()`, any number of `write()`, `end()` or `abort()`.
 */
export class Response {
  // `declare`, as the constructor sets all: see "What keeps a request cheap" in docs/performance.md.
  /** Set by whoever makes the body, to be told of the connection. */
  declare producer: Producer | null;
  /** Whether the connection can serve another request after this response. */
  declare keepAlive: boolean;
  /** 0 until `start()`. */
  declare status: number;
  declare private readonly sink: ByteSink;
  declare private readonly context: ResponseContext;
  declare private readonly owner: ResponseOwner;
  declare private readonly settings: ResponseSettings;
  declare private framing: Framing;
  declare private declared: number;
  declare private written: number;
  /** The file that is being sent. */
  declare private file: FileProgress | null;
  declare private cut: boolean;
  declare private ended: boolean;
  declare private isReplaced: boolean;
  declare private trailers: HeaderList | null;

  constructor(
    sink: ByteSink,
    context: ResponseContext,
    owner: ResponseOwner,
    settings: ResponseSettings,
  ) {
    this.producer = null;
    this.keepAlive = context.keepAlive;
    this.status = 0;
    this.sink = sink;
    this.context = context;
    this.owner = owner;
    this.settings = settings;
    this.framing = 'none';
    this.declared = -1;
    this.written = 0;
    this.file = null;
    this.cut = false;
    this.ended = false;
    this.isReplaced = false;
    this.trailers = null;
  }

  /** Bytes of the body that were sent, or would have been to a GET. */
  get bytesSent(): number {
    return this.written + (this.file === null ? 0 : this.file.sent);
  }

  /** Whether a body of `size` bytes has been sent, and nothing is owed beside it. */
  hasSent(size: number): boolean {
    return this.written === size && this.declared === size;
  }

  get headSent(): boolean {
    return this.status !== 0;
  }

  /** Whether another response takes its place, as this one came too late. */
  get replaced(): boolean {
    return this.isReplaced;
  }

  /** Whether nothing can be sent any more: it is complete, broken off, or its client has gone. */
  get over(): boolean {
    return this.ended;
  }

  /** Whether nothing more would be sent: there is no body, or more of it than was declared. */
  get satisfied(): boolean {
    return this.headSent && (this.framing === 'none' || this.cut || this.ended);
  }

  /** Whether a producer should wait for `drained()`. */
  get congested(): boolean {
    return !this.ended && this.sink.congested;
  }

  /** Whether `setTrailers()` may be called: the server allows it, and the client asked for it. */
  get takesTrailers(): boolean {
    return this.settings.responseTrailers && this.context.takesTrailers;
  }

  /**
   * Sends `trailers` after the body. A body of known length has none: set before the head, they
   * make it a chunked one. They are dropped where the framing has no place for them.
   *
   * @throws RyegateError `ERR_RYEGATE_TRAILER` when they are not taken, or too late; as `start()`
   */
  setTrailers(trailers: HeaderList): void {
    if (!this.takesTrailers || this.ended) {
      throw new RyegateError(
        'ERR_RYEGATE_TRAILER',
        'trailers can be sent only before the end of a response, to a client that sent ' +
          '"TE: trailers", by a server with the option responseTrailers',
      );
    }
    this.trailers = checkTrailers(trailers);
  }

  /** The response is another one: an error page, say. */
  dropTrailers(): void {
    this.trailers = null;
  }

  /**
   * Sends the head. `length` is the size of the body in bytes, -1 when it is not known; a
   * Content-Length among `headers` counts for more. `body`, which is all of it, may be sent along,
   * for 4 % less of a pipelined request: then nothing is owed, and `bytesSent` is its size.
   *
   * @throws RyegateError `ERR_RYEGATE_CONTENT_LENGTH`, with nothing sent; `ERR_RYEGATE_HEAD_SENT`
   */
  start(status: string, headers: HeaderList, length: number, body: Chunk | null = null): void {
    if (this.headSent) throw headSentError();
    const constant = constantHeaders(headers);
    const given = constant === undefined ? scanFields(headers) : constant.given;
    this.owner.responseBegins(this);
    if (this.startKnown(constant, status, headers, length, body)) return;
    this.startAnew(constant, given, status, headers, length, body);
  }

  /**
   * As most responses start: with a body of known length and a head that was sent before. False when
   * it is another one: then nothing has been done.
   */
  private startKnown(
    constant: ConstantHeaders | undefined,
    status: string,
    headers: HeaderList,
    length: number,
    body: Chunk | null,
  ): boolean {
    if (constant === undefined || !this.keepAlive) return false;
    const { given } = constant;
    const { method } = this.context;
    const code = codeOf(status);
    if (bodyForbidden(code) || method === 'HEAD' || method === 'CONNECT') return false;
    const isSized = given.length < 0;
    const declared = isSized ? lengthOf(headers, length) : given.length;
    if (declared < 0 || given.own || given.close || this.trailers !== null) return false;
    const common = commonFields(this.settings, this.sink.now);
    const head = constant.known(status, common, isSized ? SIZED : END);
    if (head === null) return false;
    this.status = code;
    this.framing = 'length';
    this.declared = declared;
    this.sendHead(head, isSized, length, body);
    return true;
  }

  private startAnew(
    constant: ConstantHeaders | undefined,
    given: GivenFields,
    status: string,
    headers: HeaderList,
    length: number,
    body: Chunk | null,
  ): void {
    const code = codeOf(status);
    if (given.close) this.keepAlive = false;
    const apart = lengthApart(headers);
    this.declared = apart < 0 ? given.length : apart;
    this.frame(code, length);
    this.status = code;
    const bare = this.isBare(code);
    const end = this.headEnd(given.length >= 0, apart >= 0, bare);
    const common = commonFields(this.settings, this.sink.now);
    if (constant !== undefined && !given.own && !bare && this.keepAlive) {
      const head = constant.whole(status, common, end);
      if (head !== null) {
        this.sendHead(head, end === SIZED, length, body);
        return;
      }
    }
    const isKnown = constant !== undefined && !bare;
    const head = isKnown ? constant.text(status) : renderHead(status, headers, bare);
    const added = given.own ? common.without(given) : common.text;
    const connection = this.keepAlive ? this.settings.keptFields : CLOSE;
    const size = end === SIZED ? `${this.declared}\r\n\r\n` : '';
    this.sink.writeLatin1(head + added + connection + end + size);
  }

  private sendHead(head: Uint8Array, sized: boolean, length: number, body: Chunk | null): void {
    // A string of as many bytes is one of ASCII.
    const isWhole =
      body !== null &&
      body.length === length &&
      this.declared === length &&
      this.framing === 'length';
    const sink = this.sink as Required<ByteSink>;
    this.written = isWhole ? length : 0;
    sink.writeMessage(head, sized ? this.declared : -1, isWhole ? body : '', this.written);
  }

  /** Whether the response must not say how long its body is; RFC 9110 section 8.6. */
  private isBare(code: number): boolean {
    if (code === 204) return true;
    return this.context.method === 'CONNECT' && code < 300;
  }

  private frame(code: number, length: number): void {
    const { method, minor } = this.context;
    if (method === 'CONNECT') this.keepAlive = false;
    if (bodyForbidden(code) || this.isBare(code)) {
      this.framing = 'none';
      return;
    }
    if (this.declared < 0 && this.trailers === null) this.declared = length;
    if (this.declared >= 0) this.framing = 'length';
    else if (minor === 1) this.framing = 'chunked';
    else {
      this.framing = 'close';
      if (method !== 'HEAD') this.keepAlive = false;
    }
  }

  /** `given`: the length is among the fields; `apart`: it was, and is written behind them. */
  private headEnd(given: boolean, apart: boolean, bare: boolean): string {
    let end = END;
    if ((apart && !bare) || (this.framing === 'length' && !given)) end = SIZED;
    else if (this.framing === 'chunked') end = CHUNKED;
    if (bare || this.context.method === 'HEAD') this.framing = 'none';
    return end;
  }

  /**
   * Sends a piece of the body. What goes beyond the declared length is cut: the client would take
   * it for the next response.
   *
   * @throws RyegateError `ERR_RYEGATE_HEAD_NOT_SENT`
   */
  write(chunk: Chunk, size: number = byteLength(chunk)): void {
    if (this.ended) return;
    if (!this.headSent) {
      throw new RyegateError(
        'ERR_RYEGATE_HEAD_NOT_SENT',
        'the body of the response cannot precede its head: send that first',
      );
    }
    if (size === 0) return;
    if (this.framing === 'length' && this.written + size > this.declared) {
      this.writeRest(chunk);
      return;
    }
    this.written += size;
    if (this.framing === 'none') return;
    if (this.framing !== 'chunked') {
      this.send(chunk, size);
      return;
    }
    this.sink.writeLatin1(`${size.toString(16)}\r\n`);
    this.send(chunk, size);
    this.sink.writeLatin1('\r\n');
  }

  private send(chunk: Chunk, size: number): void {
    if (typeof chunk !== 'string') this.sink.write(chunk);
    else if (chunk.length === size) this.sink.writeLatin1(chunk);
    else this.sink.write(Buffer.from(chunk));
  }

  private writeRest(chunk: Chunk): void {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    const rest = bytes.subarray(0, this.declared - this.written);
    this.written += rest.length;
    if (rest.length > 0) this.sink.write(rest);
    if (this.cut) return;
    this.cut = true;
    this.owner.responseFault(
      new RyegateError(
        'ERR_RYEGATE_RESULT_TOO_LONG',
        `the result is longer than its Content-Length of ${this.declared} bytes and was cut: ` +
          'declare the true length, or none',
      ),
    );
  }

  /**
   * Whether the body, or the rest of it, can be sent by `writeFile()`: the connection takes files as
   * they are, and the head is unsent or has said where the body ends.
   */
  get takesFiles(): boolean {
    if (this.sink.writeFile === undefined || this.trailers !== null) return false;
    return this.framing !== 'chunked';
  }

  /** Bytes of the body that the head has promised and that were not sent yet. */
  get owed(): number {
    return this.declared < 0 ? Infinity : this.declared - this.written;
  }

  /**
   * Sends a part of a file, of which no more than is owed, as a piece of the body. `told` is called
   * once, later: with null when all of it went. False when there is nothing to send; then it is not.
   * The order is that of `write()`, and a second piece has to wait until this one has been told of.
   */
  writeFile(part: FilePart, told: (error: Error | null) => void): boolean {
    if (this.ended) return false;
    const count = Math.min(part.count, this.owed);
    if (this.framing === 'none' || count === 0) {
      this.written += count;
      return false;
    }
    const sink = this.sink as Required<ByteSink>;
    this.file = sink.writeFile(part, count, !this.settings.sendfile, (error) => {
      this.written = this.bytesSent;
      this.file = null;
      told(error);
    });
    return true;
  }

  /** The body is complete. */
  end(): void {
    if (this.ended) return;
    if (this.framing === 'length' && this.written < this.declared && this.isShort()) return;
    if (this.framing === 'chunked') this.sink.writeLatin1(lastChunk(this.trailers));
    this.ended = true;
    this.owner.responseEnded(this);
  }

  /** Whether less has been sent than was promised; then the client is told by the connection's end. */
  private isShort(): boolean {
    if (this.bytesSent >= this.declared) return false;
    const error = new RyegateError(
      'ERR_RYEGATE_RESULT_TOO_SHORT',
      `the result has ${this.bytesSent} of the ${this.declared} bytes of its ` +
        'Content-Length, so the connection was aborted: declare the true length, or none',
    );
    this.abort(error);
    this.owner.responseFault(error);
    return true;
  }

  /** The body cannot be completed. */
  abort(error: Error): void {
    if (this.ended) return;
    this.ended = true;
    this.keepAlive = false;
    this.owner.responseBroken(this, error);
  }

  /** Another response is sent instead: whatever follows is dropped. */
  replace(): void {
    this.isReplaced = true;
    this.lose();
  }

  /** The client has gone: whatever follows is dropped. */
  lose(): void {
    if (this.ended) return;
    this.ended = true;
    this.keepAlive = false;
    this.producer?.clientGone();
  }
}

function lastChunk(trailers: HeaderList | null): string {
  const lines = trailers?.map(([name, value]) => `${name}: ${value}\r\n`) ?? [];
  return `0\r\n${lines.join('')}\r\n`;
}
