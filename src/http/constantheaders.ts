import type { CommonFields } from './commonfields.ts';
import type { HeaderList } from './headers.ts';
import { type GivenFields, renderHead, scanFields } from './responsehead.ts';

/**
 * A list of headers that cannot change: it is frozen, and so are its pairs. To check, copy and
 * render the fields of a file takes a quarter of its request, so that is done once.
 */
export class ConstantHeaders {
  /** What was checked, frozen. */
  readonly list: HeaderList;
  #given: GivenFields | null = null;
  #status = '';
  #text = '';
  #common: CommonFields | null = null;
  #end = '';
  #whole: Uint8Array | null = null;

  /** `list` has been checked. */
  constructor(list: HeaderList) {
    this.list = list;
  }

  /** As of `scanFields()`. */
  get given(): GivenFields {
    this.#given ??= scanFields(this.list);
    return this.#given;
  }

  /** As of `renderHead()`. The last is kept: mostly there is one status. */
  text(status: string): string {
    if (status !== this.#status) {
      this.#text = renderHead(status, this.list, false);
      this.#status = status;
      this.#common = null;
    }
    return this.#text;
  }

  /**
   * The whole head of a response after which the connection is kept, which ends with `end`; from the
   * second time on that it is the same. Joining and encoding it anew takes a fifth of a request for a
   * file.
   */
  whole(status: string, common: CommonFields, end: string): Uint8Array | null {
    const text = this.text(status);
    if (common !== this.#common || end !== this.#end) {
      this.#common = common;
      this.#end = end;
      this.#whole = null;
      return null;
    }
    this.#whole ??= encode(text + common.text + common.settings.keptFields + end);
    return this.#whole;
  }
}

/** Slow: not from Node's pool, which a head that is kept would hold as a whole. */
function encode(head: string): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(head.length);
  bytes.write(head, 'latin1');
  return bytes;
}

/** By the list that was given, and by the copy that was checked. */
const constants = new WeakMap<HeaderList, ConstantHeaders>();

/** What was found last: one list is looked up when it is checked, and again when it is sent. */
let lastGiven: HeaderList | null = null;
let lastFound: ConstantHeaders | undefined;
let lastLength = -1;

export function constantHeaders(headers: HeaderList): ConstantHeaders | undefined {
  if (headers === lastGiven) return lastFound;
  const found = constants.get(headers);
  if (found !== undefined) {
    noteLength(headers, found, -1);
  }
  return found;
}

/** `headers` are `constant` and the Content-Length `length`, until others are found. */
export function noteLength(headers: HeaderList, constant: ConstantHeaders, length: number): void {
  lastGiven = headers;
  lastFound = constant;
  lastLength = length;
}

/** The Content-Length that `headers` have beside the constant ones, or -1. */
export function lengthApart(headers: HeaderList): number {
  return headers === lastGiven ? lastLength : -1;
}

/**
 * `checked` has been copied from `headers`, and is what will be sent: what a getter or a proxy
 * answers when it is asked again does not matter.
 */
export function rememberIfConstant(headers: HeaderList, checked: HeaderList): boolean {
  if (!isFrozen(headers)) return false;
  constants.set(headers, makeConstant(checked));
  return true;
}

/** Whether `headers` cannot change, nor their pairs. */
export function isFrozen(headers: HeaderList): boolean {
  if (!Object.isFrozen(headers)) return false;
  for (let i = 0; i < headers.length; i++) if (!Object.isFrozen(headers[i])) return false;
  return true;
}

/** `checked` is frozen. */
export function makeConstant(checked: HeaderList): ConstantHeaders {
  for (const pair of checked) Object.freeze(pair);
  const constant = new ConstantHeaders(Object.freeze(checked) as HeaderList);
  constants.set(checked, constant);
  return constant;
}

/** Whether what `headers` were when they were checked is sent, whatever has become of them. */
export function isKnown(headers: HeaderList): boolean {
  return Object.isFrozen(headers) || headers === lastGiven;
}
