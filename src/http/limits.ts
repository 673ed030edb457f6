import {
  checkSetting,
  defaultsOf,
  givenSettings,
  type SettingsKind,
  type SettingsTable,
  senselessSetting,
  unknownSetting,
} from './settings.ts';

/** What a server takes from a client before it refuses. Each limit works alone; see `LIMITS`. */
export interface Limits {
  /** Bytes of the request line without its CRLF; longer gives 414. */
  readonly requestLine: number;
  /** Bytes of a whole head, from the request line to the empty line; larger gives 431. */
  readonly headerBytes: number;
  /** Field lines in a head; more give 431. */
  readonly headerCount: number;
  /** Bytes of one field line, name and value without the CRLF; longer gives 431. */
  readonly headerField: number;
  /** Bytes of a request body after chunked decoding; larger gives 413. 0 refuses every body. */
  readonly bodyBytes: number;
  /** Bytes of a buffered request body that are kept in memory; the rest goes to a file. */
  readonly bodyMemoryBytes: number;
  /** Bytes per second of a request body, on average after the grace; slower gives 408. 0: any. */
  readonly bodyRate: number;
  /** Bytes of all chunk extensions of one body; more give 400. */
  readonly chunkExtensionBytes: number;
  /** Bytes of the trailer field lines of one body, CRLFs included; more give 431. */
  readonly trailerBytes: number;
  /** Bytes of an unread request body that are dropped to keep a connection; more close it. */
  readonly drainBytes: number;
  /** Pipelined requests of one connection served in one turn of the reactor. */
  readonly pipelinedPerTurn: number;
  /** Bytes of further requests kept while one is answered; more wait in the kernel. */
  readonly pipelinedBytes: number;
  /** Requests on one connection, after which it is closed. */
  readonly requestsPerConnection: number;
  /** Connections at once; more are answered with 503. */
  readonly connections: number;
  /** Connections at once from one IP address; more are answered with 503. */
  readonly connectionsPerAddress: number;
  /** Response bytes that wait for the client before producers pause and reading stops. */
  readonly bufferedBytes: number;
  /** Bytes per second that a client has to take once it lags behind; slower is cut off. 0: any. */
  readonly responseRate: number;
  /**
   * What happens to fields with an underscore in the name, which CGI variables cannot tell from
   * a hyphen (CVE-2015-0219): left out of the request (`'drop'`, the default) or answered with
   * 400 (`'refuse'`).
   */
  readonly underscoreHeaders: 'drop' | 'refuse';
}

/** Limits that differ from the defaults. */
export type PartialLimits = { readonly [Name in keyof Limits]?: Limits[Name] | undefined };

export type NumericLimit = Exclude<keyof Limits, 'underscoreHeaders'>;

/** Head limits end at 16 MiB: the parser keeps 32-bit offsets and callers buffer a whole head. */
const LARGEST_HEAD = 2 ** 24;

