import { RyegateError } from '../errors.ts';

/** Readable, or a listening socket with a connection waiting. */
export const EVENT_READ = 1;
/** Writable. */
export const EVENT_WRITE = 2;

/** A file descriptor, or anything that has one. */
export type FileObject = number | { fileno(): number };

/** What a selector knows of a registered file object; `selectors.SelectorKey`. */
export class SelectorKey {
  readonly fileobj: FileObject;
  readonly fd: number;
  /** `EVENT_READ`, `EVENT_WRITE` or both. */
  readonly events: number;
  readonly data: unknown;

  constructor(fileobj: FileObject, fd: number, events: number, data: unknown) {
    this.fileobj = fileobj;
    this.fd = fd;
    this.events = events;
    this.data = data;
  }
}

/**
 * The contract of CPython's `selectors.BaseSelector`, which a user's own class may implement.
 *
 * A reactor that serves with it waits on `fileno()` where the selector has one that becomes readable
 * when something is ready; otherwise on a copy of what it has registered.
 */
export interface Selector extends Disposable {
  /**
   * @throws RyegateError `ERR_RYEGATE_INVALID_FD`, `ERR_RYEGATE_INVALID_EVENTS`,
   *   `ERR_RYEGATE_ALREADY_REGISTERED`, `ERR_RYEGATE_FD_RANGE`, `ERR_RYEGATE_SYSTEM`
   */
  register(fileobj: FileObject, events: number, data?: unknown): SelectorKey;
  /** Also works on an object that has been closed meanwhile. Throws `ERR_RYEGATE_NOT_REGISTERED`. */
  unregister(fileobj: FileObject): SelectorKey;
  /** On a refusal by the system the file object is left unregistered. */
  modify(fileobj: FileObject, events: number, data?: unknown): SelectorKey;
  /**
   * Blocks the thread until something is ready or `timeout` seconds have passed, and returns what is
   * ready with its events. No timeout (or `null`) waits without limit, 0 or less does not wait. The
   * wait is never shorter than asked. A signal may end it early with an empty list.
   */
  select(timeout?: number | null): [SelectorKey, number][];
  getKey(fileobj: FileObject): SelectorKey;
  /** A live view of what is registered; `null` after `close()`. */
  getMap(): ReadonlyMap<FileObject, SelectorKey> | null;
  close(): void;
  fileno?(): number;
}

/** Numbers above it would wrap around to another descriptor in native code. */
const LARGEST_FD = 2 ** 31 - 1;

/** The descriptor of `fileobj`. Throws `ERR_RYEGATE_INVALID_FD`. */
export function descriptorOf(fileobj: FileObject): number {
  const fd = typeof fileobj === 'number' ? fileobj : fileobj?.fileno?.();
  if (Number.isInteger(fd) && fd >= 0 && fd <= LARGEST_FD) return fd;
  throw new RyegateError(
    'ERR_RYEGATE_INVALID_FD',
    `invalid file object: expected a descriptor from 0 to ${LARGEST_FD}, or an object whose ` +
      `fileno() gives one, and got ${fd === undefined ? String(fileobj) : String(fd)}`,
  );
}

/** Throws `ERR_RYEGATE_INVALID_EVENTS` unless `events` is a combination of the two. */
export function checkEvents(events: number): void {
  if (events === EVENT_READ || events === EVENT_WRITE || events === (EVENT_READ | EVENT_WRITE)) {
    return;
  }
  throw new RyegateError(
    'ERR_RYEGATE_INVALID_EVENTS',
    `invalid events ${events}: expected EVENT_READ, EVENT_WRITE or both`,
  );
}
