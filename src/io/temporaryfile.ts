import { randomUUID } from 'node:crypto';
import { closeSync, openSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { byteString } from '../bytestring.ts';
import { native } from '../native.ts';

/** A file without a name, to read and write: it is gone when it is closed, or the process ends. */
export class TemporaryFile {
  readonly fd: number;
  readonly #close: (fd: number) => void;
  #holders = 1;

  /** In `os.tmpdir()`. Throws what the file system throws. */
  constructor() {
    const fd = native.openUnnamed(byteString(tmpdir()));
    this.fd = fd < 0 ? openAndUnlink() : fd;
    // What the addon opened is its own to close.
    this.#close = fd < 0 ? closeSync : native.close;
  }

  /** Keeps it open for one more, until that one calls `release()`, too. */
  hold(): void {
    this.#holders += 1;
  }

  release(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.#close(this.fd);
  }
}

/** Where the system or the file system knows no files without a name. */
function openAndUnlink(): number {
  const path = join(tmpdir(), `ryegate-${randomUUID()}`);
  const fd = openSync(path, 'wx+', 0o600);
  try {
    unlinkSync(path);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}