/** The smallest values let `GET / HTTP/1.0` and `Host:` pass. */
export const LIMITS: SettingsTable<NumericLimit> = {
  requestLine: {
    unit: 'bytes',
    default: 8190,
    minimum: 14,
    maximum: LARGEST_HEAD,
    reason: 'What Apache takes, so that nothing that passes a proxy fails here.',
  },
  headerBytes: {
    unit: 'bytes',
    default: 65_536,
    minimum: 18,
    maximum: LARGEST_HEAD,
    reason: 'More than cookies and tokens need, little enough to hold for each connection.',
  },
  headerCount: {
    unit: 'fields',
    default: 100,
    minimum: 1,
    maximum: 65_536,
    reason: 'Browsers send about 20, proxies add 10.',
  },
  headerField: {
    unit: 'bytes',
    default: 16_384,
    minimum: 5,
    maximum: LARGEST_HEAD,
    reason: 'The largest cookies and Kerberos tickets fit.',
  },
  bodyBytes: {
    unit: 'bytes',
    default: 2 ** 30,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    reason: 'Uploads pass, an endless body does not.',
  },
  bodyMemoryBytes: {
    unit: 'bytes',
    default: 524_288,
    minimum: 0,
    maximum: 2 ** 30,
    reason: 'Forms and JSON never touch a disk; the rest of an upload does, and takes no memory.',
  },
  bodyRate: {
    unit: 'bytes per second',
    default: 500,
    minimum: 0,
    maximum: 2 ** 30,
    reason: 'Slower than any modem: whoever sends less holds a handler on purpose (slow post).',
  },
  chunkExtensionBytes: {
    unit: 'bytes',
    default: 16_384,
    minimum: 0,
    maximum: LARGEST_HEAD,
    reason: 'Nobody uses them; unbounded they are work without content (CVE-2023-39326).',
  },
  trailerBytes: {
    unit: 'bytes',
    default: 8192,
    minimum: 0,
    maximum: LARGEST_HEAD,
    reason: 'Checksums and signatures fit.',
  },
  drainBytes: {
    unit: 'bytes',
    default: 65_536,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    reason: 'Up to about there, reading is cheaper than a new connection.',
  },
  pipelinedPerTurn: {
    unit: 'requests',
    default: 64,
    minimum: 1,
    maximum: 65_536,
    reason: 'Enough to fill one send, short enough to be fair to the other connections.',
  },
  pipelinedBytes: {
    unit: 'bytes',
    default: 65_536,
    minimum: 1024,
    maximum: 2 ** 30,
    reason: 'One receive. Requests are answered one at a time; what waits costs memory.',
  },
  requestsPerConnection: {
    unit: 'requests',
    default: Infinity,
    minimum: 1,
    maximum: Infinity,
    reason: 'Nothing grows with their number; a low one evens out the load of several processes.',
  },
  connections: {
    unit: 'connections',
    default: 10_000,
    minimum: 1,
    maximum: Infinity,
    reason: 'Idle ones take some kilobytes each: 10,000 fit into 100 MiB.',
  },
  connectionsPerAddress: {
    unit: 'connections',
    default: Infinity,
    minimum: 1,
    maximum: Infinity,
    reason: 'Off, since behind a proxy all clients share one address. Set it at the edge.',
  },
  bufferedBytes: {
    unit: 'bytes',
    default: 262_144,
    minimum: 1024,
    maximum: 2 ** 30,
    reason: 'Keeps a fast client busy; for one that does not read, no more than this is made.',
  },
  responseRate: {
    unit: 'bytes per second',
    default: 500,
    minimum: 0,
    maximum: 2 ** 30,
    reason: 'A client that takes less than a modem would holds buffers on purpose (slow read).',
  },
};

export const DEFAULT_LIMITS: Readonly<Limits> = Object.freeze({
  ...defaultsOf(LIMITS),
  underscoreHeaders: 'drop',
});

const KIND: SettingsKind = { name: 'limit', code: 'ERR_RYEGATE_LIMIT', whole: true };

/**
 * Completes `partial` with the defaults; a field that is `undefined` takes its default.
 *
 * @throws RyegateError `ERR_RYEGATE_LIMIT` for an unknown name or a senseless value.
 */
export function resolveLimits(partial: PartialLimits = {}): Readonly<Limits> {
  const given = givenSettings(KIND, partial);
  for (const [name, value] of given) checkLimit(name, value);
  return Object.freeze({ ...DEFAULT_LIMITS, ...Object.fromEntries(given) });
}

function checkLimit(name: string, value: unknown): void {
  if (!Object.hasOwn(DEFAULT_LIMITS, name)) {
    throw unknownSetting(KIND, name, Object.keys(DEFAULT_LIMITS));
  }
  if (name !== 'underscoreHeaders') checkSetting(KIND, LIMITS, name, value);
  else if (value !== 'drop' && value !== 'refuse') {
    throw senselessSetting(KIND, name, value, `'drop' or 'refuse'`);
  }
}
