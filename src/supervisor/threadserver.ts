import { monotonic } from '../clock.ts';
import type { RyegateError } from '../errors.ts';
import type { ClientAddress, StreamSocket } from '../reactor/streamsocket.ts';
import type { ServerAddress } from '../socketserver/index.ts';
import { attempt } from '../thenable.ts';
import {
  type Application,
  type MakeServerOptions,
  WSGIRequestHandler,
  WSGIServer,
} from '../wsgi/index.ts';
import type { ThreadBoard } from './poolboard.ts';
import { type HandedOver, QueueListener, SharedListener } from './sources.ts';
import type { ThreadParts } from './threadmodule.ts';

/** Milliseconds between two times that what it counts is shown: to count connections takes a while. */
const SHOW_EVERY = 250;

/** Where the connections of a thread come from. */
export type Source = HandedOver | 'shared listener' | 'own listener';

/** What the pool has for one of its threads. */
export interface ThreadPlace {
  readonly board: ThreadBoard;
  readonly source: Source;
  /** Called each time that the thread begins to accept. */
  readonly accepting: () => void;
}

/** Another thread's application has nothing in common with this one, as in another process. */
function multiprocess(application: Application): Application {
  const telling: Application = (environ, startResponse) => {
    environ['wsgi.multiprocess'] = true;
    return application(environ, startResponse);
  };
  return Object.assign(telling, { usesSignal: application.usesSignal });
}

/** The server of one thread of a pool. */
export class ThreadServer extends WSGIServer {
  readonly #board: ThreadBoard;
  readonly #parts: ThreadParts;
  #shownAt = 0;
  readonly #accepting: () => void;
  readonly #queue: QueueListener | null = null;
  #shared: SharedListener | null = null;

  constructor(
    serverAddress: ServerAddress,
    options: MakeServerOptions,
    parts: ThreadParts,
    { board, source, accepting }: ThreadPlace,
  ) {
    const { requestHandlerClass = WSGIRequestHandler, server } = parts;
    super(serverAddress, requestHandlerClass, { ...options, ...server, bindAndActivate: false });
    this.setApp(parts.application);
    this.#board = board;
    this.#parts = parts;
    this.#accepting = accepting;
    if (typeof source === 'object') {
      const adopt = (fd: number): void => this.adoptConnection(fd);
      this.#queue = new QueueListener(this.reactor, source, adopt, board);
      return;
    }
    this.serverBind();
    if (source === 'own listener') this.serverActivate();
    else this.#share();
  }

  #share(): void {
    const handle = (): void => this.handleRequestNoblock();
    const { reactor, refusal } = this;
    this.#shared = new SharedListener(reactor, this.fileno(), handle, refusal, this.#board);
  }

  override setApp(application: Application): void {
    // What is no function is refused.
    super.setApp(application);
    super.setApp(multiprocess(application));
  }

  override getRequest(): [request: StreamSocket, clientAddress: ClientAddress] | null {
    const request = this.#shared?.take() ?? null;
    return request === null ? super.getRequest() : [request, request.clientAddress];
  }

  override processRequest(request: StreamSocket, clientAddress: ClientAddress): void {
    this.#board.accept(this.reactor.sockets.size);
    super.processRequest(request, clientAddress);
  }

  override serviceActions(): void {
    this.#board.beat(this.reactor.sockets.size);
    this.#reopenLogs();
    if (this.draining) this.#takeHurry();
    const now = monotonic();
    if (now - this.#shownAt < SHOW_EVERY) return;
    this.#shownAt = now;
    this.#board.show(this.stats());
  }

  /** A drain goes on as it is, whoever asks for another one. */
  #takeHurry(): void {
    const seconds = this.#board.takeHurry();
    if (seconds !== null) this.hurry(seconds);
  }

  #reopenLogs(): void {
    if (!this.#board.takeReopen()) return;
    attempt(
      () => this.#parts.reopenLogs?.(),
      (error) => this.reportFault(error),
    );
  }

  override logNotice(notice: RyegateError): void {
    if (this.#parts.logsNotices !== false) super.logNotice(notice);
  }

  protected override accept(most: number): void {
    const source = this.#shared ?? this.#queue;
    if (source === null) super.accept(most);
    else if (most > 0) source.open();
    else source.pause();
    if (most > 0) this.#accepting();
  }

  /** Where others share the listener, they go on accepting. */
  protected override acceptBacklog(): void {
    if (this.#shared === null) super.acceptBacklog();
    else if (this.#board.last) this.#shared.acceptBacklog(this.options.requestQueueSize);
  }

  protected override closeListener(): void {
    this.#queue?.pause();
    this.#shared?.close();
    this.#shared = null;
    super.closeListener();
  }
}
