import { countLines, LOG_BUFFER, Losses } from '../io/losses.ts';
import { checkOption, isWhole } from '../options.ts';
import type { LogTarget } from './logtarget.ts';

/** Settings of `LogFile`, `LogStream` and `openLog()`. */
export interface LogOptions {
  /** Bytes that wait to be written at most; what comes beyond them is dropped. Default 1 MiB, at most 256 MiB. */
  readonly bufferBytes?: number | undefined;
}

/** Milliseconds for which lines are collected, so that one write takes many of them. */
const COLLECTING = 20;
/** Bytes that are written without waiting for more. */
const ENOUGH = 64 * 1024;
/** Milliseconds until a full pipe is tried again: first, twice as many each time, and at most. */
const STALLED = 1;
const STALLED_LONG = 128;
/** Milliseconds until a log that failed is tried again. */
const FAILED = 1000;
/** Milliseconds for which `flush()` waits for a log that takes nothing. */
const PATIENCE = 1000;

/** Strings cannot be much longer. */
const MOST = 2 ** 28;

const LINE_END = 0x0a;

/** Text on its way to one target. */
interface Batch {
  target: LogTarget;
  readonly bytes: Buffer;
  /** Where the rest begins. */
  offset: number;
  /** Nothing follows on its target, which is closed behind it. */
  last: boolean;
}

interface Waiter {
  /** How many bytes have been written by then, of all that ever were. */
  readonly mark: number;
  readonly resolve: () => void;
}

/** Those that are open. */
const writers = new Set<LogWriter>();

/** What a program says last should not be lost. */
function flushAll(): void {
  for (const writer of writers) writer.flushSync();
}

/**
 * Collects the text of a log and writes it beside everything else, one write at a time, so that
 * nobody waits for it. Text that cannot be written in time is dropped and counted.
 */
export abstract class LogWriter {
  readonly #losses: Losses;
  readonly #most: number;
  #target: LogTarget;
  /** For the current target. */
  #collected = '';
  #collectedBytes = 0;
  /** In the order in which they are written; the first may be being written. */
  readonly #batches: Batch[] = [];
  #busy = false;
  /** The last write was refused; when it may be tried again, in monotonic milliseconds. */
  #failing = false;
  #retryAt = 0;
  /** How long to wait when the log takes nothing for now. */
  #stall = STALLED;
  #timer: NodeJS.Timeout | null = null;
  /** Bytes, collected or in batches. */
  #unwritten = 0;
  #written = 0;
  #waiters: Waiter[] = [];
  #patience: NodeJS.Timeout | null = null;
  #closing: Promise<void> | null = null;
  #closed = false;

  /** `open` is called when the options have been checked. */
  constructor(name: string, open: () => LogTarget, options: LogOptions = {}) {
    const { bufferBytes = LOG_BUFFER } = options;
    const isSensible = (value: unknown): boolean => isWhole(value, 1, MOST);
    checkOption('bufferBytes', bufferBytes, isSensible, 'a number of bytes from 1 to 256 MiB');
    this.#losses = new Losses(name);
    this.#most = bufferBytes;
    this.#target = open();
    if (!process.listeners('exit').includes(flushAll)) process.on('exit', flushAll);
    writers.add(this);
  }

  /** Lines that were lost so far. */
  get dropped(): number {
    return this.#losses.total;
  }

  /** Whether `close()` was called. */
  get closed(): boolean {
    return this.#closing !== null;
  }

  /** Takes text, mostly one line with its end. Never waits, never throws. */
  write(text: string): void {
    // This also has V8 join the pieces that a line is made of, which would keep whole heads alive.
    const size = Buffer.byteLength(text);
    const isFull = this.#unwritten + size > this.#most;
    // Those behind lines that are lost wait until that is told.
    if (isFull || this.#failing || this.#losses.pending || this.#closing !== null) {
      this.#drop(countLines(text));
      return;
    }
    this.#collect(text, size);
    if (this.#busy) return;
    if (this.#collectedBytes >= ENOUGH && this.#batches.length === 0) this.#pump();
    else this.#timer ??= setTimeout(this.#pump, COLLECTING);
  }

  #collect(text: string, size: number): void {
    this.#collected += text;
    this.#collectedBytes += size;
    this.#unwritten += size;
  }

  #drop(lines: number): void {
    if (this.#closing !== null) {
      this.#losses.count(lines);
      return;
    }
    this.#losses.add(lines);
    // One that is larger than the whole buffer.
    if (this.#unwritten === 0) this.#timer ??= setTimeout(this.#pump, COLLECTING);
  }

  /** Lines were lost, and now it goes on. */
  #tellLost(): void {
    const text = this.#losses.tell();
    this.#collect(text, text.length);
  }

  // Writing.

