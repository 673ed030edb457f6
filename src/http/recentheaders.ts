import type { HeaderList } from './headers.ts';

/** So many lists are kept: an application answers most requests with the same few. */
const KEPT = 4;

/** Lists that were checked, frozen. */
const kept: HeaderList[] = [];
let oldest = 0;
/** The last one that was checked and not kept. */
let last: HeaderList = [];

/**
 * The checked list with the same contents as `headers`, which may be anything, among those that have
 * come lately. To find it takes a tenth of the time of checking and rendering it anew.
 */
export function recentHeaders(headers: HeaderList): HeaderList | undefined {
  for (const list of kept) if (isSame(headers, list)) return list;
  return undefined;
}

/** Whether `checked` has come twice running, and is kept from now on. */
export function rememberRecent(checked: HeaderList): boolean {
  if (checked.length === 0 || !isSame(checked, last)) {
    last = checked;
    return false;
  }
  last = [];
  kept[oldest] = checked;
  oldest = (oldest + 1) % KEPT;
  return true;
}

function isSame(headers: HeaderList, list: HeaderList): boolean {
  const { length } = list;
  if (headers.length !== length) return false;
  for (let i = 0; i < length; i++) {
    const pair = headers[i];
    const known = list[i] as [string, string];
    if (!Array.isArray(pair) || pair.length !== 2) return false;
    if (pair[0] !== known[0] || pair[1] !== known[1]) return false;
  }
  return true;
}
