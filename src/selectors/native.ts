import { RyegateError, SystemCallError } from '../errors.ts';
import { toMilliseconds } from '../milliseconds.ts';
import { construct, type NativePoller, native } from '../native.ts';
import { checkUnclaimed } from './claims.ts';
import {
  checkEvents,
  descriptorOf,
  type FileObject,
  type Selector,
  SelectorKey,
} from './selector.ts';
import { SelectorMap } from './selectormap.ts';

/** How many ready descriptors one wait reports; the rest are found by the next. */
const RING_ENTRIES = 1024;
const FD_SETSIZE = 1024;

/** A selector over one backend of the addon. */
export abstract class NativeSelector implements Selector {
  readonly backend: string;
  /** `[fd, events]` pairs of the last wait. */
  readonly ring: Int32Array = new Int32Array(2 * RING_ENTRIES);
  readonly poller: NativePoller;
  readonly #keys: (SelectorKey | undefined)[] = [];
  #closed = false;

  constructor(backend: string) {
    this.backend = backend;
    if (!native.backends.includes(backend)) {
      throw new RyegateError(
        'ERR_RYEGATE_SELECTOR_UNAVAILABLE',
        `${backend} is not available on this system: expected one of ${native.backends.join(', ')}`,
      );
    }
    const { Poller } = native;
    this.poller = construct(() => new Poller(backend, this.ring), 'the selector was not opened');
  }

  register(fileobj: FileObject, events: number, data: unknown = null): SelectorKey {
    this.#checkOpen();
    checkEvents(events);
    const fd = descriptorOf(fileobj);
    if (this.#keys[fd] !== undefined) {
      throw new RyegateError(
        'ERR_RYEGATE_ALREADY_REGISTERED',
        `descriptor ${fd} is already registered: use modify(), or unregister() it first`,
      );
    }
    const failure = this.poller.add(fd, events);
    if (failure < 0) throw this.#refusal(failure, fd, 'register');
    const key = new SelectorKey(fileobj, fd, events, data);
    this.#keys[fd] = key;
    return key;
  }

  unregister(fileobj: FileObject): SelectorKey {
    const key = this.#find(fileobj);
    this.#keys[key.fd] = undefined;
    // A descriptor closed since it was registered is gone from the backend already.
    this.poller.remove(key.fd);
    return key;
  }

  modify(fileobj: FileObject, events: number, data: unknown = null): SelectorKey {
    checkEvents(events);
    const key = this.#find(fileobj);
    if (events !== key.events) {
      const failure = this.poller.modify(key.fd, events);
      if (failure < 0) {
        this.unregister(fileobj);
        throw this.#refusal(failure, key.fd, 'modify');
      }
    }
    const changed = new SelectorKey(key.fileobj, key.fd, events, data);
    this.#keys[key.fd] = changed;
    return changed;
  }

  select(timeout?: number | null): [SelectorKey, number][] {
    this.#checkOpen();
    const count = this.poller.wait(
      timeout === null || timeout === undefined ? -1 : toMilliseconds(timeout),
    );
    if (count < 0) throw new SystemCallError(count, this.backend, 'waiting for readiness');
    const ready: [SelectorKey, number][] = [];
    for (let i = 0; i < 2 * count; i += 2) {
      const key = this.#keys[this.ring[i] as number];
      if (key !== undefined) ready.push([key, (this.ring[i + 1] as number) & key.events]);
    }
    return ready;
  }

  getKey(fileobj: FileObject): SelectorKey {
    return this.#find(fileobj);
  }

  getMap(): ReadonlyMap<FileObject, SelectorKey> | null {
    return this.#closed ? null : new SelectorMap(this.#keys, (fileobj) => this.#lookUp(fileobj));
  }

  /** The highest descriptor that can be registered. */
  get highest(): number {
    return this.backend === 'select' ? FD_SETSIZE - 1 : Infinity;
  }

  /** The backend's own descriptor, readable while something is ready; -1 for poll and select. */
  fileno(): number {
    return this.poller.fileno();
  }

  close(): void {
    if (this.#closed) return;
    checkUnclaimed(this, 'close the server first');
    this.#closed = true;
    this.#keys.length = 0;
    this.poller.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #lookUp(fileobj: FileObject): SelectorKey | undefined {
    try {
      const key = this.#keys[descriptorOf(fileobj)];
      if (key !== undefined) return key;
    } catch {
      // A closed object has no descriptor any more, but is still found by identity.
    }
    return this.#keys.find((key) => key !== undefined && key.fileobj === fileobj);
  }

  #find(fileobj: FileObject): SelectorKey {
    this.#checkOpen();
    const key = this.#lookUp(fileobj);
    if (key !== undefined) return key;
    throw new RyegateError(
      'ERR_RYEGATE_NOT_REGISTERED',
      `${typeof fileobj === 'number' ? `descriptor ${fileobj}` : 'this file object'} is not ` +
        'registered with this selector: register() it first',
    );
  }

  #refusal(failure: number, fd: number, call: string): RyegateError {
    if (this.backend === 'select' && fd >= FD_SETSIZE) {
      return new RyegateError(
        'ERR_RYEGATE_FD_RANGE',
        `descriptor ${fd} is out of select's range of 0 to ${FD_SETSIZE - 1}: ` +
          'use another selector, or keep fewer descriptors open',
      );
    }
    const error = new SystemCallError(failure, this.backend, `${call} of descriptor ${fd}`);
    if (error.systemCode === 'EPERM') {
      error.message += '; epoll cannot watch regular files and folders, which are always ready';
    }
    return error;
  }

  #checkOpen(): void {
    if (!this.#closed) return;
    throw new RyegateError(
      'ERR_RYEGATE_SELECTOR_CLOSED',
      'the selector is closed: make another one',
    );
  }
}
