import { SystemCallError } from '../errors.ts';
import { toMilliseconds } from '../milliseconds.ts';
import {
  construct,
  type NativeLoopHook,
  type NativePoller,
  native,
  UNHARVESTED,
} from '../native.ts';
import { claim, unclaim } from '../selectors/claims.ts';
import { isNative, type NativeSelector, type Selector } from '../selectors/index.ts';
import type { Channel } from './protocol.ts';

/**
 * Beside `EVENT_READ`: what is there to be read need be told once only, and again when more comes or
 * when the events change. The kernel is not asked then whether it has been read: 1 % of a small
 * request. A selector that cannot do so tells it as long as it is there.
 */
export const EDGE = 4;
/** Told of a channel that is watched so: behind what is received next there may be an end, say. */
export const BEHIND = 4;

/** The way a reactor uses its selector: what it registers, and how it learns what is ready. */
export interface Harvester {
  /** Changes what is watched of `channel`; 0 events is nothing. */
  watch(channel: Channel, before: number, after: number): void;
  /**
   * Blocks for up to `timeout` seconds and tells the ready channels. False when there were none,
   * which a signal may bring about early.
   */
  wait(timeout: number): boolean;
  /** Tells the channels of the turn that the loop hook has begun with this count. */
  harvest(count: number): void;
  /** Runs turns from Node's loop. */
  hook(turn: (count: number) => void, flush: () => number): NativeLoopHook;
  close(): void;
}

/**
 * `owned`: nobody else asks the selector what is ready, and so takes what is told once.
 *
 * Throws `ERR_RYEGATE_SELECTOR_IN_USE` for a selector of another server.
 */
export function makeHarvester(selector: Selector, owned: boolean): Harvester {
  claim(selector);
  if (!isNative(selector)) return new ForeignHarvester(selector);
  return new NativeHarvester(selector, owned && selector.backend === 'epoll');
}

/** What is watched. A selector of the caller's may watch descriptors of the caller's besides. */
class Channels {
  readonly #selector: Selector;
  readonly #byDescriptor: (Channel | undefined)[] = [];

  constructor(selector: Selector) {
    this.#selector = selector;
  }

  change(channel: Channel, before: number, after: number): void {
    if (before === after) return;
    const { fd } = channel;
    if (after === 0) this.#selector.unregister(fd);
    else if (before === 0) this.#selector.register(fd, after, channel);
    else this.#selector.modify(fd, after, channel);
    this.#byDescriptor[fd] = after === 0 ? undefined : channel;
  }

  ready(fd: number, events: number): void {
    this.#byDescriptor[fd]?.ready(events);
  }
}

/** Reads the addon's ring, without a list of keys. */
class NativeHarvester implements Harvester {
  readonly #selector: NativeSelector;
  readonly #channels: Channels;
  readonly #hasEdge: boolean;

  constructor(selector: NativeSelector, hasEdge: boolean) {
    this.#selector = selector;
    this.#channels = new Channels(selector);
    this.#hasEdge = hasEdge;
  }

  watch(channel: Channel, before: number, after: number): void {
    const events = after & ~EDGE;
    this.#channels.change(channel, before & ~EDGE, events);
    if (!this.#hasEdge || events === 0) return;
    // Whatever the selector has changed is watched by level now.
    if (after === events && (before & ~EDGE) !== events) return;
    const { poller, backend } = this.#selector;
    const failure = poller.modify(channel.fd, after);
    if (failure === 0) return;
    this.#channels.change(channel, events, 0);
    throw new SystemCallError(failure, backend, `modify of descriptor ${channel.fd}`);
  }

  wait(timeout: number): boolean {
    const count = this.#selector.poller.wait(timeout === Infinity ? -1 : toMilliseconds(timeout));
    this.harvest(count);
    return count !== 0;
  }

  harvest(counted: number): void {
    const { ring, backend, poller } = this.#selector;
    const count = counted === UNHARVESTED ? poller.wait(0) : counted;
    if (count < 0) throw new SystemCallError(count, backend, 'waiting for readiness');
    for (let i = 0; i < 2 * count; i += 2) {
      this.#channels.ready(ring[i] as number, ring[i + 1] as number);
    }
  }

  hook(turn: (count: number) => void, flush: () => number): NativeLoopHook {
    return new native.LoopHook(this.#selector.poller, turn, flush);
  }

  close(): void {
    unclaim(this.#selector);
  }
}

/**
 * Uses a selector by its contract alone. One without a descriptor cannot be waited for in Node's
 * loop, so a shadow of what it watches is, and says when to ask it.
 */
class ForeignHarvester implements Harvester {
  readonly #selector: Selector;
  readonly #channels: Channels;
  readonly #fd: number;
  readonly #shadow: NativePoller | null;

  constructor(selector: Selector) {
    this.#selector = selector;
    this.#channels = new Channels(selector);
    this.#fd = selector.fileno?.() ?? -1;
    this.#shadow =
      this.#fd >= 0
        ? null
        : construct(() => new native.Poller('poll', new Int32Array(2)), 'no shadow');
  }

  watch(channel: Channel, before: number, after: number): void {
    const events = after & ~EDGE;
    this.#channels.change(channel, before & ~EDGE, events);
    if (events === 0) this.#shadow?.remove(channel.fd);
    else if (before === 0) this.#shadow?.add(channel.fd, events);
    else this.#shadow?.modify(channel.fd, events);
  }

  wait(timeout: number): boolean {
    const ready = this.#selector.select(timeout === Infinity ? null : timeout);
    for (const [key, events] of ready) this.#channels.ready(key.fd, events);
    return ready.length > 0;
  }

  harvest(): void {
    this.wait(0);
  }

  hook(turn: (count: number) => void, flush: () => number): NativeLoopHook {
    return new native.LoopHook(this.#shadow ?? this.#fd, turn, flush);
  }

  close(): void {
    this.#shadow?.close();
    unclaim(this.#selector);
  }
}
