import type { Writable } from 'node:stream';
import { warn } from '../warn.ts';

/** Bytes that a log keeps by default while they cannot be written. */
export const LOG_BUFFER: number = 1024 * 1024;

/** Lines that a log could not take: the process is told once, the log itself when it goes on. */
export class Losses {
  readonly #name: string;
  #untold = 0;
  #total = 0;
  #warned = false;

  /** `name` follows "the log". */
  constructor(name: string) {
    this.#name = name;
  }

  /** Lines lost so far. */
  get total(): number {
    return this.#total;
  }

  /** Whether there are some that the log has not been told of. */
  get pending(): boolean {
    return this.#untold > 0;
  }

  /** Of those the log is not told: it is closed. */
  count(lines: number): void {
    this.#total += lines;
  }

  add(lines: number): void {
    this.count(lines);
    this.#untold += lines;
    this.warn('they come faster than it takes them');
  }

  /** Once for each time that the log fails. */
  warn(why: string): void {
    if (this.#warned) return;
    this.#warned = true;
    warn('ERR_RYEGATE_LOG', `the log ${this.#name} cannot be written, and lines are lost: ${why}`);
  }

  /** The line that tells of them where they are missing; empty for none. */
  tell(): string {
    if (this.#untold === 0) return '';
    const text = `ryegate: ${this.#untold} lines were lost\n`;
    this.#untold = 0;
    return text;
  }

  /** All has been written: what fails next is worth a warning. */
  settle(): void {
    this.#warned = false;
  }
}

/** What follows "the log". */
export function streamName({ fd }: Writable & { readonly fd?: number }): string {
  if (fd === 1) return 'on standard output';
  return fd === 2 ? 'on standard error' : 'of a stream';
}

/** The last may lack its end. */
export function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++;
  return text.endsWith('\n') ? count : count + 1;
}
