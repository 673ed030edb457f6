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
  /** -1 while there is no such folder. */
  #fd: number;
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
    native.fileStatus(this.#fd, this.#facts.data);
  }

  /** Whether its name stands for another folder by now, which it is from here on. */
  renew(): boolean {
    const found = native.statBeneath(this.#fd, this.path, scratch.data) === 0;
    if (found === this.#fd >= 0 && (!found || scratch.isSameFile(this.#facts))) return false;
    this.close();
    this.#fd = Math.max(native.openFolder(this.path), -1);
    native.fileStatus(this.#fd, this.#facts.data);
    return true;
  }

  close(): void {
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
    try {
      const [root, target] = [this.path, `${this.path}/${path}`].map((name) =>
        realpathSync.native(Buffer.from(name, 'latin1'), { encoding: 'latin1' }),
      );
      const inner = beneath(root as string, target as string);
      return inner === null ? fd : native.openBeneath(this.#fd, inner, true, facts.data);
    } catch {
      return fd;
    }
  }

  async openLater(path: string, facts: FileFacts): Promise<number> {
    const fd = await this.#openLater(path || '.', facts);
    if (fd !== EXDEV && fd !== ELOOP) return fd;
    try {
      const [root, target] = await Promise.all(
        [this.path, `${this.path}/${path}`].map((name) =>
          realpath(Buffer.from(name, 'latin1'), { encoding: 'latin1' }),
        ),
      );
      const inner = beneath(root as string, target as string);
      return inner === null ? fd : this.#openLater(inner, facts);
    } catch {
      return fd;
    }
  }

  #openLater(path: string, facts: FileFacts): Promise<number> {
    return new Promise((resolve) => {
      native.openBeneathLater(this.#fd, path, facts.data, resolve);
    });
  }
}

const scratch = new FileFacts();

/** The way from `root` to `target`, both without links; null when it is not beneath. */
function beneath(root: string, target: string): string | null {
  if (target === root) return '.';
  const folder = root === '/' ? root : `${root}/`;
  return target.startsWith(folder) ? target.slice(folder.length) : null;
}
