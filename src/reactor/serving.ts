import { RyegateError } from '../errors.ts';
import { isThenable } from '../thenable.ts';

/** One spell of serving. */
export interface Serving {
  /** Seconds between two calls of `actions` at most. */
  pollInterval: number;
  /** Runs after every turn, and at least every `pollInterval`; null where there is nothing to do. */
  actions: (() => void) | null;
  /** Asked after every turn. */
  done: () => boolean;
}

/** @throws RyegateError `ERR_RYEGATE_ASYNC`; what the actions throw */
export function callActions({ actions }: Serving): void {
  const acting: unknown = actions?.();
  if (!isThenable(acting)) return;
  // Nobody would wait for it, or see it fail.
  acting.then(null, () => {});
  throw new RyegateError(
    'ERR_RYEGATE_ASYNC',
    'serviceActions() returned a promise: it has to be synchronous, and quick',
  );
}