  /** Makes a batch of what is collected. */
  #seal(): void {
    if (this.#collectedBytes === 0) return;
    const bytes = Buffer.from(this.#collected);
    this.#batches.push({ target: this.#target, bytes, offset: 0, last: false });
    this.#collected = '';
    this.#collectedBytes = 0;
  }

  readonly #pump = (): void => {
    this.#stopTimer();
    if (this.#busy) return;
    if (this.#unwritten === 0) this.#tellLost();
    if (this.#batches.length === 0) this.#seal();
    const batch = this.#batches[0];
    if (batch === undefined) return;
    this.#busy = true;
    batch.target.write(batch.bytes.subarray(batch.offset), (error, count) => {
      this.#busy = false;
      if (this.#closed) batch.target.close();
      else if (error !== null) this.#refused(batch, error);
      else this.#wrote(batch, count);
    });
  };

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #wrote(batch: Batch, count: number): void {
    this.#advance(batch, count);
    this.#tellWaiters();
    const isWanted = this.#waiters.length > 0 || this.#collectedBytes >= ENOUGH;
    if (this.#batches.length > 0 || isWanted) this.#pump();
    else if (this.#collectedBytes > 0) this.#timer ??= setTimeout(this.#pump, COLLECTING);
  }

  #advance(batch: Batch, count: number): void {
    batch.offset += count;
    this.#unwritten -= count;
    this.#written += count;
    this.#failing = false;
    this.#stall = STALLED;
    if (this.#unwritten === 0 && !this.#losses.pending) this.#losses.settle();
    this.#tellLost();
    if (batch.offset < batch.bytes.length) return;
    this.#batches.splice(this.#batches.indexOf(batch), 1);
    if (batch.last) batch.target.close();
  }

  #refused(batch: Batch, error: NodeJS.ErrnoException): void {
    const isStalled = error.code === 'EAGAIN';
    if (batch.target !== this.#target) {
      this.#redirect(batch, isStalled);
      this.#pump();
      return;
    }
    if (!isStalled) this.#fail(error);
    this.#timer ??= setTimeout(this.#pump, isStalled ? this.#stall : FAILED);
    this.#stall = Math.min(2 * this.#stall, STALLED_LONG);
    // It may never go on.
    this.#timer.unref();
  }

  #fail(error: NodeJS.ErrnoException): void {
    this.#failing = true;
    this.#retryAt = performance.now() + FAILED;
    this.#losses.warn(error.message);
    this.#release();
  }

  /** The current target takes what an old one did not; from the beginning of a line that was torn. */
  #redirect(batch: Batch, isStalled: boolean): void {
    const { target, bytes, offset } = batch;
    for (const other of this.#batches.filter((other) => other.target === target)) {
      other.target = this.#target;
      other.last = false;
    }
    target.close();
    if (isStalled || offset === 0) return;
    batch.offset = bytes.lastIndexOf(LINE_END, offset - 1) + 1;
    this.#unwritten += offset - batch.offset;
    this.#written -= offset - batch.offset;
  }

  /** What is written from now on goes to `target`; the old one is closed when it has its own. */
  protected replaceTarget(target: LogTarget): void {
    this.#seal();
    const tail = this.#batches.at(-1);
    if (tail === undefined) this.#target.close();
    else tail.last = true;
    this.#target = target;
    this.#pump();
  }

  /** Opens a file anew that was moved away; nothing for a stream. */
  reopen(): void {}

  // Waiting.

  /**
   * Resolves when what was taken before has been written, or when it cannot be: the log fails, or
   * has taken nothing for a second. Never rejects.
   */
  flush(): Promise<void> {
    if (!this.#failing && this.#unwritten === 0) this.#tellLost();
    if (this.#unwritten === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push({ mark: this.#written + this.#unwritten, resolve });
      this.#patience ??= this.#beginPatience();
      this.#pump();
    });
  }

  #beginPatience(): NodeJS.Timeout {
    let seen = this.#written;
    return setInterval(() => {
      if (this.#written === seen) this.#release();
      seen = this.#written;
    }, PATIENCE);
  }

  #tellWaiters(): void {
    const due = this.#waiters.filter(({ mark }) => mark <= this.#written);
    if (due.length === 0) return;
    this.#waiters = this.#waiters.filter(({ mark }) => mark > this.#written);
    for (const { resolve } of due) resolve();
    if (this.#waiters.length === 0) this.#endPatience();
  }

  /** Nobody is to wait any longer. */
  #release(): void {
    this.#endPatience();
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  #endPatience(): void {
    if (this.#patience !== null) clearInterval(this.#patience);
    this.#patience = null;
  }

  /**
   * Writes at once what has been taken, as far as the log takes it: when the process ends, or where
   * `serveForeverSync()` blocks the thread. Never throws.
   */
  flushSync(): void {
    if (this.#closed || (this.#failing && performance.now() < this.#retryAt)) return;
    if (this.#unwritten === 0) this.#tellLost();
    this.#seal();
    // What is being written is on its way.
    const first = this.#busy ? 1 : 0;
    try {
      for (let batch = this.#batches[first]; batch !== undefined; batch = this.#batches[first]) {
        this.#advance(batch, batch.target.writeSync(batch.bytes.subarray(batch.offset)));
        this.#seal();
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.#fail(error as Error);
    }
  }

  /** Writes what has been taken, as `flush()` does, and closes. What comes afterwards is dropped. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.flush();
    this.#closed = true;
    writers.delete(this);
    this.#stopTimer();
    this.#seal();
    const targets = new Set([this.#target, ...this.#batches.map(({ target }) => target)]);
    // One that is being written to is closed behind it.
    const writing = this.#busy ? this.#batches.shift() : undefined;
    if (writing !== undefined) targets.delete(writing.target);
    for (const { bytes, offset } of this.#batches.splice(0)) {
      this.#losses.count(countLines(bytes.toString('latin1', offset)));
    }
    for (const target of targets) target.close();
  }
}
