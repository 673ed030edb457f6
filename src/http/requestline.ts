import { isAuthority } from './authority.ts';
import { Spelling, viewOf } from './byteview.ts';
import { METHODS } from './fieldnames.ts';
import * as grammar from './grammar.ts';
import { HTTPError } from './httperror.ts';

// Constants of this module are folded into machine code, imported ones are read at every use.
const { ASTERISK, CR, DIGIT, equalsIgnoreCase, LF, QUESTION, SLASH, SP, TARGET, TCHAR, ZERO } =
  grammar;

/** More bytes are needed. */
export const MORE = -1;

/** Where the parts of a request line were found, relative to the start of the head. */
export const METHOD_START = 0;
export const METHOD_END = 1;
export const TARGET_END = 2;
/** The id of the method in `METHODS`, and the y of `HTTP/1.y`. */
export const METHOD = 3;
export const MINOR = 4;

/** Clients that end a body with a stray CRLF are old and rare (RFC 9112 section 2.2). */
const MAX_LEADING_CRLF = 4;

const GET_ID = METHODS.names.indexOf('GET');
const CONNECT_ID = METHODS.names.indexOf('CONNECT');
const OPTIONS_ID = METHODS.names.indexOf('OPTIONS');

/** What most request lines begin and end with. Each takes a twentieth off a small head's time. */
const GET = new Spelling('GET ', false);
const HTTP_1_1 = new Spelling('HTTP/1.1\r\n', false);

/** The version, with 0 where a digit stands. */
const VERSION = [...'HTTP/\0.\0'].map((character) => character.charCodeAt(0));

/**
 * Scans `[CRLF] method SP target SP version CRLF` (RFC 9112 section 3), records its parts in
 * `slots` and returns the position after it, or `MORE`. `limit`: bytes of the line without CRLF.
 */
export function scanRequestLine(
  bytes: Buffer,
  start: number,
  end: number,
  limit: number,
  slots: Int32Array,
): number {
  const from = skipEmptyLines(bytes, start, end);
  if (from === MORE) return MORE;
  const lineEnd = from + limit;
  const stop = Math.min(end, lineEnd);
  const view = viewOf(bytes);
  const isGET = GET.startsAt(view, from, stop);
  let i = isGET ? from + 3 : from;
  while (i < stop && TCHAR[bytes[i] as number] === 1) i++;
  if (i === stop) return moreOrTooLong(stop, end);
  if (i === from || bytes[i] !== SP) throw refused(bytes[i] as number, 'method');
  const methodEnd = i++;
  while (i < stop && TARGET[bytes[i] as number] === 1) i++;
  if (i === stop) return moreOrTooLong(stop, end);
  if (i === methodEnd + 1 || bytes[i] !== SP) throw refused(bytes[i] as number, 'target');
  const targetEnd = i++;
  const method = isGET ? GET_ID : METHODS.find(bytes, from, methodEnd);
  slots[METHOD_START] = from - start;
  slots[METHOD_END] = methodEnd - start;
  slots[TARGET_END] = targetEnd - start;
  slots[METHOD] = method;
  slots[MINOR] = 1;
  let next = i + HTTP_1_1.length;
  if (!HTTP_1_1.startsAt(view, i, stop)) {
    next = scanVersion(bytes, i, stop, end, lineEnd);
    if (next === MORE) return MORE;
    slots[MINOR] = minorVersion(bytes, next - 2);
  }
  checkTarget(bytes, method, methodEnd + 1, targetEnd);
  return next;
}

/** Scans any `version CRLF` and returns the position after it, or `MORE`. */
function scanVersion(
  bytes: Buffer,
  from: number,
  stop: number,
  end: number,
  lineEnd: number,
): number {
  let i = from;
  for (const expected of VERSION) {
    if (i === stop) return moreOrTooLong(stop, end);
    const byte = bytes[i++] as number;
    const matches = expected === 0 ? DIGIT[byte] === 1 : byte === expected;
    if (!matches) throw refused(byte, 'version');
  }
  if (i === end) return MORE;
  if (bytes[i] !== CR) throw i === lineEnd ? tooLong() : refused(bytes[i] as number, 'version');
  if (i + 1 === end) return MORE;
  if (bytes[i + 1] !== LF) throw refused(CR, 'version');
  return i + 2;
}

function skipEmptyLines(bytes: Buffer, start: number, end: number): number {
  let i = start;
  while (i < end && bytes[i] === CR) {
    if (i + 1 === end) return MORE;
    if (bytes[i + 1] !== LF || i === start + 2 * MAX_LEADING_CRLF) throw refused(CR, 'method');
    i += 2;
  }
  return i === end ? MORE : i;
}

/** `at`: the position after `HTTP/x.y`. */
function minorVersion(bytes: Buffer, at: number): number {
  const major = (bytes[at - 3] as number) - ZERO;
  const minor = (bytes[at - 1] as number) - ZERO;
  if (major === 1 && minor <= 1) return minor;
  throw new HTTPError(
    505,
    'ERR_RYEGATE_UNSUPPORTED_VERSION',
    `HTTP/${major}.${minor} is not served here: send the request as HTTP/1.1 or HTTP/1.0.`,
  );
}

/** The four forms of RFC 9112 section 3.2; the bytes have been checked already. */
function checkTarget(bytes: Buffer, method: number, from: number, end: number): void {
  const isConnect = method === CONNECT_ID;
  if (isConnect ? isAuthority(bytes, from, end, true) : bytes[from] === SLASH) return;
  if (!isConnect && isAbsolute(bytes, from, end)) return;
  const isAsterisk = end === from + 1 && bytes[from] === ASTERISK;
  if (isAsterisk && method === OPTIONS_ID) return;
  throw new HTTPError(
    400,
    'ERR_RYEGATE_BAD_TARGET',
    isConnect
      ? 'The target of CONNECT must be host:port.'
      : 'The request target must start with / or be an http or https URI with a valid host; ' +
          'only OPTIONS may ask for *.',
  );
}

function isAbsolute(bytes: Buffer, from: number, end: number): boolean {
  const length = schemeLength(bytes, from, end);
  let i = from + length;
  while (i < end && bytes[i] !== SLASH && bytes[i] !== QUESTION) i++;
  return length > 0 && isAuthority(bytes, from + length, i);
}

/** The length of `http://` or `https://` at `from`, or 0. */
function schemeLength(bytes: Buffer, from: number, end: number): number {
  for (const scheme of ['http://', 'https://']) {
    const to = from + scheme.length;
    if (to <= end && equalsIgnoreCase(bytes, from, to, scheme)) return scheme.length;
  }
  return 0;
}

function moreOrTooLong(stop: number, end: number): number {
  if (stop === end) return MORE;
  throw tooLong();
}

function tooLong(): HTTPError {
  return new HTTPError(
    414,
    'ERR_RYEGATE_TARGET_TOO_LONG',
    'The request line is longer than the server takes: shorten the URI, or raise requestLine.',
  );
}

function refused(byte: number, part: 'method' | 'target' | 'version'): HTTPError {
  const shown = `0x${byte.toString(16).padStart(2, '0')}`;
  return new HTTPError(
    400,
    'ERR_RYEGATE_BAD_REQUEST_LINE',
    `Unexpected byte ${shown} at the ${part} of the request line: ` +
      'send "METHOD target HTTP/1.1" with single spaces and CRLF (RFC 9112 section 3).',
  );
}
