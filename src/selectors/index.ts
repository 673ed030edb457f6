import { RyegateError } from '../errors.ts';
import { NativeSelector } from './native.ts';
import type { Selector } from './selector.ts';

export { NativeSelector } from './native.ts';
export {
  EVENT_READ,
  EVENT_WRITE,
  type FileObject,
  type Selector,
  SelectorKey,
} from './selector.ts';

/** Over kqueue(2): BSD and macOS. Reports a descriptor that is ready both ways as two entries. */
export class KqueueSelector extends NativeSelector {
  constructor() {
    super('kqueue');
  }
}

/** Over epoll(7): Linux. Refuses regular files (`EPERM`). */
export class EpollSelector extends NativeSelector {
  constructor() {
    super('epoll');
  }
}

/** Over poll(2): everywhere. */
export class PollSelector extends NativeSelector {
  constructor() {
    super('poll');
  }
}

/** Over select(2): everywhere, for descriptors below 1024 only (`ERR_RYEGATE_FD_RANGE`). */
export class SelectSelector extends NativeSelector {
  constructor() {
    super('select');
  }
}

const CLASSES: Record<SelectorName, new () => NativeSelector> = {
  kqueue: KqueueSelector,
  epoll: EpollSelector,
  poll: PollSelector,
  select: SelectSelector,
};

export type SelectorName = 'kqueue' | 'epoll' | 'poll' | 'select';

/** The names of the selectors, best first. */
export const SELECTOR_NAMES: readonly SelectorName[] = ['kqueue', 'epoll', 'poll', 'select'];

function canOpen(name: SelectorName): boolean {
  try {
    new CLASSES[name]().close();
    return true;
  } catch {
    return false;
  }
}

// Opened rather than looked up: a facility can be compiled in and still be refused at run time.
const best = SELECTOR_NAMES.find(canOpen) ?? 'select';

/** The best selector that opens on this system: kqueue, epoll, poll or select, in this order. */
export const DefaultSelector: new () => NativeSelector = CLASSES[best];

/**
 * A selector by name, `auto` for the best one.
 *
 * @throws RyegateError `ERR_RYEGATE_SELECTOR` for an unknown name,
 *   `ERR_RYEGATE_SELECTOR_UNAVAILABLE` for one that this system lacks
 */
export function makeSelector(name: SelectorName | 'auto'): NativeSelector {
  if (name === 'auto') return new DefaultSelector();
  const selectorClass = Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined;
  if (selectorClass !== undefined) return new selectorClass();
  throw new RyegateError(
    'ERR_RYEGATE_SELECTOR',
    `unknown selector '${name}': expected auto, ${SELECTOR_NAMES.join(', ')}`,
  );
}

/** Whether the addon can harvest this selector without a list of keys. */
export function isNative(selector: Selector): selector is NativeSelector {
  return selector instanceof NativeSelector;
}
