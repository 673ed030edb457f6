import { constants } from 'node:os';
import { SystemCallError } from '../errors.ts';
import { type Chunk, chunkChanged } from '../io/chunk.ts';
import { NOT_CACHED, native } from '../native.ts';
import { FileRegion, fileChanged, readFailed } from './fileregion.ts';
import type { OutputQueue } from './outputqueue.ts';
import { SEND_WORDS, SENDS, type Slabs } from './slabs.ts';
import type { StreamSocket } from './streamsocket.ts';

/** From this size on, in bytes, a chunk is sent from where it is instead of being copied. */
const COPY_LIMIT = 32 * 1024;
/** Bytes of such chunks from which on output is `heavy`. */
const HEAVY = 256 * 1024;
/** Up to this length, a text is written here: a call of Node's writer takes 5 % of a small request. */
const SHORT_TEXT = 24;
const { errno } = constants;
const EAGAIN = -errno.EAGAIN;
/** What sending a file fails with when the fault is the client's, or its network's. */
const SOCKET_FAULTS: ReadonlySet<number> = new Set(
  [
    errno.EPIPE,
    errno.ECONNRESET,
    errno.ECONNABORTED,
    errno.ENOTCONN,
    errno.ETIMEDOUT,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENETDOWN,
  ].map((number) => -number),
);

const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;

const COPY_FILE = 1;
const WAIT_FOR_FILE = 2;
const LAST = 4;

/**
 * The turn's output: bytes gather in the slab and leave together, in the flush if not before. What
 * follows each other for one socket is one run, and one run is one system call.
 */
export class Output {
  private readonly slabs: Slabs;
  /** Of the slabs, for every message: the bytes, and the list of runs. */
  private readonly slab: Slabs['output'];
  private readonly runs: Int32Array;
  private readonly owners: StreamSocket[] = [];
  private readonly externals: Uint8Array[] = [];
  /** Their sizes when they were written. */
  private readonly externalSizes: number[] = [];
  /** The files of the runs that have one, in order. */
  private readonly regions: FileRegion[] = [];
  /** Those that are done with, to be told of. */
  private ended: [socket: StreamSocket, region: FileRegion, error: Error | null][] = [];
  private count = 0;
  /** Bytes of the slab. */
  private used = 0;
  /** Bytes of the externals. */
  private outside = 0;
  /** Whose run is the last one and can grow. It has nothing queued. */
  private growing: StreamSocket | null = null;
  /** The place of its length among `sends`. */
  private lengthAt = 0;
  /** System calls made to send. */
  sends = 0;

  constructor(slabs: Slabs) {
    this.slabs = slabs;
    this.slab = slabs.output;
    this.runs = slabs.sends;
  }

  get empty(): boolean {
    return this.count === 0 && this.ended.length === 0;
  }

  /**
   * Whether so much waits outside of the slab that it should be sent before other sockets are served,
   * while it is in the processor's cache: an eighth of a request of 64 KiB, echoed. Never within the
   * loop of a producer, who would not be congested then.
   */
  get heavy(): boolean {
    return this.outside >= HEAVY;
  }

  latin1(socket: StreamSocket, text: string): void {
    if (text.length > this.slab.length) this.bytes(socket, Buffer.from(text, 'latin1'));
    else if (this.reserve(socket, text.length)) {
      writeText(text, text.length, this.slab, this.used);
      this.commit(text.length);
    } else socket.queue?.copy(Buffer.from(text, 'latin1'));
  }

  /** See `StreamSocket.writeMessage()`. `size` is that of all, which is written at once if it fits. */
  message(
    socket: StreamSocket,
    head: Uint8Array,
    length: number,
    body: Chunk,
    bodySize: number,
    size: number,
  ): void {
    if (size >= COPY_LIMIT || !this.reserve(socket, size)) {
      this.parts(socket, head, length, body);
      return;
    }
    const { slab, used } = this;
    const bodyAt = used + size - bodySize;
    slab.set(head, used);
    if (length >= 0) writeSize(length, slab, bodyAt);
    if (typeof body === 'string') writeText(body, bodySize, slab, bodyAt);
    else slab.set(body, bodyAt);
    this.commit(size);
  }

