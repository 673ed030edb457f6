import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RyegateError, SystemCallError } from './errors.ts';

/**
 * The addon's contract. Calls that can fail for reasons of the operating system return a negative
 * errno instead of throwing: the callers know what the user was doing and say so. They throw a
 * `TypeError` only for arguments of the wrong type, which is a fault of this package.
 */
export interface Native {
  /** The backends compiled into this addon, best first: a subset of kqueue, epoll, poll, select. */
  readonly backends: readonly string[];
  /** Throws an `Error` with `errno` and `syscall` when the facility cannot be opened. */
  readonly Poller: new (
    backend: string,
    ring: Int32Array,
  ) => NativePoller;
  readonly Waker: new () => NativeWaker;
  readonly LoopHook: new (
    source: NativePoller | number,
    turn: (count: number) => void,
    flush: () => number | undefined,
  ) => NativeLoopHook;
  readonly SocketBatch: new (slabs: BatchSlabs) => NativeSocketBatch;

  /** A close-on-exec, non-blocking stream socket of `family` (`AF_*`), or a negative errno. */
  socket(family: number): number;
  setOption(fd: number, option: SocketOption, value: number): number;
  bind(fd: number, family: number, host: string, port: number): number;
  /** Binds a unix socket; a leading NUL names the abstract namespace. `mode` -1 keeps the umask's. */
  bindPath(fd: number, path: string, mode: number): number;
  /** Whether anybody listens on a unix path: 0, or -ECONNREFUSED for a socket left behind. */
  probePath(path: string): number;
  listen(fd: number, backlog: number): number;
  /** Takes over an inherited listening socket: its family, or a negative errno. */
  adopt(fd: number): number;
  /** `getsockname` or `getpeername`: family, host or path, port; or a negative errno. */
  address(fd: number, peer: boolean): [number, string, number] | number;
  /** The text form of the IPv6 address in four 32-bit words of network order. */
  formatIPv6(a: number, b: number, c: number, d: number): string;
  /** Another descriptor, close-on-exec, for the same open file; or a negative errno. */
  duplicate(fd: number): number;
  /** `shutdown(fd, SHUT_WR)`. */
  shutdown(fd: number): number;
  close(fd: number): number;
  /** Closing `fd` will reset its connection (`SO_LINGER`). */
  resetOnClose(fd: number): number;
  /** `SO_ERROR`: 0 or a negative errno. */
  socketError(fd: number): number;
  /**
   * Bytes that the kernel holds for the peer until it has acknowledged them (for a unix socket: read
   * them), or a negative errno.
   */
  unacknowledged(fd: number): number;
  /**
   * As `shutdown()`; then the bytes that have come and were not received or, where the system tells,
   * those that are not on their way to the peer yet; or a negative errno.
   */
  finish(fd: number): number;
  /** Bytes that have come and were not received (`FIONREAD`), or a negative errno. */
  unread(fd: number): number;
  /**
   * What is known of the peer without receiving: 0, 1 when it has finished sending (where the system
   * tells that ahead of unread bytes), 2 when the connection is over; or a negative errno.
   */
  peerState(fd: number): number;
  /** Whether `fd` is open in this process (`fcntl(F_GETFD)`). */
  isOpen(fd: number): boolean;
  /** A close-on-exec, non-blocking pipe: `[reader, writer]`, or a negative errno. */
  pipe(): [number, number] | number;
  /** A close-on-exec, non-blocking pair of connected unix stream sockets, or a negative errno. */
  socketPair(): [number, number] | number;

  // Files. A path is its bytes, each a character up to U+00FF; a NUL in it is -EINVAL. `facts` is a
  // Float64Array of `Fact.count` elements, whose places are those of `Fact`. What is opened is
  // closed by `close()`, never by `node:fs`.

