import { constants } from 'node:os';
import { beginTurn, endTurn } from '../clock.ts';
import type { SystemCallError } from '../errors.ts';
import { construct, type NativeWaker, native } from '../native.ts';
import {
  EVENT_READ,
  isNative,
  makeSelector,
  type Selector,
  type SelectorName,
} from '../selectors/index.ts';
import { Ahead, type Prospect } from './ahead.ts';
import { serveBlocking } from './blockingloop.ts';
import { Connections, type OpenSockets } from './connections.ts';
import { Deadlines } from './deadlines.ts';
import { type Harvester, makeHarvester } from './harvester.ts';
import { Input } from './input.ts';
import type { Listener } from './listener.ts';
import { NodeLoop } from './nodeloop.ts';
import { Output } from './output.ts';
import type { Channel, Deferred, Protocol } from './protocol.ts';
import type { Serving } from './serving.ts';
import { Slabs } from './slabs.ts';
import type { StreamSocket } from './streamsocket.ts';

const EBADF = -constants.errno.EBADF;
/** Flushes may give rise to output; after so many the rest waits for the next turn. */
const MOST_FLUSHES = 8;

/**
 * The event loop of one server: turns of four phases, each over all ready connections before the
 * next begins. Harvest: one wait tells what is ready. Receive: one native call reads every readable
 * socket. Serve: protocols handle what came. Flush: one native call sends what they wrote; long
 * answers do not wait for it.
 */
