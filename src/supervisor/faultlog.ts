import { describeFault, isInstance, RyegateError } from '../errors.ts';
import { standardError } from '../io/errorstream.ts';
import { formatException } from '../socketserver/formatexception.ts';

/** A code says enough without a stack, unless there is a cause. */
export function faultText(error: unknown): string {
  const isFault = isInstance(error, RyegateError) && error.cause === undefined;
  return isFault ? describeFault(error) : formatException(error);
}

export function logToStandardError(error: unknown): void {
  standardError().write(`ryegate: ${faultText(error)}\n`);
}

/** What a program has thrown, for a line of a log. */
export function messageOf(error: unknown): string {
  return isInstance(error, Error) ? error.message : formatException(error);
}
