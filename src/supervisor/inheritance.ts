import { Socket } from 'node:net';
import { native } from '../native.ts';
import { formatAddress } from '../reactor/address.ts';
import { ListeningSocket } from '../reactor/listeningsocket.ts';

/** Tells a new master what it inherits, and from whom: a `Handover` as JSON. */
const VARIABLE = 'RYEGATE_LISTENERS';

/** What an old master hands over; each listener by the name of its `bind`. */
interface Handover {
  readonly master: number;
  readonly listeners: Readonly<Record<string, readonly [fd: number, address: string]>>;
  /** The descriptor of a socket to the old master, for `announce()`. */
  readonly line: number;
}

/** The environment variable that hands `handover` over. */
export function handoverVariable(handover: Handover): Record<string, string> {
  return { [VARIABLE]: JSON.stringify(handover) };
}

/** What this process has from an old master, if there was one. */
export class Inheritance {
  #master: number | null = null;
  #line: number | null = null;
  readonly #descriptors = new Map<string, number>();

  /**
   * Takes the variable out of the environment. It may have been passed on by somebody else: a
   * descriptor counts only if it listens on the address that it should.
   */
  read(env: NodeJS.ProcessEnv = process.env): void {
    const text = env[VARIABLE];
    delete env[VARIABLE];
    if (text === undefined) return;
    try {
      const { master, listeners, line } = JSON.parse(text) as Handover;
      for (const [name, [fd, address]] of Object.entries(listeners)) {
        if (native.adopt(fd) < 0) continue;
        const socket = new ListeningSocket(fd, null);
        if (formatAddress(socket.address) === address) this.#descriptors.set(name, fd);
      }
      this.#master = master;
      this.#line = line;
    } catch {
      // It is not ours.
    }
  }

  /** The process id of the old master; null when there is none any more. */
  get master(): number | null {
    return this.#master === process.ppid ? this.#master : null;
  }

  /** The descriptor of the listener with that name, which is the caller's from then on. */
  take(name: string): number | null {
    const fd = this.#descriptors.get(name) ?? null;
    this.#descriptors.delete(name);
    return fd;
  }

  /** Closes what was not taken. */
  closeRest(): void {
    for (const fd of this.#descriptors.values()) native.close(fd);
    this.#descriptors.clear();
  }

  /** Tells the old master that this one serves. Resolves when it knows, or is gone. */
  announce(): Promise<void> {
    const line = this.#line;
    if (line === null || this.master === null) return Promise.resolve();
    return new Promise((resolve) => {
      try {
        const socket = new Socket({ fd: line, readable: true, writable: true });
        socket.on('error', () => {}).once('close', () => resolve());
        socket.unref().resume().write('ready\n');
      } catch {
        // The descriptor is none of a socket: nobody waits there.
        resolve();
      }
    });
  }
}