  private parts(socket: StreamSocket, head: Uint8Array, length: number, body: Chunk): void {
    this.bytes(socket, head);
    if (length >= 0) this.latin1(socket, `${length}\r\n\r\n`);
    if (body.length === 0) return;
    if (typeof body === 'string') this.latin1(socket, body);
    else this.bytes(socket, body);
  }

  bytes(socket: StreamSocket, chunk: Uint8Array): void {
    const copied = chunk.length < COPY_LIMIT;
    if (!this.reserve(socket, copied ? chunk.length : 0)) {
      if (copied) socket.queue?.copy(chunk);
      else socket.queue?.push(chunk);
    } else if (copied) {
      this.slab.set(chunk, this.used);
      this.commit(chunk.length);
    } else {
      this.external(chunk);
    }
  }

  /** Sends the head of a response and a file after it together. */
  file(socket: StreamSocket, region: FileRegion): void {
    if (!this.reserve(socket, 0)) {
      socket.queue?.push(region);
      return;
    }
    this.growing = null;
    this.describe((this.count - 1) * SEND_WORDS, region, socket.blocking);
    this.regions.push(region);
  }

  private describe(entry: number, region: FileRegion, blocking: boolean): void {
    const { runs } = this;
    const wait = blocking || region.isAhead;
    runs[entry + 6] = region.fd;
    // The conversion keeps the low 32 bits.
    runs[entry + 7] = region.position;
    runs[entry + 8] = Math.floor(region.position / 2 ** 32);
    runs[entry + 9] = region.next;
    runs[entry + 10] = (region.copy ? COPY_FILE : 0) | (wait ? WAIT_FOR_FILE : 0);
  }

  /**
   * Makes the last run one of `socket`'s that has room for `size` more bytes of the slab. False when
   * earlier output of the socket is queued, behind which what follows has to wait.
   */
  private reserve(socket: StreamSocket, size: number): boolean {
    const isReady = this.growing === socket && this.used + size <= this.slab.length;
    return isReady || this.open(socket, size);
  }

  private open(socket: StreamSocket, size: number): boolean {
    if (socket.queue !== null) return false;
    if (this.count === SENDS || this.used + size > this.slab.length) {
      this.send();
      // Part of what has just been sent may have been the socket's own.
      if (socket.queue !== null) return false;
    }
    const { runs } = this;
    const entry = this.count * SEND_WORDS;
    runs[entry] = socket.fd;
    runs[entry + 1] = this.used;
    runs[entry + 2] = 0;
    runs[entry + 3] = -1;
    runs[entry + 4] = 0;
    runs[entry + 6] = -1;
    runs[entry + 10] = 0;
    this.owners[this.count++] = socket;
    this.growing = socket;
    this.lengthAt = entry + 2;
    return true;
  }

  private commit(size: number): void {
    const { runs, lengthAt } = this;
    runs[lengthAt] = (runs[lengthAt] as number) + size;
    this.used += size;
  }

  private external(chunk: Uint8Array): void {
    this.growing = null;
    this.runs[(this.count - 1) * SEND_WORDS + 3] = this.externals.push(chunk) - 1;
    this.externalSizes.push(chunk.length);
    this.outside += chunk.length;
  }

  /**
   * Nothing follows for `socket`, which shuts down writing in this flush if all of it goes: so its
   * end goes in one packet with the last bytes. A connection for one request costs a seventh less.
   */
  last(socket: StreamSocket): void {
    if (this.growing === socket) this.runs[(this.count - 1) * SEND_WORDS + 10] = LAST;
  }

