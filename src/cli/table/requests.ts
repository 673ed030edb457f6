import type { InputBuffering } from '../../http/intake.ts';
import type { PartialLimits } from '../../http/limits.ts';
import type { PartialTimeouts } from '../../http/timeouts.ts';
import * as values from '../values.ts';
import { flag, optional, pairs, single } from './kinds.ts';
import type { Rows } from './row.ts';

export interface RequestOptions {
  /** Those that are given; they have passed the checks of their table. */
  limits: PartialLimits;
  timeouts: PartialTimeouts;
  /** Seconds; counts for more than `timeouts.keepAlive`. */
  keepAlive: number | null;
  /** Default `stream`. */
  inputBuffering: InputBuffering;
  /** Whether responses have the field Server. */
  serverHeader: boolean;
}

export const REQUESTS: Rows<RequestOptions> = {
  limits: {
    name: 'limit',
    metavar: 'NAME=VALUE',
    kind: pairs(values.parseLimit),
    help: 'a limit on clients, such as connections=500; may be repeated. Those in bytes take k, m and g',
  },
  timeouts: {
    name: 'timeout',
    metavar: 'NAME=TIME',
    kind: pairs(values.parseTimeout),
    help: 'a timeout for clients and handlers, such as head=10s; may be repeated',
  },
  keepAlive: {
    metavar: 'TIME',
    kind: optional(values.parseKeepAlive),
    help: 'how long an idle connection is kept: short for --timeout keepAlive=TIME',
  },
  inputBuffering: {
    metavar: 'MODE',
    kind: single(values.parseInputBuffering, 'stream'),
    help: 'when requests are answered',
    forms: [
      ['stream', 'while their body arrives'],
      ['buffer', 'when all of it has'],
    ],
  },
  serverHeader: {
    kind: flag(true),
    help: 'leave the field Server out of responses',
  },
};
