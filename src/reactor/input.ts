import { constants } from 'node:os';
import { SystemCallError } from '../errors.ts';
import type { Output } from './output.ts';
import { RECEIVE_WORDS, RECEIVES, type Slabs } from './slabs.ts';
import type { StreamSocket } from './streamsocket.ts';

const EAGAIN = -constants.errno.EAGAIN;

/** The turn's input: what has come is received into the slab together, and told to the sockets. */
export class Input {
  readonly #slabs: Slabs;
  readonly #output: Output;
  readonly #failed: (socket: StreamSocket, error: unknown) => void;

  /** `failed` is told what a protocol throws. */
  constructor(
    slabs: Slabs,
    output: Output,
    failed: (socket: StreamSocket, error: unknown) => void,
  ) {
    this.#slabs = slabs;
    this.#output = output;
    this.#failed = failed;
  }

  /** Receives from `sockets`. Whether any of them had anything to say. */
  receive(sockets: readonly StreamSocket[]): boolean {
    let heard = false;
    const { receives, batch } = this.#slabs;
    for (let first = 0; first < sockets.length; ) {
      const count = Math.min(sockets.length - first, RECEIVES);
      for (let i = 0; i < count; i++) {
        // -1 for one that has ended since the harvest: its number may be another's by now.
        receives[i * RECEIVE_WORDS] = (sockets[first + i] as StreamSocket).fileno();
      }
      const served = batch.receiveMany(count);
      for (let i = 0; i < served; i++) {
        if (receives[i * RECEIVE_WORDS + 2] === EAGAIN) continue;
        heard = true;
        this.#deliver(sockets[first + i] as StreamSocket, i * RECEIVE_WORDS);
        if (this.#output.heavy) this.#output.send();
      }
      first += served;
    }
    return heard;
  }

  #deliver(socket: StreamSocket, entry: number): void {
    const { receives, input } = this.#slabs;
    const start = receives[entry + 1] as number;
    const length = receives[entry + 2] as number;
    try {
      if (length > 0) socket.received(input, start, start + length);
      else if (length === 0) socket.receivedEOF();
      else socket.abort(new SystemCallError(length, 'recv', 'client gone'));
    } catch (error) {
      this.#failed(socket, error);
    }
  }
}
