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
  private ownGiven: GivenFields | null = null;
  private status = '';
  private ownText = '';
  private common: CommonFields | null = null;
  private end = '';
  private ownWhole: Uint8Array | null = null;

  /** `list` has been checked. */
  constructor(list: HeaderList) {
    this.list = list;
  }

  /** As of `scanFields()`. */
  get given(): GivenFields {
    return this.ownGiven ?? this.scan();
  }

  private scan(): GivenFields {
    this.ownGiven = scanFields(this.list);
    return this.ownGiven;
  }

  /** As of `renderHead()`. The last is kept: mostly there is one status. */
  text(status: string): string {
    if (status !== this.status) {
      this.ownText = renderHead(status, this.list, false);
      this.status = status;
      this.common = null;
    }
    return this.ownText;
  }

  /** As of `whole()`, if it is there already. */
  known(status: string, common: CommonFields, end: string): Uint8Array | null {
    const isSame = status === this.status && common === this.common && end === this.end;
    return isSame ? this.ownWhole : null;
  }

  /**
   * The whole head of a response after which the connection is kept, which ends with `end`; from the
   * second time on that it is the same. Joining and encoding it anew takes a fifth of a request for a
   * file.
   */
  whole(status: string, common: CommonFields, end: string): Uint8Array | null {
    const text = this.text(status);
    if (common !== this.common || end !== this.end) {
      this.common = common;
      this.end = end;
      this.ownWhole = null;
      return null;
    }
    this.ownWhole ??= encode(text + common.text + common.settings.keptFields + end);
    return this.ownWhole;
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
  return headers === lastGiven ? lastFound : findConstant(headers);
}

function findConstant(headers: HeaderList): ConstantHeaders | undefined {
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
