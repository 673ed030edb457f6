import { realpathSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { byteString } from '../bytestring.ts';
import { RyegateError, SystemCallError, showValue } from '../errors.ts';
import { FileFacts } from '../io/filefacts.ts';
import { native } from '../native.ts';
import { OpenFile } from './openfile.ts';

const { errno } = constants;
export const EAGAIN: number = -errno.EAGAIN;
/** A link that is absolute or leads out, or any link where the system cannot tell. */
const EXDEV = -errno.EXDEV;
const ELOOP = -errno.ELOOP;

/**
 * The folder beneath which files are served. It is looked up by its name again from time to time,
 * so that a folder, or a link to one, can be replaced as a whole.
 */
export class Root {
  /** As a byte string. */
  readonly path: string;
  /** Null while there is no such folder. */
  #folder: OpenFile | null;
  #closed = false;

  /** Throws `ERR_RYEGATE_STATIC_ROOT` unless `path` is a folder. */
  constructor(path: string) {
    if (typeof path !== 'string' || path === '') throw rootError(path);
    this.path = byteString(resolve(path));
    const fd = native.openFolder(this.path);
    if (fd < 0) throw rootError(path, new SystemCallError(fd, 'open', path));
    this.#folder = this.#opened(fd);
  }

  #opened(fd: number): OpenFile {
    const facts = new FileFacts();
    native.fileStatus(fd, facts.data);
    return new OpenFile(fd, facts);
  }

  /** -1 where there is none. */
  get #fd(): number {
    return this.#folder?.fd ?? -1;
  }

  /** The path without links and a slash at its end, as it is now; null when there is none. */
  get realPathSync(): string | null {
    return realPathSync(this.path);
  }

  get realPath(): Promise<string | null> {
    return realPath(this.path);
  }

  /** Whether its name stands for another folder by now, which it is from here on. */
  renew(): boolean {
    if (this.#closed) return false;
    const before = this.#folder;
    const found = native.statBeneath(this.#fd, this.path, scratch.data) === 0;
    if (found ? before?.facts.isSameFile(scratch) === true : before === null) return false;
    const fd = native.openFolder(this.path);
    this.#folder = fd < 0 ? null : this.#opened(fd);
    before?.close();
    return true;
  }

  /** From here on nothing is beneath it. */
  close(): void {
    this.#closed = true;
    this.#folder?.close();
    this.#folder = null;
  }

  /** What `path` stands for now: 0 or a negative errno. */
  look(path: string, facts: FileFacts): number {
    return native.statBeneath(this.#fd, path || '.', facts.data);
  }

  /** The descriptor, or a negative errno; `EAGAIN` where the disk would have to be waited for. */
  openNow(path: string, facts: FileFacts): number {
    const fd = native.openBeneath(this.#fd, path || '.', false, facts.data);
    return fd === EXDEV || fd === ELOOP ? EAGAIN : fd;
  }

  openSync(path: string, facts: FileFacts): number {
    const fd = native.openBeneath(this.#fd, path || '.', true, facts.data);
    if (fd !== EXDEV && fd !== ELOOP) return fd;
    const inner = beneath(this.realPathSync, realPathSync(`${this.path}/${path}`));
    return inner === null ? fd : native.openBeneath(this.#fd, inner, true, facts.data);
  }

  async openLater(path: string, facts: FileFacts): Promise<number> {
    const fd = await this.#openLater(path || '.', facts);
    if (fd !== EXDEV && fd !== ELOOP) return fd;
    const inner = beneath(await this.realPath, await realPath(`${this.path}/${path}`));
    return inner === null ? fd : this.#openLater(inner, facts);
  }

  /** The folder stays open meanwhile, so that its number stands for no other. */
  async #openLater(path: string, facts: FileFacts): Promise<number> {
    const folder = this.#folder?.retain();
    const fd = await new Promise<number>((resolve) => {
      native.openBeneathLater(folder?.fd ?? -1, path, facts.data, resolve);
    });
    folder?.close();
    return fd;
  }
}

const scratch = new FileFacts();

function rootError(path: unknown, cause?: Error): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_STATIC_ROOT',
    `${showValue(path)} cannot be served: give a folder that exists and may be entered`,
    { cause },
  );
}

/** The way from `root` to `target`, both without links; null when that is not beneath. */
function beneath(root: string | null, target: string | null): string | null {
  if (root === null || target === null) return null;
  if (target === root) return '.';
  return target.startsWith(`${root}/`) ? target.slice(root.length + 1) : null;
}

// Without links, and a slash at the end: empty for `/`. Null for what is not there.

function realPathSync(path: string): string | null {
  try {
    return withoutSlash(realpathSync.native(Buffer.from(path, 'latin1'), { encoding: 'latin1' }));
  } catch {
    return null;
  }
}

async function realPath(path: string): Promise<string | null> {
  try {
    return withoutSlash(await realpath(Buffer.from(path, 'latin1'), { encoding: 'latin1' }));
  } catch {
    return null;
  }
}

function withoutSlash(path: string): string {
  return path === '/' ? '' : path;
}
