import { SystemCallError } from '../errors.ts';
import { native } from '../native.ts';
import { EVENT_READ } from '../selectors/selector.ts';
import type { Channel, Timed } from './protocol.ts';
import type { Reactor } from './reactor.ts';
import { ACCEPT_WORDS, ACCEPTS } from './slabs.ts';
import { type ClientAddress, StreamSocket } from './streamsocket.ts';

/** When the system has no descriptors or memory left, accepting rests for so long (milliseconds). */
const BACK_OFF = 100;
const EXHAUSTED: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);

/** A listening socket in a reactor. Connections are accepted in batches and taken one by one. */
export class Listener implements Channel, Timed {
  readonly fd: number;
  readonly #reactor: Reactor;
  readonly #handle: () => void;
  readonly #waiting: StreamSocket[] = [];
  #watched = false;
  #most = 0;
  #exhausted = false;
  deadline: number = Infinity;

  /** `handle` runs in a turn, once for each connection that has come: it takes it by `take()`. */
  constructor(reactor: Reactor, fd: number, handle: () => void) {
    this.#reactor = reactor;
    this.fd = fd;
    this.#handle = handle;
    reactor.deadlines.add(this);
  }

  /** Begins to accept, at most `most` connections in a turn. */
  open(most: number = ACCEPTS): void {
    this.#most = Math.min(most, ACCEPTS);
    this.#watch(true);
  }

  /** Stops accepting. Connections wait in the kernel's backlog. */
  pause(): void {
    this.#most = 0;
    this.#watch(false);
  }

  /** Stops for good. The descriptor stays open: it is the server's. */
  close(): void {
    this.pause();
    this.#reactor.deadlines.delete(this);
    for (const socket of this.#waiting) socket.abort();
    this.#waiting.length = 0;
  }

  #watch(wanted: boolean): void {
    if (wanted === this.#watched) return;
    this.#watched = wanted;
    this.#reactor.watch(this, wanted ? 0 : EVENT_READ, wanted ? EVENT_READ : 0);
  }

  /** @internal */
  ready(): void {
    this.#reactor.accepting.push(this);
  }

  /**
   * @internal
   * @throws SystemCallError when the system refuses for reasons of its own; once, until it accepts
   *   again, when it has run out of descriptors or memory
   */
  accept(): void {
    if (this.#most === 0) return;
    this.#acceptMany(this.#most);
    while (this.#waiting.length > 0) {
      const { length } = this.#waiting;
      try {
        this.#handle();
      } catch (error) {
        this.#reactor.onError(error, null);
      }
      // A handler that takes nothing must not hold the turn.
      if (this.#waiting.length === length) this.#waiting.shift()?.abort();
    }
  }

  /** @internal The back-off is over. */
  expire(): void {
    if (this.#most > 0) this.#watch(true);
  }

  /** The next connection that has been accepted; null when there is none. */
  take(): StreamSocket | null {
    return this.#waiting.shift() ?? null;
  }

  #acceptMany(most: number): void {
    const { batch, accepts } = this.#reactor.slabs;
    const count = batch.acceptMany(this.fd, most);
    if (count < 0) {
      this.#refused(new SystemCallError(count, 'accept', 'clients have to wait'));
      return;
    }
    this.#exhausted = false;
    for (let i = 0; i < count; i++) {
      const entry = i * ACCEPT_WORDS;
      const address = clientAddress(accepts, entry);
      this.#waiting.push(new StreamSocket(this.#reactor, accepts[entry] as number, address));
    }
  }

  #refused(error: SystemCallError): void {
    if (error.systemCode === 'EAGAIN') return;
    if (!EXHAUSTED.has(error.systemCode)) throw error;
    this.#watch(false);
    this.#reactor.deadlines.set(this, this.#reactor.now + BACK_OFF);
    if (this.#exhausted) return;
    this.#exhausted = true;
    throw error;
  }
}

function clientAddress(accepts: Int32Array, entry: number): ClientAddress {
  const family = accepts[entry + 1];
  const port = accepts[entry + 2] as number;
  const first = accepts[entry + 3] as number;
  if (family === native.AF_INET) return [formatIPv4(first), port];
  if (family !== native.AF_INET6) return '';
  const [, second = 0, third = 0, fourth = 0] = accepts.subarray(entry + 3, entry + 7);
  return [native.formatIPv6(first, second, third, fourth), port];
}

/** The word holds the address in network order, so its bytes in memory are the four numbers. */
function formatIPv4(word: number): string {
  const [a, b, c, d] = new Uint8Array(Int32Array.of(word).buffer);
  return `${a}.${b}.${c}.${d}`;
}
