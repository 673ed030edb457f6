import type { StreamSocket } from '../reactor/streamsocket.ts';

/** Clients that are turned away at once, and whose end is waited for; more are just closed. */
const MOST_REFUSED = 256;

/** How many connections may be open. */
export interface AdmissionLimits {
  readonly connections: number;
  readonly connectionsPerAddress: number;
}

/** IPv6 clients have whole networks of this many groups of 16 bits to themselves. */
const NETWORK_GROUPS = 4;

/** Counts the connections of a server and turns away those that are too many. */
export class Admission {
  readonly #limits: AdmissionLimits;
  /** By descriptor, for the reason that `Connections` of the reactor gives. */
  readonly #admitted: (StreamSocket | undefined)[] = [];
  #count = 0;
  readonly #refused = new Set<StreamSocket>();
  readonly #byAddress = new Map<string, number>();

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** Whether `socket` is to be served. */
  admit(socket: StreamSocket): boolean {
    if (this.#count >= this.#limits.connections) return false;
    if (!this.#countAddress(socket)) return false;
    this.#admitted[socket.fd] = socket;
    this.#count++;
    return true;
  }

  /** Unix sockets have no addresses to tell their clients apart by. */
  #countAddress(socket: StreamSocket): boolean {
    const most = this.#limits.connectionsPerAddress;
    if (most === Infinity) return true;
    const address = addressOf(socket);
    if (address === '') return true;
    const count = this.#byAddress.get(address) ?? 0;
    if (count >= most) return false;
    this.#byAddress.set(address, count + 1);
    return true;
  }

  /** Sends `answer` to a client that is not admitted, and ends its connection. */
  refuse(socket: StreamSocket, answer: Uint8Array, canLinger: boolean): void {
    socket.write(answer);
    if (!canLinger || this.#refused.size >= MOST_REFUSED) {
      socket.end();
      return;
    }
    this.#refused.add(socket);
    socket.linger();
  }

  /** The connection is over. */
  leave(socket: StreamSocket): void {
    if (this.#admitted[socket.fd] !== socket) {
      this.#refused.delete(socket);
      return;
    }
    this.#admitted[socket.fd] = undefined;
    this.#count--;
    if (this.#limits.connectionsPerAddress !== Infinity) this.#uncountAddress(socket);
  }

  #uncountAddress(socket: StreamSocket): void {
    const address = addressOf(socket);
    const count = this.#byAddress.get(address);
    if (count === undefined) return;
    if (count === 1) this.#byAddress.delete(address);
    else this.#byAddress.set(address, count - 1);
  }
}

function addressOf({ clientAddress }: StreamSocket): string {
  return typeof clientAddress === 'string' ? '' : networkOf(clientAddress[0]);
}

/** An IPv4 address, be it mapped into IPv6, or the network of an IPv6 one. */
function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [front = '', back] = address.split('::');
  const groups = front === '' ? [] : front.split(':');
  const missing =
    back === undefined ? 0 : 8 - groups.length - (back === '' ? 0 : back.split(':').length);
  for (let i = 0; i < missing; i++) groups.push('0');
  if (back) groups.push(...back.split(':'));
  return groups.slice(0, NETWORK_GROUPS).join(':');
}
