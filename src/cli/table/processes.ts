import * as values from '../values.ts';
import { flag, list, optional, single } from './kinds.ts';
import type { Rows } from './row.ts';

/** Times are seconds. A 0 switches off what it limits, as gunicorn's does. */
export interface ProcessOptions {
  /** Worker processes; 0: this process serves. */
  workers: number;
  /** Threads of this process that serve; 0: its main thread does. */
  threads: number;
  threadMode: values.ThreadMode;
  /** A worker or thread that shows no sign of life for so long is replaced. */
  workerTimeout: number;
  /** How long requests may take to finish at the end. */
  gracefulTimeout: number;
  /** How long to go on serving, not ready, before the end begins. */
  drainDelay: number;
  /** A worker is replaced after so many requests, plus up to as many as the jitter. */
  maxRequests: number;
  maxRequestsJitter: number;
  /** Bytes of resident memory. */
  maxRss: number;
  maxAge: number;
  preload: boolean;
  /** Options of Node for the workers. */
  nodeOption: string[];
  pidFile: string | null;
  /** A name or a number. */
  user: string | null;
  group: string | null;
  umask: number | null;
}

const most: number = Number.MAX_SAFE_INTEGER;

export const PROCESSES: Rows<ProcessOptions> = {
  workers: {
    short: 'w',
    metavar: 'N',
    kind: single(values.countOrAuto('workers'), '0'),
    help: 'worker processes, or auto for one per processor; with 0 this process serves',
  },
  threads: {
    metavar: 'N',
    kind: single(values.countOrAuto('threads'), '0'),
    help: 'threads of one process that serve, or auto; with 0 its main thread does',
  },
  threadMode: {
    metavar: 'MODE',
    kind: single(values.parseThreadMode, 'listener'),
    help: 'how threads get connections',
    forms: [
      ['listener', 'each accepts its own'],
      ['acceptor', 'one thread accepts and deals them out'],
    ],
  },
  workerTimeout: {
    short: 't',
    metavar: 'TIME',
    kind: single(values.duration(0), '30s'),
    help: 'replace a worker, or thread, that shows no sign of life for so long; 0: never',
  },
  gracefulTimeout: {
    metavar: 'TIME',
    kind: single(values.duration(0), '30s'),
    help: 'how long requests may take to finish when it stops',
  },
  drainDelay: {
    metavar: 'TIME',
    kind: single(values.duration(0), '0'),
    help: 'how long to go on serving, but not ready, before it stops',
  },
  maxRequests: {
    metavar: 'N',
    kind: single(values.count('requests', 0, most), '0'),
    help: 'replace a worker after so many requests; 0: never',
  },
  maxRequestsJitter: {
    metavar: 'N',
    kind: single(values.count('requests', 0, most), '0'),
    help: 'up to so many requests more, by chance, so that not all are replaced at once',
  },
  maxRss: {
    metavar: 'SIZE',
    kind: single(values.sizeFrom(2 ** 20), '0'),
    help: 'replace a worker that takes so much memory, such as 512m; 0: never',
  },
  maxAge: {
    metavar: 'TIME',
    kind: single(values.duration(0), '0'),
    help: 'replace a worker after so long; 0: never',
  },
  preload: {
    kind: flag(),
    help: 'load the application once on trial before workers are started or replaced',
  },
  nodeOption: {
    metavar: 'OPTION',
    kind: list(values.parseNodeOption),
    takesDash: true,
    help: 'an option of Node for the workers, such as --max-old-space-size=512; may be repeated',
  },
  pidFile: {
    short: 'p',
    metavar: 'FILE',
    kind: optional(values.parseText('a file')),
    help: 'write the process id to this file',
  },
  user: {
    short: 'u',
    metavar: 'USER',
    kind: optional(values.parseAccount('user', 'www-data')),
    help: 'become this user, by name or number, once it listens',
  },
  group: {
    short: 'g',
    metavar: 'GROUP',
    kind: optional(values.parseAccount('group', 'www-data')),
    help: 'become this group, by name or number, once it listens',
  },
  umask: {
    short: 'm',
    metavar: 'MODE',
    kind: optional(values.parseMode(0o777, '027'), values.writeMode),
    help: 'permissions that new files do not have, such as 027',
  },
};
