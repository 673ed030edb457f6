import { isIPv4, isIPv6 } from 'node:net';
import { UsageError } from './usageerror.ts';

/**
 * Where to listen. An empty `host` means every interface; a `path` that begins with NUL is a name
 * in Linux's abstract namespace, as in Python; `fd` is a listening socket that was inherited;
 * `systemd` stands for those that the service manager has passed, or those of a name.
 */
export type BindAddress =
  | { kind: 'inet'; host: string; port: number }
  | { kind: 'unix'; path: string }
  | { kind: 'fd'; fd: number }
  | { kind: 'systemd'; name: string | null };

/** What `sun_path` holds on Linux besides the final NUL, which an abstract name lacks (unix(7)). */
const UNIX_PATH_BYTES = 107;
const MAX_FD = 2 ** 31 - 1;

function refuse(problem: string): never {
  throw new UsageError(problem);
}

function parseUnix(text: string): BindAddress {
  const path = text.slice('unix:'.length).replace(/^@/, '\0');
  if (path === '' || path === '\0') {
    refuse('a path must follow unix:, such as unix:/run/app.sock or unix:@app');
  }
  const bytes = Buffer.byteLength(path);
  if (bytes > UNIX_PATH_BYTES) {
    refuse(`the path is ${bytes} bytes long and a socket's can have ${UNIX_PATH_BYTES}`);
  }
  return { kind: 'unix', path };
}

function parseFd(text: string): BindAddress {
  const digits = text.slice('fd://'.length);
  const fd = Number(digits);
  if (!/^[0-9]+$/.test(digits) || fd > MAX_FD) {
    refuse('the number of an open descriptor must follow fd://, such as fd://3');
  }
  return { kind: 'fd', fd };
}

function parseSystemd(text: string): BindAddress {
  const name = text === 'systemd' ? null : text.slice('systemd:'.length);
  if (name === '') refuse('the FileDescriptorName of a socket unit must follow systemd:');
  return { kind: 'systemd', name };
}

function parsePort(digits: string): number {
  const port = Number(digits);
  if (!/^[0-9]+$/.test(digits) || port > 65535) {
    refuse('the port after the last colon must be a number from 0 (any free one) to 65535');
  }
  return port;
}

function parseHost(host: string): string {
  if (host.startsWith('[') && host.endsWith(']')) {
    const address = host.slice(1, -1);
    if (!isIPv6(address)) {
      refuse(`${host} is no IPv6 address; write one such as [::1]:8000`);
    }
    return address;
  }
  if (host.toLowerCase() === 'localhost') {
    return '127.0.0.1';
  }
  if (host !== '' && !isIPv4(host)) {
    refuse(
      `${host} is no IP address, and names are not looked up; write an address such as ` +
        '127.0.0.1:8000, or :8000 for all interfaces',
    );
  }
  return host;
}

/**
 * Parses `HOST:PORT`, `:PORT` (every interface), `[V6]:PORT`, `unix:PATH`, `unix:@NAME` (abstract)
 * `fd://N`, `systemd` or `systemd:NAME`. HOST is an IPv4 address or `localhost`, which is 127.0.0.1:
 * nothing is looked up in DNS. Port 0 is any free one.
 *
 * @throws UsageError (`ERR_RYEGATE_USAGE`) that says what is wrong with anything else
 */
export function parseBind(text: string): BindAddress {
  if (text.startsWith('unix:')) {
    return parseUnix(text);
  }
  if (text.startsWith('fd:')) {
    return parseFd(text);
  }
  if (text === 'systemd' || text.startsWith('systemd:')) {
    return parseSystemd(text);
  }
  if (isIPv6(text)) {
    refuse(`an IPv6 address needs brackets and a port: [${text}]:8000`);
  }
  if (/^[0-9]+$/.test(text)) {
    refuse(`is that a port? Write 127.0.0.1:${text}, or :${text} for all interfaces`);
  }
  const colon = text.lastIndexOf(':');
  if (colon === -1 || text.endsWith(']')) {
    const host = text === '' ? '127.0.0.1' : text;
    refuse(`the port is missing; write HOST:PORT, such as ${host}:8000`);
  }
  const port = parsePort(text.slice(colon + 1));
  return { kind: 'inet', host: parseHost(text.slice(0, colon)), port };
}
