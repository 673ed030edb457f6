import type { Protocol } from './protocol.ts';
import type { StreamSocket } from './streamsocket.ts';

/** Serves a lingering connection: reads until the peer is done, or for long enough. */
export class Discard implements Protocol {
  readonly #socket: StreamSocket;

  constructor(socket: StreamSocket) {
    this.#socket = socket;
  }

  dataReceived(): void {}

  /** The socket closes by itself, once its output has gone. */
  eofReceived(): void {}

  drained(): void {}

  deadlinePassed(): void {
    this.#socket.abort();
  }

  serverClosing(): void {}

  connectionLost(): void {}
}
