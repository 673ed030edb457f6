import { native } from '../native.ts';
import type { Protocol } from './protocol.ts';
import type { StreamSocket } from './streamsocket.ts';

/** Serves a lingering connection: reads until the peer is done, or for long enough. */
export class Discard implements Protocol {
  readonly #socket: StreamSocket;
  readonly #linger: number;

  /** `linger`: seconds. */
  constructor(socket: StreamSocket, linger: number) {
    this.#socket = socket;
    this.#linger = linger;
  }

  dataReceived(): void {}

  /** The socket closes by itself, once its output has gone. */
  eofReceived(): void {}

  drained(): void {}

  deadlinePassed(): void {
    const socket = this.#socket;
    // Ending while the peer still takes its answer could destroy the rest; its FIN counts as one.
    if (native.unacknowledged(socket.fd) <= 1) socket.abort();
    else socket.setDeadline(socket.now + this.#linger * 1000);
  }

  serverClosing(): void {}

  connectionLost(): void {}
}
