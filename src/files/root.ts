import { realpathSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { RyegateError, SystemCallError } from '../errors.ts';
import { FileFacts } from '../io/filefacts.ts';
import { native } from '../native.ts';
import { byteString } from './openfile.ts';

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
  /** Without links. */
  #realPath = '';
  /** -1 while there is no such folder. */
  #fd: number;
  #closed = false;
  readonly #facts: FileFacts = new FileFacts();

  /** Throws `ERR_RYEGATE_STATIC_ROOT` unless `path` is a folder. */
  constructor(path: string) {
    this.path = byteString(resolve(path));
    this.#fd = native.openFolder(this.path);
    if (this.#fd < 0) {
      throw new RyegateError(
        'ERR_RYEGATE_STATIC_ROOT',
        `${path} cannot be served: give a folder that exists and may be entered`,
        { cause: new SystemCallError(this.#fd, 'open', path) },
      );
    }
    this.#look();
  }

  #look(): void {
    native.fileStatus(this.#fd, this.#facts.data);
    this.#realPath = realPathSync(this.path);
  }

  /** The path without links and a slash at its end. */
  get realPath(): string {
    return this.#realPath;
  }

  /** Whether its name stands for another folder by now, which it is from here on. */
  renew(): boolean {
    if (this.#closed) return false;
    const found = native.statBeneath(this.#fd, this.path, scratch.data) === 0;
    if (found === this.#fd >= 0 && (!found || scratch.isSameFile(this.#facts))) return false;
    this.#closeFolder();
    this.#fd = Math.max(native.openFolder(this.path), -1);
    if (this.#fd >= 0) this.#look();
    return true;
  }

  close(): void {
    this.#closed = true;
    this.#closeFolder();
  }

  #closeFolder(): void {
    if (this.#fd >= 0) native.close(this.#fd);
    this.#fd = -1;
  }

  /** What `path` stands for now: 0 or a negative errno. */
  look(path: string, facts: FileFacts): number {
    return native.statBeneath(this.#fd, path, facts.data);
  }

  /** The descriptor, or a negative errno; `EAGAIN` where the disk would have to be waited for. */
  openNow(path: string, facts: FileFacts): number {
    const fd = native.openBeneath(this.#fd, path || '.', false, facts.data);
    return fd === EXDEV || fd === ELOOP ? EAGAIN : fd;
  }

  openSync(path: string, facts: FileFacts): number {
    const fd = native.openBeneath(this.#fd, path || '.', true, facts.data);
    if (fd !== EXDEV && fd !== ELOOP) return fd;
    const inner = this.#beneath(realPathSync(`${this.path}/${path}`));
    return inner === null ? fd : native.openBeneath(this.#fd, inner, true, facts.data);
  }

  async openLater(path: string, facts: FileFacts): Promise<number> {
    const fd = await this.#openLater(path || '.', facts);
    if (fd !== EXDEV && fd !== ELOOP) return fd;
    const named = Buffer.from(`${this.path}/${path}`, 'latin1');
    const target = await realpath(named, { encoding: 'latin1' }).catch(() => '');
    const inner = this.#beneath(target);
    return inner === null ? fd : this.#openLater(inner, facts);
  }

  /** The way from the root to a path without links; null when that is not beneath. */
  #beneath(target: string): string | null {
    if (target === this.#realPath) return '.';
    const folder = `${this.#realPath}/`;
    return target.startsWith(folder) ? target.slice(folder.length) : null;
  }

  #openLater(path: string, facts: FileFacts): Promise<number> {
    return new Promise((resolve) => {
      native.openBeneathLater(this.#fd, path, facts.data, resolve);
    });
  }
}

const scratch = new FileFacts();

/** Empty for what is not there; without a slash at its end. */
function realPathSync(path: string): string {
  try {
    const real = realpathSync.native(Buffer.from(path, 'latin1'), { encoding: 'latin1' });
    return real === '/' ? '' : real;
  } catch {
    return '';
  }
}
