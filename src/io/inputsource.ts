/** Where the bytes of an `InputStream` come from: the stream tells it when to stop and to go on. */
export interface InputSource {
  /** Too many bytes are waiting to be read: stop calling `push()`. */
  pause(): void;
  /** There is room again, or a reader needs more: go on. */
  resume(): void;
  /** A reader began to wait for bytes (the moment to send `100 Continue`). */
  demand(): void;
  /** Pushes more bytes, or the end, at once; a source without it cannot. */
  pull?(): void;
  /**
   * Saves all that was not read as `InputStream.saveTo()` does, and discards it; nothing else is
   * read meanwhile. A source without it is read from.
   */
  save?(path: string, mode: number): Promise<number>;
}

/** Names and values of trailer fields, names in lower case. */
export type TrailerList = readonly (readonly [name: string, value: string])[];

export interface SaveOptions {
  /** Permissions of the file, whatever the umask; default 0o600. */
  mode?: number | undefined;
}
