import { RyegateError } from '../errors.ts';
import { constantHeaders, makeConstant, rememberIfConstant } from './constantheaders.ts';
import { detached } from './grammar.ts';
import { recentHeaders, rememberRecent } from './recentheaders.ts';

/** Names and values of header fields, in the order they are sent, but that Content-Length may be last. */
export type HeaderList = [name: string, value: string][];

/** The pairs in a list of names and values in turn. */
export function toPairs(flat: readonly string[]): HeaderList {
  const list: HeaderList = [];
  for (let i = 0; i < flat.length; i += 2) list.push([flat[i] as string, flat[i + 1] as string]);
  return list;
}

const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailers',
  'transfer-encoding',
  'upgrade',
]);

/** Whether a header names a property of one connection (`wsgiref.util.is_hop_by_hop`). */
export function isHopByHop(name: string): boolean {
  return HOP_BY_HOP.has(name.toLowerCase());
}

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** What no field value may hold (RFC 9110 section 5.5): controls but HTAB, and what is no byte. */
const NOT_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
/** RFC 9112 section 4, but the reason without HTAB: PEP 3333 wants no control characters. */
const STATUS = /^[2-9][0-9]{2} [\x20-\x7e\x80-\xff]*$/;

/**
 * Valid names and whether they are hop-by-hop: applications send the same few names over and over,
 * and looking them up takes half the time of matching. Bounded, as names may be made up.
 */
const knownNames = new Map<string, boolean>();
const KNOWN_NAMES_LIMIT = 256;

function headerError(message: string): RyegateError {
  return new RyegateError('ERR_RYEGATE_HEADER', message);
}

function showCharacter(character: string): string {
  return `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}

/** Shows a value in a message so that it stays short and one line of ASCII. */
function show(value: unknown): string {
  if (typeof value !== 'string') {
    return value === null ? 'null' : `of type ${typeof value}`;
  }
  const text = value.length > 60 ? `${value.slice(0, 60)}...` : value;
  return `"${text.replace(/[^\x20-\x7e]/g, (character) => `<${showCharacter(character)}>`)}"`;
}

/** Whether `name` is hop-by-hop; throws when it is no valid name. */
function checkName(name: unknown): boolean {
  const known = knownNames.get(name as string);
  if (known !== undefined) {
    return known;
  }
  if (typeof name !== 'string' || !TOKEN.test(name)) {
    throw headerError(
      `a header name is ${show(name)}: it must be a string of letters, digits and ` +
        "!#$%&'*+-.^_`|~ only (RFC 9110 section 5.6.2)",
    );
  }
  const hopByHop = isHopByHop(name);
  if (knownNames.size < KNOWN_NAMES_LIMIT) {
    knownNames.set(detached(name), hopByHop);
  }
  return hopByHop;
}

/** The message tells the place of a bad character, never the value: it may be a secret. */
function checkValue(name: string, value: unknown): void {
  if (typeof value !== 'string') {
    throw headerError(
      `the value of header ${name} is ${show(value)}: it must be a string; use String(value)`,
    );
  }
  if (NOT_IN_VALUE.test(value)) {
    const index = value.search(NOT_IN_VALUE);
    throw headerError(
      `the value of header ${name} has ${showCharacter(value.charAt(index))} at index ${index}: ` +
        'line breaks, control characters and characters above U+00FF cannot be sent; ' +
        'remove or encode them',
    );
  }
}

/** A name as names are compared. */
function fold(name: unknown): string {
  if (typeof name !== 'string') {
    throw headerError(`a header name is ${show(name)}: it must be a string`);
  }
  return name.toLowerCase();
}

function checkList(headers: unknown): void {
  if (!Array.isArray(headers)) {
    throw headerError(
      `the headers are ${show(headers)}: give an array of [name, value] pairs, such as ` +
        "[['Content-Type', 'text/plain']]",
    );
  }
}

/** The two items of a header, each read once; throws when it is no pair. */
function readPair(header: unknown): [name: string, value: string] {
  if (Array.isArray(header) && header.length === 2) return [header[0], header[1]];
  throw headerError(
    'a header is not a [name, value] pair: give an array of two strings, such as ' +
      "['Content-Type', 'text/plain']",
  );
}

/** Throws when it is no valid pair. */
function checkPair(header: unknown): void {
  const [name, value] = readPair(header);
  checkName(name);
  checkValue(name, value);
}

function isConnectionClose(name: string, value: string): boolean {
  return name.toLowerCase() === 'connection' && value.toLowerCase() === 'close';
}

/**
 * Checks the headers of a response as `startResponse` takes them, and returns a copy of what was
 * checked. One that is frozen, with all of its pairs, is checked once, and a frozen copy is
 * returned whenever it is given again.
 *
 * `ERR_RYEGATE_HEADER`: not an array of [name, value] pairs of strings, a name that is no token, or
 * a value with a control character (HTAB apart) or a character above U+00FF.
 * `ERR_RYEGATE_HOP_BY_HOP`: a hop-by-hop header (PEP 3333) other than `Connection: close`.
 */
export function checkHeaders(headers: HeaderList): HeaderList {
  return (Array.isArray(headers) ? recentHeaders(headers) : undefined) ?? checkAnew(headers);
}

