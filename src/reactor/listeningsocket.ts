import { lstatSync, unlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { SystemCallError } from '../errors.ts';
import { native, type SocketOption } from '../native.ts';
import {
  AF_INET6,
  AF_UNIX,
  checkFamily,
  familyOf,
  listenError,
  type ServerAddress,
} from './address.ts';

/** How a listening socket is made. */
export interface ListeningSettings {
  /** `AF_INET`, `AF_INET6` or `AF_UNIX`; null takes it from the address. */
  addressFamily: number | null;
  /** Binds although connections of an earlier server linger (SO_REUSEADDR). */
  allowReuseAddress: boolean;
  /** Shares the port with other servers that allow it too (SO_REUSEPORT). */
  allowReusePort: boolean;
  /** An IPv6 socket does not take IPv4 clients. */
  ipv6Only: boolean;
  /** Permission bits of a unix socket's file, such as 0o660; null leaves it to the umask. */
  socketMode: number | null;
}

/** A socket that is bound, and listens once it is told to. */
export class ListeningSocket {
  readonly fd: number;
  /** The address that it really has, with the port that the system chose for port 0. */
  readonly address: ServerAddress;
  /** The socket file that is ours to remove, by inode. */
  readonly #file: { path: string; ino: number } | null;

  /** Takes over `fd`; `path` is that of the socket file that was made for it. */
  constructor(fd: number, path: string | null) {
    this.fd = fd;
    this.address = boundAddress(fd);
    this.#file = path === null ? null : { path, ino: lstatSync(path).ino };
  }

  /**
   * Makes a socket with the address `address`.
   *
   * @throws RyegateError `ERR_RYEGATE_ADDRESS`; SystemCallError when the system refuses
   */
  static bind(address: ServerAddress, settings: ListeningSettings): ListeningSocket {
    const family = settings.addressFamily ?? familyOf(address);
    checkFamily(address, family);
    const fd = checked(native.socket(family), 'socket', address);
    try {
      if (family !== AF_UNIX) setOptions(fd, family, address, settings);
      checked(bind(fd, family, address, settings.socketMode ?? -1), 'bind', address);
      const isFile = typeof address === 'string' && !address.startsWith('\0');
      return new ListeningSocket(fd, isFile ? resolve(address) : null);
    } catch (error) {
      native.close(fd);
      throw error;
    }
  }

  /**
   * Takes over a listening descriptor that was inherited.
   *
   * @throws SystemCallError for anything else
   */
  static adopt(fd: number): ListeningSocket {
    const family = native.adopt(fd);
    if (family >= 0) {
      // Connections inherit it, and whoever made the socket may not have thought of it.
      if (family !== AF_UNIX) native.setOption(fd, 'noDelay', 1);
      return new ListeningSocket(fd, null);
    }
    throw new SystemCallError(
      family,
      'getsockopt',
      `descriptor ${fd} is no listening stream socket: pass one that a parent opened`,
    );
  }

  /** `backlog`: connections that the kernel keeps until they are accepted. */
  listen(backlog: number): void {
    checked(native.listen(this.fd, backlog), 'listen', this.address);
  }

  /** Closes, and removes the socket file unless another server has put its own in the place. */
  close(): void {
    native.close(this.fd);
    this.removeFile();
  }

  /** The rest of `close()`, where others listen on. */
  removeFile(): void {
    if (this.#file === null) return;
    const { path, ino } = this.#file;
    if (lstatSync(path, { throwIfNoEntry: false })?.ino !== ino) return;
    try {
      unlinkSync(path);
    } catch (error) {
      // Who has given up root's rights may have lost this one. The next server replaces the file.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EACCES' && code !== 'EPERM') throw error;
    }
  }
}

function checked(result: number, syscall: string, address: ServerAddress): number {
  if (result < 0) throw listenError(result, syscall, address);
  return result;
}

function setOptions(
  fd: number,
  family: number,
  address: ServerAddress,
  settings: ListeningSettings,
): void {
  const set = (option: SocketOption, value: boolean): void => {
    checked(native.setOption(fd, option, Number(value)), 'setsockopt', address);
  };
  set('reuseAddress', settings.allowReuseAddress);
  set('reusePort', settings.allowReusePort);
  if (family === AF_INET6) set('ipv6Only', settings.ipv6Only);
  set('noDelay', true);
}

/** Nothing is ever looked up, so the only name that stands for an address is this one. */
function literal(host: string): string {
  return host === 'localhost' ? '127.0.0.1' : host;
}

/** 0 or a negative errno. */
function bind(fd: number, family: number, address: ServerAddress, mode: number): number {
  if (typeof address === 'string') return bindPath(fd, address, mode);
  return native.bind(fd, family, literal(address[0]), address[1]);
}

/** The socket file of a server that was killed is in the way and nobody's: it is replaced. */
function bindPath(fd: number, path: string, mode: number): number {
  const result = native.bindPath(fd, path, mode);
  if (result === 0 || path.startsWith('\0') || !isAbandoned(path)) return result;
  unlinkSync(path);
  return native.bindPath(fd, path, mode);
}

function isAbandoned(path: string): boolean {
  if (native.probePath(path) !== -constants.errno.ECONNREFUSED) return false;
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true;
}

function boundAddress(fd: number): ServerAddress {
  const found = native.address(fd, false);
  if (typeof found === 'number') throw new SystemCallError(found, 'getsockname', `of ${fd}`);
  const [family, host, port] = found;
  return family === AF_UNIX ? host : [host, port];
}
