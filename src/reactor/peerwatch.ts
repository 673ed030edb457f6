import { constants } from 'node:os';
import { SystemCallError } from '../errors.ts';
import { native } from '../native.ts';
import { OutputPace } from './outputpace.ts';
import type { PaceRules } from './pace.ts';

/** A paused connection is looked at so often, in milliseconds: no event tells that its peer left. */
const LOOK_EVERY = 1000;
const FINISHED = 1;
const GONE = 2;

/**
 * Watches over a peer that may be slow, or gone: of a connection that is paused, or whose output
 * the kernel holds back.
 */
export class PeerWatch {
  readonly #fd: number;
  /** When to look, while the connection is paused. */
  #lookAt = Infinity;
  #finished = false;
  /** What the peer had to take when it was asked whether it takes. */
  #held = Infinity;
  /** How it takes its output, while that is held back. */
  #pace: OutputPace | null = null;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** When there may be something to be found out by `isTooSlow()` or `look()`. */
  get deadline(): number {
    return this.#pace === null ? this.#lookAt : Math.min(this.#lookAt, this.#pace.deadline);
  }

  /** Whether a new one would do as well. */
  get isBlank(): boolean {
    const watches = this.#pace !== null || this.#lookAt !== Infinity;
    return !watches && !this.#finished && this.#held === Infinity;
  }

  /** Nothing is received from now on. */
  pause(now: number): void {
    this.#lookAt = now + LOOK_EVERY;
  }

  resume(): void {
    this.#lookAt = Infinity;
  }

  /**
   * Looks for the peer, if it is time to. An error when it has gone; whether it was found now that
   * it has finished sending.
   */
  look(now: number): Error | boolean {
    if (this.#lookAt > now) return false;
    this.#lookAt = now + LOOK_EVERY;
    const state = native.peerState(this.#fd);
    if (state === GONE) {
      const failure = native.socketError(this.#fd) || -constants.errno.ECONNRESET;
      return new SystemCallError(failure, 'poll', 'the client has gone');
    }
    if (state !== FINISHED || this.#finished) return false;
    this.#finished = true;
    return true;
  }

  /**
   * Whether the peer has taken some of what it was sent since this was asked last, or had something
   * to take when it is asked first. `buffered`: bytes that the kernel has not been given yet.
   */
  isTaking(buffered: number): boolean {
    const held = buffered + Math.max(native.unacknowledged(this.#fd), 0);
    const taking = held > 0 && held < this.#held;
    this.#held = taking ? held : Infinity;
    return taking;
  }

  /** Output is held back: from now on the peer has to take it by `rules`. */
  startPace(rules: PaceRules, now: number): void {
    this.#pace = new OutputPace(rules, this.#fd, now);
  }

  get isPaced(): boolean {
    return this.#pace !== null;
  }

  /** The kernel has taken `count` bytes of what was held back. */
  took(now: number, count: number): void {
    this.#pace?.took(now, count);
  }

  /** Nothing is held back any more, or somebody else is waited for. */
  endPace(): void {
    this.#pace = null;
  }

  /** Whether the peer has been too slow to take its output. */
  isTooSlow(now: number): boolean {
    return this.#pace?.isTooSlow(now) ?? false;
  }
}
