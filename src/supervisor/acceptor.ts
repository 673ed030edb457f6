import { busyResponse } from '../httpserver/busyresponse.ts';
import type { ClientAddress, StreamSocket } from '../reactor/streamsocket.ts';
import {
  BaseRequestHandler,
  type ServerAddress,
  TCPServer,
  type TCPServerOptions,
} from '../socketserver/index.ts';
import type { AcceptedQueue } from './acceptedqueue.ts';

/** Clients that are turned away at once, and whose end is waited for; more are just closed. */
const MOST_REFUSED = 256;

const handedOver = new Error('the connection was handed over to a thread');

class Refusal extends BaseRequestHandler {
  override handle(): void {
    this.request.write(busyResponse);
  }
}

/** Accepts connections for the threads of a pool. Those that find no place are answered 503. */
export class Acceptor extends TCPServer {
  /** Nobody needs longer to take a refusal. */
  static override closeTimeout = 2;

  /** How many were. */
  refused = 0;
  readonly #queue: AcceptedQueue;
  #refusing = false;

  constructor(serverAddress: ServerAddress, queue: AcceptedQueue, options: TCPServerOptions) {
    super(serverAddress, Refusal, options);
    this.#queue = queue;
  }

  override processRequest(request: StreamSocket, clientAddress: ClientAddress): void {
    if (!this.#refusing && !request.closed && this.#queue.put(request.fd)) {
      request.disown(handedOver);
      return;
    }
    this.refused++;
    super.processRequest(request, clientAddress);
  }

  override closeRequest(request: StreamSocket): void {
    if (this.reactor.sockets.size > MOST_REFUSED) request.end();
    else super.closeRequest(request);
  }

  protected override get refusal(): Uint8Array {
    return busyResponse;
  }

  /** Accepts nobody from now on but, if it is to, those who wait in the backlog. */
  closeDoor(acceptsBacklog: boolean): void {
    try {
      if (acceptsBacklog) this.acceptBacklog();
    } catch (error) {
      // For want of descriptors, say: the pool has to end all the same.
      this.reportFault(error);
    }
    this.closeListener();
  }

  /** Refuses those that have waited for a thread for so many seconds. */
  refuseLate(seconds: number): void {
    this.#refuse(() => this.#queue.takeLate(seconds));
  }

  /** Refuses all that wait for a thread. */
  refuseWaiting(): void {
    this.#refuse(() => this.#queue.take());
  }

  #refuse(take: () => number): void {
    this.#refusing = true;
    try {
      for (let fd = take(); fd >= 0; fd = take()) this.adoptConnection(fd);
    } finally {
      this.#refusing = false;
    }
  }
}
