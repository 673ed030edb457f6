/** What is written to: a terminal, or something else, to which nothing is written. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const CLEAR = '\r\x1b[K';

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(5, Math.ceil(seconds / 5) * 5)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** One line that says what is going on and how long it will still take. */
export class Progress {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  #start: number | null = null;
  #planned = 0;
  #done = 0;
  #current = 0;

  /** `now`: a clock in milliseconds. */
  constructor(terminal: Terminal, now: () => number = () => performance.now()) {
    this.#terminal = terminal;
    this.#now = now;
  }

  /** Steps of so many seconds in all are to come. */
  plan(seconds: number): void {
    this.#planned += seconds;
  }

  /** Begins a step that is thought to take so many seconds. */
  step(what: string, seconds: number): void {
    this.#start ??= this.#now();
    this.#done += this.#current;
    this.#current = seconds;
    if (this.#terminal.isTTY !== true) return;
    const line = `${this.#share()} % ${what}, ${duration(this.#left())} left`;
    this.#terminal.write(CLEAR + line.slice(0, (this.#terminal.columns || 80) - 1));
  }

  /** Takes the line away, so that something else can be printed. */
  clear(): void {
    if (this.#terminal.isTTY === true) this.#terminal.write(CLEAR);
  }

  #share(): number {
    return Math.min(99, Math.floor((this.#done / Math.max(this.#planned, 1)) * 100));
  }

  /** The steps so far tell how much slower they are than was thought. */
  #left(): number {
    const elapsed = (this.#now() - (this.#start ?? 0)) / 1000;
    const pace = this.#done === 0 ? 1 : elapsed / this.#done;
    return Math.max(0, this.#planned - this.#done) * pace;
  }
}
