import type { Writable } from 'node:stream';
import { RyegateError, showValue } from '../errors.ts';
import { type ErrorStream, WritableErrorStream } from '../io/errorstream.ts';
import { observe } from '../thenable.ts';
import { warn } from '../warn.ts';

/** Takes text: a `LogFile`, a Node stream, or anything else with `write()`. */
export interface TextOutput {
  write(text: string): unknown;
}

/** A logger as console or pino are: its methods take one message, or object, for each record. */
export interface Logger {
  info(message: string | object): unknown;
  error(message: string | object): unknown;
  /** Loggers that have it, as pino, winston and bunyan do, take objects for records. */
  child?: unknown;
}

/** What has both `write()` and the method of a logger, as winston's has, is a logger. */
export function isLogger<Method extends 'info' | 'error'>(
  output: unknown,
  method: Method,
): output is Pick<Logger, Method | 'child'> {
  return typeof (output as Partial<Logger> | null | undefined)?.[method] === 'function';
}

export function isTextOutput(output: unknown): output is TextOutput {
  return typeof (output as Partial<TextOutput> | null | undefined)?.write === 'function';
}

/** A Node stream: what is no logger as well, and keeps what has still to be written. */
export function isStream(output: unknown, method: 'info' | 'error'): output is Writable {
  const { writableLength } = (output ?? {}) as Partial<Writable>;
  return typeof writableLength === 'number' && !isLogger(output, method);
}

/** What `output` has of what a `LogFile` has where nothing else runs. */
export function flushNow(output: unknown): void {
  (output as { flushSync?(): void }).flushSync?.();
}

/** Throws `ERR_RYEGATE_OPTION`, as `output` is neither. */
export function refuseOutput(option: string, output: unknown, method: string): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_OPTION',
    `the option ${option} is ${showValue(output)}: give a LogFile, an object with write(text), or ` +
      `a logger with ${method}(message), such as console`,
  );
}

/** Where errors are logged to: a `LogFile`, a stream, an `ErrorStream`, or a logger's `error()`. */
export type ErrorLogOutput = TextOutput | Pick<Logger, 'error'>;

function taker(output: TextOutput): (text: string) => unknown {
  const target = isStream(output, 'error') ? new WritableErrorStream(output) : output;
  return (text) => target.write(text);
}

/**
 * An error log over what somebody gives. It never throws: who fails is told of by one warning of the
 * process, with the code `ERR_RYEGATE_LOG`.
 */
export class ErrorLog implements ErrorStream {
  readonly #take: (text: string) => unknown;
  readonly #output: ErrorLogOutput;
  readonly #isBlocked: () => boolean;
  #warned = false;

  /**
   * `isBlocked`: whether nothing but the caller runs, so that what can be written at once has to be.
   *
   * @throws RyegateError `ERR_RYEGATE_OPTION`
   */
  constructor(output: ErrorLogOutput, isBlocked: () => boolean) {
    this.#output = output;
    this.#isBlocked = isBlocked;
    if (isLogger(output, 'error')) this.#take = (text) => output.error(text.replace(/\n$/, ''));
    else if (isTextOutput(output)) this.#take = taker(output);
    else throw refuseOutput('errorLog', output, 'error');
  }

  write(text: string): void {
    try {
      observe(this.#take(text), (error) => this.#failed(error));
      if (this.#isBlocked()) flushNow(this.#output);
    } catch (error) {
      this.#failed(error);
    }
  }

  writelines(lines: Iterable<string>): void {
    for (const line of lines) this.write(line);
  }

  /** Does nothing: what logs keep they write by themselves. */
  flush(): void {}

  #failed(error: unknown): void {
    if (this.#warned) return;
    this.#warned = true;
    const why = error instanceof Error ? error.message : 'it threw something';
    warn('ERR_RYEGATE_LOG', `the error log cannot be written, and its text is lost: ${why}`);
  }
}
