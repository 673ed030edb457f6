import type { PaceRules } from './pace.ts';

/** What the connections of one server have in common. */
export interface SocketSettings {
  /** Output beyond this many bytes makes a socket congested: producers wait for the drain. */
  readonly highWater: number;
  /** How fast the peer has to take its output; null: as it likes, until the connection ends. */
  readonly write: PaceRules | null;
  /** Seconds that an ended connection is read and discarded; RFC 9112 section 9.6. */
  readonly linger: number;
}

export const DEFAULT_SOCKET_SETTINGS: SocketSettings = {
  highWater: 256 * 1024,
  write: null,
  linger: 2,
};

/** For a connection that nobody looks after any more. */
export const LAST_PACE: PaceRules = { silence: 60, grace: 60, rate: 0 };
