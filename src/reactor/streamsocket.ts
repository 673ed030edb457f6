import { monotonic } from '../clock.ts';
import { type Chunk, checkChunk } from '../io/chunk.ts';
import { native } from '../native.ts';
import { EVENT_READ, EVENT_WRITE } from '../selectors/selector.ts';
import type { ServerAddress } from './address.ts';
import { Discard } from './discard.ts';
import { type FilePart, type FileProgress, FileRegion } from './fileregion.ts';
import { BEHIND, EDGE } from './harvester.ts';
import { lengthOfSize } from './output.ts';
import { tooSlow } from './outputpace.ts';
import { OutputQueue } from './outputqueue.ts';
import type { PaceRules } from './pace.ts';
import { PeerWatch } from './peerwatch.ts';
import type { Channel, Deferred, Protocol, Timed } from './protocol.ts';
import type { Reactor } from './reactor.ts';
import { DEFAULT_SOCKET_SETTINGS, LAST_PACE, type SocketSettings } from './socketsettings.ts';

/** A congested socket is drained when no more than this part of its high-water mark is left. */
const LOW_WATER = 1 / 4;

/**
 * A receive has room for as many bytes at least (`kReceiveLeast` of socket_batch.cc). One that is
 * shorter has taken all that TCP had, but for what is told by `BEHIND`.
 */
const LEAST_ROOM = 4 * 1024;

/**
 * - `open`: both ways.
 * - `ending`: closes when its output has gone.
 * - `finishing`: closes in the next flush when all output has gone and nothing is unread; if not, it
 *   lingers from then on.
 * - `lingering`: shuts down writing when its output has gone, then reads on until the peer is done,
 *   so that a reset for unread bytes does not destroy the answer on its way.
 * - `lost`: closes in the next flush, whatever is buffered.
 * - `closed`: the descriptor is no longer ours.
 */
type State = 'open' | 'ending' | 'finishing' | 'lingering' | 'lost' | 'closed';

/** Of an IP client; of a unix one a path, which is mostly empty. As in socketserver. */
export type ClientAddress = ServerAddress;

/**
 * A connected stream socket in a reactor: what socketserver calls the request.
 *
 * Writing never blocks and never throws; what the kernel does not take is kept, and `congested`
 * tells a producer to wait. What is written after the end of the connection is dropped.
 */
export class StreamSocket implements Channel, Deferred, Timed {
  readonly fd: number;
  readonly clientAddress: ClientAddress;
  private readonly reactor: Reactor;
  private ownState: State = 'open';
  #error: Error | null = null;
  private ownProtocol: Protocol | null = null;
  private reading = false;
  #eof = false;
  #awaitsDrain = false;
  #unsettled = false;
  #registered = 0;
  /** `EDGE` as long as every receive has taken all that there was, else 0. */
  #edge: number;
  private unsent = 0;
  private ownQueue: OutputQueue | null = null;
  private ownSettings: SocketSettings = DEFAULT_SOCKET_SETTINGS;
  /** The protocol's deadline. */
  private due = Infinity;
  /** Made when it is first needed: idle connections do without. */
  #peer: PeerWatch | null = null;
  /** @internal The earlier of the protocol's deadline and the watch's. */
  deadline: number = Infinity;

  /** Takes over `fd`. */
  constructor(reactor: Reactor, fd: number, clientAddress: ClientAddress) {
    this.reactor = reactor;
    this.fd = fd;
    this.clientAddress = clientAddress;
    // A receive from a unix socket stops before descriptors, and before another sender's bytes.
    this.#edge = typeof clientAddress === 'string' ? 0 : EDGE;
    reactor.adopt(this);
  }

  /** The descriptor; -1 once the connection is over. */
  fileno(): number {
    return this.closed ? -1 : this.fd;
  }

  get closed(): boolean {
    return this.ownState === 'lost' || this.ownState === 'closed';
  }

  /** Whoever serves the connection; null until `attach()`. */
  get protocol(): Protocol | null {
    return this.ownProtocol;
  }

  /** Bytes written and not yet taken by the kernel. */
  get buffered(): number {
    return this.unsent;
  }

  /**
   * Whether the peer has taken some of what it was sent since this was asked last, or had something
   * to take when it is asked first.
   */
  isTaking(): boolean {
    return this.#watchedPeer().isTaking(this.unsent);
  }

  /** Whether so much is buffered that a producer should wait until `drained()` is told. */
  get congested(): boolean {
    return this.unsent >= this.ownSettings.highWater && this.awaitDrain();
  }

  private awaitDrain(): boolean {
    this.#awaitsDrain = true;
    return true;
  }

  /** Whether a producer waits to be told of the drain, which follows what has gone by a turn. */
  get drainDue(): boolean {
    return this.#awaitsDrain;
  }

