import type { ClientAddress, StreamSocket } from '../reactor/streamsocket.ts';
import { isThenable } from '../thenable.ts';
import type { BaseServer } from './baseserver.ts';
import { refusePromise } from './checks.ts';

/**
 * What a handler returns that goes on by itself after `run()`, fed by the reactor. It calls
 * `server.shutdownRequest(request)` when it is done.
 */
export const CONTINUES: unique symbol = Symbol('ryegate.continues');

/** Undefined: done. A promise: done when it settles. */
export type Handling = void | Promise<void> | typeof CONTINUES;

/** `RequestHandlerClass` of a server: one instance is made for each connection. */
export type RequestHandlerClass = new (
  request: StreamSocket,
  clientAddress: ClientAddress,
  // biome-ignore lint/suspicious/noExplicitAny: a handler may ask for a server of its own kind.
  server: any,
) => BaseRequestHandler;

/**
 * `socketserver.BaseRequestHandler`: serves one connection. Subclasses override `setup()`,
 * `handle()` and `finish()`; `handle()` may be async. Unlike CPython's, the constructor does not
 * serve: a subclass is wholly constructed when `setup()` runs.
 */
export class BaseRequestHandler {
  readonly request: StreamSocket;
  readonly clientAddress: ClientAddress;
  readonly server: BaseServer;

  constructor(request: StreamSocket, clientAddress: ClientAddress, server: BaseServer) {
    this.request = request;
    this.clientAddress = clientAddress;
    this.server = server;
  }

  setup(): void {}

  handle(): void | Promise<void> {}

  /** Runs after `handle()`, also when that failed, but not when `setup()` did. */
  finish(): void | Promise<void> {}

  /** Serves the connection: `setup()`, `handle()`, `finish()`. */
  run(): Handling {
    refusePromise(this.setup(), 'setup()');
    let handling: void | Promise<void>;
    try {
      handling = this.handle();
    } catch (error) {
      return this.#finishAfter(error);
    }
    if (isThenable(handling)) {
      return Promise.resolve(handling).then(
        () => this.finish(),
        (error) => this.#finishAfter(error),
      );
    }
    return this.finish();
  }

  #finishAfter(error: unknown): void | Promise<void> {
    const rethrow = (): never => {
      throw error;
    };
    const finishing = this.finish();
    return isThenable(finishing) ? Promise.resolve(finishing).then(rethrow) : rethrow();
  }
}
