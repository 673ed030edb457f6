import type { Writable } from 'node:stream';

/** What `wsgi.errors` offers (PEP 3333, "Input and Error Streams"). */
export interface ErrorStream {
  write(text: string): void;
  writelines(lines: Iterable<string>): void;
  flush(): void;
}

/** Streams whose failure has been told. */
const failed = new WeakSet<Writable>();

/** A log that fails must not stop the server, but somebody should know: once for each stream. */
function tellFailure(this: Writable, error: Error): void {
  if (failed.has(this)) return;
  failed.add(this);
  process.emitWarning(`a log cannot be written, and its text is lost: ${error.message}`, {
    type: 'RyegateWarning',
    code: 'ERR_RYEGATE_LOG',
  });
}

/**
 * `wsgi.errors` over a Node stream such as `process.stderr`. Text is dropped while the stream
 * cannot be written (a closed pipe, a full disk), and the process is told by one warning with the
 * code `ERR_RYEGATE_LOG`.
 */
export class WritableErrorStream implements ErrorStream {
  readonly #stream: Writable;

  constructor(stream: Writable) {
    this.#stream = stream;
    if (!stream.listeners('error').includes(tellFailure)) {
      stream.on('error', tellFailure);
    }
  }

  write(text: string): void {
    if (this.#stream.writable) {
      this.#stream.write(text);
    }
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
  shared ??= new WritableErrorStream(process.stderr);
  return shared;
}
