import type { StreamSocket } from './streamsocket.ts';

/** So many turns running are made without a harvest at most: the other clients wait meanwhile. */
const MOST_TURNS = 8;
/** After a turn that took longer, in milliseconds, somebody else has probably become ready. */
const LONGEST_TURN = 1;
/** After so many failures running the next tries are left out: so many of them. */
const MOST_FAILURES = 4;
const REST = 32;

/** Tells from how it went before whether something is worth trying. */
export class Prospect {
  #failures = 0;
  #rest = 0;

  /** Asked once on each occasion. */
  worth(): boolean {
    if (this.#rest === 0) return true;
    this.#rest--;
    return false;
  }

  tell(success: boolean): void {
    this.#failures = success ? 0 : this.#failures + 1;
    if (this.#failures >= MOST_FAILURES) this.#rest = REST;
  }
}

/**
 * The policy of turns without a harvest. Where two turns running received from one client alone,
 * the next is most likely for it too. To receive from it costs one system call, as the harvest
 * would that goes before: a right guess saves the harvest, a wrong one is followed by it.
 */
export class Ahead {
  /** Right after the flush: a client on the same machine may have sent its next request. */
  readonly afterFlush: Prospect = new Prospect();
  /** When the selector's descriptor has become readable. */
  readonly whenReady: Prospect = new Prospect();
  #last: StreamSocket | null = null;
  #client: StreamSocket | null = null;
  #turns = 0;
  #begun = 0;

  /** A turn receives from `sockets`. */
  receives(sockets: readonly StreamSocket[]): void {
    const only = sockets.length === 1 ? (sockets[0] ?? null) : null;
    this.#client = only === this.#last ? only : null;
    this.#last = only;
  }

  /** A turn began at `now`, in milliseconds, with a harvest or without. */
  turned(harvested: boolean, now: number): void {
    this.#turns = harvested ? 0 : this.#turns + 1;
    this.#begun = now;
  }

  /** Whom to receive from without a harvest. */
  get client(): StreamSocket | null {
    const client = this.#client;
    return client === null || client.closed || this.#turns === MOST_TURNS ? null : client;
  }

  /** Whether another turn may follow without a harvest, and is worth trying. */
  mayFollow(prospect: Prospect): boolean {
    if (this.client === null || performance.now() - this.#begun > LONGEST_TURN) return false;
    return prospect.worth();
  }
}
