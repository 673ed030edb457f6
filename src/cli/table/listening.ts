import { type BindAddress, parseBind } from '../bind.ts';
import * as values from '../values.ts';
import { flag, list, optional, single } from './kinds.ts';
import type { Rows } from './row.ts';

export interface ListeningOptions {
  /** Where to listen, in order; default 127.0.0.1:8000. */
  bind: BindAddress[];
  /** Connections that the kernel keeps until they are accepted; default 1024. */
  backlog: number;
  /** Whether other processes may listen on the same address; SO_REUSEPORT. */
  reusePort: boolean;
  /** The permission bits of unix sockets; null leaves them to the umask. */
  socketMode: number | null;
  /** Default `auto`. */
  selector: values.SelectorChoice;
  /** Seconds, above 0; default 0.5. */
  pollInterval: number;
}

export const LISTENING: Rows<ListeningOptions> = {
  bind: {
    short: 'b',
    metavar: 'ADDRESS',
    kind: list(parseBind, { standard: '127.0.0.1:8000' }),
    help: 'where to listen, may be repeated',
    forms: [
      ['HOST:PORT', 'an IPv4 address or localhost'],
      [':PORT', 'all interfaces, by IPv4'],
      ['[V6]:PORT', 'an IPv6 address'],
      ['unix:PATH', 'a unix socket; unix:@NAME an abstract one'],
      ['fd://N', 'an inherited listening socket'],
      ['systemd', 'what its socket unit has opened'],
    ],
  },
  backlog: {
    metavar: 'N',
    kind: single(values.count('connections', 1, 2 ** 31 - 1), '1024'),
    help: 'connections that the kernel keeps until they are accepted; it may allow fewer',
  },
  reusePort: {
    kind: flag(),
    help: 'let other processes listen on the same address (SO_REUSEPORT)',
  },
  socketMode: {
    metavar: 'MODE',
    kind: optional(values.parseMode(0o7777, '660'), values.writeMode),
    help: 'permissions of unix sockets, such as 660; by default the umask decides',
  },
  selector: {
    short: 's',
    metavar: 'NAME',
    kind: single(values.parseSelector, 'auto'),
    help: 'auto, epoll, kqueue, poll or select',
  },
  pollInterval: {
    metavar: 'TIME',
    kind: single(values.parsePollInterval, '500ms'),
    help: 'longest pause between two calls of serviceActions',
  },
};
