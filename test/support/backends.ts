import { afterEach, describe } from 'vitest';
import { native } from '../../src/native.ts';
import {
  makeSelector,
  type NativeSelector,
  type SelectorKey,
  type SelectorName,
} from '../../src/selectors/index.ts';

/**
 * The selectors under test: those of `RYEGATE_TEST_BACKENDS`, separated by commas, or epoll, poll
 * and select as far as the addon has them. kqueue is asked for by name, as its shim is needed.
 */
export function backends(): SelectorName[] {
  const asked = process.env.RYEGATE_TEST_BACKENDS?.split(',') as SelectorName[] | undefined;
  if (asked === undefined) {
    return (['epoll', 'poll', 'select'] as const).filter((name) => native.backends.includes(name));
  }
  const missing = asked.filter((name) => !native.backends.includes(name));
  if (missing.length === 0) return asked;
  throw new Error(
    `RYEGATE_TEST_BACKENDS asks for ${missing.join(', ')}, and the addon has ` +
      `${native.backends.join(', ')}: correct it, or name another addon in RYEGATE_NATIVE`,
  );
}

/** One suite for each backend under test. */
export function describeBackends(title: string, body: (name: SelectorName) => void): void {
  describe.each(backends())(`${title} (%s)`, body);
}

/** A function that opens selectors of one backend, which are closed after each test. */
export function selectorMaker(name: SelectorName): () => NativeSelector {
  const open: NativeSelector[] = [];
  afterEach(() => {
    for (const selector of open.splice(0)) selector.close();
  });
  return () => {
    const selector = makeSelector(name) as NativeSelector;
    open.push(selector);
    return selector;
  };
}

/** Events by descriptor: equal for backends that report two directions in one entry or in two. */
export function eventsByDescriptor(ready: [SelectorKey, number][]): Map<number, number> {
  const events = new Map<number, number>();
  for (const [key, mask] of ready) events.set(key.fd, (events.get(key.fd) ?? 0) | mask);
  return events;
}

/** The stable code of the error that `action` throws; `'no error'` when it throws none. */
export function codeOf(action: () => unknown): string {
  return (errorOf(action) as { code?: string } | undefined)?.code ?? 'no error';
}

/** What `action` throws; undefined when it throws nothing. */
export function errorOf(action: () => unknown): unknown {
  try {
    action();
    return undefined;
  } catch (error) {
    return error;
  }
}
