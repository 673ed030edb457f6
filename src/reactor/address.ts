import { RyegateError, SystemCallError } from '../errors.ts';
import { native } from '../native.ts';

/** `[host, port]` for TCP, a path for a unix socket (a leading NUL: Linux's abstract namespace). */
export type ServerAddress = readonly [host: string, port: number] | string;

export const AF_INET: number = native.AF_INET;
export const AF_INET6: number = native.AF_INET6;
export const AF_UNIX: number = native.AF_UNIX;

/** The address family that `address` belongs to; a name without a colon counts as IPv4. */
export function familyOf(address: ServerAddress): number {
  if (typeof address === 'string') return AF_UNIX;
  return address[0].includes(':') ? AF_INET6 : AF_INET;
}

/** Throws `ERR_RYEGATE_ADDRESS` for what is no address. */
export function checkAddress(address: ServerAddress): void {
  if (typeof address === 'string' ? address !== '' : isPair(address)) return;
  throw new RyegateError(
    'ERR_RYEGATE_ADDRESS',
    `invalid server address ${JSON.stringify(address)}: expected [host, port] with an IP address ` +
      "('' for all interfaces) and a port from 0 to 65535, or the path of a unix socket",
  );
}

function isPair(address: readonly [string, number]): boolean {
  if (!Array.isArray(address) || typeof address[0] !== 'string') return false;
  return Number.isInteger(address[1]) && address[1] >= 0 && address[1] <= 65535;
}

/** Throws `ERR_RYEGATE_ADDRESS` for an address that a socket of `family` cannot have. */
export function checkFamily(address: ServerAddress, family: number): void {
  if ((typeof address === 'string') === (family === AF_UNIX)) return;
  throw new RyegateError(
    'ERR_RYEGATE_ADDRESS',
    `${formatAddress(address)} is no address of the server's addressFamily: expected ` +
      (family === AF_UNIX ? 'the path of a unix socket' : '[host, port]'),
  );
}

/** What a client of HTTP is told: `http://127.0.0.1:8000`; of a unix socket its name. */
export function formatURL(address: ServerAddress): string {
  const text = formatAddress(address);
  return typeof address === 'string' ? text : `http://${text}`;
}

/** Whether it is the path of a socket file, which a name in the abstract namespace is not. */
export function isSocketFile(address: ServerAddress): address is string {
  return typeof address === 'string' && address !== '' && !address.startsWith('\0');
}

/** For messages and logs: `127.0.0.1:8000`, `[::1]:8000`, `unix:/run/x`, `unix:@abstract`. */
export function formatAddress(address: ServerAddress): string {
  if (typeof address === 'string') return `unix:${address.replace(/^\0/, '@')}`;
  const [host, port] = address;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What `bind` can be refused for, and how it is mended. */
const BIND_ADVICE: Record<string, string> = {
  EADDRINUSE: 'another program uses that address: stop it, or choose another address',
  EADDRNOTAVAIL: 'no interface of this machine has that address',
  EACCES: 'not permitted: choose a port above 1023 (or a folder you may write to), or run as root',
  EINVAL: 'expected an IP address: names other than localhost are never looked up',
  ENOENT: 'the folder of the socket does not exist',
  ENAMETOOLONG: 'the path is too long for a unix socket (107 bytes at most)',
  EAFNOSUPPORT: 'this system does not have that kind of address',
};

/** The error for a listener that could not be made. Its `code` is `ERR_RYEGATE_SYSTEM`. */
export function listenError(errno: number, syscall: string, address: ServerAddress): Error {
  const error = new SystemCallError(errno, syscall, formatAddress(address));
  const advice = BIND_ADVICE[error.systemCode];
  if (advice !== undefined) error.message += `: ${advice}`;
  return error;
}
