import { monotonic } from '../clock.ts';

/** So long, in milliseconds, pages that were in memory are taken to be there still. */
export const TRUSTED = 1000;

/**
 * The part of a file that was in memory a moment ago: to ask the kernel for it costs time, and some
 * file systems, such as overlayfs, cannot tell, so that they would have to be read ahead every time.
 */
export class Residence {
  #start = 0;
  #end = 0;
  #since = 0;

  /** Where the known part ends that `position` lies in; 0 where it lies in none. */
  until(position: number): number {
    const isKnown = position >= this.#start && position < this.#end;
    return isKnown && monotonic() - this.#since < TRUSTED ? this.#end : 0;
  }

  add(start: number, end: number): void {
    const now = monotonic();
    const isOld = now - this.#since >= TRUSTED;
    if (isOld || start > this.#end || end < this.#start) {
      this.#start = start;
      this.#end = end;
      this.#since = now;
    } else {
      this.#start = Math.min(this.#start, start);
      this.#end = Math.max(this.#end, end);
    }
  }
}
