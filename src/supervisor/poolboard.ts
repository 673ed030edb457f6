import { RyegateError } from '../errors.ts';
import type { HTTPServerStats } from '../httpserver/index.ts';
import { toMilliseconds } from '../milliseconds.ts';
import { PoolCounters } from './poolcounters.ts';

// The first words are for all threads; REOPENS counts how often logs were to be reopened.
const DRAINING = 0;
const REOPENS = 1;
const HEAD = 2;

// The words that a thread has on the board.
const SERVING = 0;
const BEATS = 1;
const CONNECTIONS = 2;
const ACCEPTED = 3;
const LAST = 4;
/** In milliseconds, 0 for none. */
const HURRY = 5;
const WORDS = 6;

const CROWDED =
  'no thread can be started, since too many do not end: an application must not block where ' +
  'nothing can interrupt it, as in a native addon';

/** The memory of a board. */
export interface BoardMemory {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly numbers: Float64Array<SharedArrayBuffer>;
}

/**
 * What the threads of a pool show of themselves in shared memory, and what they are told there: both
 * also while they are blocked.
 */
export class PoolBoard {
  readonly memory: BoardMemory;
  readonly #places: number;
  readonly #taken = new Set<number>();
  readonly #counters: PoolCounters;

  constructor(places: number) {
    const words = new Int32Array(new SharedArrayBuffer(4 * (HEAD + WORDS * places)));
    this.#counters = PoolCounters.ofSize(places);
    this.memory = { words, numbers: this.#counters.numbers };
    this.#places = places;
  }

  /** The pool ends. */
  drain(): void {
    Atomics.store(this.memory.words, DRAINING, 1);
  }

  /** Logs are to be reopened. */
  reopen(): void {
    Atomics.add(this.memory.words, REOPENS, 1);
  }

  /**
   * A place for another thread, of zeros.
   *
   * @throws RyegateError `ERR_RYEGATE_THREAD_ENDED` when there is none
   */
  take(): ThreadBoard {
    let place = 0;
    while (this.#taken.has(place)) place++;
    if (place === this.#places) throw new RyegateError('ERR_RYEGATE_THREAD_ENDED', CROWDED);
    this.#taken.add(place);
    const start = HEAD + place * WORDS;
    this.memory.words.fill(0, start, start + WORDS);
    this.#counters.clear(place);
    return new ThreadBoard(this.memory, place);
  }

  /** The thread has ended. */
  free({ place }: ThreadBoard): void {
    this.#taken.delete(place);
  }
}

/** One thread's place on the board. */
export class ThreadBoard {
  readonly place: number;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #start: number;
  readonly #counters: PoolCounters;
  /** Those calls for logs to be reopened that have been heeded. */
  #reopens: number;

  constructor({ words, numbers }: BoardMemory, place: number) {
    this.place = place;
    this.#words = words;
    this.#start = HEAD + place * WORDS;
    this.#counters = new PoolCounters(numbers);
    this.#reopens = Atomics.load(words, REOPENS);
  }

  /** Whether the pool ends. */
  get draining(): boolean {
    return Atomics.load(this.#words, DRAINING) === 1;
  }

  /** Whether logs are to be reopened; once for all times that it was asked for. */
  takeReopen(): boolean {
    const reopens = Atomics.load(this.#words, REOPENS);
    const isAsked = reopens !== this.#reopens;
    this.#reopens = reopens;
    return isAsked;
  }

  /** What the thread's server has counted, as it was shown last. */
  get stats(): HTTPServerStats {
    return this.#counters.read(this.place);
  }

  show(stats: HTTPServerStats): void {
    this.#counters.write(this.place, stats);
  }

  #read(word: number): number {
    return Atomics.load(this.#words, this.#start + word);
  }

  #write(word: number, value: number): void {
    Atomics.store(this.#words, this.#start + word, value);
  }

  /** Whether the thread shares the work. */
  set serving(isServing: boolean) {
    this.#write(SERVING, Number(isServing));
  }

  /** Whether nobody else will accept those who wait in the backlog. */
  get last(): boolean {
    return this.#read(LAST) === 1;
  }

  set last(isLast: boolean) {
    this.#write(LAST, Number(isLast));
  }

  /** What it has begun has `seconds` from now on, if it has more. */
  hurry(seconds: number): void {
    this.#write(HURRY, Math.max(toMilliseconds(seconds), 1));
  }

  /** How many it has, once for each time that it is told; null when it is not. */
  takeHurry(): number | null {
    const milliseconds = Atomics.exchange(this.#words, this.#start + HURRY, 0);
    return milliseconds === 0 ? null : milliseconds / 1000;
  }

  /** Counts the turns of the thread's loop, and those that it makes for want of others. */
  get beats(): number {
    return this.#read(BEATS);
  }

  /** Open connections. */
  get connections(): number {
    return this.#read(CONNECTIONS);
  }

  /** Connections so far. */
  get accepted(): number {
    return this.#read(ACCEPTED);
  }

  /** The loop has turned. */
  beat(connections: number): void {
    this.#write(BEATS, (this.#read(BEATS) + 1) | 0);
    this.#write(CONNECTIONS, connections);
  }

  /** A connection has come. */
  accept(connections: number): void {
    this.#write(ACCEPTED, this.#read(ACCEPTED) + 1);
    this.#write(CONNECTIONS, connections);
  }

  /** Whether the thread has more connections, by one at least, than all have on the average. */
  get hasMore(): boolean {
    const words = this.#words;
    let threads = 0;
    let connections = 0;
    for (let start = HEAD; start < words.length; start += WORDS) {
      if (Atomics.load(words, start + SERVING) === 0) continue;
      threads++;
      connections += Atomics.load(words, start + CONNECTIONS);
    }
    return (this.connections - 1) * threads >= connections;
  }
}
