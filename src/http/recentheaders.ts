import { ConstantHeaders, isFrozen, noteLength } from './constantheaders.ts';
import type { HeaderList } from './headers.ts';
import { parseLength } from './responsehead.ts';

/** So many lists are kept: an application answers most requests with the same few. */
const KEPT = 4;

/** A list that was checked. */
interface Recent {
  /** Its names and values in turn, which are quicker to go through. */
  readonly flat: readonly string[];
  /** The place in `flat` of a Content-Length that may be another one; -1: nothing may. */
  readonly lengthAt: number;
  /** What was checked; null where the length may be another one. */
  readonly list: HeaderList | null;
  /** Then the other fields. */
  readonly others: ConstantHeaders | null;
}

const kept: Recent[] = [];
let oldest = 0;
/** The last one that was checked and not kept. */
let last: readonly string[] = [];
/** What `isSame()` has found where anything may be. */
let found: unknown;

/**
 * The checked list with the same contents as `headers`, which may be anything, among those that have
 * come lately. To find it takes a tenth of the time of checking and rendering it anew, a fifth where
 * the Content-Length is another one each time.
 */
export function recentHeaders(headers: HeaderList): HeaderList | undefined {
  for (let i = 0; i < kept.length; i++) {
    const recent = kept[i] as Recent;
    if (isSame(headers, recent.flat, recent.lengthAt)) {
      return recent.list ?? withLength(headers, recent, found);
    }
  }
  return undefined;
}

function withLength(headers: HeaderList, recent: Recent, text: unknown): HeaderList | undefined {
  const length = parseLength(text);
  // One that cannot change is checked once, and is quicker from then on.
  if (length < 0 || isFrozen(headers)) return undefined;
  const list = toList(recent.flat, recent.lengthAt, text as string);
  noteLength(list, recent.others as ConstantHeaders, length);
  return list;
}

/** Whether `checked` has come twice running, and is kept from now on as it is. */
export function rememberRecent(checked: HeaderList): boolean {
  if (checked.length > 0 && isSame(checked, last, -1)) {
    keep({ flat: last, lengthAt: -1, list: checked, others: null });
    return true;
  }
  const at = checked.findIndex(isLength);
  const lengthAt = 2 * at + 1;
  if (at >= 0 && isSame(checked, last, lengthAt)) {
    // Copies: the pairs of `checked` are its owner's, who may change them.
    const others = toList(last, lengthAt, null);
    // A second one is a fault, which is found where the head is rendered.
    if (others.some(isLength)) return false;
    keep({ flat: last, lengthAt, list: null, others: new ConstantHeaders(others) });
    return false;
  }
  last = checked.flat();
  return false;
}

function isLength([name]: [name: string, value: string]): boolean {
  return name.length === 14 && name.toLowerCase() === 'content-length';
}

function keep(recent: Recent): void {
  kept[oldest] = recent;
  oldest = (oldest + 1) % KEPT;
  last = [];
}

function isSame(headers: HeaderList, flat: readonly string[], except: number): boolean {
  const { length } = headers;
  if (2 * length !== flat.length) return false;
  for (let i = 0; i < length; i++) {
    const pair = headers[i];
    if (!Array.isArray(pair) || pair.length !== 2) return false;
    if (pair[0] !== flat[2 * i]) return false;
    // Read once: asked again, a getter or a proxy may answer otherwise.
    const value: unknown = pair[1];
    if (2 * i + 1 === except) found = value;
    else if (value !== flat[2 * i + 1]) return false;
  }
  return true;
}

/** With another `length`, or with none, in place of the value at `lengthAt`. */
function toList(flat: readonly string[], lengthAt: number, length: string | null): HeaderList {
  const list: HeaderList = [];
  for (let i = 0; i < flat.length; i += 2) {
    const value = i + 1 === lengthAt ? length : (flat[i + 1] as string);
    if (value !== null) list.push([flat[i] as string, value]);
  }
  return list;
}
