import { debug } from '../debug.ts';
import type { RyegateError } from '../errors.ts';
import type { Deferred, Protocol } from '../reactor/protocol.ts';
import type { SocketSettings } from '../reactor/socketsettings.ts';
import type { StreamSocket } from '../reactor/streamsocket.ts';
import type { Gateway } from './gateway.ts';
import { HandlerClock } from './handlerclock.ts';
import { parseHead, RequestHead } from './head.ts';
import { HeadMemory } from './headmemory.ts';
import { HTTPError } from './httperror.ts';
import { Intake, type IntakeOwner, type IntakeSettings } from './intake.ts';
import * as reasons from './reasons.ts';
import { HTTPRequest } from './request.ts';
import { Residue } from './residue.ts';
import { Response, type ResponseOwner, type ResponseSettings } from './response.ts';
import type { Timeouts } from './timeouts.ts';

/** What is counted of all connections of a server. */
export interface Counters {
  /** Heads that have come. */
  requests: number;
  /** Requests that were refused: malformed ones, late ones, those beyond a limit. */
  refused: number;
  /** Requests that were answered with a status from 500 on, or whose answer was broken off. */
  failed: number;
}

/** What the connections of one server have in common. */
export interface HTTPSettings extends ResponseSettings, IntakeSettings {
  readonly timeouts: Timeouts;
  readonly socket: SocketSettings;
  readonly counters: Counters;
}

/**
 * As much of a body leaves at once, with a head: it fits into the first window of a connection, 10
 * segments (RFC 6928). A reset can only come after it.
 */
const ON_THE_WAY = 12 * 1024;

/**
 * - `idle`: between requests.
 * - `head`: a head has begun to arrive.
 * - `receiving`: the body arrives before the request is answered (`inputBuffering: 'buffer'`).
 * - `responding`: a request is being answered; its body may still be arriving.
 * - `draining`: it has been answered, the rest of its body is discarded.
 * - `refused`: the answer is the last; nothing that comes is looked at.
 * - `over`: the last response has been written.
 */
type State = 'idle' | 'head' | 'receiving' | 'responding' | 'draining' | 'refused' | 'over';

/**
 * Speaks HTTP/1.1 on one socket: takes requests from the bytes that come, one at a time and in
 * order, and has each answered by the gateway before the next is looked at.
 */
export class HTTPConnection implements Protocol, Deferred, IntakeOwner, ResponseOwner {
  readonly socket: StreamSocket;
  readonly #gateway: Gateway;
  readonly #settings: HTTPSettings;
  /** From the first request on that is not answered at once. */
  #handlerClock: HandlerClock | null = null;
  #state: State = 'idle';
  #request: HTTPRequest | null = null;
  /** Takes in the body of the request, if it has one. */
  #intake: Intake | null = null;
  #residue: Residue | null = null;
  /** The head that has begun to arrive. */
  #head: RequestHead | null = null;
  /** From the second request on: connections that serve one do without. */
  #headMemory: HeadMemory | null = null;
  /** Requests whose head has come. */
  #requests = 0;
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
    this.#wait(this.#settings.timeouts.head);
    this.socket.attach(this, this.#settings.socket);
  }

