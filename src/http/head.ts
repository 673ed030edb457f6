import { isAuthority } from './authority.ts';
import { type Spelling, viewOf } from './byteview.ts';
import * as fieldNames from './fieldnames.ts';
import {
  bodyTooLarge,
  checkTransferEncoding,
  connectionOptions,
  isHidden,
  OPTION_CLOSE,
  OPTION_KEEP_ALIVE,
  parseContentLength,
  refusedByte,
} from './fieldrules.ts';
import * as grammar from './grammar.ts';
import type { HeadMemory } from './headmemory.ts';
import { HTTPError } from './httperror.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import * as requestLine from './requestline.ts';

// Constants of this module are folded into machine code, imported ones are read at every use.
const { COLON, CR, equalsIgnoreCase, fieldValueEnd, latin1, LF, skipOWS, TCHAR, trimOWSEnd } =
  grammar;
const {
  FIELD_NAMES,
  FIELD_RULES,
  METHODS,
  NAMES_WITH_COLON,
  RULE_CONNECTION,
  RULE_CONTENT_LENGTH,
  RULE_EXPECT,
  RULE_HOST,
  RULE_NONE,
  RULE_TRANSFER_ENCODING,
} = fieldNames;
const { METHOD, METHOD_END, METHOD_START, MINOR, MORE, scanRequestLine, TARGET_END } = requestLine;

const NO_FIELDS: readonly string[] = [];

/**
 * The first line and the header of a request, and what they say about its framing. Once parsed, it
 * stays as it is: the requests of a client that sends it again have it in common.
 */
export class RequestHead {
  /** As sent: methods are case-sensitive. */
  method = '';
  /** As sent, in origin-, absolute-, authority- or asterisk-form (RFC 9112 section 3.2). */
  target = '';
  /** The y of HTTP/1.y. */
  minor: 0 | 1 = 1;
  /** Lower-case name, value, name, value ... in the order of arrival; repeats are kept. */
  fields: readonly string[] = NO_FIELDS;
  /** Bytes of the body as announced, -1 without Content-Length. */
  contentLength = -1;
  /** Whether the body comes in chunks; then `contentLength` is -1. */
  chunked = false;
  /** Whether the client wants the connection kept (RFC 9112 section 9.3). */
  keepAlive = true;
  /** Whether the client waits for `100 Continue` before it sends the body. */
  expectContinue = false;
  /** What a gateway has made of it, to be found again when it comes again. */
  derived: object | null = null;
  /** @internal What `parseHead` knows of a head that has not arrived in full. */
  partial: Int32Array | null = null;

  /** Whether a body follows; RFC 9112 section 6.3. */
  get hasBody(): boolean {
    return this.chunked || this.contentLength > 0;
  }

  /** One that may be changed. */
  copy(): RequestHead {
    const { fields } = this;
    return Object.assign(new RequestHead(), this, { fields: [...fields], derived: null });
  }
}

/** Number of fields scanned, and offset of the first line that is not. */
const COUNT = 5;
const NEXT = 6;
const FIRST_FIELD = 7;
/** Per field: id of the name or 0, start and end of the name, start and end of the value. */
const FIELD_SLOTS = 5;

/**
 * The name that came last behind each, by id; 0 stands for the request line before and for none
 * behind. Clients of a kind send their names in the same order: to compare one, instead of to scan
 * and to find it, takes a quarter off the time of a browser's head. No result depends on it.
 */
const followers = new Uint8Array(FIELD_NAMES.names.length);

/** Offsets relative to the start of the head being parsed; grows with `headerCount`. */
let scratch: Int32Array = new Int32Array(FIRST_FIELD + FIELD_SLOTS * DEFAULT_LIMITS.headerCount);

/**
 * Parses the request head at `start..end` strictly after RFC 9112 and returns the bytes it took,
 * its empty line included, or 0 when more bytes are needed. `head` is new, or the one of the call
 * that returned 0: that one goes on where it stopped, so pass the same content from `start` on,
 * plus more, at any place. A refusal comes with the first byte that justifies it, split or not;
 * what concerns whole fields (framing, Host, repeats) comes with the empty line.
 *
 * `memory`: of the heads that have come before on the connection, parsed within the same limits.
 *
 * @throws HTTPError with a status and code; `head` is of no use then.
 */
