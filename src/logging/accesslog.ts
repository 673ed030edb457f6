import { checkNames } from '../options.ts';
import type { AccessEntry } from './accessentry.ts';
import { LogStream } from './logfile.ts';
import { compileFormat, type LogFormat } from './logformat.ts';
import {
  flushNow,
  isLogger,
  isStream,
  isTextOutput,
  type Logger,
  refuseOutput,
  type TextOutput,
} from './outputs.ts';

/** Where the lines of an access log go. */
export type AccessLogOutput = TextOutput | Pick<Logger, 'info'>;

/** Settings of an `AccessLog`. */
export interface AccessLogOptions {
  /** A preset or a text with atoms, see `compileFormat()`, or what that gave. Default `combined`. */
  readonly format?: string | LogFormat | undefined;
  /**
   * With a method `info` it is a logger, and each line is a message; one that has `child` as well,
   * as pino's, gets objects in the format `json`. Anything else takes text by `write()`: a `LogFile`,
   * say. A Node stream is written to by a `LogStream`.
   */
  readonly output: AccessLogOutput;
}

const OPTIONS: Readonly<Record<keyof AccessLogOptions, true>> = { format: true, output: true };

/**
 * An access log: one line for each request, also for one that failed, was refused or broken off. To
 * be given to servers as their option `accessLog`; several may share it.
 *
 * @throws RyegateError `ERR_RYEGATE_LOG_FORMAT`, `ERR_RYEGATE_OPTION`
 */
export class AccessLog {
  readonly format: LogFormat;
  readonly #output: AccessLogOutput;
  readonly #take: (entry: AccessEntry) => unknown;

  constructor(options: AccessLogOptions) {
    checkNames(options, OPTIONS);
    const { format = 'combined', output } = options;
    this.format = typeof format === 'object' ? format : compileFormat(format);
    this.#output = isStream(output, 'info') ? new LogStream(output) : output;
    this.#take = taker(this.format, this.#output);
  }

  /** Logs a request. Throws what the output throws, and gives what it gives. */
  log(entry: AccessEntry): unknown {
    return this.#take(entry);
  }

  /** Has a `LogFile` write at once: where nothing else runs, under `serveForeverSync()`. */
  flushSync(): void {
    flushNow(this.#output);
  }
}

function taker(format: LogFormat, output: AccessLogOutput): (entry: AccessEntry) => unknown {
  if (isLogger(output, 'info')) {
    const { record } = format;
    return record !== undefined && typeof output.child === 'function'
      ? (entry) => output.info(record(entry))
      : (entry) => output.info(format.line(entry));
  }
  if (isTextOutput(output)) return (entry) => output.write(`${format.line(entry)}\n`);
  throw refuseOutput('output', output, 'info');
}
