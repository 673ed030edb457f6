import { closeSync, constants, existsSync, fchownSync, fstatSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { RyegateError, showValue } from '../errors.ts';
import type { FileOwner } from '../io/fileowner.ts';
import { streamName } from '../io/losses.ts';
import { DescriptorTarget, type LogTarget, targetOf } from './logtarget.ts';
import { type LogOptions, LogWriter } from './logwriter.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDWR, O_WRONLY } = constants;
const APPENDING = O_APPEND | O_NONBLOCK | O_NOCTTY;

/** The owner writes, the group reads. */
const MODE = 0o640;

/**
 * A log in a file, which is made or appended to. Lines are written some 20 ms after they come, in
 * one write, beside everything else: serving never waits for the disk. What would have more than
 * `bufferBytes` wait is dropped, and so is what comes while the file cannot be written (a full disk,
 * EIO); then a line says how many there were, when it goes on, and the process is told by a warning
 * with the code `ERR_RYEGATE_LOG`.
 *
 * The path may be that of a FIFO, whether somebody reads from it or not.
 *
 * @throws RyegateError `ERR_RYEGATE_LOG_FILE` when it cannot be opened, `ERR_RYEGATE_OPTION`
 */
export class LogFile extends LogWriter {
  readonly path: string;
  readonly #owner: FileOwner | null;

  /**
   * `owner` is whom root opens it for, who may own its folder and put there what it likes: a file
   * that is made is given to the owner, and no other is taken than a regular file of the owner's.
   */
  constructor(path: string, options?: LogOptions, owner: FileOwner | null = null) {
    super(String(path), () => openTarget(path, owner), options);
    this.path = path;
    this.#owner = owner;
  }

  /**
   * Opens the file anew, after somebody has moved it away. What was written before goes to the one
   * that was moved, what comes from now on to the new one.
   *
   * @throws RyegateError `ERR_RYEGATE_LOG_FILE`: the old one stays in use
   */
  override reopen(): void {
    if (!this.closed) this.replaceTarget(openTarget(this.path, this.#owner));
  }
}

/** The same over a Node stream, such as `process.stdout`, which is not closed. */
export class LogStream extends LogWriter {
  constructor(stream: Writable, options?: LogOptions) {
    super(streamName(stream), () => targetOf(stream), options);
  }
}

/**
 * The log at `path`: a `LogFile`, or for `-` a `LogStream` over `standard`.
 *
 * @throws RyegateError as `LogFile`
 */
export function openLog(
  path: string,
  standard: Writable = process.stdout,
  options?: LogOptions,
): LogWriter {
  return path === '-' ? new LogStream(standard, options) : new LogFile(path, options);
}

function openTarget(path: string, owner: FileOwner | null): LogTarget {
  // Root may have become the owner since.
  const isFor = owner !== null && process.geteuid?.() === 0;
  try {
    return new DescriptorTarget(isFor ? openFor(path, owner) : openAppending(path), true);
  } catch (error) {
    throw openError(path, error as NodeJS.ErrnoException, isFor);
  }
}

function openAppending(path: string): number {
  try {
    return openSync(path, O_WRONLY | O_CREAT | APPENDING, MODE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
    // A FIFO that nobody reads from can only be opened for both.
    return openSync(path, O_RDWR | APPENDING);
  }
}

/** As root, for one who must not get by it what belongs to others. */
function openFor(path: string, owner: FileOwner): number {
  const created = create(path);
  const fd = created ?? openSync(path, O_WRONLY | O_NOFOLLOW | APPENDING);
  try {
    const { uid, gid } = owner;
    const found = fstatSync(fd);
    if (created !== null) fchownSync(fd, uid ?? found.uid, gid ?? found.gid);
    else if (!found.isFile()) throw new Unfit('it is no regular file');
    else if (found.nlink !== 1) throw new Unfit('it has other names, by hard links');
    else if (uid === null ? found.gid !== gid : found.uid !== uid) {
      throw new Unfit(
        `it belongs to user ${found.uid} and group ${found.gid}, not to ` +
          (uid === null ? `group ${gid}` : `user ${uid}`),
      );
    }
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Null when there is something at the path, be it a symbolic link that leads nowhere. */
function create(path: string): number | null {
  try {
    return openSync(path, O_WRONLY | O_CREAT | O_EXCL | APPENDING, MODE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return null;
  }
}

/** A file that root does not take for somebody else. */
class Unfit extends Error {}

/** What opening says of symbolic links, sockets and FIFOs that nobody reads from. */
const UNFIT_CODES = ['ELOOP', 'ENXIO'];

function cureOf(path: string, error: NodeJS.ErrnoException, isFor: boolean): string {
  const folder = dirname(path);
  if (!existsSync(folder)) return `make the folder ${showValue(folder)} first`;
  if (isFor && (error instanceof Unfit || UNFIT_CODES.includes(error.code ?? ''))) {
    return (
      'remove it, and it is made anew, or chown the file (no link) to the user, or else the ' +
      'group, that is given; have its folder owned by root'
    );
  }
  return 'give the path of a file that may be appended to';
}

function openError(path: unknown, error: NodeJS.ErrnoException, isFor: boolean): RyegateError {
  const cure = cureOf(String(path), error, isFor);
  return new RyegateError(
    'ERR_RYEGATE_LOG_FILE',
    `the log file ${showValue(path)} cannot be opened (${error.message}): ${cure}`,
    { cause: error },
  );
}
