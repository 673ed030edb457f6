import { realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { RyegateError, SystemCallError } from '../errors.ts';
import { FileFacts } from '../io/filefacts.ts';
import { native } from '../native.ts';
import type { FilePart } from '../reactor/fileregion.ts';
import { Residence } from '../reactor/residence.ts';
import type { DescriptorFile } from '../wsgi/filewrapper.ts';

/**
 * An open file that several responses may be sent from: it is closed when the last of its users has
 * called `close()`.
 */
export class OpenFile implements DescriptorFile {
  readonly #fd: number;
  readonly facts: FileFacts;
  /** @internal */
  readonly residence: Residence = new Residence();
  #users = 1;

  /** @internal Takes over `fd`, which is the addon's. */
  constructor(fd: number, facts: FileFacts) {
    this.#fd = fd;
    this.facts = facts;
  }

  /** -1 when it has been closed. */
  get fd(): number {
    return this.closed ? -1 : this.#fd;
  }

  /** In bytes, when it was opened. */
  get size(): number {
    return this.facts.size;
  }

  /** The bytes from `start` to `end`, which is not included, as a piece of a body. */
  part(start: number, end: number): FilePart {
    const { fd, facts, residence } = this;
    return { fd, position: start, count: end - start, state: () => facts.stateOf(fd), residence };
  }

  /** Whether the last user has gone. */
  get closed(): boolean {
    return this.#users <= 0;
  }

  /** Adds a user, who calls `close()` as well. */
  retain(): this {
    this.#users++;
    return this;
  }

  close(): void {
    if (--this.#users === 0) native.close(this.#fd);
  }
}

/**
 * Opens a regular file for `FileWrapper`, on the thread pool.
 *
 * @throws the system's error of `realpath()`; RyegateError `ERR_RYEGATE_FILE` for a folder;
 *   SystemCallError `ERR_RYEGATE_SYSTEM` (`EACCES` also for a FIFO, a device or the like)
 */
export async function openFile(path: string): Promise<OpenFile> {
  const real = await realpath(path, { encoding: 'latin1' });
  const folder = native.openFolder(dirname(real));
  if (folder < 0) throw new SystemCallError(folder, 'open', `the folder of ${path}`);
  const facts = new FileFacts();
  const fd = await new Promise<number>((resolve) => {
    native.openBeneathLater(folder, basename(real) || '.', facts.data, resolve);
  });
  native.close(folder);
  if (fd >= 0 && facts.isRegular) return new OpenFile(fd, facts);
  if (fd >= 0) {
    native.close(fd);
    throw new RyegateError('ERR_RYEGATE_FILE', `${path} is a folder: name a file`);
  }
  throw new SystemCallError(fd, 'open', path);
}
