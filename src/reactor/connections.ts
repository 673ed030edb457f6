import { constants } from 'node:os';
import { SystemCallError } from '../errors.ts';
import { native } from '../native.ts';
import type { StreamSocket } from './streamsocket.ts';

/** The open connections of a reactor, who may lose their descriptors to others of the process. */
export class Connections {
  readonly sockets: Set<StreamSocket> = new Set();
  readonly #byDescriptor: (StreamSocket | undefined)[] = [];

  adopt(socket: StreamSocket): void {
    this.#byDescriptor[socket.fd]?.disown(closedByOthers());
    this.#byDescriptor[socket.fd] = socket;
    this.sockets.add(socket);
  }

  release(socket: StreamSocket): void {
    this.#byDescriptor[socket.fd] = undefined;
    this.sockets.delete(socket);
  }

  /** Aborts the connections whose descriptor somebody else has closed: select(2) stumbles on one. */
  dropDead(): boolean {
    let dropped = false;
    for (const socket of this.sockets) {
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