  /** The reactor's clock: monotonic milliseconds, read once a turn. */
  get now(): number {
    return monotonic();
  }

  /** Whether the serving thread is blocked by `serveForeverSync()`, so that no promise settles. */
  get blocking(): boolean {
    return this.reactor.blocking;
  }

  /** From now on `protocol` serves the connection, and bytes are received. */
  attach(protocol: Protocol, settings: SocketSettings = DEFAULT_SOCKET_SETTINGS): void {
    this.ownProtocol = protocol;
    this.configure(settings);
    this.resume();
    this.reactor.attached(this);
  }

  configure(settings: SocketSettings): void {
    this.ownSettings = settings;
  }

  /**
   * The protocol is told when the monotonic clock has reached `when` (milliseconds); `Infinity`
   * takes it back.
   */
  setDeadline(when: number): void {
    // Within a turn it is the same for all requests that end in it.
    if (when === this.due) return;
    this.due = when;
    this.schedule();
  }

  private schedule(): void {
    const watch = this.#peer === null ? Infinity : this.#peer.deadline;
    this.reactor.deadlines.set(this, Math.min(this.due, watch));
  }

  #watchedPeer(): PeerWatch {
    this.#peer ??= new PeerWatch(this.fd);
    return this.#peer;
  }

  /** `bytes` must not change until they have gone, as with a `node:stream`. */
  write(bytes: Uint8Array): void {
    checkChunk(bytes);
    if (this.ownState !== 'open' || bytes.length === 0) return;
    this.unsent += bytes.length;
    this.reactor.output.bytes(this, bytes);
    this.reactor.wantFlush();
  }

  /** Text of code points up to U+00FF. */
  writeLatin1(text: string): void {
    if (this.ownState !== 'open' || text.length === 0) return;
    this.unsent += text.length;
    this.reactor.output.latin1(this, text);
    this.reactor.wantFlush();
  }

  /**
   * Writes `head`, behind it `length` in decimal digits and an empty line if it is not -1, and
   * `body`, which is `bodySize` bytes that must not change until they have gone, or as many
   * characters up to U+00FF.
   */
  writeMessage(head: Uint8Array, length: number, body: Chunk, bodySize: number): void {
    if (this.ownState !== 'open') return;
    const size = head.length + lengthOfSize(length) + bodySize;
    this.unsent += size;
    this.reactor.output.message(this, head, length, body, bodySize, size);
    this.reactor.wantFlush();
  }

  /**
   * Sends the first `count` bytes of a part of a file, without having them pass through JavaScript.
   * `copy`: not by sendfile(2). `told` is called once, with null when the kernel has taken all.
   */
  writeFile(
    part: FilePart,
    count: number,
    copy: boolean,
    told: (error: Error | null) => void,
  ): FileProgress {
    const region = new FileRegion(part, count, copy, told);
    if (this.ownState === 'open') {
      this.unsent += count;
      this.reactor.output.file(this, region);
    } else {
      this.reactor.output.end(this, region, this.#error ?? ended());
    }
    this.reactor.wantFlush();
    return region;
  }

  /** Stops receiving; the kernel's buffers then hold the peer back. */
  pause(): void {
    if (!this.reading) return;
    this.reading = false;
    this.#watchedPeer().pause(this.now);
    this.schedule();
    this.reactor.settle(this);
  }

  resume(): void {
    if (this.#eof || this.reading) return;
    this.reading = true;
    this.#peer?.resume();
    this.reactor.settle(this);
  }

  /** Calls `item.proceed()` in the next turn. */
  defer(item: Deferred): void {
    this.reactor.defer(this, item);
  }

  /** Closes when the output has gone. */
  end(): void {
    if (this.ownState !== 'open') return;
    this.ownState = 'ending';
    this.reading = false;
    this.reactor.settle(this);
  }

  /**
   * As `linger()`, for a peer that has promised to send nothing more and was written little: the
   * connection closes in the flush, unless the peer has broken its promise by then or the kernel
   * does not take all output. nginx decides alike.
   */
  finish(): void {
    if (this.#eof) this.end();
    if (this.ownState !== 'open') return;
    this.ownState = 'finishing';
    this.reactor.output.last(this);
    this.reactor.settle(this);
  }

  /** Closes when the output has gone and the peer, which may still be sending, is done. */
  linger(): void {
    if (this.#eof) this.end();
    if (this.ownState !== 'open' && this.ownState !== 'finishing') return;
    this.ownState = 'lingering';
    this.reactor.output.last(this);
    this.reactor.settle(this);
  }

  /** Closes at once; output that has not gone is lost. */
  abort(error: Error | null = null): void {
    if (this.closed) return;
    this.ownState = 'lost';
    this.#error = error;
    this.reactor.settle(this);
  }

  /**
   * As `abort()`, so that the peer cannot take what it got for complete: a TCP connection is reset.
   */
  reset(error: Error): void {
    if (this.closed) return;
    native.resetOnClose(this.fd);
    this.abort(error);
  }

  // From here on: for the reactor.

  /** @internal */
  ready(events: number): void {
    if ((events & EVENT_WRITE) !== 0 && this.ownQueue !== null) this.reactor.writable.push(this);
    if ((events & EVENT_READ) === 0) return;
    if (this.reading) this.reactor.readable.push(this);
    if (!this.reading || (events & BEHIND) !== 0) this.keepTelling();
  }

  /** Not all may be received that was told: from here on it is told as long as it is there. */
  private keepTelling(): void {
    if (this.#edge === 0) return;
    this.#edge = 0;
    this.reactor.settle(this);
  }

  /** @internal */
  received(bytes: Buffer, start: number, end: number): void {
    if (end - start >= LEAST_ROOM) this.keepTelling();
    // Also while paused: what has been received already cannot be put back.
    if (this.ownState === 'open' || this.ownState === 'lingering') {
      this.ownProtocol?.dataReceived(bytes, start, end);
    }
  }

  /** @internal */
  receivedEOF(): void {
    if (this.#eof || this.closed) return;
    this.#eof = true;
    this.reading = false;
    this.reactor.settle(this);
    this.ownProtocol?.eofReceived();
  }

  /** @internal */
  expire(): void {
    if (this.closed) return;
    const { now } = this;
    if (this.#peer?.isTooSlow(now)) {
      this.reset(tooSlow());
      return;
    }
    const found = this.#peer?.look(now);
    if (found instanceof Error) this.abort(found);
    else if (found) this.#guard((protocol) => protocol.eofAhead?.());
    if (this.due <= now) {
      this.due = Infinity;
      this.#guard((protocol) => protocol.deadlinePassed());
    }
    if (!this.closed) this.schedule();
  }

  /** @internal */
  serverClosing(): void {
    if (!this.closed) this.#guard((protocol) => protocol.serverClosing());
  }

  /** @internal Whether the connection was idle, and has been ended: nobody is owed anything. */
  endIfIdle(patiently: boolean): boolean {
    // A request has come since the turn began.
    if (patiently && native.unread(this.fd) > 0) return false;
    let wasIdle = this.unsent === 0;
    this.#guard((protocol) => {
      wasIdle = protocol.endIfIdle?.(patiently) === true && wasIdle;
    });
    return wasIdle;
  }

  /** What it is doing, in a word: its protocol's. */
  get activity(): string {
    return this.ownState === 'open' ? (this.ownProtocol?.state ?? 'open') : 'closing';
  }

  /** @internal Whether nobody is owed anything: all that was to be sent has gone. */
  get answered(): boolean {
    return this.closed || (this.ownState !== 'open' && this.unsent === 0);
  }

  /** @internal Told in a turn of its own, so that one fast reader cannot keep a turn going. */
  proceed(): void {
    if (!this.#awaitsDrain || !this.#isDrained() || this.closed) return;
    this.#awaitsDrain = false;
    this.#guard((protocol) => protocol.drained());
  }

  #isDrained(): boolean {
    return this.unsent <= this.ownSettings.highWater * LOW_WATER;
  }

  /** What a protocol throws ends its connection, and nothing else. */
  #guard(tell: (protocol: Protocol) => void): void {
    try {
      if (this.ownProtocol !== null) tell(this.ownProtocol);
    } catch (error) {
      this.reactor.failed(this, error);
    }
  }

  /** @internal The queue, while it holds something. */
  get queue(): OutputQueue | null {
    return this.ownQueue;
  }

  /** @internal The kernel did not take this; `copy` when it lies in the slab. */
  keep(rest: Uint8Array | FileRegion, copy: boolean): void {
    if (this.ownState === 'closed') {
      if (rest instanceof FileRegion) rest.end(this.#error ?? ended());
      return;
    }
    this.ownQueue ??= new OutputQueue();
    if (copy) this.ownQueue.copy(rest as Uint8Array);
    else this.ownQueue.push(rest);
    this.reactor.settle(this);
  }

  /** @internal The disk is waited for before the queue goes on. */
  awaitFile(region: FileRegion): void {
    region.readAhead((error) => this.#waited(region, error));
    this.#restPace();
  }

  /** @internal As `awaitFile()`, for a file that may be being appended to. */
  awaitWriter(region: FileRegion): void {
    region.awaitWriter((error) => this.#waited(region, error));
    this.#restPace();
  }

  #waited(region: FileRegion, error: Error | null): void {
    if (error !== null) {
      this.fileEnded(region, error);
      return;
    }
    if (region.remaining === 0) this.reactor.output.finish(this, region);
    else this.reactor.writable.push(this);
    this.reactor.settle(this);
  }

  /** The peer is not the one to act. */
  #restPace(): void {
    this.#peer?.endPace();
    this.schedule();
    this.reactor.settle(this);
  }

  /** @internal A file has been sent, or cannot be sent to its end. */
  fileEnded(region: FileRegion, error: Error | null): void {
    this.#guard(() => region.end(error));
    if (error !== null) this.reset(error);
  }

  /** The peer is waited for as long as output is held back. */
  #watchPace(): void {
    if (this.ownQueue === null || this.ownQueue.waiting || this.#peer?.isPaced) return;
    const rules = this.ownSettings.write ?? (this.ownState === 'open' ? null : LAST_PACE);
    if (rules !== null) this.#startPace(rules);
  }

  #startPace(rules: PaceRules): void {
    this.#watchedPeer().startPace(rules, this.now);
    this.schedule();
  }

  /** @internal The kernel took `count` bytes. */
  took(count: number): void {
    this.unsent -= count;
    if (this.unsent === 0) this.ownQueue = null;
    if (this.#peer?.isPaced) this.#progress(this.#peer, count);
    if (this.ownState !== 'open' || (this.#registered & EVENT_WRITE) !== 0)
      this.reactor.settle(this);
    if (this.#awaitsDrain && this.#isDrained()) this.reactor.defer(this, this);
  }

  #progress(peer: PeerWatch, count: number): void {
    if (this.ownQueue === null) peer.endPace();
    else peer.took(this.now, count);
    if (peer.isBlank) this.#peer = null;
    this.schedule();
  }

  /** @internal True the first time since the last `settle()`. */
  unsettle(): boolean {
    const first = !this.#unsettled;
    this.#unsettled = true;
    return first;
  }

  /** @internal Brings the registration, and the connection's end, up to date after a flush. */
  settle(): void {
    this.#unsettled = false;
    if (this.ownState === 'closed') return;
    if (this.ownState === 'ending' && this.unsent === 0) this.ownState = 'lost';
    if (this.ownState === 'finishing') {
      this.ownState = this.unsent === 0 && native.finish(this.fd) <= 0 ? 'lost' : 'lingering';
    }
    this.#watchPace();
    if (this.ownState === 'lost') this.#close();
    else if (this.ownState === 'lingering') this.#lingerOn();
    else this.#watch();
  }

  #watch(): void {
    const waiting = this.ownQueue !== null && !this.ownQueue.waiting;
    let wanted = waiting ? EVENT_WRITE : 0;
    if (this.reading) wanted |= waiting ? EVENT_READ : EVENT_READ | this.#edge;
    if (wanted === this.#registered) return;
    try {
      this.reactor.watch(this, this.#registered, wanted);
      this.#registered = wanted;
    } catch (error) {
      this.#registered = 0;
      this.#error = error as Error;
      this.reactor.onError(error, this);
      this.#close();
    }
  }

  #lingerOn(): void {
    const protocol = this.ownProtocol;
    if (!(protocol instanceof Discard)) {
      this.ownProtocol = new Discard(this, this.ownSettings.linger);
      this.reading = !this.#eof;
      this.#peer?.resume();
      this.setDeadline(Infinity);
      this.reactor.report(protocol, null);
    }
    if (this.unsent === 0 && this.#eof) {
      this.#close();
      return;
    }
    // When the kernel has taken the output, the wait for the peer's end begins.
    if (this.unsent === 0 && this.due === Infinity) {
      native.shutdown(this.fd);
      if (native.unacknowledged(this.fd) > 1) this.#startPace(this.ownSettings.write ?? LAST_PACE);
      this.setDeadline(this.now + this.ownSettings.linger * 1000);
    }
    this.#watch();
  }

  #close(): void {
    const queue = this.ownQueue;
    this.#release();
    native.close(this.fd);
    this.reactor.report(this.ownProtocol, this.#error);
    this.#dropFiles(queue, this.#error);
  }

  #dropFiles(queue: OutputQueue | null, error: Error | null): void {
    this.#guard(() => queue?.drop(error ?? ended()));
  }

  /**
   * @internal Somebody else has closed the descriptor, and the system has given its number to
   * another connection: it is not ours to close.
   */
  disown(error: Error): void {
    const queue = this.ownQueue;
    this.#release();
    this.reactor.report(this.ownProtocol, error);
    this.#dropFiles(queue, error);
  }

  #release(): void {
    this.ownState = 'closed';
    this.ownQueue = null;
    this.reactor.release(this);
    if (this.#registered === 0) return;
    try {
      this.reactor.watch(this, this.#registered, 0);
    } catch (error) {
      // A selector of the caller's own refuses to let go.
      this.reactor.onError(error, this);
    }
    this.#registered = 0;
  }
}

function ended(): Error {
  return new Error('the connection has ended');
}