  /**
   * Opens the regular file or folder at `path` beneath the folder `root`, for reading: its
   * descriptor, with all facts but the offset, or a negative errno. -EXDEV: the path is absolute or
   * leads out of `root`. -EACCES (also): it is a FIFO, a device or the like. Where the system has no
   * openat2(2), no link is followed at all (-ELOOP), and `..` is -EXDEV. With `wait` false -EAGAIN
   * where a disk may have to be waited for to look the name up.
   */
  openBeneath(root: number, path: string, wait: boolean, facts: Float64Array): number;
  /** As `openBeneath()` with `wait`, on the thread pool. */
  openBeneathLater(root: number, path: string, facts: Float64Array, callback: FileCallback): void;
  /** Opens a folder, also through links, as a root: its descriptor, or a negative errno. */
  openFolder(path: string): number;
  /**
   * `fstatat()`, through links, wherever they lead: only to see whether what was opened is still
   * what the name stands for. All facts but the offset. 0 or a negative errno.
   */
  statBeneath(root: number, path: string, facts: Float64Array): number;
  /**
   * `fstat()` and the offset, which is -1 where there is none. 0 or a negative errno; -EBADF also for
   * what is not open for reading.
   */
  fileFacts(fd: number, facts: Float64Array): number;
  /** `fstat()`: all facts but the offset. 0 or a negative errno. */
  fileStatus(fd: number, facts: Float64Array): number;
  /**
   * Reads from `position` as far as bytes are in the page cache: how many, 0 at the end of the file.
   * -EAGAIN when none is, or the system or file system cannot tell.
   */
  readNow(fd: number, buffer: Uint8Array, position: number): number;
  /**
   * On the thread pool, as those below. Until the callback is called the descriptors have to stay
   * open and the memory must not be transferred. A thread that ends waits for what is under way.
   *
   * Reads from `position` until the buffer is full or the file ends: how many bytes.
   */
  readLater(fd: number, buffer: Uint8Array, position: number, callback: FileCallback): void;
  /** Brings `count` bytes into the page cache: 0, also beyond the end of the file. */
  readAhead(fd: number, position: number, count: number, callback: FileCallback): void;
  /**
   * Copies in the kernel where that can be (copy_file_range(2), else sendfile(2)), else in blocks:
   * how many bytes, less than `count` only where `from` ends. The offset of `to` may change.
   */
  copyRange(
    from: number,
    fromPosition: number,
    to: number,
    toPosition: number,
    count: number,
    callback: FileCallback,
  ): void;
  /**
   * Takes the lock of the file that is open as `fd`, until that is closed: 0, or a negative errno;
   * -EAGAIN while somebody else has it. Also for descriptors of `node:fs`.
   */
  lockFile(fd: number): number;
  /**
   * A file without a name in `folder`, to read and write, with mode 0600: its descriptor, or a
   * negative errno; -EOPNOTSUPP and others where there are none (O_TMPFILE is Linux's).
   */
  openUnnamed(folder: string): number;
  /** Gives a file of `openUnnamed()` a name, which must be free. 0 or a negative errno. */
  linkUnnamed(fd: number, path: string): number;

  // Processes, and whoever looks after this one.

  /**
   * Sends one datagram to the unix socket at `path`, a leading NUL of which names the abstract
   * namespace: 0 or a negative errno. -EAGAIN when too many wait there already.
   */
  notify(path: string, text: string): number;
  /** `waitpid(pid, WNOHANG)` of a child: its pid if it has ended, 0 while it runs; -ECHILD. */
  reap(pid: number): number;
  /** `PR_SET_CHILD_SUBREAPER`: 0 or a negative errno, -ENOTSUP where there is no such thing. */
  becomeSubreaper(): number;
  /** By name or number, with the primary group; or a negative errno, -ENOENT for an unknown one. */
  findUser(user: string | number): [name: string, uid: number, gid: number] | number;
  findGroup(group: string | number): [name: string, gid: number] | number;

  /** Publishes `waker` in a shared control block; see `reactor/control.ts`. */
  controlAttach(control: Int32Array, waker: NativeWaker): void;
  /** Withdraws the waker; after it returns no other thread touches its fd. */
  controlDetach(control: Int32Array): void;
  /**
   * Adds the bit `what` to the request word if the block's owner is serving, and wakes it. Returns
   * the serving word, which changes when that serving ends; 0 when there is none.
   */
  controlRequest(control: Int32Array, what: number): number;

  /** Publishes `waker` in a shared handover; see `supervisor/acceptedqueue.ts`. */
  handoverOpen(handover: Int32Array, waker: NativeWaker): void;
  /** Withdraws the waker; after it returns no other thread touches its fd. */
  handoverClose(handover: Int32Array): void;
  /**
   * Gives `fd` away, with a number that grows from one to the next. 0, -EAGAIN when there is no
   * place left, -EBADF when the handover is closed: then `fd` stays this thread's.
   */
  handoverPut(handover: Int32Array, fd: number, stamp: number): number;
  /** The oldest descriptor, now this thread's, if its stamp is at most `newest`; else -EAGAIN. */
  handoverTake(handover: Int32Array, newest: number): number;

  readonly AF_INET: number;
  readonly AF_INET6: number;
  readonly AF_UNIX: number;
}

/** Is told a result or a negative errno, in a turn of Node's loop to come. */
export type FileCallback = (result: number) => void;

/**
 * Places in an array of a file's facts. Times are in seconds since 1970, with nanoseconds apart.
 * Devices and inodes are two halves of 32 bits.
 */
export const Fact = {
  mode: 0,
  size: 1,
  modified: 2,
  modifiedNanoseconds: 3,
  changed: 4,
  changedNanoseconds: 5,
  deviceHigh: 6,
  deviceLow: 7,
  inodeHigh: 8,
  inodeLow: 9,
  offset: 10,
  count: 11,
} as const;

export type SocketOption = 'reuseAddress' | 'reusePort' | 'ipv6Only' | 'noDelay';

/** A readiness facility. Events are bits: 1 readable, 2 writable. */
export interface NativePoller {
  add(fd: number, events: number): number;
  modify(fd: number, events: number): number;
  remove(fd: number): number;
  /**
   * Fills the ring with pairs `[fd, events]` and returns how many, or a negative errno.
   * `timeout` is in milliseconds, -1 blocks. An interrupted wait returns 0.
   */
  wait(timeout: number): number;
  /** The facility's own descriptor, -1 where it has none (poll, select). */
  fileno(): number;
  close(): void;
}