export function parseHead(
  bytes: Buffer,
  start: number,
  end: number,
  limits: Limits,
  head: RequestHead,
  memory: HeadMemory | null = null,
): number {
  const slots = scratchFor(limits.headerCount);
  const last = start + limits.headerBytes;
  const stop = Math.min(end, last);
  const { partial } = head;
  let next: number;
  if (partial === null) {
    next = scanRequestLine(bytes, start, stop, limits.requestLine, slots);
    slots[COUNT] = 0;
    if (memory !== null && next !== MORE && slots[MINOR] === 1) {
      const taken = memory.recallFields(bytes, next, stop, head);
      if (taken > 0) {
        readRequestLine(latin1(bytes, start, next), slots, head);
        return next - start + taken;
      }
    }
  } else {
    slots.set(partial);
    next = start + (partial[NEXT] as number);
  }
  let headEnd = MORE;
  try {
    if (next !== MORE) headEnd = scanFields(bytes, start, next, stop, limits, slots);
    // Refused when full, not one byte later: a caller's buffer may be no larger than the limit.
    if (headEnd === MORE && end >= last) throw tooLarge('head', 'headerBytes');
  } catch (error) {
    // The answer depends on the method (RFC 9110 section 9.3.2), and the log shows the line.
    if (next !== MORE) readRequestLine(latin1(bytes, start, next), slots, head);
    throw error;
  }
  if (headEnd === MORE) {
    if (next !== MORE) suspend(head, slots);
    return 0;
  }
  head.partial = null;
  readHead(bytes, start, headEnd, limits, slots, head);
  if (partial === null) memory?.keep(bytes, start, next, headEnd, head);
  return headEnd - start;
}

function scratchFor(headerCount: number): Int32Array {
  const length = FIRST_FIELD + FIELD_SLOTS * headerCount;
  if (scratch.length < length) scratch = new Int32Array(length);
  return scratch;
}

function suspend(head: RequestHead, slots: Int32Array): void {
  if (head.partial !== null && head.partial[NEXT] === slots[NEXT]) return;
  head.partial = slots.slice(0, FIRST_FIELD + FIELD_SLOTS * (slots[COUNT] as number));
}

/**
 * Scans field lines from `from` on and records their offsets in `slots`. Returns the end of the
 * head, or `MORE` after noting in `slots` where to go on.
 */
function scanFields(
  bytes: Buffer,
  start: number,
  from: number,
  end: number,
  limits: Limits,
  slots: Int32Array,
): number {
  const view = viewOf(bytes);
  let line = from;
  let count = slots[COUNT] as number;
  let slot = FIRST_FIELD + FIELD_SLOTS * count;
  let previous = 0;
  while (line < end) {
    if (bytes[line] === CR) {
      if (line + 1 === end) break;
      if (bytes[line + 1] !== LF) throw refusedByte(CR);
      slots[COUNT] = count;
      return line + 2;
    }
    if (count === limits.headerCount) throw tooLarge('number of fields', 'headerCount');
    const lineEnd = line + limits.headerField;
    const stop = Math.min(end, lineEnd);
    let id = followers[previous] as number;
    const expected = NAMES_WITH_COLON[id] as Spelling;
    let colon = line + expected.length - 1;
    if (id === 0 || !expected.startsAt(view, line, stop)) {
      colon = scanName(bytes, line, stop, end);
      if (colon === MORE) break;
      id = FIELD_NAMES.find(bytes, line, colon);
      if (id !== 0) followers[previous] = id;
    }
    if (id !== 0) previous = id;
    const valueStart = skipOWS(bytes, colon + 1, stop);
    const valueEnd = fieldValueEnd(view, valueStart, stop);
    if (valueEnd + 2 > end || bytes[valueEnd] !== CR || bytes[valueEnd + 1] !== LF) {
      checkLineEnd(bytes, valueEnd, end, lineEnd);
      break;
    }
    slots[slot] = id;
    slots[slot + 1] = line - start;
    slots[slot + 2] = colon - start;
    slots[slot + 3] = valueStart - start;
    slots[slot + 4] = trimOWSEnd(bytes, valueStart, valueEnd) - start;
    slot += FIELD_SLOTS;
    count++;
    line = valueEnd + 2;
  }
  slots[COUNT] = count;
  slots[NEXT] = line - start;
  return MORE;
}

/** The position of the colon behind the name at `from`, or `MORE`. */
function scanName(bytes: Buffer, from: number, stop: number, end: number): number {
  let i = from;
  while (i < stop && TCHAR[bytes[i] as number] === 1) i++;
  if (i === stop) {
    if (i === end) return MORE;
    throw tooLarge('field', 'headerField');
  }
  if (bytes[i] !== COLON || i === from) throw refusedByte(bytes[i] as number);
  return i;
}

/** Throws unless what is at `at`, where no CRLF is, may become one with more bytes. */
function checkLineEnd(bytes: Buffer, at: number, end: number, lineEnd: number): void {
  if (at === end) return;
  if (bytes[at] !== CR) {
    throw at === lineEnd ? tooLarge('field', 'headerField') : refusedByte(bytes[at] as number);
  }
  if (at + 1 < end) throw refusedByte(CR);
}

/** Makes the strings of a scanned request line, with which `text` begins. */
function readRequestLine(text: string, slots: Int32Array, head: RequestHead): void {
  const methodStart = slots[METHOD_START] as number;
  const methodEnd = slots[METHOD_END] as number;
  const method = slots[METHOD] as number;
  head.method =
    method === 0 ? text.substring(methodStart, methodEnd) : (METHODS.names[method] as string);
  head.target = text.substring(methodEnd + 1, slots[TARGET_END] as number);
  head.minor = slots[MINOR] === 0 ? 0 : 1;
}

