import { type Dirent, existsSync, lstatSync, opendirSync, realpathSync, type Stats } from 'node:fs';
import { lstat, opendir, realpath } from 'node:fs/promises';
import { constants } from 'node:os';
import { SystemCallError } from '../errors.ts';
import { areNames, type DotfileRule } from './paths.ts';

/** Entries read of one folder; a page of more would help nobody, and take long. */
export const MOST_ENTRIES = 2000;

/** Entries looked at together on the thread pool. */
const BATCH = 32;

/** A file or folder in a folder. */
export interface FolderEntry {
  /** As a byte string: one character per byte. */
  readonly name: string;
  readonly isFolder: boolean;
  /** In bytes. */
  readonly size: number;
  /** When it was last modified, in milliseconds since 1970. */
  readonly modified: number;
}

export interface Folder {
  /** In no order. */
  readonly entries: readonly FolderEntry[];
  /** Whether there were more than `MOST_ENTRIES`, and some are left out. */
  readonly isCut: boolean;
}

/**
 * What is in the folder `path` below `root` that may be served: files and folders, and links to
 * these that do not lead out of the root; names that begin with a dot by `dotfiles`.
 *
 * `root`: without symbolic links and a slash at its end; both are byte strings. `fd`: the folder,
 * opened beneath the root, so that nothing else takes its place
 * meanwhile, if the system can read it by that. Rejected with the
 * system's error when the folder cannot be read, or has become a link that leads out of the root.
 */
export async function readFolder(
  root: string,
  path: string,
  dotfiles: DotfileRule,
  fd: number = -1,
): Promise<Folder> {
  const place =
    byDescriptor(fd) ??
    beneath(root, await realpath(bytes(`${root}/${path}`), { encoding: 'latin1' }));
  const names = new Names(dotfiles);
  for await (const entry of await opendir(bytes(place), { encoding: 'latin1' })) {
    if (!names.add(entry)) break;
  }
  const entries: (FolderEntry | null)[] = [];
  const look = (name: string): Promise<FolderEntry | null> =>
    lookAt(root, `${place}/${name}`, name);
  for (let at = 0; at < names.list.length; at += BATCH) {
    entries.push(...(await Promise.all(names.list.slice(at, at + BATCH).map(look))));
  }
  return { entries: entries.filter((entry) => entry !== null), isCut: names.isCut };
}

/** The same at once, for where no promise settles. */
export function readFolderSync(
  root: string,
  path: string,
  dotfiles: DotfileRule,
  fd: number = -1,
): Folder {
  const place =
    byDescriptor(fd) ??
    beneath(root, realpathSync.native(bytes(`${root}/${path}`), { encoding: 'latin1' }));
  const names = new Names(dotfiles);
  const folder = opendirSync(bytes(place), { encoding: 'latin1' });
  try {
    let entry = folder.readSync();
    while (entry !== null && names.add(entry)) entry = folder.readSync();
  } finally {
    folder.closeSync();
  }
  const entries = names.list.map((name) => lookAtSync(root, `${place}/${name}`, name));
  return { entries: entries.filter((entry) => entry !== null), isCut: names.isCut };
}

/** A path to an open folder, where the system has such; null elsewhere. */
function byDescriptor(fd: number): string | null {
  const path = `/proc/self/fd/${fd}`;
  return existsSync(path) ? path : null;
}

/** The names to look at. */
class Names {
  readonly list: string[] = [];
  isCut: boolean = false;
  readonly #dotfiles: DotfileRule;
  #read = 0;

  constructor(dotfiles: DotfileRule) {
    this.#dotfiles = dotfiles;
  }

  /** Returns whether to read on. */
  add(entry: Dirent): boolean {
    this.isCut = this.#read === MOST_ENTRIES;
    if (this.isCut) return false;
    this.#read += 1;
    if (areNames(entry.name, this.#dotfiles)) this.list.push(entry.name);
    return true;
  }
}

/** Null for what is not served, or has gone meanwhile. */
async function lookAt(root: string, path: string, name: string): Promise<FolderEntry | null> {
  try {
    let stats = await lstat(bytes(path));
    if (stats.isSymbolicLink()) {
      const target = await realpath(bytes(path), { encoding: 'latin1' });
      if (!isBeneath(root, target)) return null;
      stats = await lstat(bytes(target));
    }
    return entryOf(name, stats);
  } catch {
    return null;
  }
}

function lookAtSync(root: string, path: string, name: string): FolderEntry | null {
  try {
    let stats = lstatSync(bytes(path));
    if (stats.isSymbolicLink()) {
      const target = realpathSync.native(bytes(path), { encoding: 'latin1' });
      if (!isBeneath(root, target)) return null;
      stats = lstatSync(bytes(target));
    }
    return entryOf(name, stats);
  } catch {
    return null;
  }
}

function beneath(root: string, target: string): string {
  if (isBeneath(root, target)) return target;
  throw new SystemCallError(-constants.errno.EXDEV, 'open', 'a folder outside of the root');
}

function isBeneath(root: string, target: string): boolean {
  return target === root || target.startsWith(`${root}/`);
}

function entryOf(name: string, stats: Stats): FolderEntry | null {
  const isFolder = stats.isDirectory();
  if (!isFolder && !stats.isFile()) return null;
  return { name, isFolder, size: stats.size, modified: stats.mtimeMs };
}

function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}
