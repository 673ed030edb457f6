import { constants } from 'node:os';
import { SystemCallError } from '../errors.ts';
import { native } from '../native.ts';
import type { StreamSocket } from './streamsocket.ts';

/** The open connections. */
export interface OpenSockets extends Iterable<StreamSocket> {
  readonly size: number;
  values(): IterableIterator<StreamSocket>;
}

/**
 * The open connections of a reactor, who may lose their descriptors to others of the process. They
 * are in an array by descriptor: a table that V8 has replaced, as a `Set` where much comes and goes
 * often has it done, refers to the one that followed, so that garbage keeps garbage alive. To
 * collect it took 3 % of the CPU time where each request had a connection of its own.
 */
export class Connections implements OpenSockets {
  readonly #byDescriptor: (StreamSocket | undefined)[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  adopt(socket: StreamSocket): void {
    this.#byDescriptor[socket.fd]?.disown(closedByOthers());
    this.#byDescriptor[socket.fd] = socket;
    this.#size++;
  }

  release(socket: StreamSocket): void {
    this.#byDescriptor[socket.fd] = undefined;
    this.#size--;
  }

  /** Those that come meanwhile may be left out. */
  *values(): IterableIterator<StreamSocket> {
    for (const socket of this.#byDescriptor) {
      if (socket !== undefined) yield socket;
    }
  }

  [Symbol.iterator](): IterableIterator<StreamSocket> {
    return this.values();
  }

  /** Aborts the connections whose descriptor somebody else has closed: select(2) stumbles on one. */
  dropDead(): boolean {
    let dropped = false;
    for (const socket of this) {
      if (native.isOpen(socket.fd)) continue;
      socket.abort(closedByOthers());
      dropped = true;
    }
    return dropped;
  }
}

function closedByOthers(): SystemCallError {
  return new SystemCallError(
    -constants.errno.EBADF,
    'recv',
    'the descriptor of the connection was closed by others',
  );
}
