import { RyegateError } from './errors.ts';

/** The longest that poll(2), and a timer of Node's, can wait: about 24.8 days. */
const LONGEST = 2 ** 31 - 1;

/**
 * Whole milliseconds for a wait or a timer, rounded up so that neither ends early (CPython
 * bpo-20311), and no longer than they can be.
 *
 * @throws RyegateError `ERR_RYEGATE_TIMEOUT` for NaN
 */
export function toMilliseconds(seconds: number): number {
  if (Number.isNaN(seconds)) {
    throw new RyegateError(
      'ERR_RYEGATE_TIMEOUT',
      'invalid timeout NaN: expected seconds, or null to wait without limit',
    );
  }
  return seconds <= 0 ? 0 : Math.min(Math.ceil(seconds * 1000), LONGEST);
}
