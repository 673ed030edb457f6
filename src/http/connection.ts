import { RyegateError } from '../errors.ts';
import { type InputSource, InputStream } from '../io/inputstream.ts';
import type { Deferred, Protocol } from '../reactor/protocol.ts';
import type { StreamSocket } from '../reactor/streamsocket.ts';
import { type BodyReader, type BodySink, ChunkedReader, LengthReader } from './body.ts';
import type { Gateway } from './gateway.ts';
import { parseHead } from './head.ts';
import { HTTPError } from './httperror.ts';
import type { Limits } from './limits.ts';
import { HTTPRequest } from './request.ts';
import { Residue } from './residue.ts';
import { Response, type ResponseOwner, type ResponseSettings } from './response.ts';

/** Pipelined bytes kept while a request is being answered; more wait in the kernel. */
const RESIDUE_LIMIT = 64 * 1024;

/** What the connections of one server have in common. */
export interface HTTPSettings extends ResponseSettings {
  readonly limits: Limits;
  /** Seconds that an idle connection is kept. */
  readonly keepAliveTimeout: number;
  /** Seconds that a head may take to arrive. */
  readonly headTimeout: number;
}

/**
 * - `idle`: between requests.
 * - `head`: a head has begun to arrive.
 * - `responding`: a request is being answered; its body may still be arriving.
 * - `draining`: it has been answered, the rest of its body is discarded.
 * - `refused`: answering what cannot be understood; nothing that comes is looked at.
 * - `over`: the last response has been written.
 */
type State = 'idle' | 'head' | 'responding' | 'draining' | 'refused' | 'over';

/**
 * Speaks HTTP/1.1 on one socket: takes requests from the bytes that come, one at a time and in
 * order, and has each answered by the gateway before the next is looked at.
 */
export class HTTPConnection implements Protocol, Deferred, BodySink, InputSource, ResponseOwner {
  readonly socket: StreamSocket;
  readonly #gateway: Gateway;
  readonly #settings: HTTPSettings;
  #state: State = 'idle';
  #request: HTTPRequest | null = null;
  #reader: BodyReader | null = null;
  #residue: Residue | null = null;
  /** Body bytes that may still be discarded to keep the connection. */
  #drainable = 0;
  /** The application has waited for the body. */
  #bodyWanted = false;
  /** The client waits for `100 Continue`. */
  #continueOwed = false;
  #lastRequest: boolean;
  /** The client has finished sending. */
  #eof = false;
  #consuming = false;
  /** Requests that have come are gone on with in a later turn. */
  #deferred = false;

  /** `lastRequest`: the first request is the only one. */
  constructor(
    socket: StreamSocket,
    gateway: Gateway,
    settings: HTTPSettings,
    lastRequest: boolean = false,
  ) {
    this.socket = socket;
    this.#gateway = gateway;
    this.#settings = settings;
    this.#lastRequest = lastRequest;
  }

  /** Begins to receive. */
  open(): void {
    // A client that connects and says nothing is as idle as one between requests.
    this.socket.setDeadline(this.socket.now + this.#settings.headTimeout * 1000);
    this.socket.attach(this);
  }

  // What the socket tells.

  dataReceived(bytes: Buffer, start: number, end: number): void {
    const residue = this.#residue;
    if (residue !== null) {
      residue.append(bytes, start, end);
      this.#consumeResidue(residue);
      return;
    }
    const next = this.#consume(bytes, start, end);
    if (next === end) return;
    this.#residue = new Residue();
    this.#residue.append(bytes, next, end);
    this.#regulate();
  }

  #consumeResidue(residue: Residue): void {
    residue.start = this.#consume(residue.bytes, residue.start, residue.end);
    if (residue.length === 0) this.#residue = null;
    this.#regulate();
  }

  /** Pauses while a client sends requests faster than they are answered, or takes no answers. */
  #regulate(): void {
    // A body's pace is set by its reader.
    if (this.#reader !== null || this.#state === 'over') return;
    const waiting = this.#deferred || this.#state === 'responding';
    if (waiting && this.#residue !== null && this.#residue.length >= RESIDUE_LIMIT) {
      this.socket.pause();
    } else {
      this.socket.resume();
    }
  }

