import { RyegateError } from '../errors.ts';

/** What a server takes from a client before it refuses. Each limit works alone. */
export interface Limits {
  /** Bytes of the request line without its CRLF; longer gives 414. Default 8190, as Apache has. */
  readonly requestLine: number;
  /**
   * Bytes of a whole head, from the request line to the empty line inclusive; larger gives 431.
   * Default 65536: more than cookies and tokens need, little enough to hold per connection.
   */
  readonly headerBytes: number;
  /** Field lines in a head; more give 431. Default 100: browsers send about 20, proxies add 10. */
  readonly headerCount: number;
  /**
   * Bytes of one field line, name and value without the CRLF; longer gives 431.
   * Default 16384: the largest cookies and Kerberos tickets fit.
   */
  readonly headerField: number;
  /**
   * Bytes of a request body after chunked decoding; larger gives 413. Default 1 GiB: uploads
   * pass, an endless body does not. 0 refuses every body.
   */
  readonly bodyBytes: number;
  /**
   * Bytes of all chunk extensions of one body; more give 400. Default 16 KiB: nobody uses them,
   * and an unbounded one is work without content (CVE-2023-39326, CVE-2024-22019).
   */
  readonly chunkExtensionBytes: number;
  /** Bytes of the trailer field lines of one body, CRLFs included; more give 431. Default 8 KiB. */
  readonly trailerBytes: number;
  /**
   * Pipelined requests served for one connection in one turn of the reactor, after which the
   * others get theirs. Default 64: enough to fill one `send`, short enough to stay fair.
   */
  readonly pipelinedPerTurn: number;
  /**
   * Bytes of an unread request body that are read and dropped to keep a connection; with more
   * owed it is closed. Default 64 KiB: cheaper than a new connection up to about there.
   */
  readonly drainBytes: number;
  /**
   * What happens to fields with an underscore in the name, which CGI variables cannot tell from
   * a hyphen (CVE-2015-0219): left out of the request (`'drop'`, the default) or answered with
   * 400 (`'refuse'`).
   */
  readonly underscoreHeaders: 'drop' | 'refuse';
}

/** Limits that differ from the defaults. */
export type PartialLimits = { readonly [Name in keyof Limits]?: Limits[Name] | undefined };

export const DEFAULT_LIMITS: Readonly<Limits> = Object.freeze({
  requestLine: 8190,
  headerBytes: 65_536,
  headerCount: 100,
  headerField: 16_384,
  bodyBytes: 2 ** 30,
  chunkExtensionBytes: 16_384,
  trailerBytes: 8192,
  pipelinedPerTurn: 64,
  drainBytes: 65_536,
  underscoreHeaders: 'drop',
});

type NumericLimit = Exclude<keyof Limits, 'underscoreHeaders'>;

/** Head limits end at 16 MiB: the parser keeps 32-bit offsets and callers buffer a whole head. */
const LARGEST_HEAD = 2 ** 24;

/** Smallest and largest sensible value: `GET / HTTP/1.1` and `Host:` must pass. */
const BOUNDS: Readonly<Record<NumericLimit, readonly [minimum: number, maximum: number]>> = {
  requestLine: [14, LARGEST_HEAD],
  headerBytes: [18, LARGEST_HEAD],
  headerCount: [1, 65_536],
  headerField: [5, LARGEST_HEAD],
  bodyBytes: [0, Number.MAX_SAFE_INTEGER],
  chunkExtensionBytes: [0, LARGEST_HEAD],
  trailerBytes: [0, LARGEST_HEAD],
  pipelinedPerTurn: [1, 65_536],
  drainBytes: [0, Number.MAX_SAFE_INTEGER],
};

/**
 * Completes `partial` with the defaults; a field that is `undefined` takes its default.
 *
 * @throws RyegateError `ERR_RYEGATE_LIMIT` for an unknown name or a senseless value.
 */
export function resolveLimits(partial: PartialLimits = {}): Readonly<Limits> {
  if (typeof partial !== 'object' || partial === null) {
    throw new RyegateError('ERR_RYEGATE_LIMIT', 'limits: give an object of limits by name.');
  }
  const given = Object.entries(partial).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) checkLimit(name, value);
  return Object.freeze({ ...DEFAULT_LIMITS, ...Object.fromEntries(given) });
}

function checkLimit(name: string, value: unknown): void {
  if (!Object.hasOwn(DEFAULT_LIMITS, name)) {
    const known = Object.keys(DEFAULT_LIMITS).join(', ');
    throw new RyegateError('ERR_RYEGATE_LIMIT', `Unknown limit '${name}': use one of ${known}.`);
  }
  if (name === 'underscoreHeaders') {
    if (value === 'drop' || value === 'refuse') return;
    throw senseless(name, value, `'drop' or 'refuse'`);
  }
  const [minimum, maximum] = BOUNDS[name as NumericLimit];
  if (Number.isSafeInteger(value) && (value as number) >= minimum && (value as number) <= maximum) {
    return;
  }
  throw senseless(name, value, `a whole number from ${minimum} to ${maximum}`);
}

function senseless(name: string, value: unknown, expected: string): RyegateError {
  const shown = typeof value === 'string' ? `'${value}'` : String(value);
  return new RyegateError('ERR_RYEGATE_LIMIT', `Limit ${name} is ${shown}: give ${expected}.`);
}
