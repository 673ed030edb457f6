import * as values from '../values.ts';
import { flag, list } from './kinds.ts';
import type { Rows } from './row.ts';

export interface DevelopmentOptions {
  reload: boolean;
  /** Folders to watch; none: the current one. */
  reloadDir: string[];
  /** Patterns of files that cause no reload. */
  reloadIgnore: string[];
  development: boolean;
}

export const DEVELOPMENT: Rows<DevelopmentOptions> = {
  reload: {
    kind: flag(),
    help: 'load the application again when a file changes; includes --development',
  },
  reloadDir: {
    metavar: 'DIR',
    kind: list(values.parseText('a folder')),
    help: 'watch this folder, may be repeated; by default the current one',
  },
  reloadIgnore: {
    metavar: 'GLOB',
    kind: list(values.parseText('a pattern, such as *.log')),
    help: 'files that cause no reload, such as *.html; may be repeated',
  },
  development: {
    kind: flag(),
    help: 'show errors in the browser, and log requests in colour. Never in production',
  },
};