  /**
   * Mostly the client has gone, and the application is told so; but it may be reading still, so
   * what is answered all the same is sent.
   */
  eofReceived(): void {
    this.#eof = true;
    if (this.#state === 'responding') {
      this.#request?.abandon();
      if (this.#reader !== null) {
        this.#breakBody(new HTTPError(400, 'ERR_RYEGATE_CLIENT_GONE', CLIENT_GONE));
      }
    }
    this.#endIfDone();
  }

  /** What was asked for before the client finished sending is answered first. */
  #endIfDone(): void {
    if (!this.#eof || this.#deferred) return;
    if (this.#state !== 'responding' && this.#state !== 'refused') this.#over();
  }

  drained(): void {
    this.#request?.response?.producer?.drained();
    if (this.#deferred) this.proceed();
  }

  deadlinePassed(): void {
    if (this.#state === 'head') {
      const message = `the head took longer than ${this.#settings.headTimeout} seconds to arrive`;
      this.#refuse(new HTTPError(408, 'ERR_RYEGATE_HEAD_TIMEOUT', message));
    } else if (this.socket.buffered > 0) {
      // Still taking its answers, however slowly.
      this.#setIdleDeadline();
    } else {
      this.#over();
    }
  }

  serverClosing(): void {
    this.#lastRequest = true;
    if (this.#state === 'responding') (this.#request as HTTPRequest).response.keepAlive = false;
    else if (this.#state !== 'refused') this.#over();
  }

  connectionLost(error: Error | null): void {
    const request = this.#request;
    const answered = this.#state !== 'responding' && this.#state !== 'refused';
    this.#state = 'over';
    this.#request = null;
    this.#reader = null;
    this.#residue = null;
    if (request !== null && !answered) {
      request.abandon();
      request.body.fail(clientGone(error));
      request.response.lose();
    }
    this.#gateway.connectionLost(error);
  }

  // Taking requests.

  /** Takes what can be taken of `bytes` now, and returns where the rest begins. */
  #consume(bytes: Buffer, start: number, end: number): number {
    if (this.#consuming) return start;
    this.#consuming = true;
    let at = start;
    try {
      let most = this.#settings.limits.pipelinedPerTurn;
      for (;;) {
        if (this.#state === 'over' || this.#state === 'refused') return end;
        if (at === end) return end;
        if (this.#reader !== null) {
          at = this.#readBody(this.#reader, bytes, at, end);
        } else if (this.#state === 'responding') {
          return at;
        } else if (this.socket.congested) {
          // The client takes no answers, so it gets no further ones until the drain.
          this.#deferred = true;
          return at;
        } else if (most-- === 0) {
          this.#defer();
          return at;
        } else {
          const next = this.#readHead(bytes, at, end);
          if (next === at) return at;
          at = next;
        }
      }
    } catch (error) {
      if (!(error instanceof HTTPError)) throw error;
      this.#refuse(error);
      return end;
    } finally {
      this.#consuming = false;
    }
  }

  #readHead(bytes: Buffer, start: number, end: number): number {
    this.#request ??= new HTTPRequest(this);
    const request = this.#request;
    const taken = parseHead(bytes, start, end, this.#settings.limits, request);
    if (taken > 0) this.#begin(request);
    else if (this.#state === 'idle') {
      this.#state = 'head';
      this.socket.setDeadline(this.socket.now + this.#settings.headTimeout * 1000);
    }
    return start + taken;
  }

  #begin(request: HTTPRequest): void {
    this.#state = 'responding';
    this.socket.deadline = Infinity;
    if (this.#lastRequest) request.keepAlive = false;
    if (request.chunked) this.#reader = new ChunkedReader(this.#settings.limits);
    else if (request.contentLength > 0) this.#reader = new LengthReader(request.contentLength);
    if (this.#reader !== null) {
      request.body = new InputStream(this);
      this.#bodyWanted = false;
      this.#continueOwed = request.expectContinue;
    }
    request.response = new Response(this.socket, request, this, this.#settings);
    this.#gateway.respond(request);
  }

  #readBody(reader: BodyReader, bytes: Buffer, start: number, end: number): number {
    this.#continueOwed = false;
    let taken: number;
    try {
      taken = reader.feed(bytes, start, end, this);
    } catch (error) {
      if (!(error instanceof HTTPError)) throw error;
      // The application, if it is at work, sees its read fail, and its answer is the last.
      if (this.#state === 'responding') this.#breakBody(error);
      else this.#over();
      return end;
    }
    if (reader.done) this.#bodyEnded();
    return start + taken;
  }

  #bodyEnded(): void {
    this.#reader = null;
    if (this.#state === 'draining') this.#next();
    else this.#request?.body.end();
  }

  /** The rest of the body cannot be had, nor anything that follows it. */
  #breakBody(error: Error): void {
    const request = this.#request as HTTPRequest;
    this.#state = 'refused';
    this.#reader = null;
    request.response.keepAlive = false;
    request.body.fail(error);
  }

  bodyData(bytes: Buffer, start: number, end: number): void {
    if (this.#state !== 'draining') {
      this.#request?.body.push(Buffer.from(bytes.subarray(start, end)));
      return;
    }
    this.#drainable -= end - start;
    if (this.#drainable < 0) this.#over();
  }

  #refuse(error: HTTPError): void {
    this.#request ??= new HTTPRequest(this);
    const request = this.#request;
    this.#state = 'refused';
    this.#reader = null;
    request.keepAlive = false;
    request.response = new Response(this.socket, request, this, this.#settings);
    this.#gateway.refuse(request, error);
  }

  // What the body's reader asks for.

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** The application waits for the body, so the client may send it; RFC 9110 section 10.1.1. */
  demand(): void {
    this.#bodyWanted = true;
    if (!this.#continueOwed) return;
    this.#continueOwed = false;
    if (this.#request?.response.headSent === false) {
      this.socket.writeLatin1('HTTP/1.1 100 Continue\r\n\r\n');
    }
  }

  // What the response tells.

  /** An unread body that is too large to be drained ends the connection, and the client is told. */
  responseBegins(response: Response): void {
    if (this.#bodyWanted || this.#reader === null) return;
    if (this.#continueOwed || this.#bodyOwed() > this.#settings.limits.drainBytes) {
      response.keepAlive = false;
    }
  }

  responseEnded(response: Response): void {
    if (this.#state === 'refused' || !response.keepAlive || this.#lastRequest) {
      this.#over();
      return;
    }
    if (this.#reader === null) {
      this.#next();
      return;
    }
    this.#state = 'draining';
    this.#drainable = this.#settings.limits.drainBytes;
    const request = this.#request as HTTPRequest;
    request.body.fail(new RyegateError('ERR_RYEGATE_BODY_GONE', BODY_GONE));
    // A client that was not told to continue may never send the body.
    if (this.#continueOwed || this.#bodyOwed() > this.#drainable) this.#over();
    else {
      this.#setIdleDeadline();
      this.socket.resume();
    }
  }

  /** How much of the body is known to be still to come. */
  #bodyOwed(): number {
    return this.#reader instanceof LengthReader ? this.#reader.remaining : 0;
  }

  responseBroken(_response: Response, error: Error): void {
    this.#state = 'over';
    this.socket.reset(error);
  }

  responseFault(error: RyegateError): void {
    this.#gateway.fault(error);
  }

  /** The request is done with: the connection is free for another. */
  #next(): void {
    this.#state = 'idle';
    this.#request = null;
    this.#setIdleDeadline();
    if (this.#consuming) return;
    if (this.#residue !== null) {
      this.#defer();
      return;
    }
    this.socket.resume();
    this.#endIfDone();
  }

  #defer(): void {
    if (this.#deferred) return;
    this.#deferred = true;
    this.socket.defer(this);
  }

  #setIdleDeadline(): void {
    this.socket.setDeadline(this.socket.now + this.#settings.keepAliveTimeout * 1000);
  }

  /** Goes on with requests that came before they could be answered. */
  proceed(): void {
    this.#deferred = false;
    if (this.#residue !== null) this.#consumeResidue(this.#residue);
    this.#endIfDone();
  }

  /**
   * No further request is served; what has been written still goes out. Whatever the client sends
   * meanwhile, were it an empty line, would reset the connection if it were closed unread, so that
   * the client loses the end of its answer: RFC 9112 section 9.6.
   */
  #over(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.socket.linger();
  }
}

const BODY_GONE = 'the response is complete: the rest of the request body was discarded';

const CLIENT_GONE = 'the client went away before the request was complete';

function clientGone(cause: Error | null): RyegateError {
  return new RyegateError('ERR_RYEGATE_CLIENT_GONE', CLIENT_GONE, cause === null ? {} : { cause });
}
