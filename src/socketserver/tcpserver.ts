import { lstatSync, unlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { RyegateError } from '../errors.ts';
import { native } from '../native.ts';
import { Listener } from '../reactor/listener.ts';
import type { ClientAddress, StreamSocket } from '../reactor/streamsocket.ts';
import {
  AF_UNIX,
  bind,
  boundAddress,
  checkAddress,
  checkFamily,
  familyOf,
  listenError,
  type ServerAddress,
} from './address.ts';
import type { RequestHandlerClass } from './baserequesthandler.ts';
import { BaseServer, type BaseServerOptions } from './baseserver.ts';

/** Settings of one server; each default is the class's static of the same name. */
export interface TCPServerOptions extends BaseServerOptions {
  /** Binds and listens in the constructor. Default true. */
  bindAndActivate?: boolean | undefined;
  /** `AF_INET`, `AF_INET6` or `AF_UNIX`; null takes it from the address. */
  addressFamily?: number | null | undefined;
  /** Connections that the kernel keeps until they are accepted. It may allow fewer (somaxconn). */
  requestQueueSize?: number | undefined;
  /** Binds although connections of an earlier server linger (SO_REUSEADDR). */
  allowReuseAddress?: boolean | undefined;
  /** Shares the port with other servers that allow it too (SO_REUSEPORT). */
  allowReusePort?: boolean | undefined;
  /** An IPv6 server does not take IPv4 clients. */
  ipv6Only?: boolean;
  /** Permission bits of a unix socket's file, such as 0o660; null leaves it to the umask. */
  socketMode?: number | null | undefined;
  /** An inherited listening descriptor, used instead of making one; the address is its own. */
  fd?: number | null | undefined;
}

/** The options of a server, completed by the defaults. */
type TCPServerSettings = {
  [Name in keyof Omit<TCPServerOptions, 'selector' | 'bindAndActivate'>]-?: Exclude<
    TCPServerOptions[Name],
    undefined
  >;
};

/**
 * `socketserver.TCPServer`, for unix sockets as well: the address decides.
 *
 * @throws RyegateError `ERR_RYEGATE_ADDRESS` for an invalid address
 * @throws SystemCallError `ERR_RYEGATE_SYSTEM` when binding or listening is refused
 */
export class TCPServer extends BaseServer {
  static addressFamily: number | null = null;
  /** CPython's 5 drops clients under any load. */
  static requestQueueSize = 1024;
  /** On, unlike CPython's: off, a server cannot be restarted while old connections linger. */
  static allowReuseAddress = true;
  static allowReusePort = false;
  static ipv6Only = false;
  static socketMode: number | null = null;

  readonly options: Readonly<TCPServerSettings>;
  #fd = -1;
  #listener: Listener | null = null;
  /** The socket file that is ours to remove, by inode. */
  #file: { path: string; ino: number } | null = null;

  constructor(
    serverAddress: ServerAddress,
    requestHandlerClass: RequestHandlerClass,
    options: TCPServerOptions = {},
  ) {
    const fd = options.fd ?? null;
    if (fd === null) checkAddress(serverAddress);
    super(serverAddress, requestHandlerClass, options);
    const settings = this.constructor as typeof TCPServer;
    this.options = {
      addressFamily: options.addressFamily ?? settings.addressFamily,
      requestQueueSize: options.requestQueueSize ?? settings.requestQueueSize,
      allowReuseAddress: options.allowReuseAddress ?? settings.allowReuseAddress,
      allowReusePort: options.allowReusePort ?? settings.allowReusePort,
      ipv6Only: options.ipv6Only ?? settings.ipv6Only,
      socketMode: options.socketMode ?? settings.socketMode,
      fd,
    };
    try {
      if (options.bindAndActivate ?? true) {
        this.serverBind();
        this.serverActivate();
      }
    } catch (error) {
      this.closeListener();
      this.reactor.close();
      throw error;
    }
  }

  fileno(): number {
    return this.#fd;
  }

  /** Makes the listening socket and gives it its address, the real one in `serverAddress`. */
  serverBind(): void {
    if (this.#fd >= 0) {
      throw new RyegateError(
        'ERR_RYEGATE_ALREADY_BOUND',
        'the server is bound already: to bind by hand, make it with bindAndActivate: false',
      );
    }
    const { fd } = this.options;
    if (fd !== null) this.#adopt(fd);
    else this.#open();
    this.serverAddress = boundAddress(this.#fd);
  }

  #adopt(fd: number): void {
    const family = native.adopt(fd);
    if (family < 0) {
      const error = listenError(family, 'adopt', this.serverAddress);
      error.message = `descriptor ${fd} is no listening stream socket: pass one that a parent opened`;
      throw error;
    }
    this.#fd = fd;
  }

  #open(): void {
    const { options, serverAddress } = this;
    const family = options.addressFamily ?? familyOf(serverAddress);
    checkFamily(serverAddress, family);
    this.#fd = this.#check(native.socket(family), 'socket');
    if (family !== AF_UNIX) {
      this.#set('reuseAddress', options.allowReuseAddress);
      this.#set('reusePort', options.allowReusePort);
      if (family === native.AF_INET6) this.#set('ipv6Only', options.ipv6Only);
      this.#set('noDelay', true);
    }
    this.#check(bind(this.#fd, family, serverAddress, options.socketMode ?? -1), 'bind');
    if (typeof serverAddress === 'string' && !serverAddress.startsWith('\0')) {
      const path = resolve(serverAddress);
      this.#file = { path, ino: lstatSync(path).ino };
    }
  }

  #set(option: Parameters<typeof native.setOption>[1], value: boolean): void {
    this.#check(native.setOption(this.#fd, option, Number(value)), 'setsockopt');
  }

  #check(result: number, syscall: string): number {
    if (result < 0) throw listenError(result, syscall, this.serverAddress);
    return result;
  }

  /** Listens. From here on clients can connect; they are served once the server serves. */
  override serverActivate(): void {
    this.#check(native.listen(this.#fd, this.options.requestQueueSize), 'listen');
    this.#listener = new Listener(this.reactor, this.#fd, () => this.handleRequestNoblock());
  }

  override getRequest(): [request: StreamSocket, clientAddress: ClientAddress] | null {
    const request = this.#listener?.take() ?? null;
    return request === null ? null : [request, request.clientAddress];
  }

  protected override accept(most: number): void {
    if (most === 0) this.#listener?.pause();
    else if (this.#listener !== null) this.#listener.open(most);
    else {
      throw new RyegateError(
        'ERR_RYEGATE_NOT_LISTENING',
        'the server does not listen: call serverBind() and serverActivate() before it serves',
      );
    }
  }

  protected override closeListener(): void {
    this.#listener?.close();
    this.#listener = null;
    if (this.#fd >= 0) native.close(this.#fd);
    this.#fd = -1;
    this.#unlink();
  }

  /** Another server may have put its own socket in the place of ours. */
  #unlink(): void {
    const file = this.#file;
    this.#file = null;
    if (file === null) return;
    try {
      if (lstatSync(file.path, { throwIfNoEntry: false })?.ino === file.ino) unlinkSync(file.path);
    } catch (error) {
      this.logError(error);
    }
  }
}

/** `socketserver.UnixStreamServer`. */
export class UnixStreamServer extends TCPServer {
  static override addressFamily: number | null = AF_UNIX;
}
