import * as values from '../values.ts';
import { flag, optional } from './kinds.ts';
import type { Rows } from './row.ts';

export interface GeneralOptions {
  /** The config module; null: the one of the current folder, if there is one. */
  config: string | null;
  noConfig: boolean;
  checkConfig: boolean;
  printConfig: boolean;
  help: boolean;
  version: boolean;
}

export const GENERAL: Rows<GeneralOptions> = {
  config: {
    short: 'c',
    metavar: 'FILE',
    kind: optional(values.parseText('a file')),
    hasNoKey: true,
    help: 'take options from this module; by default from ryegate.config.js (.mjs, .cjs, .ts) if it is in the current folder',
  },
  noConfig: {
    kind: flag(),
    hasNoKey: true,
    help: 'take no options from a module',
  },
  checkConfig: {
    kind: flag(),
    commandLineOnly: true,
    help: 'do all that a start does but serve, say every fault, and exit',
  },
  printConfig: {
    kind: flag(),
    commandLineOnly: true,
    help: 'show each option with its value and where that comes from, and exit',
  },
  help: { short: 'h', kind: flag(), commandLineOnly: true, help: 'show this help' },
  version: { short: 'V', kind: flag(), commandLineOnly: true, help: 'show the version' },
};
