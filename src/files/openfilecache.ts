import { createHash } from 'node:crypto';
import { constants } from 'node:os';
import { monotonic } from '../clock.ts';
import { SystemCallError } from '../errors.ts';
import { HTTPError } from '../http/httperror.ts';
import { FileFacts } from '../io/filefacts.ts';
import { native } from '../native.ts';
import { OpenFile } from './openfile.ts';
import { EAGAIN, type Root } from './root.ts';
import { readCached, readLater, readWhole } from './smallfile.ts';

const { errno } = constants;
/** Descriptors have run out: what the cache holds may go. */
const EXHAUSTED: ReadonlySet<number> = new Set([-errno.EMFILE, -errno.ENFILE]);
/** The name stands for nothing that may be served. */
const ABSENT: ReadonlySet<number> = new Set(
  [
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EACCES,
    errno.EPERM,
    errno.ELOOP,
    errno.EXDEV,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.EBADF,
    errno.ENXIO,
    errno.ENODEV,
    errno.EILSEQ,
  ].map((number) => -number),
);

/**
 * A file that was modified within this many milliseconds of being read may be modified again without
 * showing it: some file systems tell the time of that in steps of two seconds.
 */
const UNSETTLED = 2000;
/** What an entry takes besides the bytes of its file. */
const OVERHEAD = 1024;

export interface OpenFileCacheSettings {
  /** Most files and folders; at least 10. */
  readonly entries: number;
  /** Most bytes of their contents. */
  readonly bytes: number;
  /** The contents of files of up to so many bytes are kept; larger ones are kept open. */
  readonly fileBytes: number;
  /** Seconds after which is looked whether a file is still the same; 0: at every use. */
  readonly revalidate: number;
}

/** A file or folder as it was when it was looked at. */
export class CachedFile {
  readonly path: string;
  readonly facts: FileFacts;
  /** The contents of a small file. */
  readonly body: Buffer | null;
  /** A large file. */
  readonly file: OpenFile | null;
  /** Whoever uses the cache keeps here what it makes of the file. */
  made: unknown = null;
  /** Monotonic milliseconds. */
  checked: number;
  /** Again, since the cache last looked for something to be dropped. */
  used = false;
  readonly #read: number = Date.now();
  #etag: string | null = null;

  constructor(
    path: string,
    facts: FileFacts,
    body: Buffer | null,
    file: OpenFile | null,
    now: number,
  ) {
    this.path = path;
    this.facts = facts;
    this.body = body;
    this.file = file;
    this.checked = now;
  }

  get isFolder(): boolean {
    return this.facts.isFolder;
  }

  get size(): number {
    return this.body?.length ?? this.facts.size;
  }

  /** In milliseconds since 1970. */
  get lastModified(): number {
    return this.facts.modified * 1000;
  }

  /** Whether it was modified before `other`. */
  isOlderThan({ facts: other }: CachedFile): boolean {
    const { modified, modifiedNanoseconds } = this.facts;
    if (modified !== other.modified) return modified < other.modified;
    return modifiedNanoseconds < other.modifiedNanoseconds;
  }

  /**
   * A strong entity tag, in quotes: of the contents where they are known, else of the size and the
   * times. That of the inode's change is among them: archives and builds set the other as they like.
   */
  get etag(): string {
    this.#etag ??= `"${this.body === null ? this.#version() : digest(this.body)}"`;
    return this.#etag;
  }

  #version(): string {
    const { size, modified, modifiedNanoseconds, changed, changedNanoseconds } = this.facts;
    const parts = [size, modified, modifiedNanoseconds, changed, changedNanoseconds];
    return parts.map((part) => part.toString(36)).join('-');
  }

  /** Whether a large file, which is not read before it is sent, is no longer as its tag says. */
  isRewritten(): boolean {
    if (this.file === null) return false;
    const { fd, facts } = this.file;
    return native.fileStatus(fd, scratch.data) < 0 || !scratch.isSameVersion(facts);
  }

  /** Whether a later look can be trusted to show a change. */
  isSettled(): boolean {
    return this.#read - this.lastModified > UNSETTLED;
  }

  get weight(): number {
    return OVERHEAD + (this.body?.length ?? 0);
  }
}

