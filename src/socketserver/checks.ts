import { RyegateError } from '../errors.ts';
import { isThenable } from '../thenable.ts';
import type { RequestHandlerClass } from './baserequesthandler.ts';

/** The error for a promise that could never settle. */
export function asyncUnderSync(what: string): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_ASYNC',
    `${what} returned a promise under serveForeverSync(), where no promise can settle: ` +
      'use serveForever(), or make it synchronous',
  );
}

/** Throws `ERR_RYEGATE_HANDLER_CLASS` for what makes no handlers. */
export function checkHandlerClass(handlerClass: RequestHandlerClass): RequestHandlerClass {
  if (typeof handlerClass === 'function' && typeof handlerClass.prototype === 'object') {
    return handlerClass;
  }
  throw new RyegateError(
    'ERR_RYEGATE_HANDLER_CLASS',
    'the request handler class is no class: pass a subclass of BaseRequestHandler itself',
  );
}

/** Throws `ERR_RYEGATE_POLL_INTERVAL` unless it is a number of seconds above 0. */
export function checkPollInterval(pollInterval: number): void {
  if (typeof pollInterval === 'number' && pollInterval > 0) return;
  throw new RyegateError(
    'ERR_RYEGATE_POLL_INTERVAL',
    `invalid poll interval ${String(pollInterval)}: expected seconds, more than 0`,
  );
}

/** Throws `ERR_RYEGATE_SIGNAL` for what can never abort. */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new RyegateError(
    'ERR_RYEGATE_SIGNAL',
    'the signal to serve by is no AbortSignal: pass the signal of an AbortController',
  );
}

/** Throws `ERR_RYEGATE_ASYNC` for a promise from an override that has to be synchronous. */
export function refusePromise(outcome: unknown, what: string): void {
  if (!isThenable(outcome)) return;
  outcome.then(null, () => {});
  throw new RyegateError(
    'ERR_RYEGATE_ASYNC',
    `${what} returned a promise: it has to be synchronous`,
  );
}
