import { RyegateError, showValue } from '../errors.ts';
import { native } from '../native.ts';
import { isWhole } from '../options.ts';

/** `SD_LISTEN_FDS_START`. */
const FIRST = 3;
const MOST = 2 ** 31 - 1;
const VARIABLES = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'];

/** A descriptor that the service manager has opened for this process. */
export interface ListenDescriptor {
  fd: number;
  /** `FileDescriptorName=` of the socket unit; `unknown` where no names were passed. */
  name: string;
}

export interface EnvironmentOptions {
  /** Takes the variables out of `env`, so that child processes do not get them. Default false. */
  unset?: boolean | undefined;
}

/**
 * The descriptors that systemd, or `systemd-socket-activate`, has passed to this process:
 * sd_listen_fds_with_names(3). None when the variables are missing or meant for another process.
 * They are closed in the programs that this process runs: Node sees to it for all that it inherits.
 * What kind of file each is, is checked by the server that takes it as its option `fd`.
 *
 * @throws RyegateError `ERR_RYEGATE_SYSTEMD` for variables that make no sense, or name descriptors
 *   that are not open
 */
export function listenDescriptors(
  env: NodeJS.ProcessEnv = process.env,
  { unset = false }: EnvironmentOptions = {},
): ListenDescriptor[] {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = env;
  if (unset) for (const name of VARIABLES) delete env[name];
  if (LISTEN_PID === undefined || LISTEN_FDS === undefined) return [];
  if (readNumber('LISTEN_PID', LISTEN_PID, MOST) !== process.pid) return [];
  const count = readNumber('LISTEN_FDS', LISTEN_FDS, MOST - FIRST);
  const names = LISTEN_FDNAMES?.split(':') ?? null;
  if (names !== null && names.length !== count) {
    throw fault(
      `LISTEN_FDNAMES has ${names.length} names (${showValue(LISTEN_FDNAMES)}) for ` +
        `${count} descriptors: expected one each, with colons between`,
    );
  }
  const descriptors: ListenDescriptor[] = [];
  for (let index = 0; index < count; index++) {
    const fd = FIRST + index;
    if (!native.isOpen(fd)) {
      throw fault(`LISTEN_FDS is ${count}, but descriptor ${fd} is not open`);
    }
    descriptors.push({ fd, name: names?.[index] ?? 'unknown' });
  }
  return descriptors;
}

/** A whole number from 1 up, in decimal digits only, as the service manager writes them. */
export function readNumber(name: string, text: string, maximum: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (isWhole(value, 1, maximum)) return value;
  throw fault(`${name} is ${showValue(text)}: expected a whole number from 1 to ${maximum}`);
}

function fault(problem: string): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_SYSTEMD',
    `${problem}; unset it if this is not started by a service manager`,
  );
}
