/** When the turn began that a reactor of this thread is in; NaN between turns. */
let turn = Number.NaN;

/** A turn begins: until `endTurn()`, the time is its beginning. */
export function beginTurn(): number {
  turn = performance.now();
  return turn;
}

export function endTurn(): void {
  turn = Number.NaN;
}

/**
 * Monotonic milliseconds. Within a turn of a reactor they are read once: to read the clock takes
 * 1 % of a small request.
 */
export function monotonic(): number {
  return turn > 0 ? turn : performance.now();
}
