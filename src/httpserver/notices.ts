import type { RyegateError } from '../errors.ts';

/** Milliseconds between two notices of one kind. */
const INTERVAL = 60_000;

/** Passes on what clients cause, each kind once a minute, so that they cannot flood a log. */
export class Notices {
  readonly #tell: (notice: RyegateError) => void;
  readonly #told = new Map<string, number>();

  constructor(tell: (notice: RyegateError) => void) {
    this.#tell = tell;
  }

  /** `now`: monotonic milliseconds. The kind is the code. */
  add(notice: RyegateError, now: number): void {
    const last = this.#told.get(notice.code);
    if (last !== undefined && now - last < INTERVAL) return;
    this.#told.set(notice.code, now);
    this.#tell(notice);
  }
}
