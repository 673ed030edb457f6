import { makeServer, WSGIServer } from '../../dist/index.js';
import { StreamSocket } from '../../dist/reactor/streamsocket.js';
import type { Case } from './cases.ts';

/** One of the two that are compared: a server in this thread, with its connections. */
export interface Contender {
  /** Serves, and calls `turned` after every turn, until that says that it was the last. */
  serve(turned: () => boolean): Promise<void>;
}

class TurnedServer extends WSGIServer {
  turned: () => boolean = () => true;

  override serviceActions(): void {
    if (this.turned()) this.shutdown();
  }
}

/** Ryegate, with all that a server of its users has. */
export class Ryegate implements Contender {
  readonly #server: TurnedServer;
  readonly #method: Case['serve'];

  /** Serves the connections `fds`. */
  constructor(fds: readonly number[], { application, serve }: Case) {
    this.#method = serve;
    const options = { serverClass: TurnedServer };
    this.#server = makeServer('127.0.0.1', 0, application, options) as TurnedServer;
    for (const fd of fds) {
      this.#server.processRequest(new StreamSocket(this.#server.reactor, fd, ''), '');
    }
  }

  async serve(turned: () => boolean): Promise<void> {
    this.#server.turned = turned;
    await this.#server[this.#method]();
  }
}
