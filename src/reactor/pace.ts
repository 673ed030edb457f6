/** The least that a peer has to do while it is waited for. */
export interface PaceRules {
  /** Seconds until the next byte. */
  readonly silence: number;
  /** Seconds before the rate counts. */
  readonly grace: number;
  /** Bytes per second; 0: any. */
  readonly rate: number;
}

/**
 * Tells from when on a peer that sends, or takes, bytes is too slow: after a silence, or when it
 * has used up its credit. Every byte is credit for the time that the rate gives it, up to that of
 * a silence, so that a quick beginning does not pay for a slow rest. Time in which somebody else
 * is waited for costs nothing.
 */
export class Pace {
  readonly #rules: PaceRules;
  #last: number;
  /** Until when the rate does not count, and until when the credit lasts. */
  #grace: number;
  #credit: number;
  #pausedAt = 0;

  /** `now`: monotonic milliseconds, as everywhere here. */
  constructor(rules: PaceRules, now: number) {
    this.#rules = rules;
    this.#last = now;
    this.#grace = now + rules.grace * 1000;
    this.#credit = rules.rate === 0 ? Infinity : now;
  }

  /** The peer has sent or taken `bytes`. */
  progress(now: number, bytes: number): void {
    const { silence, grace, rate } = this.#rules;
    this.#last = now;
    if (rate === 0) return;
    const most = now + Math.max(silence, grace) * 1000;
    this.#credit = Math.min(this.#credit + (bytes / rate) * 1000, most);
  }

  /** From now on somebody else is waited for. */
  pause(now: number): void {
    if (this.#pausedAt === 0) this.#pausedAt = now;
  }

  resume(now: number): void {
    if (this.#pausedAt === 0) return;
    this.#credit += now - this.#pausedAt;
    this.#grace += now - this.#pausedAt;
    this.#last = now;
    this.#pausedAt = 0;
  }

  /** When the peer will have been too slow, unless it moves; `Infinity` while paused. */
  get deadline(): number {
    if (this.#pausedAt !== 0) return Infinity;
    const silent = this.#last + this.#rules.silence * 1000;
    return Math.min(silent, Math.max(this.#grace, this.#credit));
  }
}
