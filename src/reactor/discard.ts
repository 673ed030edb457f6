import type { Protocol } from './protocol.ts';
import type { StreamSocket } from './streamsocket.ts';

/** Serves a lingering connection: reads until the peer is done, or for long enough. */
export class Discard implements Protocol {
  readonly #socket: StreamSocket;

  constructor(socket: StreamSocket) {
    this.#socket = socket;
  }

  dataReceived(): void {}

  eofReceived(): void {
    this.#socket.abort();
  }

  drained(): void {}

  deadlinePassed(): void {
    this.#socket.abort();
  }

  serverClosing(): void {}

  connectionLost(): void {}
}
