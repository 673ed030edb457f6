import { SystemCallError } from '../errors.ts';
import { toMilliseconds } from '../milliseconds.ts';
import { type NativeLoopHook, type NativePoller, native } from '../native.ts';
import { isNative, type NativeSelector, type Selector } from '../selectors/index.ts';
import type { Channel } from './protocol.ts';

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
  hook(turn: (count: number) => void, flush: () => void): NativeLoopHook;
  close(): void;
}

/** `owned`: the reactor made the selector and closes it. */
export function makeHarvester(selector: Selector, owned: boolean): Harvester {
  return isNative(selector)
    ? new NativeHarvester(selector, owned)
    : new ForeignHarvester(selector, owned);
}

function register(selector: Selector, channel: Channel, before: number, after: number): void {
  if (after === 0) selector.unregister(channel.fd);
  else if (before === 0) selector.register(channel.fd, after, channel);
  else selector.modify(channel.fd, after, channel);
}

/** Reads the addon's ring, without a list of keys. */
class NativeHarvester implements Harvester {
  readonly #selector: NativeSelector;
  readonly #owned: boolean;

  constructor(selector: NativeSelector, owned: boolean) {
    this.#selector = selector;
    this.#owned = owned;
  }

  watch(channel: Channel, before: number, after: number): void {
    register(this.#selector, channel, before, after);
  }

  wait(timeout: number): boolean {
    const count = this.#selector.poller.wait(timeout === Infinity ? -1 : toMilliseconds(timeout));
    this.harvest(count);
    return count !== 0;
  }

  harvest(count: number): void {
    const selector = this.#selector;
    if (count < 0) throw new SystemCallError(count, selector.backend, 'waiting for readiness');
    const { ring } = selector;
    for (let i = 0; i < 2 * count; i += 2) {
      const key = selector.keyOf(ring[i] as number);
      if (key !== undefined) (key.data as Channel).ready((ring[i + 1] as number) & key.events);
    }
  }

  hook(turn: (count: number) => void, flush: () => void): NativeLoopHook {
    return new native.LoopHook(this.#selector.poller, turn, flush);
  }

  close(): void {
    if (this.#owned) this.#selector.close();
  }
}

/**
 * Uses a selector by its contract alone. One without a descriptor cannot be waited for in Node's
 * loop, so a shadow of what it watches is, and says when to ask it.
 */
class ForeignHarvester implements Harvester {
  readonly #selector: Selector;
  readonly #owned: boolean;
  readonly #fd: number;
  readonly #shadow: NativePoller | null;

  constructor(selector: Selector, owned: boolean) {
    this.#selector = selector;
    this.#owned = owned;
    this.#fd = selector.fileno?.() ?? -1;
    this.#shadow = this.#fd >= 0 ? null : new native.Poller('poll', new Int32Array(2));
  }

  watch(channel: Channel, before: number, after: number): void {
    register(this.#selector, channel, before, after);
    if (after === 0) this.#shadow?.remove(channel.fd);
    else if (before === 0) this.#shadow?.add(channel.fd, after);
    else this.#shadow?.modify(channel.fd, after);
  }

  wait(timeout: number): boolean {
    const ready = this.#selector.select(timeout === Infinity ? null : timeout);
    for (const [key, events] of ready) {
      // A selector of the caller's may watch descriptors of the caller's too.
      if (isChannel(key.data)) key.data.ready(events);
    }
    return ready.length > 0;
  }

  harvest(): void {
    this.wait(0);
  }

  hook(turn: (count: number) => void, flush: () => void): NativeLoopHook {
    return new native.LoopHook(this.#shadow ?? this.#fd, turn, flush);
  }

  close(): void {
    this.#shadow?.close();
    if (this.#owned) this.#selector.close();
  }
}

function isChannel(data: unknown): data is Channel {
  return typeof (data as Channel | null)?.ready === 'function';
}
