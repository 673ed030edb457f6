import type { HeaderList } from './headers.ts';

/** So many lists are kept: an application answers most requests with the same few. */
const KEPT = 4;

/** A list that was checked, and its names and values in turn, which are quicker to go through. */
interface Recent {
  readonly list: HeaderList;
  readonly flat: readonly string[];
}

const kept: Recent[] = [];
let oldest = 0;
/** The last one that was checked and not kept. */
let last: readonly string[] = [];

/**
 * The checked list with the same contents as `headers`, which may be anything, among those that have
 * come lately. To find it takes a tenth of the time of checking and rendering it anew.
 */
export function recentHeaders(headers: HeaderList): HeaderList | undefined {
  for (const { list, flat } of kept) if (isSame(headers, flat)) return list;
  return undefined;
}

/** Whether `checked` has come twice running, and is kept from now on. */
export function rememberRecent(checked: HeaderList): boolean {
  if (checked.length === 0 || !isSame(checked, last)) {
    last = checked.flat();
    return false;
  }
  kept[oldest] = { list: checked, flat: last };
  oldest = (oldest + 1) % KEPT;
  last = [];
  return true;
}

function isSame(headers: HeaderList, flat: readonly string[]): boolean {
  const { length } = headers;
  if (2 * length !== flat.length) return false;
  for (let i = 0; i < length; i++) {
    const pair = headers[i];
    if (!Array.isArray(pair) || pair.length !== 2) return false;
    if (pair[0] !== flat[2 * i] || pair[1] !== flat[2 * i + 1]) return false;
  }
  return true;
}
