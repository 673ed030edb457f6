import * as values from '../values.ts';
import { flag, list, optional, pairs, single } from './kinds.ts';
import type { Rows } from './row.ts';

export interface ApplicationOptions {
  /** `MODULE[:EXPORT]`; `null` is the demo application. */
  application: string | null;
  /** The folder to change to before all else; null stays. */
  chdir: string | null;
  /** Variables of the environment, by name. */
  env: Readonly<Record<string, string>>;
  /** Files of variables, in order; of one name the last counts. */
  envFile: string[];
  /** Folders to serve, before the application, in order. */
  static: values.StaticFolder[];
  /** Whether folders without an index file are listed. */
  listing: boolean;
  /** Whether files are sent by sendfile(2). */
  sendfile: boolean;
  /** Whether `healthPath` and `readyPath` are answered. */
  health: boolean;
  healthPath: string;
  readyPath: string;
}

export const APPLICATION: Rows<ApplicationOptions> = {
  application: {
    metavar: 'MODULE[:EXPORT]',
    positional: true,
    kind: optional(values.parseText('a module, such as ./app.js')),
    help: 'the application',
  },
  chdir: {
    metavar: 'DIR',
    kind: optional(values.parseText('a folder')),
    help: 'change to this folder before the application is loaded',
  },
  env: {
    short: 'e',
    metavar: 'NAME=VALUE',
    kind: pairs(values.parseVariable),
    isSecret: true,
    help: 'a variable for the application, may be repeated',
  },
  envFile: {
    metavar: 'FILE',
    kind: list(values.parseText('a file')),
    help: 'variables from a file of lines NAME=VALUE, may be repeated; those that the environment has stay as they are',
  },
  static: {
    metavar: 'PREFIX=DIR',
    kind: list(values.parseStatic, { named: true }),
    help: 'serve the files of a folder at a path, such as /assets=./public; may be repeated. What is not found there goes to the application',
  },
  listing: {
    kind: flag(),
    help: 'list folders that have no index.html',
  },
  sendfile: {
    kind: flag(true),
    help: 'read files and send them, in place of sendfile(2)',
  },
  health: {
    kind: flag(),
    help: 'answer health checks: whether it runs, and whether it is ready',
  },
  healthPath: {
    metavar: 'PATH',
    kind: single(values.parsePath, '/healthz'),
    help: 'where to say that it runs',
  },
  readyPath: {
    metavar: 'PATH',
    kind: single(values.parsePath, '/readyz'),
    help: 'where to say whether it is ready',
  },
};
