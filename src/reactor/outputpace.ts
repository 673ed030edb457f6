import { RyegateError } from '../errors.ts';
import { native } from '../native.ts';
import { Pace, type PaceRules } from './pace.ts';

/** Tells when a peer takes its output too slowly, from the moment that the kernel holds it back. */
export class OutputPace {
  readonly #fd: number;
  readonly #pace: Pace;
  /** Bytes that the kernel should hold unless the peer has acknowledged some; null: it cannot tell. */
  #held: number | null;

  constructor(rules: PaceRules, fd: number, now: number) {
    this.#fd = fd;
    this.#pace = new Pace(rules, now);
    this.#held = heldBy(fd);
  }

  get deadline(): number {
    return this.#pace.deadline;
  }

  /** The kernel has taken `count` bytes. */
  took(now: number, count: number): void {
    if (this.#held === null) {
      this.#pace.progress(now, count);
      return;
    }
    // Counted when it is acknowledged.
    this.#held += count;
    this.#pace.progress(now, 0);
  }

  /**
   * Whether it is too slow now. The kernel takes more only when a good part of its buffer is free,
   * which can be megabytes: so what the peer has acknowledged counts as well.
   */
  isTooSlow(now: number): boolean {
    if (this.#pace.deadline > now) return false;
    const held = heldBy(this.#fd);
    if (held !== null && this.#held !== null && held < this.#held) {
      this.#pace.progress(now, this.#held - held);
    }
    this.#held = held;
    return this.#pace.deadline <= now;
  }
}

function heldBy(fd: number): number | null {
  const held = native.unacknowledged(fd);
  return held < 0 ? null : held;
}

export function tooSlow(): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_WRITE_TIMEOUT',
    'the client took its answer too slowly, or not at all: raise timeouts.write or lower ' +
      'limits.responseRate if such clients are to be served',
  );
}