/** Makes the strings of a scanned head and applies the rules of its fields. */
function readHead(
  bytes: Buffer,
  start: number,
  headEnd: number,
  limits: Limits,
  slots: Int32Array,
  head: RequestHead,
): void {
  const text = latin1(bytes, start, headEnd);
  readRequestLine(text, slots, head);
  const names = FIELD_NAMES.names;
  const count = slots[COUNT] as number;
  // Of the right size: one that grows takes a quarter longer for a small head, and 136 bytes more.
  const fields = new Array<string>(2 * count);
  let used = 0;
  let seen = 0;
  const slotsEnd = FIRST_FIELD + FIELD_SLOTS * count;
  for (let slot = FIRST_FIELD; slot < slotsEnd; slot += FIELD_SLOTS) {
    const id = slots[slot] as number;
    const from = slots[slot + 3] as number;
    const to = slots[slot + 4] as number;
    const name =
      id === 0
        ? text.substring(slots[slot + 1] as number, slots[slot + 2] as number).toLowerCase()
        : (names[id] as string);
    if (id === 0 && isHidden(name, limits)) continue;
    fields[used] = name;
    fields[used + 1] = text.substring(from, to);
    used += 2;
    const rule = FIELD_RULES[id] as number;
    if (rule !== RULE_NONE) seen |= applyRule(rule, bytes, start + from, start + to, seen, head);
  }
  if (used < fields.length) fields.length = used;
  head.fields = fields;
  settle(seen, limits, head);
}

/**
 * Applies the rule of a known field with the value at `from..to` and returns its bits for the set
 * of fields seen: the rule's own, or the options of Connection.
 */
function applyRule(
  rule: number,
  bytes: Buffer,
  from: number,
  to: number,
  seen: number,
  head: RequestHead,
): number {
  if (rule === RULE_CONNECTION) return connectionOptions(bytes, from, to);
  if (rule === RULE_EXPECT) {
    // A 1.0 client cannot mean it (RFC 9110 section 10.1.1).
    if (head.minor === 1) head.expectContinue = isContinue(bytes, from, to);
    return 0;
  }
  const bit = 1 << rule;
  if ((seen & bit) !== 0) throw repeated(FIELD_NAMES.names[rule] as string);
  if (rule === RULE_HOST) {
    if (from !== to && !isAuthority(bytes, from, to)) throw badHost('is no valid host[:port]');
  } else if (rule === RULE_CONTENT_LENGTH) {
    head.contentLength = parseContentLength(bytes, from, to);
  } else if (rule === RULE_TRANSFER_ENCODING) {
    checkTransferEncoding(bytes, from, to, head.minor);
    head.chunked = true;
  }
  return bit;
}

/** What only the whole header tells. `seen`: bits of the rules and of the options of Connection. */
function settle(seen: number, limits: Limits, head: RequestHead): void {
  if (head.chunked && head.contentLength !== -1) {
    throw new HTTPError(
      400,
      'ERR_RYEGATE_BAD_TRANSFER_ENCODING',
      'Content-Length and Transfer-Encoding came together: send one (RFC 9112 section 6.1).',
    );
  }
  if (head.minor === 1 && (seen & (1 << RULE_HOST)) === 0) throw badHost('is missing');
  if (head.minor === 0 && head.contentLength === -1 && WITH_BODY.has(head.method)) {
    throw lengthRequired();
  }
  if (head.contentLength > limits.bodyBytes) throw bodyTooLarge();
  const close = (seen & OPTION_CLOSE) !== 0;
  head.keepAlive = !close && (head.minor === 1 || (seen & OPTION_KEEP_ALIVE) !== 0);
}

/** Methods that mean a body. A 1.0 client without its length may end it by closing. */
const WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

function lengthRequired(): HTTPError {
  return new HTTPError(
    411,
    'ERR_RYEGATE_LENGTH_REQUIRED',
    'An HTTP/1.0 request of this method needs a Content-Length: send it (RFC 1945 section 8.3).',
  );
}

function isContinue(bytes: Buffer, from: number, to: number): true {
  if (equalsIgnoreCase(bytes, from, to, '100-continue')) return true;
  throw new HTTPError(
    417,
    'ERR_RYEGATE_EXPECTATION_FAILED',
    'The only expectation that can be met is 100-continue: send that, or no Expect field.',
  );
}

function tooLarge(what: string, limit: keyof Limits): HTTPError {
  return new HTTPError(
    431,
    'ERR_RYEGATE_HEAD_TOO_LARGE',
    `The ${what} of the request is larger than the server takes: send less, or raise ${limit}.`,
  );
}

function badHost(fault: string): HTTPError {
  return new HTTPError(
    400,
    'ERR_RYEGATE_BAD_HOST',
    `The Host field ${fault}: send the host and port of the URI (RFC 9110 section 7.2).`,
  );
}

function repeated(name: string): HTTPError {
  return new HTTPError(
    400,
    'ERR_RYEGATE_REPEATED_FIELD',
    `The field ${name} came twice, but has one value: send it once (RFC 9110 section 5.3).`,
  );
}
