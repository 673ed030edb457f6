import { constants } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { beginTurn, endTurn, monotonic } from '../clock.ts';
import { RyegateError, SystemCallError } from '../errors.ts';
import { toMilliseconds } from '../milliseconds.ts';
import {
  construct,
  FLUSH_AGAIN,
  type NativeLoopHook,
  type NativeWaker,
  native,
  TURN_FIRST,
  UNHARVESTED,
} from '../native.ts';
import {
  EVENT_READ,
  isNative,
  makeSelector,
  type Selector,
  type SelectorName,
} from '../selectors/index.ts';
import { isThenable } from '../thenable.ts';
import { Ahead, type Prospect } from './ahead.ts';
import { Connections, type OpenSockets } from './connections.ts';
import { Deadlines } from './deadlines.ts';
import { type Harvester, makeHarvester } from './harvester.ts';
import { Input } from './input.ts';
import type { Listener } from './listener.ts';
import { Output } from './output.ts';
import type { Channel, Deferred, Protocol } from './protocol.ts';
import { Slabs } from './slabs.ts';
import type { StreamSocket } from './streamsocket.ts';

const EBADF = -constants.errno.EBADF;
/** So long, in milliseconds, what has come is received before anybody is found to be late. */
const HEARING = 10;
/** Flushes may give rise to output; after so many the rest waits for the next turn. */
const MOST_FLUSHES = 8;
/**
 * Seconds that a native call may block a worker's thread: `terminate()`, and the end of the process,
 * wait until it returns. Nothing ends the main thread that way.
 */
const LONGEST_BLOCK = isMainThread ? Infinity : 0.25;

/** One spell of serving. */
export interface Serving {
  /** Seconds between two calls of `actions` at most. */
  pollInterval: number;
  /** Runs after every turn, and at least every `pollInterval`; null where there is nothing to do. */
  actions: (() => void) | null;
  /** Asked after every turn. */
  done: () => boolean;
}

/**
 * The event loop of one server: turns of four phases, each over all ready connections before the
 * next begins. Harvest: one wait tells what is ready. Receive: one native call reads every readable
 * socket. Serve: protocols handle what came. Flush: one native call sends what they wrote.
 */
