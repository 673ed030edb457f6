import type { StreamSocket } from '../reactor/streamsocket.ts';

/** Clients that are turned away at once, and whose end is waited for; more are just closed. */
const MOST_REFUSED = 256;

/** How many connections may be open. */
export interface AdmissionLimits {
  readonly connections: number;
  readonly connectionsPerAddress: number;
}

/** Counts the connections of a server and turns away those that are too many. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #admitted = new Set<StreamSocket>();
  readonly #refused = new Set<StreamSocket>();
  readonly #byAddress = new Map<string, number>();

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** Whether `socket` is to be served. */
  admit(socket: StreamSocket): boolean {
    if (this.#admitted.size >= this.#limits.connections) return false;
    if (!this.#countAddress(addressOf(socket))) return false;
    this.#admitted.add(socket);
    return true;
  }

  /** Unix sockets have no addresses to tell their clients apart by. */
  #countAddress(address: string): boolean {
    const most = this.#limits.connectionsPerAddress;
    if (most === Infinity || address === '') return true;
    const count = this.#byAddress.get(address) ?? 0;
    if (count >= most) return false;
    this.#byAddress.set(address, count + 1);
    return true;
  }

  /** Sends `answer` to a client that is not admitted, and ends its connection. */
  refuse(socket: StreamSocket, answer: Uint8Array): void {
    socket.write(answer);
    if (this.#refused.size >= MOST_REFUSED) {
      socket.end();
      return;
    }
    this.#refused.add(socket);
    socket.linger();
  }

  /** The connection is over. */
  leave(socket: StreamSocket): void {
    if (this.#refused.delete(socket) || !this.#admitted.delete(socket)) return;
    const address = addressOf(socket);
    const count = this.#byAddress.get(address);
    if (count === undefined) return;
    if (count === 1) this.#byAddress.delete(address);
    else this.#byAddress.set(address, count - 1);
  }
}

function addressOf({ clientAddress }: StreamSocket): string {
  return typeof clientAddress === 'string' ? '' : clientAddress[0];
}
