import {
  type FSWatcher,
  fstatSync,
  lstatSync,
  readdirSync,
  type Stats,
  statSync,
  watch,
} from 'node:fs';
import { basename, join, relative, resolve, sep } from 'node:path';
import { globMatcher } from './globs.ts';

/**
 * What causes no reload: packages, whatever begins with a dot, what editors leave beside a file, and
 * what programs usually write themselves, which would have them reloaded without end.
 */
export const IGNORED: readonly string[] = [
  ...['node_modules', '.*'],
  ...['*~', '*.swp', '*.tmp', '*___', '4913'],
  ...['*.log', '*.pid', '*.sock', '*.db', '*.db-*', '*.sqlite*'],
];

/** Milliseconds without a change after which changes count as complete. */
const REST = 50;
/** Milliseconds after which they do in any case. */
const LONGEST = 500;

export interface WatchOptions {
  /** What is below them is watched; symbolic links in them are not followed. */
  readonly folders: readonly string[];
  /** Patterns beside `IGNORED`, from each of the folders on; see `globMatcher()`. */
  readonly ignore?: readonly string[];
  /** Called when changes have come to rest, with the paths of the files. */
  changed(files: readonly string[]): void;
  /** Folders that cannot be watched: there are too many, or it may not be read. */
  failed(error: Error): void;
}

export interface FileWatcher {
  close(): void;
}

/**
 * Watches files by the system's events. It has one watcher for each folder, as Node's recursive one
 * on Linux has one for each file, and does not leave node_modules out.
 */
export function watchFiles(options: WatchOptions): FileWatcher {
  return new Watcher(options);
}

interface Watched {
  readonly watcher: FSWatcher;
  /** Which of the folders it is below. */
  readonly top: string;
  /** Another folder of that name has another one. */
  readonly identity: string;
}

class Watcher implements FileWatcher {
  readonly #options: WatchOptions;
  readonly #isIgnored: (path: string) => boolean;
  readonly #folders = new Map<string, Watched>();
  readonly #changed = new Set<string>();
  #since = 0;
  #timer: NodeJS.Timeout | null = null;
  #failed = false;
  #closed = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#isIgnored = globMatcher([...IGNORED, ...(options.ignore ?? [])]);
    for (const folder of options.folders) this.#enter(resolve(folder), resolve(folder), false);
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const { watcher } of this.#folders.values()) watcher.close();
    this.#folders.clear();
  }

  /** Watches a folder and those in it. In one that is new, what it has already has changed. */
  #enter(folder: string, top: string, isNew: boolean): void {
    if (this.#closed || this.#folders.has(folder)) return;
    try {
      const watcher = watch(folder, (event, name) => this.#happened(event, folder, name));
      watcher.on('error', () => this.#leave(folder));
      this.#folders.set(folder, { watcher, top, identity: identityOf(statSync(folder)) });
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const path = join(folder, entry.name);
        if (this.#leavesOut(path, top)) continue;
        if (entry.isDirectory()) this.#enter(path, top, isNew);
        else if (isNew) this.#note(path);
      }
    } catch (error) {
      this.#fail(error as NodeJS.ErrnoException);
    }
  }

  #leavesOut(path: string, top: string): boolean {
    return this.#isIgnored(relative(top, path).replaceAll(sep, '/'));
  }

  /** It is gone, with what was in it. */
  #leave(folder: string): void {
    const left = [...this.#folders].filter(([path]) => `${path}${sep}`.startsWith(folder + sep));
    for (const [path, { watcher }] of left) {
      watcher.close();
      this.#folders.delete(path);
    }
  }

  #happened(event: string, folder: string, name: string | null): void {
    const watched = this.#folders.get(folder);
    if (watched === undefined) return;
    const path = name === null ? folder : join(folder, name);
    if (name !== null && this.#leavesOut(path, watched.top)) return;
    const stats = statOf(path);
    // The system tells a folder's own end, or its new permissions, by its own name.
    if (stats === null && (event === 'change' || name === basename(folder))) return;
    if (stats !== null && isOutput(stats)) return;
    const isFolder = name !== null && stats?.isDirectory() === true;
    const isKnown = isFolder && this.#folders.get(path)?.identity === identityOf(stats);
    if (isKnown) return;
    // Another one may have taken its place.
    if (name !== null) this.#leave(path);
    if (isFolder) this.#enter(path, watched.top, true);
    else this.#note(path);
  }

  #note(path: string): void {
    if (this.#closed) return;
    const now = performance.now();
    if (this.#changed.size === 0) this.#since = now;
    this.#changed.add(path);
    if (this.#timer !== null) clearTimeout(this.#timer);
    const wait = Math.min(REST, this.#since + LONGEST - now);
    this.#timer = setTimeout(() => this.#tell(), Math.max(0, wait));
  }

  #tell(): void {
    const files = [...this.#changed].sort();
    this.#changed.clear();
    this.#options.changed(files);
  }

  /** Told once: where the system has run out of watchers, every further folder fails. */
  #fail(error: NodeJS.ErrnoException): void {
    // It has come and gone.
    if (this.#failed || error.code === 'ENOENT') return;
    this.#failed = true;
    this.#options.failed(error);
  }
}

/** Numbers are given anew once a folder is gone. */
function identityOf({ dev, ino, birthtimeMs }: Stats): string {
  return `${dev} ${ino} ${birthtimeMs}`;
}

function statOf(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}

/** To tell that standard output or error has changed would change it again. */
function isOutput({ dev, ino }: Stats): boolean {
  return [1, 2].some((fd) => {
    try {
      const output = fstatSync(fd);
      return output.dev === dev && output.ino === ino;
    } catch {
      return false;
    }
  });
}
