import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { countLines, LOG_BUFFER, Losses, streamName } from './losses.ts';

/** What `wsgi.errors` offers (PEP 3333, "Input and Error Streams"). */
export interface ErrorStream {
  write(text: string): void;
  writelines(lines: Iterable<string>): void;
  flush(): void;
}

/** A Node stream that logs are written to. */
class Outlet {
  readonly #stream: Writable;
  readonly #losses: Losses;

  constructor(stream: Writable) {
    this.#stream = stream;
    this.#losses = new Losses(streamName(stream));
    // A log that fails must not stop the server, but somebody should know.
    stream.on('error', (error) => this.#losses.warn(error.message));
  }

  write(text: string): void {
    const stream = this.#stream;
    if (!stream.writable) return;
    // Only what waits for `drain` is told when it goes on.
    if (stream.writableNeedDrain && !this.#takes(text)) this.#lose(text);
    else stream.write(text);
  }

  #takes(text: string): boolean {
    const { writableLength } = this.#stream;
    return !this.#losses.pending && writableLength + Buffer.byteLength(text) <= LOG_BUFFER;
  }

  #lose(text: string): void {
    if (!this.#losses.pending) this.#stream.once('drain', () => this.#goOn());
    this.#losses.add(countLines(text));
  }

  #goOn(): void {
    this.#stream.write(this.#losses.tell());
    this.#losses.settle();
  }
}

const outlets = new WeakMap<Writable, Outlet>();

/** Several logs may go to one stream. */
function outletOf(stream: Writable): Outlet {
  let outlet = outlets.get(stream);
  if (outlet === undefined) {
    outlet = new Outlet(stream);
    outlets.set(stream, outlet);
  }
  return outlet;
}

/**
 * `wsgi.errors` over a Node stream such as `process.stderr`, written to directly. What would have
 * more than 1 MiB wait in the stream is dropped, and a line says how much it was when it goes on.
 * Text is dropped as well while the stream cannot be written (a closed pipe, a full disk). The
 * process is told each time that this begins, by a warning with the code `ERR_RYEGATE_LOG`.
 */
export class WritableErrorStream implements ErrorStream {
  readonly #outlet: Outlet;

  constructor(stream: Writable) {
    this.#outlet = outletOf(stream);
  }

  write(text: string): void {
    this.#outlet.write(text);
  }

  writelines(lines: Iterable<string>): void {
    for (const line of lines) {
      this.write(line);
    }
  }

  /** Does nothing: a Node stream sends what it has by itself. */
  flush(): void {}
}

/** `wsgi.errors` in memory, for tests. */
export class StringErrorStream implements ErrorStream {
  #text = '';

  write(text: string): void {
    this.#text += text;
  }

  writelines(lines: Iterable<string>): void {
    for (const line of lines) {
      this.write(line);
    }
  }

  flush(): void {}

  /** Everything written so far. */
  getValue(): string {
    return this.#text;
  }
}

let shared: ErrorStream | null = null;

/** Standard error, for logs: made when first written to, as it adds a listener to the stream. */
export function standardError(): ErrorStream {
  return shared ?? openStandardError();
}

function openStandardError(): ErrorStream {
  shared = new WritableErrorStream(process.stderr);
  return shared;
}

/** Milliseconds that are spent at the end on a reader who is slow. */
const PATIENCE = 1000;

/** Resolves when what was written to standard error has gone; before the process exits. */
export async function standardErrorGone(): Promise<void> {
  const { stderr } = process;
  if (stderr.writableLength === 0) return;
  // It may fail, and nobody may have written to it but the application.
  standardError();
  const gone = new Promise<void>((resolve) => {
    stderr.write('', () => resolve());
  });
  await Promise.race([gone, sleep(PATIENCE)]);
}
