import { endianness } from 'node:os';
import { monotonic } from '../clock.ts';
import { SystemCallError } from '../errors.ts';
import { native } from '../native.ts';
import { EVENT_READ } from '../selectors/selector.ts';
import type { Channel, Timed } from './protocol.ts';
import type { Reactor } from './reactor.ts';
import { Reserve } from './reserve.ts';
import { ACCEPT_WORDS, ACCEPTS } from './slabs.ts';
import { type ClientAddress, StreamSocket } from './streamsocket.ts';

/** When the system refuses, mostly for want of descriptors, accepting rests so long (ms). */
const BACK_OFF = 100;
/** When there are still no descriptors after a rest, so many clients are turned away. */
const SHED_MOST = 8;
/** So many times running the batch of a turn has to be full for the next to be larger. */
const FULL_TIMES = 4;
/** A turn that took longer, in milliseconds, is worth a call in vain. */
const LONG_TURN = 1;
/** Milliseconds between two reports of it. */
const TELL_EVERY = 60_000;
const NO_DESCRIPTORS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE']);

/** A listening socket in a reactor. Connections are accepted in batches and taken one by one. */
export class Listener implements Channel, Timed {
  readonly fd: number;
  readonly #reactor: Reactor;
  readonly #handle: () => void;
  readonly #refusal: Uint8Array | null;
  readonly #reserve = new Reserve();
  /** Those of the accepts slab that have not been taken. */
  #next = 0;
  #end = 0;
  #watched = false;
  #most = 0;
  /** How many are accepted at a time, and how often so many have come running. */
  #batch = 1;
  #full = 0;
  /** Whether as many have come as were to be accepted, and when that was. */
  #moreLikely = false;
  #acceptedAt = 0;
  /** The system has refused the last time. */
  #refused = false;
  /** When that was told last. */
  #toldAt = -Infinity;
  deadline: number = Infinity;

  /**
   * `handle` runs in a turn, once for each connection that has come: it takes it by `take()`.
   * `refusal` is sent to clients for whom there is no descriptor; without one they wait.
   */
  constructor(reactor: Reactor, fd: number, handle: () => void, refusal: Uint8Array | null = null) {
    this.#reactor = reactor;
    this.fd = fd;
    this.#handle = handle;
    this.#refusal = refusal;
    reactor.deadlines.add(this);
  }

