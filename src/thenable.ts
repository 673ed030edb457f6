/** Whether `value` has to be waited for: a promise, or anything that behaves like one. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

/** Has the failure of a promise told that nobody waits for; an override may turn out to be async. */
export function observe(outcome: unknown, failed: (error: unknown) => void): void {
  if (isThenable(outcome)) outcome.then(null, failed);
}

/** Calls an override whose failure, at once or by a promise, must not become its caller's. */
export function attempt(override: () => unknown, failed: (error: unknown) => void): void {
  try {
    observe(override(), failed);
  } catch (error) {
    failed(error);
  }
}
