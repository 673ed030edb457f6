import { once } from 'node:events';
import { readSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import { native } from '../../src/native.ts';
import { Listener } from '../../src/reactor/listener.ts';
import type { Protocol } from '../../src/reactor/protocol.ts';
import { Reactor } from '../../src/reactor/reactor.ts';
import { StreamSocket } from '../../src/reactor/streamsocket.ts';
import type { Selector, SelectorName } from '../../src/selectors/index.ts';

/** What a test may watch of a protocol: each callback can be replaced. */
export class Recorder implements Protocol {
  received = '';
  readonly log: string[] = [];
  readonly lost: (Error | null)[] = [];
  onData: (text: string) => void = () => {};
  onEOF: () => void = () => {};
  onDrained: () => void = () => {};
  onDeadline: () => void = () => {};
  onClosing: () => void = () => {};
  onLost: () => void = () => {};

  dataReceived(bytes: Buffer, start: number, end: number): void {
    const text = bytes.toString('latin1', start, end);
    this.received += text;
    this.log.push('data');
    this.onData(text);
  }

  eofReceived(): void {
    this.log.push('eof');
    this.onEOF();
  }

  drained(): void {
    this.log.push('drained');
    this.onDrained();
  }

  deadlinePassed(): void {
    this.log.push('deadline');
    this.onDeadline();
  }

  serverClosing(): void {
    this.log.push('closing');
    this.onClosing();
  }

  connectionLost(error: Error | null): void {
    this.log.push('lost');
    this.lost.push(error);
    this.onLost();
  }
}

/** One end in the reactor, served by a recorder; the other a descriptor of the test's. */
export interface Connection {
  socket: StreamSocket;
  protocol: Recorder;
  peer: number;
}

/** The same over TCP, with `client` at the other end: one of Node's, if nothing else is said. */
export interface TCPConnection<Client = Socket> {
  socket: StreamSocket;
  protocol: Recorder;
  client: Client;
}

export interface Bench {
  reactor: Reactor;
  errors: [error: unknown, socket: StreamSocket | null][];
  connect(): Connection;
  connectTCP(): Promise<TCPConnection>;
  /** `connect` connects a client to the port of 127.0.0.1. */
  accept<Client>(connect: (port: number) => Promise<Client>): Promise<TCPConnection<Client>>;
  closePeer(peer: number): void;
  /** Makes turns, blocking, until `turns` of them have been made. */
  step(turns?: number): void;
  /** Serves in Node's loop until `done`, at most ten seconds. */
  serve(done: () => boolean): Promise<void>;
}

/** A function that makes reactors; they and their connections are closed after each test. */
export function benchMaker(): (selector?: Selector | SelectorName) => Bench {
  const reactors: Reactor[] = [];
  const peers = new Set<number>();
  const clients: Socket[] = [];
  afterEach(() => {
    for (const reactor of reactors.splice(0)) reactor.close();
    for (const peer of peers) native.close(peer);
    for (const client of clients.splice(0)) client.destroy();
    peers.clear();
  });
  return (selector) => {
    const reactor = new Reactor(selector);
    reactors.push(reactor);
    const bench = new ReactorBench(reactor, peers, clients);
    reactor.onError = (error, socket) => bench.errors.push([error, socket]);
    return bench;
  };
}

class ReactorBench implements Bench {
  readonly reactor: Reactor;
  readonly errors: [unknown, StreamSocket | null][] = [];
  readonly #peers: Set<number>;
  readonly #clients: Socket[];

  constructor(reactor: Reactor, peers: Set<number>, clients: Socket[]) {
    this.reactor = reactor;
    this.#peers = peers;
    this.#clients = clients;
  }

  connect(): Connection {
    const ends = native.socketPair();
    if (typeof ends === 'number') throw new Error(`no socket pair: errno ${ends}`);
    const [fd, peer] = ends;
    this.#peers.add(peer);
    const socket = new StreamSocket(this.reactor, fd, '');
    const protocol = new Recorder();
    socket.attach(protocol);
    return { socket, protocol, peer };
  }

  async connectTCP(): Promise<TCPConnection> {
    return this.accept(async (port) => {
      const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      this.#clients.push(client);
      await once(client, 'connect');
      return client;
    });
  }

  async accept<Client>(
    connectTo: (port: number) => Promise<Client>,
  ): Promise<TCPConnection<Client>> {
    const fd = native.socket(native.AF_INET);
    native.bind(fd, native.AF_INET, '127.0.0.1', 0);
    native.listen(fd, 1);
    const [, , port] = native.address(fd, false) as [number, string, number];
    const client = await connectTo(port);
    let socket: StreamSocket | null = null;
    const listener: Listener = new Listener(this.reactor, fd, () => {
      socket = listener.take();
    });
    listener.open();
    this.step();
    listener.close();
    native.close(fd);
    if (socket === null) throw new Error('the connection was not accepted');
    const protocol = new Recorder();
    (socket as StreamSocket).attach(protocol);
    return { socket, protocol, client };
  }

  closePeer(peer: number): void {
    if (this.#peers.delete(peer)) native.close(peer);
  }

  step(turns = 1): void {
    const { reactor } = this;
    const until = reactor.turns + turns;
    // The actions bound the wait, so that a turn comes even when nothing is ready.
    reactor.runSync({ pollInterval: 0.02, actions: () => {}, done: () => reactor.turns >= until });
  }

  async serve(done: () => boolean): Promise<void> {
    let late = false;
    const limit = setTimeout(() => {
      late = true;
      this.reactor.waker.wake();
    }, 10_000);
    // Asked after every turn; the timer covers what happens between turns.
    const look = setInterval(() => this.reactor.waker.wake(), 20);
    try {
      await this.reactor.run({ pollInterval: 1, actions: null, done: () => late || done() });
    } finally {
      clearTimeout(limit);
      clearInterval(look);
    }
    if (late) throw new Error('what was served for did not happen in ten seconds');
  }
}

/** What can be read from `fd` now. Empty at its end, and when there is nothing yet. */
export function readAvailable(fd: number): Buffer {
  const parts: Buffer[] = [];
  const chunk = Buffer.alloc(65_536);
  for (;;) {
    try {
      const count = readSync(fd, chunk);
      if (count === 0) return Buffer.concat(parts);
      parts.push(Buffer.from(chunk.subarray(0, count)));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN' || code === 'ECONNRESET') return Buffer.concat(parts);
      throw error;
    }
  }
}

/** Whether the other side of `fd` has closed. Takes what is there to be read. */
export function isAtEnd(fd: number): boolean {
  readAvailable(fd);
  try {
    return readSync(fd, Buffer.alloc(1)) === 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNRESET';
  }
}