export class Reactor {
  readonly selector: Selector;
  readonly slabs: Slabs = new Slabs();
  readonly output: Output = new Output(this.slabs);
  readonly #input = new Input(this.slabs, this.output, (socket, error) =>
    this.failed(socket, error),
  );
  readonly #connections = new Connections();
  readonly deadlines: Deadlines = new Deadlines(
    (when) => this.#loop.schedule(when),
    this.#connections,
  );
  /** Sockets and listeners that the harvest found ready. */
  readonly readable: StreamSocket[] = [];
  readonly writable: StreamSocket[] = [];
  readonly accepting: Pick<Listener, 'accept'>[] = [];
  /** Sockets that were attached while connections were accepted. */
  readonly #fresh: StreamSocket[] = [];
  readonly waker: NativeWaker;
  /** Turns so far: an idle reactor makes none. */
  turns = 0;
  /** Told what a protocol throws; the connection is aborted. Must not throw. */
  onError: (error: unknown, socket: StreamSocket | null) => void = () => {};
  /** Told of every connection that is over. Must not throw. */
  onClose: (socket: StreamSocket) => void = () => {};
  readonly #owned: boolean;
  readonly #harvester: Harvester;
  readonly #wakerChannel: Channel;
  readonly #loop: NodeLoop;
  #blocking = false;
  private inTurn = false;
  #accepting = false;
  /** Whom the next turn is probably for. */
  readonly ahead: Ahead = new Ahead();
  #flushWanted = false;
  #wakeAskedAt: number | null = null;
  #wakeLatency: number | null = null;
  #closed = false;
  #unsettled: StreamSocket[] = [];
  #deferred: [socket: StreamSocket, item: Deferred][] = [];

  /** A selector of the caller's own is left open by `close()`. */
  constructor(selector: Selector | SelectorName | 'auto' = 'auto') {
    const waker = construct(() => new native.Waker(), 'a server needs descriptors of its own');
    this.waker = waker;
    this.#wakerChannel = { fd: waker.fileno(), ready: () => this.#woken() };
    this.#owned = typeof selector === 'string';
    try {
      this.selector = typeof selector === 'string' ? makeSelector(selector) : selector;
      this.#harvester = this.#join(this.selector);
      this.#loop = new NodeLoop(this, this.#harvester);
    } catch (error) {
      waker.close();
      throw error;
    }
  }

  #join(selector: Selector): Harvester {
    const harvester = makeHarvester(selector, this.#owned);
    try {
      harvester.watch(this.#wakerChannel, 0, EVENT_READ);
    } catch (error) {
      harvester.close();
      if (this.#owned) selector.close();
      throw error;
    }
    return harvester;
  }

  #woken(): void {
    this.waker.drain();
    this.#loop.woken();
    if (this.#wakeAskedAt === null) return;
    this.#wakeLatency = performance.now() - this.#wakeAskedAt;
    this.#wakeAskedAt = null;
  }

  /**
   * Milliseconds that the last wake-up took which was asked for here, null when there was none; asks
   * for another.
   */
  measureWake(): number | null {
    const serving = this.#blocking || this.#loop.serving;
    if (serving && this.#wakeAskedAt === null) {
      this.#wakeAskedAt = performance.now();
      this.waker.wake();
    }
    return this.#wakeLatency;
  }

  /** The open connections. */
  get sockets(): OpenSockets {
    return this.#connections;
  }

  /** Whether the thread is blocked by `runSync()`, so that no promise settles meanwhile. */
  get blocking(): boolean {
    return this.#blocking;
  }

  /** Serves beside everything else in Node's loop, until `serving.done()`. */
  run(serving: Serving): Promise<void> {
    this.waker.drain();
    if (this.#deferred.length > 0) this.waker.wake();
    return this.#loop.run(serving);
  }

  /** Serves, blocking the thread, until `serving.done()`. */
  runSync(serving: Serving): void {
    this.waker.drain();
    this.#blocking = true;
    try {
      serveBlocking(this, this.#harvester, serving);
    } finally {
      this.#leaveTurn();
      this.#blocking = false;
    }
  }

  // The turn, for the two loops.

  /**
   * A turn begins: `find` tells the channels that are ready. Throws when waiting itself failed,
   * unless that was for a descriptor that somebody else has closed.
   */
  harvest(find: () => void): void {
    this.inTurn = true;
    try {
      find();
    } catch (error) {
      if ((error as SystemCallError).errno !== EBADF || !this.#connections.dropDead()) throw error;
    }
  }

  /** The phases between the harvest and the flush. */
  serve(): void {
    this.turns++;
    this.ahead.turned(true, beginTurn());
    this.#accept();
    this.#receive();
    if (this.#deferred.length > 0) this.#proceed();
  }

  /** A turn without a harvest, for one client. False when it had nothing to say. */
  serveAhead(prospect: Prospect): boolean {
    const { client } = this.ahead;
    if (client === null || this.#deferred.length > 0) return false;
    client.ready(EVENT_READ);
    this.inTurn = true;
    const now = beginTurn();
    // Whoever is served may ask for it.
    this.turns++;
    const heard = this.#receive();
    prospect.tell(heard);
    if (!heard) {
      this.turns--;
      this.#leaveTurn();
      return false;
    }
    this.ahead.turned(false, now);
    if (this.#deferred.length > 0) this.#proceed();
    return true;
  }

  /** As `serveAhead()`, where the flush of a turn has just ended and it is worth trying. */
  serveAtOnce(): boolean {
    const { afterFlush } = this.ahead;
    return this.ahead.mayFollow(afterFlush) && this.serveAhead(afterFlush);
  }

  /**
   * Clients mostly have sent their request when they are accepted: it is received in the same turn.
   * A connection for one request is never watched then, which saves two system calls and a turn.
   */
  #accept(): void {
    const { accepting } = this;
    if (accepting.length === 0) return;
    this.#accepting = true;
    for (const listener of accepting) {
      try {
        listener.accept();
      } catch (error) {
        this.onError(error, null);
      }
    }
    accepting.length = 0;
    this.#accepting = false;
    for (const socket of this.#fresh) socket.ready(EVENT_READ);
    this.#fresh.length = 0;
  }

  /** Whether anybody had anything to say. */
  #receive(): boolean {
    const { readable } = this;
    this.ahead.receives(readable);
    const heard = this.#input.receive(readable);
    readable.length = 0;
    return heard;
  }

  #proceed(): void {
    const deferred = this.#deferred;
    this.#deferred = [];
    for (const [socket, item] of deferred) {
      try {
        item.proceed();
      } catch (error) {
        this.failed(socket, error);
      }
    }
  }

  /** The last phase: sends what was written, and ends what is to end. */
  flush(): void {
    this.#flushWanted = false;
    if (!this.inTurn) beginTurn();
    this.inTurn = true;
    this.output.sendQueued(this.writable);
    this.writable.length = 0;
    for (let round = 0; !this.#isQuiet() && round < MOST_FLUSHES; round++) {
      this.output.send();
      this.output.tellEnded();
      this.#settleAll();
    }
    this.#leaveTurn();
    if (!this.#isQuiet()) this.wantFlush();
    if (this.#deferred.length > 0 && !this.#blocking) this.waker.wake();
  }

  #leaveTurn(): void {
    this.inTurn = false;
    endTurn();
  }

  // No getter: V8 reads a private one by a call of its runtime.
  #isQuiet(): boolean {
    return this.output.empty && this.#unsettled.length === 0;
  }

  #settleAll(): void {
    const unsettled = this.#unsettled;
    if (unsettled.length === 0) return;
    this.#unsettled = [];
    for (const socket of unsettled) {
      // What one of them has written, at its end, to another must go before that is closed.
      this.output.send();
      socket.settle();
    }
  }

  /** Whether the next turn may wait until somebody is ready. */
  isIdle(): boolean {
    return this.#deferred.length === 0 && this.#isQuiet();
  }

  // For sockets and listeners.

  adopt(socket: StreamSocket): void {
    this.#connections.adopt(socket);
  }

  attached(socket: StreamSocket): void {
    if (this.#accepting) this.#fresh.push(socket);
  }

  release(socket: StreamSocket): void {
    this.#connections.release(socket);
    this.onClose(socket);
  }

  /** Whether the selector can watch `fd`: select(2) has an end. */
  canWatch(fd: number): boolean {
    return !isNative(this.selector) || fd <= this.selector.highest;
  }

  watch(channel: Channel, before: number, after: number): void {
    this.#harvester.watch(channel, before, after);
  }

  /** The socket is looked at in the flush, after its output has been sent. */
  settle(socket: StreamSocket): void {
    if (!socket.unsettle()) return;
    this.#unsettled.push(socket);
    this.wantFlush();
  }

  /** Goes on with `item` in the next turn; when that fails, `socket` is aborted. */
  defer(socket: StreamSocket, item: Deferred): void {
    this.#deferred.push([socket, item]);
    if (!this.inTurn) this.waker.wake();
  }

  /** What was written outside a turn is flushed when the current job of Node's loop is done. */
  wantFlush(): void {
    if (!this.inTurn) this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#flushWanted || this.#blocking) return;
    this.#flushWanted = true;
    queueMicrotask(() => {
      if (!this.#flushWanted || this.inTurn) return;
      this.flush();
      // What is waited for may have been the end of a connection that had just this to send.
      this.#loop.endIfDone();
    });
  }

  /** A protocol has thrown. */
  failed(socket: StreamSocket, error: unknown): void {
    this.onError(error, socket);
    socket.reset(error instanceof Error ? error : new Error('a handler failed', { cause: error }));
  }

  /** Tells a protocol that its connection is over. */
  report(protocol: Protocol | null, error: Error | null): void {
    try {
      protocol?.connectionLost(error);
    } catch (failure) {
      this.onError(failure, null);
    }
  }

  /** Aborts every connection and gives everything back. Not while serving. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const socket of this.sockets) socket.abort();
    this.flush();
    this.#loop.close();
    try {
      this.watch(this.#wakerChannel, EVENT_READ, 0);
    } finally {
      this.#harvester.close();
      if (this.#owned) this.selector.close();
      this.waker.close();
    }
  }
}
