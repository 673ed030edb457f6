/** Seconds after its start within which a worker is too young to be replaced without a thought. */
const YOUNG = 60;
/** Seconds before the second one in a row is replaced, doubled by each one after. */
const SHORTEST = 1;

/**
 * Workers that reach the limit of their memory soon after they started: the limit may be below what
 * they need, and workers would be replaced without end.
 */
export class EarlyRetirements {
  #inRow = 0;

  /**
   * A worker has retired `age` seconds after its start. Returns the seconds to wait before it is
   * replaced, up to a minute; null when it was old enough.
   */
  add(age: number): number | null {
    if (age >= YOUNG) {
      this.#inRow = 0;
      return null;
    }
    this.#inRow += 1;
    return this.#inRow === 1 ? 0 : Math.min(SHORTEST * 2 ** (this.#inRow - 2), YOUNG);
  }
}