  /** Sends the turn's runs; what the kernel does not take goes to the sockets' queues. */
  send(): void {
    if (this.count === 0) return;
    if (this.regions.length > 0) this.checkFiles();
    this.slabs.batch.sendMany(this.count, this.externals);
    const { count } = this;
    this.count = 0;
    this.used = 0;
    this.outside = 0;
    this.growing = null;
    let files = 0;
    for (let i = 0; i < count; i++) {
      const socket = this.owners[i] as StreamSocket;
      const entry = i * SEND_WORDS;
      const whole = this.settle(socket, entry);
      if (this.runs[entry + 6] === -1) continue;
      this.settleFile(socket, this.regions[files++] as FileRegion, entry, whole);
    }
    this.sends += count;
    this.owners.length = 0;
    if (this.externals.length > 0) this.externals.length = this.externalSizes.length = 0;
    if (files > 0) this.regions.length = 0;
  }

  /** Files that have changed since they were promised are tried with no bytes, as if cut there. */
  private checkFiles(): void {
    const { runs } = this;
    for (let i = 0, files = 0; i < this.count; i++) {
      const entry = i * SEND_WORDS;
      if (runs[entry + 6] === -1 || this.regions[files++]?.look() === 'sound') continue;
      runs[entry + 9] = 0;
      runs[entry + 10] = WAIT_FOR_FILE;
    }
  }

  /** Whether all bytes of the run have gone, so that its file could follow. */
  private settle(socket: StreamSocket, entry: number): boolean {
    const { sends, output } = this.slabs;
    const length = sends[entry + 2] as number;
    const index = sends[entry + 3] as number;
    // There is no -1 among them, but V8 would look for it, for 2 % of a small request.
    const external = index === -1 ? undefined : (this.externals[index] as Uint8Array);
    const result = sends[entry + 5] as number;
    if (external === undefined && result === length) {
      socket.took(length);
      return true;
    }
    if (external !== undefined && external.length !== this.externalSizes[index]) {
      socket.reset(chunkChanged());
      return false;
    }
    if (result < 0 && result !== EAGAIN) {
      lose(socket, result);
      return false;
    }
    const taken = Math.max(result, 0);
    if (taken > 0) socket.took(taken);
    const start = sends[entry + 1] as number;
    if (taken < length) socket.keep(output.subarray(start + taken, start + length), true);
    if (external === undefined) return false;
    const gone = Math.max(taken - length, 0);
    if (gone < external.length) socket.keep(external.subarray(gone), false);
    return false;
  }

  /** `tried`: the bytes before it have gone. */
  private settleFile(
    socket: StreamSocket,
    region: FileRegion,
    entry: number,
    tried: boolean,
  ): void {
    const result = tried ? (this.runs[entry + 11] as number) : EAGAIN;
    if (result > 0) region.advance(result);
    if (region.remaining > 0) socket.keep(region, false);
    if (result > 0) socket.took(result);
    this.judge(socket, region, result);
  }

  /** What the result of a file's last attempt means. */
  private judge(socket: StreamSocket, region: FileRegion, result: number): void {
    if (region.remaining === 0) this.finish(socket, region);
    else if (result === NOT_CACHED) socket.awaitFile(region);
    else if (result === 0) this.changed(socket, region);
    else if (SOCKET_FAULTS.has(result)) lose(socket, result);
    else if (result < 0 && result !== EAGAIN) this.end(socket, region, readFailed(result));
  }

  /** All of `region` has gone. */
  finish(socket: StreamSocket, region: FileRegion): void {
    if (region.look() === 'sound') this.end(socket, region, null);
    else this.changed(socket, region);
  }

  private changed(socket: StreamSocket, region: FileRegion): void {
    // Timers do not run while the thread is blocked.
    if (region.verdict === 'unclear' && !socket.blocking) socket.awaitWriter(region);
    else this.end(socket, region, fileChanged());
  }

  /** Has `region` told of, in the flush. */
  end(socket: StreamSocket, region: FileRegion, error: Error | null): void {
    this.ended.push([socket, region, error]);
  }