function checkAnew(headers: HeaderList): HeaderList {
  const constant = constantHeaders(headers);
  if (constant !== undefined) return constant.list;
  checkList(headers);
  // Every item is read once: asked again, a getter or a proxy may answer otherwise.
  const checked: HeaderList = [];
  const { length } = headers;
  for (let i = 0; i < length; i++) {
    const header = readPair(headers[i]);
    const hopByHop = checkName(header[0]);
    checkValue(header[0], header[1]);
    if (hopByHop && !isConnectionClose(header[0], header[1])) throw hopByHopError(header[0]);
    checked.push(header);
  }
  if (!rememberIfConstant(headers, checked) && rememberRecent(checked)) makeConstant(checked);
  return checked;
}

function hopByHopError(name: string): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_HOP_BY_HOP',
    `header ${name} is not the application's to set: it belongs to the connection, ` +
      "which the server keeps (PEP 3333); remove it (['Connection', 'close'] is allowed)",
  );
}

/** Mostly there is one: to match it anew takes 0.5 % of a small request. */
let lastStatus = '200 OK';

/**
 * Checks the status of a response as `startResponse` takes it: three digits from 200 to 999, a
 * space, and the reason phrase, which may be empty. Those from 100 on are of interim responses
 * (RFC 9110 section 15.2), behind which the client goes on waiting for the one that is meant here.
 *
 * `ERR_RYEGATE_STATUS`: anything else, or a control character or one above U+00FF in the reason.
 */
export function checkStatus(status: string): void {
  if (status !== lastStatus) checkOtherStatus(status);
}

function checkOtherStatus(status: string): void {
  if (typeof status !== 'string' || !STATUS.test(status)) {
    throw new RyegateError(
      'ERR_RYEGATE_STATUS',
      `the status is ${show(status)}: it must be a string of a number from 200 to 999, a space ` +
        "and a reason without control characters or characters above U+00FF, such as '200 OK'",
    );
  }
  lastStatus = status;
}

/**
 * The headers of a response as a mapping (`wsgiref.headers.Headers`): names are compared without
 * case, order and repeats are kept, and the list given is changed in place, not copied.
 *
 * Methods throw `ERR_RYEGATE_HEADER` for names and values that `checkHeaders` refuses; hop-by-hop
 * names are let in, as not only applications use the class.
 */
export class Headers implements Iterable<[name: string, value: string]> {
  readonly #list: HeaderList;

  constructor(list: HeaderList = []) {
    checkList(list);
    for (const header of list) {
      checkPair(header);
    }
    this.#list = list;
  }

  /** The number of headers, repeats included. */
  get length(): number {
    return this.#list.length;
  }

  /** The first value of `name`, or `fallback` (default `null`) without one. */
  get(name: string): string | null;
  get<T>(name: string, fallback: T): string | T;
  get(name: string, fallback: unknown = null): unknown {
    const wanted = fold(name);
    for (const [key, value] of this.#list) {
      if (key.toLowerCase() === wanted) {
        return value;
      }
    }
    return fallback;
  }

  /** All values of `name`, in their order. */
  getAll(name: string): string[] {
    const wanted = fold(name);
    return this.#list.filter(([key]) => key.toLowerCase() === wanted).map(([, value]) => value);
  }

  has(name: string): boolean {
    return this.get(name) !== null;
  }

  /** Removes all values of `name`, then appends `value`. */
  set(name: string, value: string): void {
    checkPair([name, value]);
    this.delete(name);
    this.#list.push([name, value]);
  }

  /** Removes all values of `name`; a name that is not there is no error. */
  delete(name: string): void {
    const unwanted = fold(name);
    const kept = this.#list.filter(([key]) => key.toLowerCase() !== unwanted);
    this.#list.splice(0, this.#list.length, ...kept);
  }

  keys(): string[] {
    return this.#list.map(([name]) => name);
  }

  values(): string[] {
    return this.#list.map(([, value]) => value);
  }

  /** A copy of the list. */
  items(): HeaderList {
    return this.#list.map(([name, value]) => [name, value]);
  }

  [Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    return this.#list.values();
  }

  /** The first value of `name`; without one, `value` is appended and returned. */
  setdefault(name: string, value: string): string {
    const present = this.get(name);
    if (present !== null) {
      return present;
    }
    checkPair([name, value]);
    this.#list.push([name, value]);
    return value;
  }

  /**
   * Appends a header with parameters: `addHeader('Content-Disposition', 'attachment',
   * { filename: 'bud.gif' })` gives `attachment; filename="bud.gif"`. Underscores in the names of
   * parameters become dashes; a parameter that is `null` or empty is its name alone. With a
   * `value` of `null` the parameters stand alone.
   */
  addHeader(
    name: string,
    value: string | null,
    parameters: Readonly<Record<string, string | null>> = {},
  ): void {
    checkName(name);
    const parts: string[] = [];
    if (value !== null) {
      checkValue(name, value);
      parts.push(value);
    }
    for (const [key, parameter] of Object.entries(parameters)) {
      const attribute = key.replaceAll('_', '-');
      checkName(attribute);
      if (parameter === null || parameter === '') {
        parts.push(attribute);
      } else {
        checkValue(name, parameter);
        parts.push(`${attribute}="${parameter.replace(/["\\]/g, '\\$&')}"`);
      }
    }
    this.#list.push([name, parts.join('; ')]);
  }

  /** The header lines as they are sent, with the empty line that ends them. */
  toString(): string {
    return `${this.#list.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  }

  toBytes(): Buffer {
    return Buffer.from(this.toString(), 'latin1');
  }
}
