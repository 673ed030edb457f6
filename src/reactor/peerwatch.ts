import { constants } from 'node:os';
import { SystemCallError } from '../errors.ts';
import { native } from '../native.ts';

/** A paused connection is looked at so often, in milliseconds: no event tells that its peer left. */
const LOOK_EVERY = 1000;
const FINISHED = 1;
const GONE = 2;

/** What can be told of a peer while nothing is received from it. */
export class PeerWatch {
  /** When to look, while the connection is paused. */
  lookAt: number = Infinity;
  readonly #fd: number;
  #finished = false;
  /** What the peer had to take when it was asked whether it takes. */
  #held = Infinity;

  constructor(fd: number) {
    this.#fd = fd;
  }

  pause(now: number): void {
    this.lookAt = now + LOOK_EVERY;
  }

  resume(): void {
    this.lookAt = Infinity;
  }

  /** An error when the peer has gone; whether it was found now that it has finished sending. */
  look(now: number): Error | boolean {
    this.lookAt = now + LOOK_EVERY;
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
}
