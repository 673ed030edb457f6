const SLOTS = 512;

/**
 * Known names found by their bytes, so that no string is made for them. `id` 0 means unknown.
 * Hash: length, first byte and the last two; a hit is always confirmed byte by byte.
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
      const bytes = Buffer.from(name, 'latin1');
      let slot = this.#slot(bytes, 0, bytes.length);
      while (this.#ids[slot] !== 0) slot = (slot + 1) % SLOTS;
      this.#ids[slot] = index + 1;
      offset += name.length;
    });
    this.#offsets[names.length + 1] = offset;
  }

  /** The id of the name at `from..to`, at least one byte, or 0. */
  find(bytes: Buffer, from: number, to: number): number {
    const ids = this.#ids;
    let slot = this.#slot(bytes, from, to);
    for (;;) {
      const id = ids[slot] as number;
      if (id === 0 || this.#matches(id, bytes, from, to)) return id;
      slot = (slot + 1) % SLOTS;
    }
  }

  #slot(bytes: Buffer, from: number, to: number): number {
    const length = to - from;
    const first = (bytes[from] as number) | this.#fold;
    const last = (bytes[to - 1] as number) | this.#fold;
    const before = length > 1 ? (bytes[to - 2] as number) | this.#fold : 0;
    return (length * 37 + first * 5 + before * 3 + last * 71) % SLOTS;
  }

  #matches(id: number, bytes: Buffer, from: number, to: number): boolean {
    const pool = this.#pool;
    const fold = this.#fold;
    let at = this.#offsets[id] as number;
    if ((this.#offsets[id + 1] as number) - at !== to - from) return false;
    for (let i = from; i < to; i++, at++) {
      if (((bytes[i] as number) | fold) !== pool[at]) return false;
    }
    return true;
  }
}
