import * as values from '../values.ts';
import { flag, optional, single } from './kinds.ts';
import type { Rows } from './row.ts';

export interface LogOptions {
  /** A file, `-` for standard output; null: standard error. */
  accessLog: string | null;
  /** A preset or atoms; null: the line of `http.server`. */
  accessLogFormat: string | null;
  /** A file, `-` for standard error; null as well. */
  errorLog: string | null;
  logLevel: values.Severity;
  /** No request is logged, whatever `accessLog` says. */
  quiet: boolean;
}

export const LOGS: Rows<LogOptions> = {
  accessLog: {
    metavar: 'FILE',
    kind: optional(values.parseText('a file, or - for standard output')),
    help: 'log requests to this file, - for standard output; by default to standard error',
  },
  accessLogFormat: {
    metavar: 'FORMAT',
    kind: optional(values.parseLogFormat),
    help: "common, combined, json, or text with gunicorn's atoms, such as '%(h)s %(r)s %(s)s'",
  },
  errorLog: {
    metavar: 'FILE',
    kind: optional(values.parseText('a file, or - for standard error')),
    help: 'log what goes wrong to this file; by default, and with -, to standard error',
  },
  logLevel: {
    metavar: 'LEVEL',
    kind: single(values.parseLogLevel, 'info'),
    help: 'debug, info, warning, error or critical',
  },
  quiet: {
    short: 'q',
    kind: flag(),
    help: 'log no requests',
  },
};