function digest(body: Buffer): string {
  return createHash('sha256').update(body).digest('base64url').slice(0, 22);
}

/**
 * Files that are asked for often: the contents of small ones and the descriptors of large ones,
 * looked at again now and then. What has not been used for long goes first.
 */
export class OpenFileCache {
  readonly #root: Root;
  readonly #settings: OpenFileCacheSettings;
  readonly #interval: number;
  readonly #files = new Map<string, CachedFile>();
  readonly #loading = new Map<string, Promise<CachedFile | null>>();
  #bytes = 0;
  #rootChecked = 0;
  /** How many roots there have been: what was found beneath an earlier one is not kept. */
  #roots = 0;

  constructor(root: Root, settings: OpenFileCacheSettings) {
    this.#root = root;
    this.#settings = settings;
    this.#interval = settings.revalidate * 1000;
  }

  /**
   * The file or folder at `path`, null for nothing that may be served. A promise when the disk has to
   * be waited for, which does not happen when `blocking`.
   */
  get(path: string, blocking: boolean): CachedFile | null | Promise<CachedFile | null> {
    const now = monotonic();
    this.#renewRoot(now);
    const known = this.#files.get(path);
    if (known !== undefined) {
      known.used = true;
      const isFresh = now - known.checked < this.#interval && !known.isRewritten();
      if (isFresh || this.#isCurrent(known, now)) return known;
      this.#drop(known);
    }
    return this.#load(path, now, blocking);
  }

  #renewRoot(now: number): void {
    if (now - this.#rootChecked < this.#interval) return;
    this.#rootChecked = now;
    if (this.#root.renew()) this.#forget();
  }

  #isCurrent(known: CachedFile, now: number): boolean {
    if (!known.isSettled() || this.#root.look(known.path, scratch) < 0) return false;
    if (!scratch.equals(known.facts)) return false;
    known.checked = now;
    return true;
  }

  #load(
    path: string,
    now: number,
    blocking: boolean,
  ): CachedFile | null | Promise<CachedFile | null> {
    // To open it once more might wait for that.
    const loading = blocking ? undefined : this.#loading.get(path);
    if (loading !== undefined) return loading;
    const facts = new FileFacts();
    const root = this.#root;
    let fd = blocking ? root.openSync(path, facts) : root.openNow(path, facts);
    if (EXHAUSTED.has(fd)) {
      // To see that there is nothing takes no descriptor.
      const failure = root.look(path, facts);
      if (failure < 0) return absent(failure, path);
      this.#closeFiles();
      fd = blocking ? root.openSync(path, facts) : root.openNow(path, facts);
    }
    if (fd === EAGAIN) return this.#loadLater(path);
    if (fd < 0) return absent(fd, path);
    if (!this.#isSmall(facts)) return this.#keep(opened(path, fd, facts, now));
    return blocking
      ? this.#keep(closing(fd, () => new CachedFile(path, facts, readWhole(fd, facts), null, now)))
      : this.#loadSmall(path, fd, facts, now);
  }

  #isSmall(facts: FileFacts): boolean {
    return facts.isRegular && facts.size <= this.#settings.fileBytes;
  }

  #loadSmall(
    path: string,
    fd: number,
    facts: FileFacts,
    now: number,
  ): CachedFile | Promise<CachedFile | null> {
    const body = readCached(fd, facts);
    if (body === null) return this.#loadLater(path, fd, facts);
    native.close(fd);
    return this.#keep(new CachedFile(path, facts, body, null, now));
  }

