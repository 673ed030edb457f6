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
  private readonly gateway: Gateway;
  private readonly settings: HTTPSettings;
  /** From the first request on that is not answered at once. */
  private handlerClock: HandlerClock | null = null;
  /** What it is doing; for others to read. */
  state: State = 'idle';
  private request: HTTPRequest | null = null;
  /** Takes in the body of the request, if it has one. */
  private intake: Intake | null = null;
  private residue: Residue | null = null;
  /** The head that has begun to arrive. */
  private head: RequestHead | null = null;
  /** From the second request on: connections that serve one do without. */
  private headMemory: HeadMemory | null = null;
  /** Requests whose head has come. */
  private requests = 0;
  private lastRequest: boolean;
  /** The client has finished sending. */
  private eof = false;
  private consuming = false;
  /** Requests that have come are gone on with in a later turn. */
  private deferred = false;

  /** `lastRequest`: the first request is the only one. */
  constructor(
    socket: StreamSocket,
    gateway: Gateway,
    settings: HTTPSettings,
    lastRequest: boolean = false,
  ) {
    this.socket = socket;
    this.gateway = gateway;
    this.settings = settings;
    this.lastRequest = lastRequest;
  }

  /** Begins to receive. */
  open(): void {
    // A client that connects and says nothing is as idle as one between requests.
    this.wait(this.settings.timeouts.head);
    this.socket.attach(this, this.settings.socket);
  }

  // What the socket tells.

  dataReceived(bytes: Buffer, start: number, end: number): void {
    const next = this.residue === null ? this.consume(bytes, start, end) : start;
    if (next !== end) this.keep(bytes, next, end);
  }

  /** Keeps what cannot be taken yet; if there is some already, what follows it may be taken now. */
  private keep(bytes: Buffer, start: number, end: number): void {
    const { residue } = this;
    if (residue !== null) {
      residue.append(bytes, start, end);
      this.consumeResidue(residue);
      return;
    }
    this.residue = new Residue();
    this.residue.append(bytes, start, end);
    this.regulate();
  }

  private consumeResidue(residue: Residue): void {
    residue.start = this.consume(residue.bytes, residue.start, residue.end);
    if (residue.length === 0) this.residue = null;
    this.regulate();
  }

  /** Pauses while a client sends requests faster than they are answered, or takes no answers. */
  private regulate(): void {
    // A body's pace is set by its reader, and after a refusal nothing is looked at.
    if (this.arriving() !== null || this.state === 'refused' || this.state === 'over') return;
    const waiting = this.deferred || this.state === 'responding';
    const { pipelinedBytes } = this.settings.limits;
    if (waiting && this.residue !== null && this.residue.length >= pipelinedBytes) {
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
    this.eof = true;
    const responding = this.state === 'responding';
    if (responding) this.tellGone(null);
    // An application whose request body broke off may be at work still.
    if (responding || this.state === 'refused') this.request?.abandon();
    if (responding && this.arriving() !== null) this.breakBody(reasons.bodyCutOff());
    this.endIfDone();
  }

  /** Behind what was not received yet, the client has finished sending. */
  eofAhead(): void {
    if (this.state !== 'responding' && this.state !== 'refused') return;
    this.tellGone(null);
    this.request?.abandon();
  }

  /** What was asked for before the client finished sending is answered first. */
  private endIfDone(): void {
    if (!this.eof || this.deferred) return;
    if (this.state === 'responding' || this.state === 'refused') return;
    this.tellGone(null);
    this.over();
  }

  drained(): void {
    this.handlerClock?.drained(this.socket.now);
    this.request?.response?.producer?.drained();
    if (this.deferred) this.proceed();
  }

  serverClosing(): void {
    this.lastRequest = true;
    const request = this.request as HTTPRequest;
    if (this.state === 'responding') request.response.keepAlive = false;
    else if (this.state === 'receiving') request.keepAlive = false;
  }

  endIfIdle(patiently: boolean): boolean {
    const isIdle = this.state === 'idle' && this.residue === null;
    const isArriving = this.state === 'head' && !patiently;
    // What follows an answer that has been sent is not waited for.
    if (isIdle || isArriving || this.state === 'draining') this.over();
    return isIdle || isArriving;
  }

  connectionLost(error: Error | null): void {
    const request = this.request;
    const answering = this.state === 'responding' || this.state === 'refused';
    if (this.state !== 'over') this.tellGone(error);
    this.state = 'over';
    this.request = null;
    this.residue = null;
    this.headMemory?.forget();
    this.closeBody(() => reasons.clientGone(error));
    if (request !== null && answering) {
      request.abandon();
      request.response.lose();
    }
    this.gateway.connectionLost(error);
  }

  /** Nobody here can do anything about clients that go away. */
  private tellGone(error: Error | null): void {
    if (this.state === 'receiving') this.gateway.abandon(this.request as HTTPRequest);
    if (!debug.enabled || this.state === 'idle') return;
    const why = error === null ? 'it finished sending' : error.message;
    debug('client %j has gone (%s): %s', this.socket.clientAddress, this.state, why);
  }

  // Deadlines.

  /** Waits at most `seconds` for what the state is about. */
  private wait(seconds: number): void {
    this.socket.setDeadline(this.socket.now + seconds * 1000);
  }

  /** While a request is served, either side can be late. */
  reschedule(): void {
    if (this.state === 'idle' || this.state === 'head' || this.state === 'over') return;
    const body = this.intake === null ? Infinity : this.intake.deadline;
    this.socket.setDeadline(Math.min(body, this.handlerClock?.due ?? Infinity));
  }

  deadlinePassed(): void {
    const { timeouts } = this.settings;
    if (this.state === 'over') return;
    if (this.state === 'head') {
      this.refuse(reasons.headTimeout(timeouts.head));
    } else if (this.state !== 'idle') {
      this.requestLate();
    } else if (this.socket.isTaking()) {
      this.wait(timeouts.keepAlive);
    } else {
      this.over();
    }
  }

  private requestLate(): void {
    const { now } = this.socket;
    const request = this.request as HTTPRequest;
    const clock = this.handlerClock;
    if (this.intake !== null && this.intake.deadline <= now) {
      this.bodyFailed(reasons.bodyTimeout());
    } else if (clock !== null && clock.due <= now && clock.isLate(request, now)) {
      this.giveUp(request, reasons.handlerTimeout());
    }
    this.reschedule();
  }

  /** Whatever the handler may still do comes too late. */
  private giveUp(request: HTTPRequest, error: HTTPError): void {
    const { response } = request;
    this.handlerClock?.stop();
    this.gateway.fault(error);
    request.abandon();
    this.intake?.break(() => error);
    if (response.headSent) {
      response.lose();
      this.responseBroken(response, error);
    } else {
      response.replace();
      this.refuse(error);
    }
  }

  // Taking requests.

  /** The intake of a body that is not complete. */
  private arriving(): Intake | null {
    return this.intake === null || this.intake.done ? null : this.intake;
  }

  /** Takes what can be taken of `bytes` now, and returns where the rest begins. */
  private consume(bytes: Buffer, start: number, end: number): number {
    if (this.consuming) return start;
    this.consuming = true;
    try {
      return this.take(bytes, start, end);
    } catch (error) {
      if (!(error instanceof HTTPError)) throw error;
      this.refuse(error);
      return end;
    } finally {
      this.consuming = false;
    }
  }

  private take(bytes: Buffer, start: number, end: number): number {
    let at = start;
    let most = this.settings.limits.pipelinedPerTurn;
    while (at !== end) {
      const isFree = this.state === 'idle' || this.state === 'head';
      const isNext = isFree && !this.socket.congested && most-- > 0;
      const next = isNext ? this.readHead(bytes, at, end) : this.takeRest(bytes, at, end);
      if (next === at) return at;
      at = next;
    }
    return end;
  }

  /** What does not begin with a head, or has to wait. */
  private takeRest(bytes: Buffer, start: number, end: number): number {
    // More has come than was promised, and its rest may be on its way.
    if (this.state === 'over') this.socket.linger();
    if (this.state === 'over' || this.state === 'refused') return end;
    const intake = this.arriving();
    if (intake !== null) return this.readBody(intake, bytes, start, end);
    if (this.state === 'responding') return start;
    if (this.socket.congested) {
      // The client takes no answers, so it gets no further ones until the drain.
      this.deferred = true;
      return start;
    }
    this.defer();
    return start;
  }

  private readHead(bytes: Buffer, start: number, end: number): number {
    const memory = this.headMemory;
    const head = memory === null ? null : memory.recall(bytes, start, end);
    if (head === null) return this.parseHead(bytes, start, end);
    this.head = null;
    this.begin(head);
    return start + (memory as HeadMemory).length;
  }

  private parseHead(bytes: Buffer, start: number, end: number): number {
    if (this.requests === 0) {
      const isTLS = reasons.isTLSHello(bytes, start, end);
      if (isTLS === null) return this.awaitHead(start);
      if (isTLS) {
        this.gateway.notice(reasons.tlsOnPlain());
        this.over();
        return end;
      }
    } else {
      this.headMemory ??= new HeadMemory();
    }
    const { limits } = this.settings;
    this.head ??= new RequestHead();
    const { head } = this;
    const taken = parseHead(bytes, start, end, limits, head, this.headMemory);
    if (taken === 0) return this.awaitHead(start);
    this.head = null;
    this.begin(head);
    return start + taken;
  }

  private awaitHead(start: number): number {
    if (this.state === 'idle') {
      this.state = 'head';
      this.wait(this.settings.timeouts.head);
    }
    return start;
  }

  private begin(head: RequestHead): void {
    const { limits, counters } = this.settings;
    const request = new HTTPRequest(this, head);
    this.request = request;
    counters.requests += 1;
    this.requests += 1;
    if (this.requests >= limits.requestsPerConnection) this.lastRequest = true;
    if (this.lastRequest) request.keepAlive = false;
    if (!head.hasBody || !this.awaitBody(request)) this.respond(request);
  }

  /** Whether all of the body is received before the request is answered. */
  private awaitBody(request: HTTPRequest): boolean {
    const { settings } = this;
    this.intake = new Intake(request.head, this, settings);
    request.arrived = this.socket.now;
    request.body = this.intake.input;
    // What came before it may have been held back; from here on its reader does that.
    this.socket.resume();
    if (settings.inputBuffering !== 'buffer') return false;
    this.state = 'receiving';
    this.intake.demand();
    this.reschedule();
    return true;
  }

  private respond(request: HTTPRequest): void {
    this.state = 'responding';
    request.response = new Response(this.socket, request, this, this.settings);
    this.gateway.respond(request);
    // Most have been answered by now.
    if (this.request === request) this.awaitResponse(request);
  }

  private awaitResponse(request: HTTPRequest): void {
    if (!request.response.over) {
      this.handlerClock ??= new HandlerClock(this.settings.timeouts.handler);
      this.handlerClock.start(this.socket.now);
    }
    this.reschedule();
  }

  private readBody(intake: Intake, bytes: Buffer, start: number, end: number): number {
    let taken: number;
    try {
      taken = intake.feed(bytes, start, end);
    } catch (error) {
      if (!(error instanceof HTTPError)) throw error;
      this.bodyFailed(error);
      return end;
    }
    if (intake.overdrawn) this.over();
    else if (!intake.done) this.reschedule();
    else if (this.state === 'draining' && this.lastRequest) this.over();
    else if (this.state === 'draining') this.next();
    else if (this.state === 'receiving') this.respond(this.request as HTTPRequest);
    return start + taken;
  }

  /** The rest of the body cannot be had. */
  private bodyFailed(error: HTTPError): void {
    if (this.state === 'receiving') {
      this.intake?.break(() => error);
      if (error.cause !== undefined) this.gateway.notice(error);
      this.refuse(error);
    } else if (this.state === 'responding') {
      this.breakBody(error);
    } else {
      this.over();
    }
  }

  /** The application, if it is at work, sees its read fail, and its answer is the last. */
  private breakBody(error: HTTPError): void {
    this.state = 'refused';
    (this.request as HTTPRequest).response.keepAlive = false;
    this.intake?.break(() => error);
    // Nothing that comes is of use: the kernel may keep it until the answer is there.
    this.socket.pause();
  }

  private closeBody(reason: () => Error): void {
    this.intake?.close(reason);
    this.intake = null;
  }

  private refuse(error: HTTPError): void {
    if (debug.enabled) debug('%j is refused: %s', this.socket.clientAddress, error.code);
    this.settings.counters.refused += 1;
    this.request ??= new HTTPRequest(this, this.head ?? new RequestHead());
    const request = this.request;
    this.state = 'refused';
    request.keepAlive = false;
    request.response = new Response(this.socket, request, this, this.settings);
    this.socket.setDeadline(Infinity);
    this.gateway.refuse(request, error);
  }

  /** RFC 9110 section 10.1.1. */
  continueWanted(): void {
    const told = this.state !== 'receiving' && this.request?.response.headSent !== false;
    if (!told) this.socket.writeLatin1('HTTP/1.1 100 Continue\r\n\r\n');
  }

  // What the response tells.

  responseBegins(response: Response): void {
    const intake = this.arriving();
    if (intake !== null) this.decideAboutBody(intake, response);
  }

  /** An unread body that is too large to be drained ends the connection, and the client is told. */
  private decideAboutBody(intake: Intake, response: Response): void {
    if (intake.wanted) return;
    if (intake.continueOwed || intake.owed > this.settings.limits.drainBytes) {
      response.keepAlive = false;
    }
  }

  responseEnded(response: Response): void {
    if (response.status >= 500) this.settings.counters.failed += 1;
    this.handlerClock?.stop();
    if (this.state === 'refused' || !response.keepAlive || this.lastRequest) {
      this.over(this.isFarewell(response));
      return;
    }
    const intake = this.arriving();
    if (intake !== null) this.drain(intake, this.settings.limits.drainBytes);
    else this.next();
  }

  /** Whether the client has said that this request, a head alone, is its only one. */
  private isFarewell(response: Response): boolean {
    if (this.state === 'refused' || this.lastRequest || this.requests > 1) return false;
    const promised = this.request?.keepAlive === false && this.intake === null;
    return promised && this.residue === null && response.bytesSent <= ON_THE_WAY;
  }

  private drain(intake: Intake, most: number): void {
    this.state = 'draining';
    intake.close(reasons.bodyGone);
    // A client that was not told to continue may never send the body.
    if (intake.continueOwed || intake.owed > most) {
      this.over();
      return;
    }
    intake.drop(most);
    this.socket.resume();
  }

  responseBroken(_response: Response, error: Error): void {
    this.settings.counters.failed += 1;
    this.state = 'over';
    this.closeBody(() => error);
    this.socket.reset(error);
  }

  responseFault(error: RyegateError): void {
    this.gateway.fault(error);
  }

  /** The request is done with: the connection is free for another. */
  private next(): void {
    this.state = 'idle';
    // The handler keeps the request until the next one; what made the answer is let go.
    (this.request as HTTPRequest).response.producer = null;
    this.request = null;
    if (this.intake !== null) this.closeBody(reasons.bodyGone);
    this.wait(this.settings.timeouts.keepAlive);
    if (!this.consuming) this.goOn();
  }

  /** What came behind a request that was answered late. */
  private goOn(): void {
    if (this.residue !== null) {
      this.defer();
      return;
    }
    this.socket.resume();
    this.endIfDone();
  }

  private defer(): void {
    if (this.deferred) return;
    this.deferred = true;
    this.socket.defer(this);
  }

  /** Goes on with requests that came before they could be answered. */
  proceed(): void {
    this.deferred = false;
    if (this.residue !== null) this.consumeResidue(this.residue);
    this.endIfDone();
  }

  /**
   * No further request is served; what has been written still goes out. Whatever the client sends
   * meanwhile, were it an empty line, would reset the connection if it were closed unread, so that
   * the client loses the end of its answer: RFC 9112 section 9.6. `farewell`: it has said that it
   * sends nothing.
   */
  private over(farewell = false): void {
    if (this.state === 'over') return;
    this.state = 'over';
    this.closeBody(reasons.bodyGone);
    if (farewell) this.socket.finish();
    else this.socket.linger();
  }
}
