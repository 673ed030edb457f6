import { RyegateError } from '../errors.ts';
import { native } from '../native.ts';
import { checkFlags, checkOption, isWhole } from '../options.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  checkAddress,
  type ServerAddress,
} from '../reactor/address.ts';
import { Listener } from '../reactor/listener.ts';
import { type ListeningSettings, ListeningSocket } from '../reactor/listeningsocket.ts';
import { type ClientAddress, StreamSocket } from '../reactor/streamsocket.ts';
import type { RequestHandlerClass } from './baserequesthandler.ts';
import { BaseServer, type BaseServerOptions } from './baseserver.ts';

/** The largest number that the system takes for a backlog or a descriptor. */
const MOST = 2 ** 31 - 1;

/** Settings of one server; each default is the class's static of the same name. */
interface TCPServerSettings extends ListeningSettings {
  /** Connections that the kernel keeps until they are accepted. It may allow fewer (somaxconn). */
  requestQueueSize: number;
  /** An inherited listening descriptor, used instead of making one; the address is its own. */
  fd: number | null;
}

type Optional<Settings> = { [Name in keyof Settings]?: Settings[Name] | undefined };

export interface TCPServerOptions extends BaseServerOptions, Optional<TCPServerSettings> {
  /** Binds and listens in the constructor. Default true. */
  bindAndActivate?: boolean | undefined;
}

/**
 * `socketserver.TCPServer`, for unix sockets as well: the address decides.
 *
 * @throws RyegateError `ERR_RYEGATE_ADDRESS` for an invalid address, `ERR_RYEGATE_OPTION` for an
 *   option that makes no sense
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
  #socket: ListeningSocket | null = null;
  #listener: Listener | null = null;
  #adopted: StreamSocket | null = null;

  constructor(
    serverAddress: ServerAddress,
    requestHandlerClass: RequestHandlerClass,
    options: TCPServerOptions = {},
  ) {
    const fd = options.fd ?? null;
    if (fd === null) checkAddress(serverAddress);
    checkOptions(options);
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
    return this.#socket?.fd ?? -1;
  }

  /** Makes the listening socket and gives it its address, the real one in `serverAddress`. */
  serverBind(): void {
    if (this.#socket !== null) {
      throw new RyegateError(
        'ERR_RYEGATE_ALREADY_BOUND',
        'the server is bound already: to bind by hand, make it with bindAndActivate: false',
      );
    }
    const { fd } = this.options;
    this.#socket =
      fd === null
        ? ListeningSocket.bind(this.serverAddress, this.options)
        : ListeningSocket.adopt(fd);
    this.serverAddress = this.#socket.address;
  }

  /** Listens. From here on clients can connect; they are served once the server serves. */
  override serverActivate(): void {
    if (this.#socket === null) throw notListening();
    this.#socket.listen(this.options.requestQueueSize);
    const { fd } = this.#socket;
    const handle = (): void => this.handleRequestNoblock();
    this.#listener = new Listener(this.reactor, fd, handle, this.refusal);
  }

  /** Sent to clients for whom the system has no descriptor; null lets them wait. */
  protected get refusal(): Uint8Array | null {
    return null;
  }

  /**
   * Serves the connected socket `fd` as if it had been accepted here, and takes it over. It has to
   * be non-blocking. One that has lost its client is closed.
   */
  adoptConnection(fd: number): void {
    const peer = native.address(fd, true);
    if (typeof peer === 'number') {
      native.close(fd);
      return;
    }
    const [family, host, port] = peer;
    const address: ClientAddress = family === AF_UNIX ? host : [host, port];
    this.#adopted = new StreamSocket(this.reactor, fd, address);
    this.handleRequestNoblock();
  }

  override getRequest(): [request: StreamSocket, clientAddress: ClientAddress] | null {
    const request = this.#adopted ?? this.#listener?.take() ?? null;
    this.#adopted = null;
    return request === null ? null : [request, request.clientAddress];
  }

  protected override accept(most: number): void {
    if (most === 0) this.#listener?.pause();
    else if (this.#listener !== null) this.#listener.open(most);
    else throw notListening();
  }

  protected override acceptBacklog(): void {
    this.#listener?.acceptBacklog(this.options.requestQueueSize);
  }

  protected override closeListener(): void {
    const socket = this.#socket;
    this.#listener?.close();
    this.#listener = null;
    this.#socket = null;
    try {
      socket?.close();
    } catch (error) {
      this.reportFault(error);
    }
  }
}

/** Those of one server; the statics are part of a program. */
function checkOptions(options: TCPServerOptions): void {
  const { addressFamily, requestQueueSize, socketMode, fd } = options;
  const families = [AF_INET, AF_INET6, AF_UNIX];
  const isFamily = (value: number | null): boolean => value === null || families.includes(value);
  checkOption('addressFamily', addressFamily, isFamily, 'AF_INET, AF_INET6, AF_UNIX or null');
  const isBacklog = (value: number): boolean => isWhole(value, 0, MOST);
  checkOption('requestQueueSize', requestQueueSize, isBacklog, 'a whole number of connections');
  const isMode = (value: number | null): boolean => value === null || isWhole(value, 0, 0o7777);
  checkOption('socketMode', socketMode, isMode, 'permission bits such as 0o660, or null');
  const isDescriptor = (value: number | null): boolean => value === null || isWhole(value, 0, MOST);
  checkOption('fd', fd, isDescriptor, 'the number of an open descriptor, or null');
  checkFlags(options, ['allowReuseAddress', 'allowReusePort', 'ipv6Only', 'bindAndActivate']);
}

function notListening(): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_NOT_LISTENING',
    'the server does not listen: call serverBind() and serverActivate() before it serves',
  );
}

/** `socketserver.UnixStreamServer`. */
export class UnixStreamServer extends TCPServer {
  static override addressFamily: number | null = AF_UNIX;
}
