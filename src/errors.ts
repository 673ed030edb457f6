import { getSystemErrorName } from 'node:util';

/**
 * Base class of every error that Ryegate throws or logs on purpose.
 *
 * `code` is stable across releases and starts with `ERR_RYEGATE_`; `message` says what was wrong,
 * what was expected and how to mend it, and may be reworded at any time.
 */
export class RyegateError extends Error {
  override readonly name: string = 'RyegateError';
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * The operating system refused a call. `errno` is negative, as in `node:os` and libuv;
 * `systemCode` is its name (`EADDRINUSE`), `syscall` the call that failed (`bind`).
 */
export class SystemCallError extends RyegateError {
  override readonly name: string = 'SystemCallError';
  readonly errno: number;
  readonly syscall: string;
  readonly systemCode: string;

  constructor(errno: number, syscall: string, detail: string, options?: ErrorOptions) {
    const systemCode = getSystemErrorName(errno);
    super('ERR_RYEGATE_SYSTEM', `${syscall} failed with ${systemCode}: ${detail}`, options);
    this.errno = errno;
    this.syscall = syscall;
    this.systemCode = systemCode;
  }
}

/** A fault in one line of a log: what has a code has no stack worth showing. */
export function describeFault({ code, message }: RyegateError): string {
  return `${code}: ${message}`;
}

/** `instanceof` for what was thrown, which may be anything: even a proxy that throws when asked. */
export function isInstance<T>(
  value: unknown,
  type: abstract new (...args: never[]) => T,
): value is T {
  try {
    return value instanceof type;
  } catch {
    return false;
  }
}

/** How a message shows what somebody gave: the value where it is short, else its type. */
export function showValue(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 60)}'`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}