  /** Tells of the files that are done with. Whoever is told may write. */
  tellEnded(): void {
    if (this.ended.length === 0) return;
    const ended = this.ended;
    this.ended = [];
    for (const [socket, region, error] of ended) socket.fileEnded(region, error);
  }

  /** Sends from the queues of sockets that have become writable. */
  sendQueued(sockets: readonly StreamSocket[]): void {
    if (sockets.length === 0) return;
    // The ring's first entry is used here.
    this.send();
    for (const socket of sockets) {
      while (socket.queue !== null && this.sendHead(socket, socket.queue));
    }
  }

  /** Sends `bytes` to a client that is not served, and closes `fd`. */
  turnAway(fd: number, bytes: Uint8Array): void {
    // The ring's first entry is used here.
    this.send();
    const { sends, receives, batch } = this.slabs;
    sends.set([fd, 0, 0, 0, 0, 0, -1, 0, 0, 0, LAST]);
    batch.sendMany(1, [bytes]);
    native.shutdown(fd);
    // Closing with a request unread would reset the connection, and the client lose the answer.
    receives[0] = fd;
    batch.receiveMany(1);
    native.close(fd);
  }

  /** Whether the whole of the queue's first chunk went. */
  private sendHead(socket: StreamSocket, queue: OutputQueue): boolean {
    const { head } = queue;
    if (head instanceof FileRegion) return this.sendFile(socket, queue, head);
    if (queue.hasChanged(head)) {
      socket.reset(chunkChanged());
      return false;
    }
    const { sends, batch } = this.slabs;
    const left = head.length - queue.offset;
    sends.set([socket.fd, 0, 0, 0, queue.offset, 0, -1, 0, 0, 0, 0]);
    batch.sendMany(1, [head]);
    this.sends++;
    const result = sends[5] as number;
    if (result < 0) {
      if (result !== EAGAIN) lose(socket, result);
      return false;
    }
    queue.advance(result);
    socket.took(result);
    return result === left;
  }

  /** One attempt, whatever the client takes: the others have their turn. */
  private sendFile(socket: StreamSocket, queue: OutputQueue, region: FileRegion): boolean {
    if (region.waiting || socket.closed) return false;
    if (region.look() !== 'sound') {
      this.changed(socket, region);
      return false;
    }
    const { sends, batch } = this.slabs;
    sends.set([socket.fd, 0, 0, -1, 0]);
    this.describe(0, region, socket.blocking);
    batch.sendMany(1, NO_EXTERNALS);
    this.sends++;
    const result = sends[11] as number;
    if (result > 0) region.advance(result);
    if (region.remaining === 0) queue.shift();
    if (result > 0) socket.took(result);
    this.judge(socket, region, result);
    return region.remaining === 0;
  }
}

/** `length`: of `text`, as V8 is slow to read that of strings of many kinds. */
function writeText(text: string, length: number, output: Slabs['output'], at: number): void {
  if (length > SHORT_TEXT) output.latin1Write(text, at);
  else for (let i = 0; i < length; i++) output[at + i] = text.charCodeAt(i);
}

/** Bytes that a size in the head of a message takes with the empty line behind it; -1 is none. */
export function lengthOfSize(size: number): number {
  return size < 0 ? 0 : digitsOf(size) + 4;
}

function digitsOf(size: number): number {
  let digits = 1;
  for (let rest = size; rest >= 10; rest /= 10) digits++;
  return digits;
}

/** Writes `size` and an empty line, which end at `end`. */
function writeSize(size: number, output: Buffer, end: number): void {
  output[end - 4] = output[end - 2] = CR;
  output[end - 3] = output[end - 1] = LF;
  let rest = size;
  for (let i = end - 5; i === end - 5 || rest > 0; i--) {
    output[i] = ZERO + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}

const NO_EXTERNALS: readonly Uint8Array[] = [];

function lose(socket: StreamSocket, errno: number): void {
  socket.abort(new SystemCallError(errno, 'send', 'the client has gone'));
}
