import { constants } from 'node:os';
import { RECEIVE_WORDS, SEND_WORDS, Slabs } from '../../dist/reactor/slabs.js';
import { BenchError } from '../harness/processes.ts';
import type { Case } from './cases.ts';

const EAGAIN = -constants.errno.EAGAIN;

/** Clients of a server in the same thread. What they do is two native calls for all of them. */
export class Clients {
  /** So many are sent at a time, by all of them. */
  readonly requests: number;
  readonly #slabs = new Slabs();
  readonly #count: number;
  readonly #message: number;

  /** Those of `fds`, each of which sends the requests of the case together. */
  constructor(fds: readonly number[], { request, pipelined }: Case) {
    const message = Buffer.concat(Array<Buffer>(pipelined).fill(request));
    this.requests = fds.length * pipelined;
    this.#count = fds.length;
    this.#message = message.length;
    const { output, sends, receives } = this.#slabs;
    output.set(message);
    fds.forEach((fd, i) => {
      sends.set([fd, 0, message.length, -1, 0, 0, -1], i * SEND_WORDS);
      receives[i * RECEIVE_WORDS] = fd;
    });
  }

  send(): void {
    const { batch, sends } = this.#slabs;
    batch.sendMany(this.#count, []);
    for (let i = 0; i < this.#count; i++) {
      const sent = sends[i * SEND_WORDS + 5];
      if (sent !== this.#message) throw new BenchError(`a client's send() gave ${sent}`);
    }
  }

  /** Receives what has come: how many bytes. */
  receive(): number {
    const { batch, receives } = this.#slabs;
    const served = batch.receiveMany(this.#count);
    let bytes = 0;
    for (let i = 0; i < served; i++) {
      const length = receives[i * RECEIVE_WORDS + 2] as number;
      if (length > 0) bytes += length;
      else if (length !== EAGAIN) throw new BenchError(`a client's recv() gave ${length}`);
    }
    return bytes;
  }

  /** What the last `receive()` brought to each of them. */
  received(): Buffer[] {
    const { input, receives } = this.#slabs;
    return Array.from({ length: this.#count }, (_, i) => {
      const [, offset = 0, length = 0] = receives.subarray(i * RECEIVE_WORDS);
      return Buffer.from(input.subarray(offset, offset + Math.max(length, 0)));
    });
  }
}
