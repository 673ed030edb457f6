import { Spelling, viewOf } from './byteview.ts';
import * as grammar from './grammar.ts';
import { HTTPError } from './httperror.ts';
import { InternTable } from './intern.ts';
import type { Limits } from './limits.ts';

// Constants of this module are folded into machine code, imported ones are read at every use.
const { COMMA, DIGIT, equalsIgnoreCase, isToken, latin1, skipOWS, trimOWS, trimOWSEnd, ZERO } =
  grammar;

/** The options of Connection that matter, as bits. */
export const OPTION_CLOSE = 1;
export const OPTION_KEEP_ALIVE = 2;
const OPTIONS: InternTable = new InternTable(['close', 'keep-alive'], 0x20);
const KEEP_ALIVE = new Spelling('keep-alive\r\n', true);
const OPTION_BITS = [0, OPTION_CLOSE, OPTION_KEEP_ALIVE];

/** The digits of 2^53 - 1. */
const MOST_DIGITS = 16;

/**
 * The value of Content-Length: digits only, no sign, list or leading zero, at most 2^53 - 1
 * (RFC 9110 section 8.6 would allow zeros and equal repeats; proxies disagree about them).
 */
export function parseContentLength(bytes: Buffer, from: number, to: number): number {
  const digits = to - from;
  if (digits === 0 || digits > MOST_DIGITS) throw badContentLength();
  if (digits > 1 && bytes[from] === ZERO) throw badContentLength();
  let length = 0;
  for (let i = from; i < to; i++) {
    const byte = bytes[i] as number;
    if (DIGIT[byte] !== 1) throw badContentLength();
    length = length * 10 + (byte - ZERO);
  }
  if (length > Number.MAX_SAFE_INTEGER) throw badContentLength();
  return length;
}

/**
 * Refuses every Transfer-Encoding but `chunked` alone on HTTP/1.1 (RFC 9112 section 6.1): a
 * list of other codings that is well-formed with 501, anything else with 400. `chunked` that is
 * not last or not alone of its kind leaves the end of the body open, so it is malformed.
 */
export function checkTransferEncoding(bytes: Buffer, from: number, to: number, minor: 0 | 1): void {
  if (minor === 0) throw badTransferEncoding('is not part of HTTP/1.0');
  if (equalsIgnoreCase(bytes, from, to, 'chunked')) return;
  const codings = latin1(bytes, from, to).split(',').map(trimOWS);
  if (!codings.every(isToken)) throw badTransferEncoding('is malformed');
  const firstChunked = codings.findIndex((coding) => coding.toLowerCase() === 'chunked');
  if (firstChunked !== -1 && firstChunked !== codings.length - 1) {
    throw badTransferEncoding('has chunked before its end');
  }
  throw new HTTPError(
    501,
    'ERR_RYEGATE_UNKNOWN_TRANSFER_CODING',
    'The transfer coding is unknown: send the body as it is, or with chunked alone.',
  );
}

/**
 * The bits of `close` and `keep-alive` in a Connection value (RFC 9110 section 7.6.1), which is
 * part of a line that ends with CRLF.
 */
export function connectionOptions(bytes: Buffer, from: number, to: number): number {
  // What browsers send: to compare it takes a tenth off the time of their head.
  if (KEEP_ALIVE.startsAt(viewOf(bytes), from, to + 2)) return OPTION_KEEP_ALIVE;
  let options = 0;
  let i = from;
  while (i < to) {
    const tokenStart = skipOWS(bytes, i, to);
    i = tokenStart;
    while (i < to && bytes[i] !== COMMA) i++;
    const tokenEnd = trimOWSEnd(bytes, tokenStart, i);
    if (tokenEnd > tokenStart)
      options |= OPTION_BITS[OPTIONS.find(bytes, tokenStart, tokenEnd)] as number;
    i++;
  }
  return options;
}

/**
 * Whether a field is kept from the application for the underscore in its name.
 *
 * @throws HTTPError `ERR_RYEGATE_BAD_FIELD` where `underscoreHeaders` is `'refuse'`.
 */
export function isHidden(name: string, limits: Limits): boolean {
  if (!name.includes('_')) return false;
  if (limits.underscoreHeaders === 'drop') return true;
  throw new HTTPError(
    400,
    'ERR_RYEGATE_BAD_FIELD',
    'A field name holds an underscore: write a hyphen, or set underscoreHeaders to drop.',
  );
}

/** A byte that has no place where it stands in a field line or in the line that ends them. */
export function refusedByte(byte: number, code: string = 'ERR_RYEGATE_BAD_FIELD'): HTTPError {
  const shown = `0x${byte.toString(16).padStart(2, '0')}`;
  return new HTTPError(
    400,
    code,
    `Unexpected byte ${shown} in a field line: send "name: value" with CRLF, no space before ` +
      'the colon, no folded lines, no control characters (RFC 9112 section 5).',
  );
}

export function bodyTooLarge(): HTTPError {
  return new HTTPError(
    413,
    'ERR_RYEGATE_BODY_TOO_LARGE',
    'The body is larger than the server takes: send less, or raise bodyBytes.',
  );
}

function badContentLength(): HTTPError {
  return new HTTPError(
    400,
    'ERR_RYEGATE_BAD_CONTENT_LENGTH',
    'Content-Length must be one decimal number up to 2^53 - 1 without sign or leading zero.',
  );
}

function badTransferEncoding(fault: string): HTTPError {
  return new HTTPError(
    400,
    'ERR_RYEGATE_BAD_TRANSFER_ENCODING',
    `Transfer-Encoding ${fault}: send chunked, once and alone, on HTTP/1.1 (RFC 9112 section 6).`,
  );
}