/** Answers of a `LoopHook`'s `flush`. */
export const FLUSH_AGAIN = 1;
export const TURN_FIRST = 2;
/** The count of a `LoopHook`'s turn before which nothing was harvested. */
export const UNHARVESTED: number = -(2 ** 31);

/** Ends a wait from any thread: an eventfd or a pipe. */
export interface NativeWaker {
  fileno(): number;
  wake(): void;
  drain(): void;
  close(): void;
}

/**
 * Runs turns from libuv while something is ready. A poller with a descriptor sits in libuv through
 * one `uv_poll_t`, one without is waited for by a native thread. A bare descriptor as the source
 * calls `turn(0)`: the callee harvests by itself.
 *
 * `flush` follows `turn`, and may answer `FLUSH_AGAIN` to be called once more, for what it has
 * served itself; or `TURN_FIRST`: next time `turn(UNHARVESTED)` is called at once, which harvests by
 * itself if it has to.
 */
export interface NativeLoopHook {
  start(): number;
  stop(): void;
  close(): void;
}

export interface BatchSlabs {
  /** Received bytes. */
  input: Uint8Array;
  /** Rendered bytes waiting to be sent. */
  output: Uint8Array;
  /** `[fd, offset, length]` a socket: the caller fills fd, `receiveMany` the rest. */
  receives: Int32Array;
  /**
   * `[fd, offset, length, external, externalOffset, result, file, positionLow, positionHigh, count,
   * flags, fileResult]` a run; `external` is -1 or an index, `file` -1 or a descriptor; the flags are
   * 1: read and send the file, without sendfile(2); 2: wait for the disk; and 4: `shutdown()`
   * follows, so that the bytes may wait for it.
   */
  sends: Int32Array;
  /** `[fd, family, port, a, b, c, d]` a connection. */
  accepts: Int32Array;
}

/** Sockets in batches over memory whose addresses are taken once. */
export interface NativeSocketBatch {
  /** Accepts up to `max` connections. Returns how many, or a negative errno when there was none. */
  acceptMany(listener: number, max: number): number;
  /**
   * Receives from `count` sockets, in order, until the slab is full; returns how many were served.
   * A socket's length is 0 at its end of stream and a negative errno on failure (EAGAIN included).
   */
  receiveMany(count: number): number;
  /**
   * Sends `count` runs, in order, each the slab's bytes followed by the external buffer's rest, or
   * by a part of a file. A result is the bytes taken, or a negative errno; runs after a short one of
   * the same descriptor are not tried and get -EAGAIN. A file's result is 0 at its end, and
   * `NOT_CACHED` when the disk would have to be waited for.
   */
  sendMany(count: number, externals: readonly Uint8Array[]): void;
  /** Bytes so far: received, and taken by the kernel, files included. */
  totals(): [received: number, sent: number];
}

/** The result of a file whose bytes are not in memory; no errno. */
export const NOT_CACHED = -0x10000;

const require = createRequire(import.meta.url);

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

function candidates(): string[] {
  const platform = `${process.platform}-${process.arch}`;
  // Each libc refuses to load the other's binary, so trying both needs no detection.
  return [
    join(root, 'prebuilds', `${platform}.node`),
    join(root, 'prebuilds', `${platform}-musl.node`),
    join(root, 'build', 'Release', 'ryegate.node'),
    join(root, 'build', 'Debug', 'ryegate.node'),
  ];
}

/** `text` as one word of a shell's command line. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function load(): Native {
  const override = process.env.RYEGATE_NATIVE;
  const paths = override ? [override] : candidates();
  const failures: string[] = [];
  for (const path of paths) {
    if (!existsSync(path)) {
      failures.push(`  ${path}: not found`);
      continue;
    }
    try {
      return require(path) as Native;
    } catch (error) {
      failures.push(`  ${path}: ${(error as Error).message}`);
    }
  }
  throw new RyegateError(
    'ERR_RYEGATE_NATIVE',
    `the native addon could not be loaded. Tried:\n${failures.join('\n')}\n` +
      (override
        ? 'RYEGATE_NATIVE names that path: correct it, or unset it to use the packaged addon.'
        : `Build it with \`npx cmake-js build -d ${quoted(root)}\` ` +
          '(needs CMake and a C++17 compiler).'),
  );
}

/** The addon. Importing this module throws `ERR_RYEGATE_NATIVE` when there is none to load. */
export const native: Native = load();

/**
 * Makes an object of the addon's.
 *
 * @throws SystemCallError `ERR_RYEGATE_SYSTEM` when the system refuses, for want of descriptors say
 */
export function construct<T>(make: () => T, detail: string): T {
  try {
    return make();
  } catch (error) {
    const { errno, syscall } = error as { errno?: number; syscall?: string };
    if (errno === undefined || syscall === undefined) throw error;
    throw new SystemCallError(errno, syscall, detail, { cause: error });
  }
}
