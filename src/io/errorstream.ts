import type { Writable } from 'node:stream';

/** What `wsgi.errors` offers (PEP 3333, "Input and Error Streams"). */
export interface ErrorStream {
  write(text: string): void;
  writelines(lines: Iterable<string>): void;
  flush(): void;
}

function ignoreError(): void {}

/**
 * `wsgi.errors` over a Node stream such as `process.stderr`. Text is dropped once the stream
 * cannot be written any more (a closed pipe, a full disk): a lost log must not stop the server, so
 * the stream's `error` events are silenced.
 */
export class WritableErrorStream implements ErrorStream {
  readonly #stream: Writable;

  constructor(stream: Writable) {
    this.#stream = stream;
    if (!stream.listeners('error').includes(ignoreError)) {
      stream.on('error', ignoreError);
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
