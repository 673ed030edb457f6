/** A power of two, several times the names of a table, so that probes are short. */
const SLOTS = 512;
const MASK = SLOTS - 1;

/**
 * Known names found by their bytes, so that no string is made for them. `id` 0 means unknown.
 * Hashed by length, first and last byte; a hit is always confirmed byte by byte, since a false
 * one would let a client pass one field for another.
 */
export class InternTable {
  /** The names by id; id 0 is the empty string. */
  readonly names: readonly string[];
  readonly #fold: number;
  readonly #ids: Uint8Array = new Uint8Array(SLOTS);
  readonly #offsets: Uint16Array;
  readonly #pool: Uint8Array;

  /**
   * `fold` is 0x20 for lower-case names found in any case, 0 for an exact match. Folding by OR is
   * exact only while the bytes looked up are tchars and the names letters, digits and hyphens.
   */
  constructor(names: readonly string[], fold: 0 | 0x20) {
    this.names = ['', ...names];
    this.#fold = fold;
    this.#pool = Buffer.from(names.join(''), 'latin1');
    this.#offsets = new Uint16Array(names.length + 2);
    let offset = 0;
    names.forEach((name, index) => {
      this.#offsets[index + 1] = offset;
      const last = name.charCodeAt(name.length - 1);
      let slot = hash(name.length, name.charCodeAt(0), last, fold);
      while (this.#ids[slot] !== 0) slot = (slot + 1) & MASK;
      this.#ids[slot] = index + 1;
      offset += name.length;
    });
    this.#offsets[names.length + 1] = offset;
  }

  /** The id of the name at `from..to`, at least one byte, or 0. */
  find(bytes: Buffer, from: number, to: number): number {
    const fold = this.#fold;
    const pool = this.#pool;
    const offsets = this.#offsets;
    const ids = this.#ids;
    const length = to - from;
    let slot = hash(length, bytes[from] as number, bytes[to - 1] as number, fold);
    for (;;) {
      const id = ids[slot] as number;
      if (id === 0) return 0;
      const at = (offsets[id] as number) - from;
      if ((offsets[id + 1] as number) - at === to) {
        let i = from;
        while (i < to && ((bytes[i] as number) | fold) === pool[at + i]) i++;
        if (i === to) return id;
      }
      slot = (slot + 1) & MASK;
    }
  }
}

function hash(length: number, first: number, last: number, fold: number): number {
  return (length + (first | fold) * 5 + (last | fold) * 57) & MASK;
}
