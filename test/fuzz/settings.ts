/** The time that a long run may take, in milliseconds. */
export const HOUR = 3_600_000;

/** What `npm run fuzz` asks for, as JSON in the environment variable RYEGATE_FUZZ. */
export interface FuzzSettings {
  readonly seed: number;
  readonly cases: number;
  /** The number of the only case to be run. */
  readonly only?: number;
}

/** The settings of a long run; null in an ordinary run of the tests. */
export function longRun(): FuzzSettings | null {
  const text = process.env.RYEGATE_FUZZ;
  return text === undefined ? null : JSON.parse(text);
}
