import { resolve } from 'node:path';
import { RyegateError } from '../errors.ts';
import { native } from '../native.ts';
import { formatAddress, type ServerAddress } from '../reactor/address.ts';
import { ListeningSocket } from '../reactor/listeningsocket.ts';
import { TCPServer } from '../socketserver/index.ts';
import type { Inheritance } from './inheritance.ts';
import { type BindAddress, isDescriptor, type WorkerServerOptions } from './settings.ts';

/** How a listener is called that `bind` asks for: `127.0.0.1:0` keeps its name when it is bound. */
export function nameOf(bind: BindAddress): string {
  return isDescriptor(bind) ? `fd://${bind.fd}` : formatAddress(bind);
}

/** A new master. */
export interface Heir {
  readonly lives: boolean;
}

/** The listening sockets of a supervisor, which its workers inherit, by name. */
export class Listeners {
  readonly #inheritance: Inheritance;
  #sockets = new Map<string, ListeningSocket>();
  /** Those that are to be closed: a reload may have left some of them out, but not closed yet. */
  readonly #open = new Set<ListeningSocket>();
  /** Those that the old master has as well, and those that the new one has. */
  readonly #inherited = new Set<ListeningSocket>();
  #handedOver: ReadonlySet<ListeningSocket> = new Set();
  #heir: Heir | null = null;

  /** Those that an old master has handed over are taken from `inheritance`. */
  constructor(inheritance: Inheritance) {
    this.#inheritance = inheritance;
  }

  get sockets(): ReadonlyMap<string, ListeningSocket> {
    return this.#sockets;
  }

  /** Their real addresses. */
  get addresses(): ServerAddress[] {
    return [...this.#sockets.values()].map(({ address }) => address);
  }

  get descriptors(): { fd: number; address: ServerAddress }[] {
    return [...this.#sockets.values()].map(({ fd, address }) => ({ fd, address }));
  }

  /**
   * Listens on the addresses of `binds`, on those that are there already by the same socket.
   * Returns what closes those that are not wanted any more, for when no worker needs them. What
   * fails changes nothing.
   *
   * @throws SystemCallError `ERR_RYEGATE_SYSTEM`, RyegateError `ERR_RYEGATE_ADDRESS`
   */
  update(binds: readonly BindAddress[], options: WorkerServerOptions): Replaced {
    const wanted = new Map<string, ListeningSocket>();
    const opened: ListeningSocket[] = [];
    try {
      for (const bind of binds) {
        const name = nameOf(bind);
        if (wanted.has(name)) throw repeated(name);
        let socket = this.#sockets.get(name);
        if (socket === undefined) {
          socket = this.#make(bind, name, options);
          opened.push(socket);
        }
        wanted.set(name, socket);
      }
    } catch (error) {
      for (const socket of opened) this.#drop(socket);
      throw error;
    }
    const before = this.#sockets;
    this.#sockets = wanted;
    return new Replaced(this, before);
  }

  #make(bind: BindAddress, name: string, options: WorkerServerOptions): ListeningSocket {
    const inherited = this.#takeInherited(bind, name);
    const socket = inherited ?? make(bind, options);
    // A descriptor that somebody has passed stays in its place, for a reload or a new master.
    if (inherited !== null || !isDescriptor(bind)) this.#open.add(socket);
    try {
      socket.listen(options.requestQueueSize ?? TCPServer.requestQueueSize);
    } catch (error) {
      this.#drop(socket);
      throw error;
    }
    return socket;
  }

  #drop(socket: ListeningSocket): void {
    if (!this.#open.delete(socket)) return;
    native.close(socket.fd);
    this.#removeFile(socket);
  }

  /** Where another master listens on, its clients need the file. */
  #removeFile(socket: ListeningSocket): void {
    const isOldOnes = this.#inherited.has(socket) && this.#inheritance.master !== null;
    const isNewOnes = this.#handedOver.has(socket) && this.#heir?.lives === true;
    if (!isOldOnes && !isNewOnes) socket.removeFile();
  }

  /** A new master has the sockets of now as well. */
  handOver(heir: Heir): void {
    this.#heir = heir;
    this.#handedOver = new Set(this.#sockets.values());
  }

  #takeInherited(bind: BindAddress, name: string): ListeningSocket | null {
    const fd = this.#inheritance.take(name);
    if (fd === null) return null;
    const path = typeof bind === 'string' && !bind.startsWith('\0') ? resolve(bind) : null;
    const socket = new ListeningSocket(fd, path);
    this.#inherited.add(socket);
    return socket;
  }

  /** @internal Those of `sockets` that are not in use any more. */
  closeOthers(sockets: Iterable<ListeningSocket>): void {
    const used = new Set(this.#sockets.values());
    for (const socket of sockets) if (!used.has(socket)) this.#drop(socket);
  }

  /** @internal */
  restore(sockets: Map<string, ListeningSocket>): void {
    const others = this.#sockets.values();
    this.#sockets = sockets;
    this.closeOthers(others);
  }

  /**
   * Stops listening here: workers may go on. Gives what removes the socket files then, but for those
   * that another master needs.
   */
  close(): () => void {
    const sockets = new Set([...this.#open, ...this.#sockets.values()]);
    for (const { fd } of sockets) native.close(fd);
    this.#open.clear();
    this.#sockets.clear();
    return () => {
      for (const socket of sockets) this.#removeFile(socket);
    };
  }
}

/** The listeners before an update. */
export class Replaced {
  readonly #listeners: Listeners;
  readonly #sockets: Map<string, ListeningSocket>;

  constructor(listeners: Listeners, sockets: Map<string, ListeningSocket>) {
    this.#listeners = listeners;
    this.#sockets = sockets;
  }

  /** Closes those that the update left out. */
  close(): void {
    this.#listeners.closeOthers(this.#sockets.values());
  }

  /** Takes the update back. */
  restore(): void {
    this.#listeners.restore(this.#sockets);
  }
}

function make(bind: BindAddress, options: WorkerServerOptions): ListeningSocket {
  if (isDescriptor(bind)) return ListeningSocket.adopt(bind.fd);
  return ListeningSocket.bind(bind, {
    addressFamily: options.addressFamily ?? TCPServer.addressFamily,
    allowReuseAddress: options.allowReuseAddress ?? TCPServer.allowReuseAddress,
    allowReusePort: options.allowReusePort ?? TCPServer.allowReusePort,
    ipv6Only: options.ipv6Only ?? TCPServer.ipv6Only,
    socketMode: options.socketMode ?? TCPServer.socketMode,
  });
}

function repeated(name: string): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_OPTION',
    `the option bind has ${name} twice: leave one of them out`,
  );
}
