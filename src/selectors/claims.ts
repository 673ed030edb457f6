import { RyegateError } from '../errors.ts';
import type { Selector } from './selector.ts';

/** The selectors that a server waits with. */
const claimed = new WeakSet<Selector>();

/** Takes `selector` for one server. Throws `ERR_RYEGATE_SELECTOR`, `ERR_RYEGATE_SELECTOR_IN_USE`. */
export function claim(selector: Selector): void {
  if (typeof selector?.register !== 'function' || typeof selector.select !== 'function') {
    throw new RyegateError(
      'ERR_RYEGATE_SELECTOR',
      "the selector is none: expected a name, 'auto', or an object with the methods of Selector",
    );
  }
  checkUnclaimed(selector, 'give each server a selector of its own');
  claimed.add(selector);
}

export function unclaim(selector: Selector): void {
  claimed.delete(selector);
}

/** Throws `ERR_RYEGATE_SELECTOR_IN_USE` while a server waits with `selector`. */
export function checkUnclaimed(selector: Selector, advice: string): void {
  if (!claimed.has(selector)) return;
  throw new RyegateError('ERR_RYEGATE_SELECTOR_IN_USE', `a server uses this selector: ${advice}`);
}