  /** Many may wait for one disk. `open`: the file, if it is open already. */
  #loadLater(path: string, open?: number, facts?: FileFacts): Promise<CachedFile | null> {
    // A read that has begun may be older than what a strict look would find.
    if (this.#interval === 0) return this.#wait(path, open, facts);
    const loading = this.#wait(path, open, facts).finally(() => this.#loading.delete(path));
    this.#loading.set(path, loading);
    return loading;
  }

  async #wait(
    path: string,
    open?: number,
    facts: FileFacts = new FileFacts(),
  ): Promise<CachedFile | null> {
    const roots = this.#roots;
    const now = monotonic();
    let fd = open ?? (await this.#root.openLater(path, facts));
    if (EXHAUSTED.has(fd)) {
      this.#closeFiles();
      fd = await this.#root.openLater(path, facts);
    }
    if (fd < 0) return absent(fd, path);
    const file = await this.#made(path, fd, facts, now);
    if (file !== null && roots === this.#roots) return this.#keep(file);
    file?.file?.close();
    return this.#wait(path);
  }

  /** Null when a small file has grown out of its limit meanwhile. */
  async #made(path: string, fd: number, facts: FileFacts, now: number): Promise<CachedFile | null> {
    if (!this.#isSmall(facts)) return opened(path, fd, facts, now);
    try {
      const body = await readLater(fd, facts, this.#settings.fileBytes);
      if (body !== null) return new CachedFile(path, facts, body, null, now);
    } finally {
      native.close(fd);
    }
    return null;
  }

  #keep(file: CachedFile): CachedFile {
    const before = this.#files.get(file.path);
    if (before !== undefined) this.#drop(before);
    if (file.weight - OVERHEAD > this.#settings.bytes) return file;
    this.#files.set(file.path, file);
    this.#bytes += file.weight;
    this.#makeRoom(file);
    return file;
  }

  /**
   * The second chance: what was used since it was looked at last goes to the end of the queue. What
   * was asked for only once goes before that, so that a crawler does not sweep the cache.
   */
  #makeRoom(newest: CachedFile): void {
    const { entries, bytes } = this.#settings;
    const most = bytes + entries * OVERHEAD;
    for (const [path, file] of this.#files) {
      if (this.#files.size <= entries && this.#bytes <= most) return;
      if (file.used || file === newest) {
        file.used = false;
        this.#files.delete(path);
        this.#files.set(path, file);
      } else this.#drop(file);
    }
  }

  #drop(file: CachedFile): void {
    this.#files.delete(file.path);
    this.#bytes -= file.weight;
    file.file?.close();
  }

  #closeFiles(): void {
    for (const known of this.#files.values()) if (known.file !== null) this.#drop(known);
  }

  /** Forgets all files; those that are being sent stay open until they have gone. */
  clear(): void {
    for (const file of this.#files.values()) this.#drop(file);
  }

  #forget(): void {
    this.#roots++;
    this.clear();
  }

  /** Nothing is found from here on. */
  close(): void {
    this.#root.close();
    this.#forget();
  }
}

const scratch = new FileFacts();

function opened(path: string, fd: number, facts: FileFacts, now: number): CachedFile {
  if (facts.isRegular) return new CachedFile(path, facts, null, new OpenFile(fd, facts), now);
  native.close(fd);
  return new CachedFile(path, facts, null, null, now);
}

/** What a failed look at `path` comes to: nothing is there. Throws for what is no matter of the name. */
export function absent(failure: number, path: string): null {
  if (ABSENT.has(failure)) return null;
  const cause = new SystemCallError(failure, 'open', `the file ${JSON.stringify(path)}`);
  // A lease of another program's, as Samba takes them, is being given up.
  if (!EXHAUSTED.has(failure) && failure !== EAGAIN) throw cause;
  throw new HTTPError(503, 'ERR_RYEGATE_BUSY', 'The server is busy: try again later.', { cause });
}

/** Closes `fd` after `use`. */
export function closing<Result>(fd: number, use: () => Result): Result {
  try {
    return use();
  } finally {
    native.close(fd);
  }
}