export class Reactor {
  readonly selector: Selector;
  readonly slabs: Slabs = new Slabs();
  readonly output: Output = new Output(this.slabs);
  readonly #input = new Input(this.slabs, (socket, error) => this.failed(socket, error));
  readonly #connections = new Connections();
  readonly deadlines: Deadlines = new Deadlines((when) => this.#schedule(when), this.#connections);
  /** Sockets and listeners that the harvest found ready. */
  readonly readable: StreamSocket[] = [];
  readonly writable: StreamSocket[] = [];
  readonly accepting: Listener[] = [];
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
  #hook: NativeLoopHook | null = null;
  #serving: Serving | null = null;
  #settleRun: { resolve: () => void; reject: (error: unknown) => void } | null = null;
  #blocking = false;
  #inTurn = false;
  #accepting = false;
  readonly #ahead = new Ahead();
  #flushWanted = false;
  #closed = false;
  #unsettled: StreamSocket[] = [];
  #deferred: [socket: StreamSocket, item: Deferred][] = [];
  #actionsTimer: NodeJS.Timeout | undefined;
  #sweepTimer: NodeJS.Timeout | undefined;

  /** A selector of the caller's own is left open by `close()`. */
  constructor(selector: Selector | SelectorName | 'auto' = 'auto') {
    const waker = construct(() => new native.Waker(), 'a server needs descriptors of its own');
    this.waker = waker;
    this.#wakerChannel = { fd: waker.fileno(), ready: () => waker.drain() };
    this.#owned = typeof selector === 'string';
    try {
      this.selector = typeof selector === 'string' ? makeSelector(selector) : selector;
      this.#harvester = this.#join(this.selector);
    } catch (error) {
      waker.close();
      throw error;
    }
  }

  #join(selector: Selector): Harvester {
    const harvester = makeHarvester(selector);
    try {
      harvester.watch(this.#wakerChannel, 0, EVENT_READ);
    } catch (error) {
      harvester.close();
      if (this.#owned) selector.close();
      throw error;
    }
    return harvester;
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
    return new Promise((resolve, reject) => {
      this.#begin(serving);
      this.#settleRun = { resolve, reject };
      try {
        this.#hook ??= this.#makeHook();
        const failure = this.#hook.start();
        if (failure < 0) throw new SystemCallError(failure, 'uv_poll_start', 'the loop refused');
      } catch (error) {
        this.#end({ error });
        return;
      }
      if (serving.actions !== null) {
        const act = (): void => this.#act();
        this.#actionsTimer = setInterval(act, toMilliseconds(serving.pollInterval));
      }
      this.#schedule(this.deadlines.next);
      if (this.#deferred.length > 0) this.waker.wake();
      if (serving.done()) this.#end();
    });
  }

  #makeHook(): NativeLoopHook {
    const turn = (count: number): void => this.#turn(count);
    const flush = (): number => this.#flush();
    return construct(() => this.#harvester.hook(turn, flush), 'the loop cannot watch the selector');
  }

  /** Serves, blocking the thread, until `serving.done()`. */
  runSync(serving: Serving): void {
    this.#begin(serving);
    this.#blocking = true;
    try {
      this.#flushTurn();
      while (!serving.done()) {
        this.#inTurn = true;
        if (!this.#serveAtOnce()) {
          this.#guardHarvest(() => this.#waitSync(serving));
          this.#serveTurn();
        }
        this.#flushTurn();
        this.#callActions(serving);
        if (this.deadlines.next <= monotonic()) this.#sweep();
        this.#flushTurn();
      }
    } finally {
      this.#leaveTurn();
      this.#blocking = false;
      this.#serving = null;
    }
  }

  /** Waits for the next turn, without its phases. */
  #waitSync(serving: Serving): void {
    for (let left = this.#longestWait(serving); ; left -= LONGEST_BLOCK) {
      if (this.#harvester.wait(Math.min(left, LONGEST_BLOCK))) return;
      if (left <= LONGEST_BLOCK) return;
    }
  }

  #longestWait(serving: Serving): number {
    if (this.#deferred.length > 0 || !this.#isQuiet()) return 0;
    const sweep = (this.deadlines.next - performance.now()) / 1000;
    const wait = serving.actions === null ? sweep : Math.min(sweep, serving.pollInterval);
    return Math.max(wait, 0);
  }

  #begin(serving: Serving): void {
    this.#serving = serving;
    this.waker.drain();
  }

  #end(failure: { error: unknown } | null = null): void {
    const settle = this.#settleRun;
    this.#hook?.stop();
    clearInterval(this.#actionsTimer);
    clearTimeout(this.#sweepTimer);
    this.#serving = null;
    this.#settleRun = null;
    if (failure === null) settle?.resolve();
    else settle?.reject(failure.error);
  }

  // The turn.

  #turn(count: number): void {
    this.#inTurn = true;
    if (this.#serving === null) return;
    if (count === UNHARVESTED && this.#serveAhead(this.#ahead.whenReady)) return;
    if (!this.#guardHarvest(() => this.#harvester.harvest(count))) return;
    this.#serveTurn();
  }

  /** False when waiting itself failed, which ends the serving. */
  #guardHarvest(harvest: () => void): boolean {
    try {
      harvest();
      return true;
    } catch (error) {
      if ((error as SystemCallError).errno === EBADF && this.#connections.dropDead()) return true;
      if (this.#blocking) throw error;
      this.#end({ error });
      return false;
    }
  }

  #serveTurn(): void {
    this.turns++;
    this.#ahead.turned(true, beginTurn());
    this.#accept();
    this.#receive();
    if (this.#deferred.length > 0) this.#proceed();
  }

  /** A turn without a harvest, for one client. False when it had nothing to say. */
  #serveAhead(prospect: Prospect): boolean {
    const { client } = this.#ahead;
    if (client === null || this.#deferred.length > 0) return false;
    client.ready(EVENT_READ);
    this.#inTurn = true;
    const now = beginTurn();
    // Whoever is served may ask for it.
    this.turns++;
    const heard = this.#receive();
    prospect.tell(heard);
    if (!heard) {
      this.turns--;
      return false;
    }
    this.#ahead.turned(false, now);
    if (this.#deferred.length > 0) this.#proceed();
    return true;
  }

  #serveAtOnce(): boolean {
    const { afterFlush } = this.#ahead;
    return this.#ahead.mayFollow() && afterFlush.worth() && this.#serveAhead(afterFlush);
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
    this.#ahead.receives(readable);
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

  /** A protocol has thrown. */
  failed(socket: StreamSocket, error: unknown): void {
    this.onError(error, socket);
    socket.reset(error instanceof Error ? error : new Error('a handler failed', { cause: error }));
  }

  /** How to go on, in the addon's terms. */
  #flush(): number {
    this.#flushTurn();
    if (this.#blocking) return 0;
    this.#act();
    this.#endIfDone();
    if (this.#serving === null) return 0;
    if (this.#serveAtOnce()) return FLUSH_AGAIN;
    this.#leaveTurn();
    const { whenReady } = this.#ahead;
    return this.#ahead.mayFollow() && whenReady.worth() ? TURN_FIRST : 0;
  }

  #endIfDone(): void {
    if (this.#serving?.done()) this.#end();
  }

  #act(): void {
    const serving = this.#serving;
    if (serving === null) return;
    try {
      this.#callActions(serving);
    } catch (error) {
      this.#end({ error });
    }
  }

  #callActions({ actions }: Serving): void {
    const acting: unknown = actions?.();
    if (!isThenable(acting)) return;
    // Nobody would wait for it, or see it fail.
    acting.then(null, () => {});
    throw new RyegateError(
      'ERR_RYEGATE_ASYNC',
      'serviceActions() returned a promise: it has to be synchronous, and quick',
    );
  }

  #flushTurn(): void {
    this.#flushWanted = false;
    if (!this.#inTurn) beginTurn();
    this.#inTurn = true;
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
    this.#inTurn = false;
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
    if (!this.#inTurn) this.waker.wake();
  }

  /** What was written outside a turn is flushed when the current job of Node's loop is done. */
  wantFlush(): void {
    if (this.#inTurn || this.#flushWanted || this.#blocking) return;
    this.#flushWanted = true;
    queueMicrotask(() => {
      if (!this.#flushWanted || this.#inTurn) return;
      this.#flushTurn();
      // What is waited for may have been the end of a connection that had just this to send.
      this.#endIfDone();
    });
  }

  /** Tells a protocol that its connection is over. */
  report(protocol: Protocol | null, error: Error | null): void {
    try {
      protocol?.connectionLost(error);
    } catch (failure) {
      this.onError(failure, null);
    }
  }

  #schedule(when: number): void {
    clearTimeout(this.#sweepTimer);
    if (when === Infinity || this.#serving === null || this.#blocking) return;
    const delay = toMilliseconds((when - performance.now()) / 1000);
    this.#sweepTimer = setTimeout(() => this.#sweepSoon(), delay);
  }

  /** Timers come first after a handler that blocked: what clients sent meanwhile is heard before. */
  #sweepSoon(): void {
    this.#sweepTimer = setTimeout(() => this.#sweep(), HEARING);
  }

  #sweep(): void {
    this.deadlines.sweep(monotonic());
  }

  /** Aborts every connection and gives everything back. Not while serving. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const socket of this.sockets) socket.abort();
    this.#flushTurn();
    clearTimeout(this.#sweepTimer);
    this.#hook?.close();
    try {
      this.watch(this.#wakerChannel, EVENT_READ, 0);
    } finally {
      this.#harvester.close();
      if (this.#owned) this.selector.close();
      this.waker.close();
    }
  }
}
