import { inspect } from 'node:util';

/** An error with its stack and causes, or whatever else was thrown. Never throws. */
export function formatException(error: unknown): string {
  try {
    return inspect(error);
  } catch {
    return 'an exception that cannot be shown';
  }
}