  get state(): State {
    return this.#state;
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
    // A body's pace is set by its reader, and after a refusal nothing is looked at.
    if (this.#arriving() !== null || this.#state === 'refused' || this.#state === 'over') return;
    const waiting = this.#deferred || this.#state === 'responding';
    const { pipelinedBytes } = this.#settings.limits;
    if (waiting && this.#residue !== null && this.#residue.length >= pipelinedBytes) {
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
    const responding = this.#state === 'responding';
    if (responding) this.#tellGone(null);
    // An application whose request body broke off may be at work still.
    if (responding || this.#state === 'refused') this.#request?.abandon();
    if (responding && this.#arriving() !== null) this.#breakBody(reasons.bodyCutOff());
    this.#endIfDone();
  }

  /** Behind what was not received yet, the client has finished sending. */
  eofAhead(): void {
    if (this.#state !== 'responding' && this.#state !== 'refused') return;
    this.#tellGone(null);
    this.#request?.abandon();
  }

  /** What was asked for before the client finished sending is answered first. */
  #endIfDone(): void {
    if (!this.#eof || this.#deferred) return;
    if (this.#state === 'responding' || this.#state === 'refused') return;
    this.#tellGone(null);
    this.#over();
  }

  drained(): void {
    this.#handlerClock?.drained(this.socket.now);
    this.#request?.response?.producer?.drained();
    if (this.#deferred) this.proceed();
  }

  serverClosing(): void {
    this.#lastRequest = true;
    const request = this.#request as HTTPRequest;
    if (this.#state === 'responding') request.response.keepAlive = false;
    else if (this.#state === 'receiving') request.keepAlive = false;
  }

  endIfIdle(patiently: boolean): boolean {
    const isIdle = this.#state === 'idle' && this.#residue === null;
    const isArriving = this.#state === 'head' && !patiently;
    // What follows an answer that has been sent is not waited for.
    if (isIdle || isArriving || this.#state === 'draining') this.#over();
    return isIdle || isArriving;
  }

  connectionLost(error: Error | null): void {
    const request = this.#request;
    const answering = this.#state === 'responding' || this.#state === 'refused';
    if (this.#state !== 'over') this.#tellGone(error);
    this.#state = 'over';
    this.#request = null;
    this.#residue = null;
    this.#headMemory?.forget();
    this.#closeBody(() => reasons.clientGone(error));
    if (request !== null && answering) {
      request.abandon();
      request.response.lose();
    }
    this.#gateway.connectionLost(error);
  }

  /** Nobody here can do anything about clients that go away. */
  #tellGone(error: Error | null): void {
    if (this.#state === 'receiving') this.#gateway.abandon(this.#request as HTTPRequest);
    if (!debug.enabled || this.#state === 'idle') return;
    const why = error === null ? 'it finished sending' : error.message;
    debug('client %j has gone (%s): %s', this.socket.clientAddress, this.#state, why);
  }

  // Deadlines.

  /** Waits at most `seconds` for what the state is about. */
  #wait(seconds: number): void {
    this.socket.setDeadline(this.socket.now + seconds * 1000);
  }

  /** While a request is served, either side can be late. */
  reschedule(): void {
    if (this.#state === 'idle' || this.#state === 'head' || this.#state === 'over') return;
    const body = this.#intake === null ? Infinity : this.#intake.deadline;
    this.socket.setDeadline(Math.min(body, this.#handlerClock?.due ?? Infinity));
  }

  deadlinePassed(): void {
    const { timeouts } = this.#settings;
    if (this.#state === 'over') return;
    if (this.#state === 'head') {
      this.#refuse(reasons.headTimeout(timeouts.head));
    } else if (this.#state !== 'idle') {
      this.#requestLate();
    } else if (this.socket.isTaking()) {
      this.#wait(timeouts.keepAlive);
    } else {
      this.#over();
    }
  }

  #requestLate(): void {
    const { now } = this.socket;
    const request = this.#request as HTTPRequest;
    const clock = this.#handlerClock;
    if (this.#intake !== null && this.#intake.deadline <= now) {
      this.#bodyFailed(reasons.bodyTimeout());
    } else if (clock !== null && clock.due <= now && clock.isLate(request, now)) {
      this.#giveUp(request, reasons.handlerTimeout());
    }
    this.reschedule();
  }

  /** Whatever the handler may still do comes too late. */
  #giveUp(request: HTTPRequest, error: HTTPError): void {
    const { response } = request;
    this.#handlerClock?.stop();
    this.#gateway.fault(error);
    request.abandon();
    this.#intake?.break(() => error);
    if (response.headSent) {
      response.lose();
      this.responseBroken(response, error);
    } else {
      response.replace();
      this.#refuse(error);
    }
  }

  // Taking requests.

  /** The intake of a body that is not complete. */
  #arriving(): Intake | null {
    return this.#intake === null || this.#intake.done ? null : this.#intake;
  }

  /** Takes what can be taken of `bytes` now, and returns where the rest begins. */
  #consume(bytes: Buffer, start: number, end: number): number {
    if (this.#consuming) return start;
    this.#consuming = true;
    let at = start;
    try {
      let most = this.#settings.limits.pipelinedPerTurn;
      for (;;) {
        if (at === end) return end;
        // More has come than was promised, and its rest may be on its way.
        if (this.#state === 'over') this.socket.linger();
        if (this.#state === 'over' || this.#state === 'refused') return end;
        const intake = this.#arriving();
        if (intake !== null) {
          at = this.#readBody(intake, bytes, at, end);
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
    const isTLS = this.#requests === 0 ? reasons.isTLSHello(bytes, start, end) : false;
    if (isTLS === null) return this.#awaitHead(start);
    if (isTLS) {
      this.#gateway.notice(reasons.tlsOnPlain());
      this.#over();
      return end;
    }
    const { limits } = this.#settings;
    const memory = this.#memory();
    let taken: number;
    let head = memory?.recall(bytes, start, Math.min(end, start + limits.headerBytes)) ?? null;
    if (head !== null) {
      taken = (memory as HeadMemory).length;
    } else {
      this.#head ??= new RequestHead();
      head = this.#head;
      taken = parseHead(bytes, start, end, limits, head, memory);
      if (taken === 0) return this.#awaitHead(start);
    }
    this.#head = null;
    this.#begin(head);
    return start + taken;
  }

  #memory(): HeadMemory | null {
    if (this.#headMemory === null && this.#requests > 0) this.#headMemory = new HeadMemory();
    return this.#headMemory;
  }

  #awaitHead(start: number): number {
    if (this.#state === 'idle') {
      this.#state = 'head';
      this.#wait(this.#settings.timeouts.head);
    }
    return start;
  }

  #begin(head: RequestHead): void {
    const { limits, inputBuffering } = this.#settings;
    const request = new HTTPRequest(this, head);
    this.#request = request;
    this.#requests += 1;
    this.#settings.counters.requests += 1;
    if (this.#requests >= limits.requestsPerConnection) this.#lastRequest = true;
    if (this.#lastRequest) request.keepAlive = false;
    if (head.chunked || head.contentLength > 0) {
      this.#intake = new Intake(head, this, this.#settings);
      request.body = this.#intake.input;
      // What came before it may have been held back; from here on its reader does that.
      this.socket.resume();
      if (inputBuffering === 'buffer') {
        this.#state = 'receiving';
        this.#intake.demand();
        this.reschedule();
        return;
      }
    }
    this.#respond(request);
  }

  #respond(request: HTTPRequest): void {
    this.#state = 'responding';
    request.response = new Response(this.socket, request, this, this.#settings);
    this.#gateway.respond(request);
    // Most have been answered by now.
    if (this.#request !== request) return;
    if (!request.response.over) {
      this.#handlerClock ??= new HandlerClock(this.#settings.timeouts.handler);
      this.#handlerClock.start(this.socket.now);
    }
    this.reschedule();
  }

  #readBody(intake: Intake, bytes: Buffer, start: number, end: number): number {
    let taken: number;
    try {
      taken = intake.feed(bytes, start, end);
    } catch (error) {
      if (!(error instanceof HTTPError)) throw error;
      this.#bodyFailed(error);
      return end;
    }
    if (intake.overdrawn) this.#over();
    else if (!intake.done) this.reschedule();
    else if (this.#state === 'draining' && this.#lastRequest) this.#over();
    else if (this.#state === 'draining') this.#next();
    else if (this.#state === 'receiving') this.#respond(this.#request as HTTPRequest);
    return start + taken;
  }

  /** The rest of the body cannot be had. */
  #bodyFailed(error: HTTPError): void {
    if (this.#state === 'receiving') {
      this.#intake?.break(() => error);
      if (error.cause !== undefined) this.#gateway.notice(error);
      this.#refuse(error);
    } else if (this.#state === 'responding') {
      this.#breakBody(error);
    } else {
      this.#over();
    }
  }

  /** The application, if it is at work, sees its read fail, and its answer is the last. */
  #breakBody(error: HTTPError): void {
    this.#state = 'refused';
    (this.#request as HTTPRequest).response.keepAlive = false;
    this.#intake?.break(() => error);
    // Nothing that comes is of use: the kernel may keep it until the answer is there.
    this.socket.pause();
  }

  #closeBody(reason: () => Error): void {
    this.#intake?.close(reason);
    this.#intake = null;
  }

  #refuse(error: HTTPError): void {
    if (debug.enabled) debug('%j is refused: %s', this.socket.clientAddress, error.code);
    this.#settings.counters.refused += 1;
    this.#request ??= new HTTPRequest(this, this.#head ?? new RequestHead());
    const request = this.#request;
    this.#state = 'refused';
    request.keepAlive = false;
    request.response = new Response(this.socket, request, this, this.#settings);
    this.socket.setDeadline(Infinity);
    this.#gateway.refuse(request, error);
  }

  /** RFC 9110 section 10.1.1. */
  continueWanted(): void {
    const told = this.#state !== 'receiving' && this.#request?.response.headSent !== false;
    if (!told) this.socket.writeLatin1('HTTP/1.1 100 Continue\r\n\r\n');
  }

  // What the response tells.

  /** An unread body that is too large to be drained ends the connection, and the client is told. */
  responseBegins(response: Response): void {
    const intake = this.#arriving();
    if (intake === null || intake.wanted) return;
    if (intake.continueOwed || intake.owed > this.#settings.limits.drainBytes) {
      response.keepAlive = false;
    }
  }

  responseEnded(response: Response): void {
    if (response.status >= 500) this.#settings.counters.failed += 1;
    this.#handlerClock?.stop();
    const intake = this.#arriving();
    if (this.#state === 'refused' || !response.keepAlive || this.#lastRequest) {
      this.#over(this.#isFarewell(response));
    } else if (intake === null) {
      this.#next();
    } else {
      this.#drain(intake, this.#settings.limits.drainBytes);
    }
  }

  /** Whether the client has said that this request, a head alone, is its only one. */
  #isFarewell(response: Response): boolean {
    if (this.#state === 'refused' || this.#lastRequest || this.#requests > 1) return false;
    const promised = this.#request?.keepAlive === false && this.#intake === null;
    return promised && this.#residue === null && response.bytesSent <= ON_THE_WAY;
  }

  #drain(intake: Intake, most: number): void {
    this.#state = 'draining';
    intake.close(reasons.bodyGone);
    // A client that was not told to continue may never send the body.
    if (intake.continueOwed || intake.owed > most) {
      this.#over();
      return;
    }
    intake.drop(most);
    this.socket.resume();
  }

  responseBroken(_response: Response, error: Error): void {
    this.#settings.counters.failed += 1;
    this.#state = 'over';
    this.#closeBody(() => error);
    this.socket.reset(error);
  }

  responseFault(error: RyegateError): void {
    this.#gateway.fault(error);
  }

  /** The request is done with: the connection is free for another. */
  #next(): void {
    this.#state = 'idle';
    // The handler keeps the request until the next one; what made the answer is let go.
    (this.#request as HTTPRequest).response.producer = null;
    this.#request = null;
    this.#closeBody(reasons.bodyGone);
    this.#wait(this.#settings.timeouts.keepAlive);
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

  /** Goes on with requests that came before they could be answered. */
  proceed(): void {
    this.#deferred = false;
    if (this.#residue !== null) this.#consumeResidue(this.#residue);
    this.#endIfDone();
  }

  /**
   * No further request is served; what has been written still goes out. Whatever the client sends
   * meanwhile, were it an empty line, would reset the connection if it were closed unread, so that
   * the client loses the end of its answer: RFC 9112 section 9.6. `farewell`: it has said that it
   * sends nothing.
   */
  #over(farewell = false): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#closeBody(reasons.bodyGone);
    if (farewell) this.socket.finish();
    else this.socket.linger();
  }
}
