import { monotonic } from '../clock.ts';
import { Listener } from '../reactor/listener.ts';
import type { Channel } from '../reactor/protocol.ts';
import type { Reactor } from '../reactor/reactor.ts';
import { EVENT_READ } from '../selectors/index.ts';
import type { AcceptedQueue } from './acceptedqueue.ts';
import type { ThreadBoard } from './poolboard.ts';

/** So long, in milliseconds, a thread leaves a connection to those that have fewer. */
const PATIENCE = 0.3;

/**
 * Threads that wait for the same connections are all told of one, and the quickest would get most of
 * them, which lasts where connections are kept. So whoever has more than others passes, though not
 * for long: the others may be busy.
 */
class FairShare {
  readonly #board: ThreadBoard;
  #since = 0;

  constructor(board: ThreadBoard) {
    this.#board = board;
  }

  /** Whether to take one in this turn. One that is not taken is there in the next. */
  mayTake(): boolean {
    if (!this.#board.hasMore) return true;
    const now = monotonic();
    if (this.#since === 0) this.#since = now;
    if (now - this.#since < PATIENCE) return false;
    this.#since = 0;
    return true;
  }
}

/** A listener that other threads have as well. */
export class SharedListener extends Listener {
  readonly #share: FairShare;

  constructor(
    reactor: Reactor,
    fd: number,
    handle: () => void,
    refusal: Uint8Array | null,
    board: ThreadBoard,
  ) {
    super(reactor, fd, handle, refusal);
    this.#share = new FairShare(board);
  }

  /** One in a turn: others may be just as idle. */
  override open(): void {
    super.open(1);
  }

  override accept(): void {
    if (this.#share.mayTake()) super.accept();
  }
}

/** The connections that an acceptor hands over, and the descriptor that tells of them. */
export interface HandedOver {
  readonly queue: AcceptedQueue;
  readonly fd: number;
}

/** What a `Listener` is for a socket: for the queue of an acceptor. */
export class QueueListener implements Channel {
  readonly fd: number;
  readonly #reactor: Reactor;
  readonly #queue: AcceptedQueue;
  readonly #handle: (fd: number) => void;
  readonly #share: FairShare;
  #watched = false;

  /** `handle` is given the descriptors. */
  constructor(
    reactor: Reactor,
    { queue, fd }: HandedOver,
    handle: (fd: number) => void,
    board: ThreadBoard,
  ) {
    this.fd = fd;
    this.#reactor = reactor;
    this.#queue = queue;
    this.#handle = handle;
    this.#share = new FairShare(board);
  }

  open(): void {
    this.#watch(true);
  }

  pause(): void {
    this.#watch(false);
  }

  #watch(wanted: boolean): void {
    if (wanted === this.#watched) return;
    const events = wanted ? EVENT_READ : 0;
    this.#reactor.watch(this, EVENT_READ - events, events);
    this.#watched = wanted;
  }

  ready(): void {
    this.#reactor.accepting.push(this);
  }

  /** One in a turn, as a `SharedListener`. */
  accept(): void {
    if (!this.#watched || !this.#share.mayTake()) return;
    const fd = this.#queue.take();
    if (fd >= 0) this.#handle(fd);
  }
}
