import {
  checkSetting,
  defaultsOf,
  givenSettings,
  type SettingsKind,
  type SettingsTable,
} from './settings.ts';

/**
 * How long a server waits, in seconds of the monotonic clock; `Infinity` is for ever. They are
 * looked at four times a second. Reasons are in `TIMEOUTS`.
 */
export interface Timeouts {
  /** For a whole head, from its first byte, or from the connection on; then 408. */
  readonly head: number;
  /** Within a body, for the next byte; then 408. Not while the application reads too slowly. */
  readonly body: number;
  /** For a body, before its rate has to be the limit `bodyRate`. */
  readonly bodyGrace: number;
  /**
   * For a handler that neither reads, sends nor waits for its client; then 503, or the connection is
   * aborted when the head has been sent.
   */
  readonly handler: number;
  /** For a client that takes nothing of its answer; then the connection is reset. */
  readonly write: number;
  /** For the next request on a connection; then it is closed. */
  readonly keepAlive: number;
  /** For a client to close, too, after the last response; RFC 9112 section 9.6. */
  readonly linger: number;
}

export type TimeoutName = keyof Timeouts;

/** Timeouts that differ from the defaults. */
export type PartialTimeouts = { readonly [Name in TimeoutName]?: number | undefined };

const SHORTEST = 0.001;

function seconds(standard: number, reason: string): SettingsTable<TimeoutName>[TimeoutName] {
  return { unit: 'seconds', default: standard, minimum: SHORTEST, maximum: Infinity, reason };
}

export const TIMEOUTS: SettingsTable<TimeoutName> = {
  head: seconds(60, 'A head fits one packet; a minute is for the worst of networks (slowloris).'),
  body: seconds(60, 'A lost connection is noticed; a network that comes back in time is not cut.'),
  bodyGrace: seconds(5, 'A slow start is not a slow client.'),
  handler: seconds(Infinity, 'Off, since only the application knows how long its work takes.'),
  write: seconds(60, 'As long as for a body, in the other direction.'),
  keepAlive: seconds(65, 'Longer than load balancers keep a connection, so that they close first.'),
  linger: seconds(2, 'Long enough for the last bytes to arrive and be acknowledged.'),
};

export const DEFAULT_TIMEOUTS: Timeouts = defaultsOf(TIMEOUTS);

const KIND: SettingsKind = { name: 'timeout', code: 'ERR_RYEGATE_TIMEOUT', whole: false };

/**
 * Completes `partial` with the defaults; a field that is `undefined` takes its default.
 *
 * @throws RyegateError `ERR_RYEGATE_TIMEOUT` for an unknown name or a senseless value.
 */
export function resolveTimeouts(partial: PartialTimeouts = {}): Timeouts {
  const given = givenSettings(KIND, partial);
  for (const [name, value] of given) checkSetting(KIND, TIMEOUTS, name, value);
  return Object.freeze({ ...DEFAULT_TIMEOUTS, ...Object.fromEntries(given) });
}
