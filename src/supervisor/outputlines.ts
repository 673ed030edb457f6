/** Lines kept, and shown. */
const KEPT = 40;
const SHOWN = 10;
/** Characters of each of them. */
const LONGEST_KEPT = 1000;
/** How Node and V8 begin to tell why a process ends; a long trace may follow. */
const REASON = /^(FATAL ERROR|(Uncaught )?([A-Z]\w*)?Error\b)/;
/** Characters of a line without an end that are held back. */
const LONGEST = 16 * 1024;

/**
 * What a process writes to its standard error: passed on in whole lines, so that those of several
 * processes do not mix, and the last ones kept.
 */
export class OutputLines {
  readonly #pass: (text: string) => void;
  #rest = '';
  #last: string[] = [];

  constructor(pass: (text: string) => void) {
    this.#pass = pass;
  }

  write(text: string): void {
    const held = this.#rest + text;
    const lines = held.lastIndexOf('\n') + 1;
    const end = held.length - lines > LONGEST ? held.length : lines;
    this.#rest = held.slice(end);
    if (end > 0) this.#flush(held.slice(0, end));
  }

  /** Nothing more comes. */
  end(): void {
    if (this.#rest !== '') this.#flush(`${this.#rest}\n`);
    this.#rest = '';
  }

  #flush(text: string): void {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    const kept = lines.slice(-KEPT).map((line) => line.slice(0, LONGEST_KEPT));
    this.#last = [...this.#last, ...kept].slice(-KEPT);
    this.#pass(text);
  }

  /** The last lines or, if they tell of an error, those from there on; the oldest first. */
  get last(): readonly string[] {
    const reason = this.#last.findLastIndex((line) => REASON.test(line));
    return reason < 0 ? this.#last.slice(-SHOWN) : this.#last.slice(reason, reason + SHOWN);
  }
}