  /** Begins to accept, at most `most` connections in a turn. */
  open(most: number = ACCEPTS): void {
    this.#most = Math.min(most, ACCEPTS);
    if (this.#refusal !== null) this.#reserve.refill();
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
    this.#reserve.spend();
    while (this.#next < this.#end) this.#drop();
  }

  /** Closes the next connection unserved. */
  #drop(): void {
    native.close(this.#reactor.slabs.accepts[this.#next++ * ACCEPT_WORDS] as number);
  }

  #watch(wanted: boolean): void {
    if (wanted === this.#watched) return;
    this.#reactor.watch(this, wanted ? 0 : EVENT_READ, wanted ? EVENT_READ : 0);
    this.#watched = wanted;
  }

  /** @internal */
  ready(): void {
    this.#reactor.accepting.push(this);
  }

  /**
   * @internal
   * @throws SystemCallError when the system refuses; once a minute
   */
  accept(): void {
    if (this.#most === 0) return;
    this.#acceptMany(Math.min(this.#wanted(), this.#most));
    this.#handleAll();
  }

  /**
   * @internal Accepts who waits in the backlog; `most`, as others go on connecting.
   * @throws SystemCallError as `accept()`
   */
  acceptBacklog(most: number): void {
    for (let accepted = 0; accepted < most; accepted += this.#end) {
      this.#end = 0;
      this.#acceptMany(Math.min(most - accepted, ACCEPTS));
      if (this.#end === 0) return;
      this.#handleAll();
    }
  }

  #handleAll(): void {
    while (this.#next < this.#end) {
      const next = this.#next;
      try {
        this.#handle();
      } catch (error) {
        this.#reactor.onError(error, null);
      }
      // A handler that takes nothing must not hold the turn.
      if (this.#next === next && next < this.#end) this.#drop();
    }
  }

  /** @internal The back-off is over. */
  expire(): void {
    if (this.#most === 0) return;
    try {
      this.#watch(true);
    } catch (error) {
      // For want of memory, mostly: there may be some later.
      this.#reactor.deadlines.set(this, monotonic() + BACK_OFF);
      this.#reactor.onError(error, null);
    }
  }

  /** The next connection that has been accepted; null when there is none. */
  take(): StreamSocket | null {
    if (this.#next === this.#end) return null;
    const { accepts } = this.#reactor.slabs;
    const entry = this.#next++ * ACCEPT_WORDS;
    const address = clientAddress(accepts, entry);
    return new StreamSocket(this.#reactor, accepts[entry] as number, address);
  }

  #acceptMany(most: number): void {
    const count = this.#reactor.slabs.batch.acceptMany(this.fd, most);
    if (count < 0) {
      this.#rest(new SystemCallError(count, 'accept', 'clients have to wait'));
      return;
    }
    this.#refused = false;
    this.#next = 0;
    this.#end = count;
    this.#adapt(count);
  }

  /**
   * As many are accepted in a turn as came in those before it. To find that there are no more costs
   * nearly as much as a connection, while the selector tells of them when it is asked next; but
   * where turns are long, clients had rather not wait for the next ones.
   */
  #wanted(): number {
    const now = monotonic();
    const isLong = now - this.#acceptedAt > LONG_TURN;
    this.#acceptedAt = now;
    return this.#moreLikely && isLong ? ACCEPTS : this.#batch;
  }

  #adapt(count: number): void {
    this.#moreLikely = count >= this.#batch;
    if (count < this.#batch) {
      // None have come when the only one has been aborted by its client.
      this.#batch = Math.max(count, 1);
      this.#full = 0;
    } else if (++this.#full === FULL_TIMES) {
      this.#batch *= 4;
      this.#full = 0;
    }
  }

  /** Stops accepting for a while, since the listener would be ready again at once. */
  #rest(error: SystemCallError): void {
    if (error.systemCode === 'EAGAIN') return;
    this.#watch(false);
    this.#reactor.deadlines.set(this, monotonic() + BACK_OFF);
    const again = this.#refused;
    this.#refused = true;
    if (again && this.#refusal !== null && NO_DESCRIPTORS.has(error.systemCode)) {
      this.#shed(this.#refusal);
    }
    const now = monotonic();
    if (now - this.#toldAt < TELL_EVERY) return;
    this.#toldAt = now;
    throw error;
  }

  /** A client that is turned away can go elsewhere; one that waits in the backlog cannot. */
  #shed(refusal: Uint8Array): void {
    const { batch, accepts } = this.#reactor.slabs;
    for (let shed = 0; shed < SHED_MOST && this.#reserve.refill(); shed++) {
      this.#reserve.spend();
      if (batch.acceptMany(this.fd, 1) !== 1) {
        // Nobody is left who waits: the next shortage begins with a rest again.
        this.#refused = false;
        break;
      }
      this.#reactor.output.turnAway(accepts[0] as number, refusal);
    }
    this.#reserve.refill();
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

let lastWord = 0;
let lastText = '0.0.0.0';

/**
 * The word holds the address in network order, so its bytes in memory are the four numbers. Many
 * connections of one client, such as a proxy, have the same text.
 */
function formatIPv4(word: number): string {
  if (word !== lastWord) {
    const [a, b, c, d] = [word & 255, (word >> 8) & 255, (word >> 16) & 255, word >>> 24];
    lastWord = word;
    lastText = isLittleEndian ? `${a}.${b}.${c}.${d}` : `${d}.${c}.${b}.${a}`;
  }
  return lastText;
}

const isLittleEndian = endianness() === 'LE';
