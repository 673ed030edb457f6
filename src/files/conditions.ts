import { COMMA, DQUOTE, isOWS } from '../http/grammar.ts';
import { parseHTTPDate } from './httpdate.ts';
import { parseRange, type RangeResult } from './ranges.ts';

/** What of a request decides, by its keys in a WSGI environ. */
export interface ConditionalRequest {
  readonly REQUEST_METHOD: string;
  readonly HTTP_IF_MATCH?: string | undefined;
  readonly HTTP_IF_NONE_MATCH?: string | undefined;
  readonly HTTP_IF_MODIFIED_SINCE?: string | undefined;
  readonly HTTP_IF_UNMODIFIED_SINCE?: string | undefined;
  readonly HTTP_IF_RANGE?: string | undefined;
  readonly HTTP_RANGE?: string | undefined;
}

/** The selected representation (RFC 9110 section 3.2), which exists. */
export interface Representation {
  /** A strong entity tag with its quotes. */
  readonly etag: string;
  /** Milliseconds since 1970; a fraction of a second does not count. */
  readonly lastModified: number;
  /** In bytes. */
  readonly size: number;
}

/** Methods that neither select nor change a representation (RFC 9110 section 13.2.1). */
const UNCONDITIONAL = ['CONNECT', 'OPTIONS', 'TRACE'];

/**
 * Evaluates the conditions of a request in the order of RFC 9110 section 13.2.2, steps 1 to 4:
 * the status to answer with instead, or undefined to go on, then with `applicableRanges`. Only
 * for a request whose answer would be 2xx without them (section 13.2.1).
 *
 * A malformed list of entity tags matches nothing, a malformed date is ignored.
 *
 * `now`, in milliseconds, settles the century of a two-digit year; by default it is read when it is
 * needed, which is seldom.
 */
export function evaluateConditions(
  request: ConditionalRequest,
  representation: Representation,
  now?: number,
): 304 | 412 | undefined {
  const {
    REQUEST_METHOD: method,
    HTTP_IF_MATCH: ifMatch,
    HTTP_IF_NONE_MATCH: ifNoneMatch,
    HTTP_IF_MODIFIED_SINCE: ifModifiedSince,
    HTTP_IF_UNMODIFIED_SINCE: ifUnmodifiedSince,
  } = request;
  const isRetrieval = method === 'GET' || method === 'HEAD';
  if (!isRetrieval && UNCONDITIONAL.includes(method)) return undefined;
  const { etag, lastModified } = representation;
  // No comparison with the NaN of a malformed date is true.
  if (ifMatch !== undefined) {
    if (ifMatch !== '*' && !hasTag(ifMatch, etag, false)) return 412;
  } else if (ifUnmodifiedSince !== undefined) {
    if (wholeSecond(lastModified) > parseHTTPDate(ifUnmodifiedSince, now ?? Date.now())) return 412;
  }
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch === '*' || hasTag(ifNoneMatch, etag, true)) return isRetrieval ? 304 : 412;
  } else if (isRetrieval && ifModifiedSince !== undefined) {
    if (wholeSecond(lastModified) <= parseHTTPDate(ifModifiedSince, now ?? Date.now())) return 304;
  }
  return undefined;
}

/**
 * The ranges to send to a request that the other conditions let through: step 5 of RFC 9110
 * section 13.2.2. Range counts for GET only (section 14.2), and not when If-Range is false or
 * malformed. By step 5 a range that cannot be satisfied is ignored when there is an If-Range.
 *
 * `mostRanges`: see `parseRange`. `now`, in milliseconds: see `evaluateConditions`; besides, a
 * Last-Modified of less than a second ago is no strong validator (section 8.8.2.2), so that no
 * If-Range with a date is true.
 */
export function applicableRanges(
  request: ConditionalRequest,
  representation: Representation,
  mostRanges: number,
  now?: number,
): RangeResult {
  const { HTTP_RANGE: range } = request;
  if (range === undefined || request.REQUEST_METHOD !== 'GET') return 'ignored';
  const { HTTP_IF_RANGE: ifRange } = request;
  if (ifRange === undefined) return parseRange(range, representation.size, mostRanges);
  if (!isUnchanged(ifRange, representation, now ?? Date.now())) return 'ignored';
  const result = parseRange(range, representation.size, mostRanges);
  return result === 'unsatisfiable' ? 'ignored' : result;
}

/** If-Range (RFC 9110 section 13.1.5): the very entity tag, or the very date if that is strong. */
function isUnchanged(ifRange: string, representation: Representation, now: number): boolean {
  if (ifRange === representation.etag) return true;
  const modified = wholeSecond(representation.lastModified);
  return wholeSecond(now) > modified && parseHTTPDate(ifRange, now) === modified;
}

function wholeSecond(milliseconds: number): number {
  return Math.floor(milliseconds / 1000) * 1000;
}

/**
 * Whether `list`, which must be `#entity-tag`, names `etag` by strong comparison, or by the weak
 * one if `weakly` (RFC 9110 section 8.8.3.2).
 */
function hasTag(list: string, etag: string, weakly: boolean): boolean {
  if (list === etag) return true;
  let found = false;
  let i = 0;
  for (;;) {
    while (list.charCodeAt(i) === COMMA || isOWS(list.charCodeAt(i))) i++;
    if (i === list.length) return found;
    const isWeak = list.startsWith('W/', i);
    const start = isWeak ? i + 2 : i;
    const end = opaqueTagEnd(list, start);
    if (end === -1) return false;
    found ||= (weakly || !isWeak) && list.startsWith(etag, start);
    for (i = end; isOWS(list.charCodeAt(i)); ) i++;
    if (i < list.length && list.charCodeAt(i) !== COMMA) return false;
  }
}

/** The end of the opaque-tag that begins at `start` (RFC 9110 section 8.8.3), -1 if none does. */
function opaqueTagEnd(text: string, start: number): number {
  if (text.charCodeAt(start) !== DQUOTE) return -1;
  let i = start + 1;
  while (isTagCharacter(text.charCodeAt(i))) i++;
  return text.charCodeAt(i) === DQUOTE ? i + 1 : -1;
}

/** etagc, which has bytes from 0x80 on (obs-text). NaN, past the end of a text, is none. */
function isTagCharacter(code: number): boolean {
  return code >= 0x21 && code <= 0xff && code !== DQUOTE && code !== 0x7f;
}
