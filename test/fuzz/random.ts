/** A small seeded generator of numbers (mulberry32), the same on every machine. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Evenly in 0..2^32 - 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let bits = this.#state;
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return (bits ^ (bits >>> 14)) >>> 0;
  }

  /** A whole number from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor((this.next() / 2 ** 32) * count);
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True in about `percent` of a hundred calls. */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(list: ArrayLike<T>): T {
    return list[this.below(list.length)] as T;
  }
}

/** The generator of one case, so that each can be had without those before it. */
export function randomOfCase(seed: number, number: number): Random {
  return new Random(new Random(seed).next() ^ Math.imul(number + 1, 0x9e3779b1));
}

export function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 31);
}
