/** Connections that have waited for so long, in seconds, are worth another thread. */
const WORTH_WAITING = 0.1;

/** Whether a pool has too few threads for what comes, or too many. */
export class Workload {
  readonly #idleTimeout: number;
  /** Seconds for which there has always been a connection in the queue, or an idle thread. */
  #waiting = 0;
  #idling = 0;

  /** `idleTimeout`: so many seconds a thread is idle until it is one too many. */
  constructor(idleTimeout: number) {
    this.#idleTimeout = idleTimeout;
  }

  /** After another `passed` seconds: how many threads more there should be: 1, 0 or -1. */
  after(passed: number, queued: number, idle: number): number {
    this.#waiting = queued > 0 ? this.#waiting + passed : 0;
    this.#idling = queued === 0 && idle > 0 ? this.#idling + passed : 0;
    if (this.#waiting >= WORTH_WAITING) {
      this.#waiting = 0;
      return 1;
    }
    if (this.#idling < this.#idleTimeout) return 0;
    this.#idling = 0;
    return -1;
  }
}
