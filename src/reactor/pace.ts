/** The least that a peer has to do while it is waited for. */
export interface PaceRules {
  /** Seconds until the next byte. */
  readonly silence: number;
  /** Seconds before the rate counts. */
  readonly grace: number;
  /** Bytes per second on average; 0: any. */
  readonly rate: number;
}

/**
 * Tells from when on a peer that sends, or takes, bytes is too slow: after a silence, or when the
 * average falls below the rate. A time that is waited for somebody else does not count.
 */
export class Pace {
  readonly #rules: PaceRules;
  #began: number;
  #last: number;
  #bytes = 0;
  #pausedAt = 0;

  /** `now`: monotonic milliseconds, as everywhere here. */
  constructor(rules: PaceRules, now: number) {
    this.#rules = rules;
    this.#began = now;
    this.#last = now;
  }

  /** The peer has sent or taken `bytes`. */
  progress(now: number, bytes: number): void {
    this.#last = now;
    this.#bytes += bytes;
  }

  /** From now on somebody else is waited for. */
  pause(now: number): void {
    if (this.#pausedAt === 0) this.#pausedAt = now;
  }

  resume(now: number): void {
    if (this.#pausedAt === 0) return;
    this.#began += now - this.#pausedAt;
    this.#last = now;
    this.#pausedAt = 0;
  }

  /** When the peer will have been too slow, unless it moves; `Infinity` while paused. */
  get deadline(): number {
    if (this.#pausedAt !== 0) return Infinity;
    const { silence, grace, rate } = this.#rules;
    const silent = this.#last + silence * 1000;
    if (rate === 0) return silent;
    return Math.min(silent, this.#began + Math.max(grace, this.#bytes / rate) * 1000);
  }
}
