import { Fact, native } from '../native.ts';

const TYPE = 0o170000;
const REGULAR = 0o100000;
const FOLDER = 0o040000;

/**
 * Grown: appended to, or written anew and larger. Modified: the size is the same, as when it has been
 * rewritten, or is being appended to: see `IN_PROGRESS`. Broken: cut, or gone.
 */
export type FileState = 'same' | 'grown' | 'modified' | 'broken';

/**
 * A write sets the time when it begins, before the size, and clocks of file systems go in steps of
 * up to ten milliseconds: a file that was modified so many milliseconds ago may be half written.
 */
export const IN_PROGRESS = 20;

/** What stat(2) tells of a file. */
export class FileFacts {
  readonly data: Float64Array = new Float64Array(Fact.count);

  /** Those of an open descriptor, with its offset: 0 or a negative errno. */
  look(fd: number): number {
    return native.fileFacts(fd, this.data);
  }

  /** What has become of the file of `fd` since it was as these say. */
  stateOf(fd: number): FileState {
    if (native.fileStatus(fd, scratch.data) < 0 || !scratch.isSameFile(this)) return 'broken';
    if (scratch.isSameVersion(this)) return 'same';
    if (scratch.size === this.size) return 'modified';
    return scratch.size > this.size ? 'grown' : 'broken';
  }

  /** Whether size and time of the last modification are the same. */
  isSameVersion(other: FileFacts): boolean {
    return (
      this.size === other.size &&
      this.modified === other.modified &&
      this.modifiedNanoseconds === other.modifiedNanoseconds
    );
  }

  get isRegular(): boolean {
    return ((this.data[Fact.mode] as number) & TYPE) === REGULAR;
  }

  get isFolder(): boolean {
    return ((this.data[Fact.mode] as number) & TYPE) === FOLDER;
  }

  /** In bytes. */
  get size(): number {
    return this.data[Fact.size] as number;
  }

  /** When the file was modified, in whole seconds. */
  get modified(): number {
    return this.data[Fact.modified] as number;
  }

  /** The rest of that, in nanoseconds. */
  get modifiedNanoseconds(): number {
    return this.data[Fact.modifiedNanoseconds] as number;
  }

  /** When the inode was changed, which nobody can set, in whole seconds. */
  get changed(): number {
    return this.data[Fact.changed] as number;
  }

  /** The rest of that, in nanoseconds. */
  get changedNanoseconds(): number {
    return this.data[Fact.changedNanoseconds] as number;
  }

  /** Where the descriptor stands; -1 where it cannot be moved. */
  get offset(): number {
    return this.data[Fact.offset] as number;
  }

  /** Whether these are facts of the same file, in whatever state. */
  isSameFile(other: FileFacts): boolean {
    for (let i = Fact.deviceHigh; i < Fact.offset; i++) {
      if (this.data[i] !== other.data[i]) return false;
    }
    return true;
  }

  /** Whether these are facts of the same file in the same state. */
  equals(other: FileFacts): boolean {
    for (let i = 0; i < Fact.offset; i++) if (this.data[i] !== other.data[i]) return false;
    return true;
  }
}

const scratch = new FileFacts();
