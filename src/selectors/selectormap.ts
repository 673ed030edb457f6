import type { FileObject, SelectorKey } from './selector.ts';

/** A live, read-only view of a selector's keys by file object; `selectors._SelectorMapping`. */
export class SelectorMap implements ReadonlyMap<FileObject, SelectorKey> {
  readonly #keys: readonly (SelectorKey | undefined)[];
  readonly #lookUp: (fileobj: FileObject) => SelectorKey | undefined;

  constructor(
    keys: readonly (SelectorKey | undefined)[],
    lookUp: (fileobj: FileObject) => SelectorKey | undefined,
  ) {
    this.#keys = keys;
    this.#lookUp = lookUp;
  }

  get size(): number {
    return [...this.values()].length;
  }

  get(fileobj: FileObject): SelectorKey | undefined {
    return this.#lookUp(fileobj);
  }

  has(fileobj: FileObject): boolean {
    return this.#lookUp(fileobj) !== undefined;
  }

  forEach(
    visit: (
      key: SelectorKey,
      fileobj: FileObject,
      map: ReadonlyMap<FileObject, SelectorKey>,
    ) => void,
    receiver?: unknown,
  ): void {
    for (const key of this.values()) visit.call(receiver, key, key.fileobj, this);
  }

  *keys(): MapIterator<FileObject> {
    for (const key of this.values()) yield key.fileobj;
  }

  *values(): MapIterator<SelectorKey> {
    for (const key of this.#keys) {
      if (key !== undefined) yield key;
    }
  }

  *entries(): MapIterator<[FileObject, SelectorKey]> {
    for (const key of this.values()) yield [key.fileobj, key];
  }

  [Symbol.iterator](): MapIterator<[FileObject, SelectorKey]> {
    return this.entries();
  }
}
