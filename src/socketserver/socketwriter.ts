import { PacedWriter } from '../io/pacedwriter.ts';
import type { StreamSocket } from '../reactor/streamsocket.ts';

/** The `wfile` of a stream handler. */
export class SocketWriter extends PacedWriter {
  constructor(socket: StreamSocket) {
    super({
      write: (chunk) => socket.write(typeof chunk === 'string' ? Buffer.from(chunk) : chunk),
      get congested() {
        return socket.congested;
      },
      get over() {
        return socket.closed;
      },
    });
  }
}
