/**
 * What a `StreamSocket` tells whoever serves the connection. All calls come from the reactor's
 * turn, never from within a call that the protocol itself makes.
 */
export interface Protocol {
  /** What it is doing, in a word. */
  readonly state?: string;
  /** `bytes` from `start` to `end` have arrived. They are valid during the call only. */
  dataReceived(bytes: Buffer, start: number, end: number): void;
  /** The peer has finished sending; it may still be reading. */
  eofReceived(): void;
  /**
   * The peer has finished sending, as far as that can be told while nothing is received: unread
   * bytes come before its end.
   */
  eofAhead?(): void;
  /** Output that had reached the high-water mark has gone to the kernel. */
  drained(): void;
  /** The socket's deadline has passed. */
  deadlinePassed(): void;
  /** The server is closing: the request that is answered, or else the next one, is the last. */
  serverClosing(): void;
  /**
   * The server is closing: ends the connection if there is nothing to be answered; `patiently`: nor
   * a part of a request. Whether it has. Missing where only the handler knows.
   */
  endIfIdle?(patiently: boolean): boolean;
  /** The connection is over. The last call; `error` is null when it ended as intended. */
  connectionLost(error: Error | null): void;
}

/** Something to be gone on with in the next turn. */
export interface Deferred {
  proceed(): void;
}

/** Something with a deadline on the monotonic clock, in milliseconds; `Infinity` is none. */
export interface Timed {
  deadline: number;
  expire(): void;
}

/** What the reactor watches. `ready` only notes what is ready: it runs no code of a user. */
export interface Channel {
  readonly fd: number;
  ready(events: number): void;
}
