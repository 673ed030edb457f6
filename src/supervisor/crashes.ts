import { monotonic } from '../clock.ts';

/** When a supervisor gives up. */
export interface CrashLimits {
  /** Workers that ended one after the other before any was ready. Default 5. */
  readonly unready: number;
  /** Workers that crashed within `seconds`. Default 10. */
  readonly crashes: number;
  /** Default 30. */
  readonly seconds: number;
}

export const CRASH_LIMITS: CrashLimits = { unready: 5, crashes: 10, seconds: 30 };

/** Seconds before the second crash in a row is mended, doubled by each one after. */
const SHORTEST = 0.1;
/** All the waits until the tenth crash have to fit into the time in which it counts. */
const LONGEST = 5;

/** The crashes of late: how long to wait before the next worker, and whether there is no use in it. */
export class Crashes {
  readonly #limits: CrashLimits;
  #times: number[] = [];
  #unready = 0;
  /** Of all times. */
  total = 0;

  constructor(limits: CrashLimits) {
    this.#limits = limits;
  }

  /** A worker has crashed. Returns the seconds to wait before it is replaced: the first time none. */
  add(wasReady: boolean): number {
    this.total += 1;
    this.#unready = wasReady ? 0 : this.#unready + 1;
    const now = monotonic();
    const since = now - this.#limits.seconds * 1000;
    this.#times = this.#times.filter((time) => time > since);
    this.#times.push(now);
    const earlier = this.#times.length - 1;
    if (earlier === 0) return 0;
    const wait = Math.min(SHORTEST * 2 ** (earlier - 1), LONGEST);
    // Those who crash together for one reason should not come back together.
    return wait * (0.5 + Math.random() / 2);
  }

  /** A worker is ready. */
  ready(): void {
    this.#unready = 0;
  }

  /** Why to give up; null while there is hope. */
  get hopeless(): string | null {
    const { unready, crashes, seconds } = this.#limits;
    if (this.#unready >= unready) {
      return `${this.#unready} workers in a row ended before they were ready`;
    }
    if (this.#times.length < crashes) return null;
    return `workers crashed ${this.#times.length} times within ${seconds} seconds`;
  }
}
