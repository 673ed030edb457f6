import { RyegateError } from '../errors.ts';
import { standardError } from '../io/errorstream.ts';
import { toMilliseconds } from '../milliseconds.ts';
import { formatAddress, type ServerAddress } from '../reactor/address.ts';
import { Control, type ShutdownEvent, type ShutdownHandle } from '../reactor/control.ts';
import { type DrainOptions, type DrainSummary, drainSettings } from '../reactor/drain.ts';
import { Reactor } from '../reactor/reactor.ts';
import type { ClientAddress, StreamSocket } from '../reactor/streamsocket.ts';
import { isNative, type Selector, type SelectorName } from '../selectors/index.ts';
import { attempt, isThenable, observe } from '../thenable.ts';
import { CONTINUES, type Handling, type RequestHandlerClass } from './baserequesthandler.ts';
import {
  asyncUnderSync,
  checkHandlerClass,
  checkPollInterval,
  checkSignal,
  refusePromise,
} from './checks.ts';
import { Closing } from './closing.ts';
import { formatException } from './formatexception.ts';
import { countConnections, type ServerStats } from './stats.ts';

export interface BaseServerOptions {
  /** The readiness facility: a name, or a selector of the caller's own. Default `auto`. */
  selector?: Selector | SelectorName | 'auto' | undefined;
}

export interface ServeOptions {
  /** Ends the serving as `shutdown()` does; when already aborted, serving does not begin. */
  signal?: AbortSignal | undefined;
}

/** Taking one connection, as `handleRequest()` does. */
type OneRequest = { request: StreamSocket | null; ended: boolean; timedOut: boolean };

/**
 * `socketserver.BaseServer`: accepts connections and gives each to an instance of
 * `RequestHandlerClass`.
 *
 * For the caller: `serveForever()`, `serveForeverSync()`, `start()`, `shutdown()`, `drain()`,
 * `handleRequest()`, `serverClose()`, `stats()`, `fileno()`. To be overridden: `serverActivate()`, `getRequest()`,
 * `verifyRequest()`, `processRequest()`, `finishRequest()`, `shutdownRequest()`, `closeRequest()`,
 * `serviceActions()`, `handleError()`, `handleTimeout()`.
 *
 * The settings of CPython's class variables are static here: the constructor already needs them,
 * and the fields of a subclass come into being only after it.
 */
export abstract class BaseServer implements AsyncDisposable {
  /** Seconds that `handleRequest()` waits for a client; null is no limit. */
  static timeout: number | null = null;
  /** Whether `serverClose()` lets the handlers that are at work finish. */
  static blockOnClose = true;
  /** Seconds that it waits for them, as does `drain()`. */
  static closeTimeout = 30;

  serverAddress: ServerAddress;
  readonly RequestHandlerClass: RequestHandlerClass;
  readonly reactor: Reactor;
  timeout: number | null = (this.constructor as typeof BaseServer).timeout;
  readonly #control = new Control();
  #one: OneRequest | null = null;
  #serving = false;
  /** What was reported as gone wrong. */
  #errors = 0;
  /** Servings so far. */
  #servings = 0;
  #ended: Promise<void> = Promise.resolve();
  readonly #closing: Closing;
  #closed: Promise<void> | null = null;

  constructor(
    serverAddress: ServerAddress,
    requestHandlerClass: RequestHandlerClass,
    options: BaseServerOptions = {},
  ) {
    this.serverAddress = serverAddress;
    this.RequestHandlerClass = checkHandlerClass(requestHandlerClass);
    this.reactor = new Reactor(options.selector);
    this.reactor.onError = (error, socket) => {
      if (socket === null) this.reportFault(error);
      else this.reportError(socket, error);
    };
    this.#closing = new Closing({
      reactor: this.reactor,
      control: this.#control,
      acceptBacklog: () => this.acceptBacklog(),
      closeListener: () => this.closeListener(),
      logError: (error) => this.reportFault(error),
      isServing: () => this.#serving,
      serveUntil: (done) => this.#serveUntil(done),
    });
  }

  /** The selector in use: `epoll`, or the class of a caller's own. */
  get selectorName(): string {
    const { selector } = this.reactor;
    return isNative(selector) ? selector.backend : selector.constructor.name;
  }

  /** The listening descriptor; -1 when closed. */
  abstract fileno(): number;
  /** Begins, or stops, to watch for clients: at most `most` in a turn, 0 stops. */
  protected abstract accept(most: number): void;
  /** The next connection that has come, and its client's address; null when there is none. */
  abstract getRequest(): [request: StreamSocket, clientAddress: ClientAddress] | null;
  /** Accepts the clients who have connected already. */
  protected abstract acceptBacklog(): void;
  /** Closes the listener. */
  protected abstract closeListener(): void;

  serverActivate(): void {}

  // Serving.

  /**
   * Serves until `shutdown()`, beside everything else in Node's loop: timers, promises and other
   * sockets keep running.
   *
   * @param pollInterval seconds between two calls of `serviceActions()` at most, default 0.5.
   *   Without an override of it nothing is polled, and an idle server sleeps.
   * @throws (rejects) RyegateError `ERR_RYEGATE_ALREADY_SERVING`, `ERR_RYEGATE_SERVER_CLOSED`,
   *   `ERR_RYEGATE_POLL_INTERVAL`, `ERR_RYEGATE_SIGNAL`, `ERR_RYEGATE_NOT_LISTENING`; what
   *   `serviceActions()` throws
   */
  async serveForever(pollInterval = 0.5, options: ServeOptions = {}): Promise<void> {
    await this.#begin(pollInterval, options);
  }

  /**
   * Begins to serve, as `serveForever()`, and resolves when clients are accepted. `ended` is a
   * promise of the end. Parameters and errors are those of `serveForever()`.
   */
  async start(pollInterval = 0.5, options: ServeOptions = {}): Promise<void> {
    const ended = this.#begin(pollInterval, options);
    if (ended === this.#ended && this.#serving) observe(ended, (error) => this.reportFault(error));
    else await ended;
  }

  /** The end of the serving, which becomes `ended` if it has begun. */
  #begin(pollInterval: number, options: ServeOptions): Promise<void> {
    const servings = this.#servings;
    const ended = this.#serve(pollInterval, options);
    if (this.#servings !== servings) this.#ended = ended;
    return ended;
  }

  /** The end of the serving that was begun last; rejects as `serveForever()` would. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  async #serve(pollInterval: number, { signal }: ServeOptions): Promise<void> {
    checkPollInterval(pollInterval);
    checkSignal(signal);
    if (signal?.aborted) return;
    this.#beginServing();
    const abort = (): void => this.#control.request();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      this.accept(Infinity);
      await this.reactor.run({
        pollInterval,
        actions: this.#serviceActions,
        done: () => this.#isDone(),
      });
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#endServing();
    }
  }

  /** Whether the serving is to end; asked after every turn. */
  #isDone(): boolean {
    const wanted = this.#closing.begun ? null : this.#control.drainRequested;
    if (wanted !== null) observe(this.drain(wanted), (error) => this.reportFault(error));
    return this.#control.requested || this.#closing.step();
  }

  /**
   * Serves until `shutdown()` and **blocks the thread**, as Python's `serve_forever()`: no timer,
   * no promise, no signal handler and no other socket of this thread runs meanwhile. It is for
   * worker threads and scripts whose application is synchronous; one that returns a promise is
   * answered with an error (`ERR_RYEGATE_ASYNC`). Parameters and errors are those of
   * `serveForever()`.
   */
  serveForeverSync(pollInterval = 0.5): void {
    checkPollInterval(pollInterval);
    this.#beginServing();
    try {
      this.accept(Infinity);
      this.reactor.runSync({
        pollInterval,
        actions: this.#serviceActions,
        done: () => this.#isDone(),
      });
    } finally {
      this.#endServing();
    }
  }

  /**
   * Ends `serveForever()`, at once and from anywhere: a handler, `serviceActions()`, a timer.
   * Resolves when it has ended, immediately when the server is not serving. What has been answered
   * by then is sent; connections that are open stay so, for the next serving or `serverClose()`.
   * Other threads use `shutdownHandle`.
   */
  shutdown(): Promise<void> {
    this.#control.request();
    return this.#control.wait();
  }

  /** Set while the server is not serving. */
  get shutdownEvent(): ShutdownEvent {
    return this.#control;
  }

  /** To be posted to another thread, which can then shut this server down. */
  get shutdownHandle(): ShutdownHandle {
    return this.#control.handle;
  }

  /**
   * Serves one connection (of HTTP: one request), or calls `handleTimeout()` when none has come in
   * `timeout` seconds. Errors as of `serveForever()`.
   */
  async handleRequest(): Promise<void> {
    this.#beginServing();
    const one: OneRequest = { request: null, ended: false, timedOut: false };
    this.#one = one;
    const timer = this.#startTimeout(one);
    try {
      this.accept(1);
      await this.reactor.run({
        pollInterval: Infinity,
        actions: null,
        done: () => this.#isDone() || isDone(one),
      });
    } finally {
      clearTimeout(timer);
      this.#one = null;
      this.#endServing();
    }
    // An override may be async.
    if (one.timedOut) await this.handleTimeout();
  }

  /** Whether the connection that is served is to be the only one, with one request. */
  get handlingOneRequest(): boolean {
    return this.#one !== null;
  }

  #startTimeout(one: OneRequest): NodeJS.Timeout | undefined {
    if (this.timeout === null) return undefined;
    return setTimeout(() => {
      if (one.request !== null) return;
      one.timedOut = true;
      this.reactor.waker.wake();
    }, toMilliseconds(this.timeout));
  }

  get #serviceActions(): (() => void) | null {
    if (this.serviceActions === BaseServer.prototype.serviceActions) return null;
    return () => this.serviceActions();
  }

  #beginServing(): void {
    if (this.#closing.begun) {
      throw new RyegateError(
        'ERR_RYEGATE_SERVER_CLOSED',
        'the server has been closed and cannot serve again: make another one',
      );
    }
    if (this.#serving) {
      throw new RyegateError(
        'ERR_RYEGATE_ALREADY_SERVING',
        'the server is serving already: shut it down first, or make another server',
      );
    }
    this.#serving = true;
    this.#servings++;
    this.#control.attach(this.reactor.waker);
  }

  #endServing(): void {
    try {
      this.accept(0);
    } finally {
      this.#serving = false;
      this.#control.detach();
    }
  }

  // One connection's way.

  /** One connection has come: `socketserver._handle_request_noblock`. */
  protected handleRequestNoblock(): void {
    const one = this.#one;
    if (one?.request) return;
    const taken = this.getRequest();
    refusePromise(taken, 'getRequest()');
    if (taken === null) return;
    const [request, clientAddress] = taken;
    if (one !== null) {
      one.request = request;
      this.accept(0);
    }
    try {
      if (this.#verify(request, clientAddress)) {
        // An override may be async.
        const processing: unknown = this.processRequest(request, clientAddress);
        observe(processing, (error) => this.#fail(request, error));
      } else {
        this.#shutdownRequest(request);
      }
    } catch (error) {
      this.#fail(request, error);
    }
  }

  #fail(request: StreamSocket, error: unknown): void {
    this.reportError(request, error);
    attempt(
      () => this.shutdownRequest(request),
      (failure) => this.reportFault(failure),
    );
  }

  #shutdownRequest(request: StreamSocket): void {
    observe(this.shutdownRequest(request), (error) => this.reportFault(error));
  }

  #verify(request: StreamSocket, clientAddress: ClientAddress): boolean {
    const verdict: unknown = this.verifyRequest(request, clientAddress);
    // A promise is truthy: taking it for a yes would let everybody in.
    refusePromise(verdict, 'verifyRequest()');
    return Boolean(verdict);
  }

  /** Whether to serve the client. The default serves all. */
  verifyRequest(_request: StreamSocket, _clientAddress: ClientAddress): boolean {
    return true;
  }

  /** Has the connection served by `finishRequest()`, then ended by `shutdownRequest()`. */
  processRequest(request: StreamSocket, clientAddress: ClientAddress): void {
    const handling = this.finishRequest(request, clientAddress);
    if (handling === CONTINUES) return;
    if (!isThenable(handling)) {
      this.#shutdownRequest(request);
      return;
    }
    if (this.reactor.blocking) {
      handling.then(null, () => {});
      this.#fail(request, asyncUnderSync('handle()'));
      return;
    }
    handling
      .then(() => this.#shutdownRequest(request))
      .then(null, (error) => this.#fail(request, error));
  }

  /** Makes the handler and lets it serve. */
  finishRequest(request: StreamSocket, clientAddress: ClientAddress): Handling {
    return new this.RequestHandlerClass(request, clientAddress, this).run();
  }

  /** The connection is done with. */
  shutdownRequest(request: StreamSocket): void {
    if (this.#one?.request === request) this.#one.ended = true;
    observe(this.closeRequest(request), (error) => this.reportFault(error));
  }

  /** Closes the connection when its output has gone. */
  closeRequest(request: StreamSocket): void {
    request.linger();
  }

  /** Runs in every turn of the loop, and at least every poll interval. What it throws ends it. */
  serviceActions(): void {}

  /** `handleRequest()` had no client in time. */
  handleTimeout(): void {}

  /** A handler failed: tells on standard error. The server goes on. */
  handleError(_request: StreamSocket, clientAddress: ClientAddress, error: unknown): void {
    const line = '-'.repeat(40);
    const client = clientAddress === '' ? 'a unix socket' : formatAddress(clientAddress);
    standardError().write(
      `${line}\nException occurred during processing of request from ${client}\n` +
        `${formatException(error)}\n${line}\n`,
    );
  }

  /** A fault that belongs to no connection. */
  protected logError(error: unknown): void {
    writeFault(error);
  }

  /**
   * @internal Calls `logError()`, and survives it: a turn serves others, whose bytes have been
   * received.
   */
  reportFault(error: unknown): void {
    attempt(
      () => this.logError(error),
      (failure) => {
        writeFault(error);
        writeFault(failure);
      },
    );
  }

  /** @internal Calls `handleError()`, and survives it. */
  reportError(request: StreamSocket, error: unknown): void {
    this.#errors++;
    attempt(
      () => this.handleError(request, request.clientAddress, error),
      (failure) => this.reportFault(failure),
    );
  }

  /** What the server has done so far, and is doing. */
  stats(): ServerStats {
    const { reactor } = this;
    const [bytesReceived, bytesSent] = reactor.slabs.batch.totals();
    const latency = reactor.measureWake();
    return {
      connections: countConnections(reactor.sockets),
      bytesReceived,
      bytesSent,
      errors: this.#errors,
      turns: reactor.turns,
      wakeLatency: latency === null ? null : latency / 1000,
    };
  }

  // The end.

  /** Whether the server is going out of service: readiness is denied from then on. */
  get draining(): boolean {
    return this.#closing.begun;
  }

  /**
   * Takes the server out of service without a request being lost, and closes it. While it serves,
   * it does so for another `delay` seconds, during which `draining` is true. Then it accepts
   * whoever waits in the backlog; closes the listener; ends idle connections after `grace` seconds;
   * lets what was begun finish, each with `Connection: close`, for up to `deadline` seconds; and
   * breaks off what is left. A serving that is under way ends with it. Calling it again gives the
   * same promise, whatever the options.
   *
   * @throws RyegateError `ERR_RYEGATE_OPTION`
   */
  drain(options: DrainOptions = {}): Promise<DrainSummary> {
    const { closeTimeout } = this.constructor as typeof BaseServer;
    return this.#closing.begin(drainSettings(options, closeTimeout));
  }

  /**
   * Closes the listener at once, lets the handlers that are at work finish for up to
   * `closeTimeout` seconds (unless `blockOnClose` is off), and gives everything back. Ends a serving
   * first; a drain becomes as quick. Resolves when all is closed; calling it again gives the same
   * promise.
   */
  serverClose(): Promise<void> {
    this.#closed ??= this.#closeAtOnce();
    return this.#closed;
  }

  /** @internal A drain that has begun has `deadline` seconds from now on, if it has more. */
  hurry(deadline: number): void {
    this.#closing.hurry(deadline);
  }

  async #closeAtOnce(): Promise<void> {
    const { blockOnClose, closeTimeout } = this.constructor as typeof BaseServer;
    const deadline = blockOnClose ? closeTimeout : 0;
    if (this.#closing.begun) this.#closing.hurry(deadline);
    else this.#control.request();
    const settings = drainSettings({ deadline, grace: 0 }, closeTimeout);
    await this.#closing.begin({ ...settings, obliging: false });
  }

  /** Serves for what is left of a drain. */
  async #serveUntil(done: () => boolean): Promise<void> {
    this.#serving = true;
    this.#control.attach(this.reactor.waker);
    try {
      await this.reactor.run({ pollInterval: Infinity, actions: null, done });
    } finally {
      this.#endServing();
    }
  }

  /** `await using server = ...`: shuts down and closes. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.serverClose();
  }
}

/** What has been answered also has to be on its way. */
function isDone({ request, ended, timedOut }: OneRequest): boolean {
  return timedOut || request?.closed === true || (ended && request?.buffered === 0);
}

function writeFault(error: unknown): void {
  standardError().write(`ryegate: ${formatException(error)}\n`);
}
