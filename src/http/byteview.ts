/** The bytes that were looked at last: mostly a reactor's, which are always the same. */
let lastBytes: Buffer | null = null;
let lastView: DataView;

/** `bytes`, to be read several at a time. */
export function viewOf(bytes: Buffer): DataView {
  return bytes === lastBytes ? lastView : makeView(bytes);
}

function makeView(bytes: Buffer): DataView {
  lastBytes = bytes;
  lastView = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return lastView;
}

/** Any bits of these are as good as set. */
const ANY = 0xff;
const ANY_CASE = 0x20;

/**
 * A text of ASCII that is looked for four bytes at a time. What it finds is the text, but for the
 * case of the letters where `anyCase` says so; a lower-case text is expected then. Only letters are
 * folded: a control character with the bit of a hyphen or digit set would be one.
 */
export class Spelling {
  readonly length: number;
  /** For each four bytes the bits that are set before they are compared, and what they are then. */
  readonly #words: Int32Array;

  constructor(text: string, anyCase: boolean) {
    this.length = text.length;
    const size = 4 * Math.ceil(text.length / 4);
    const expected = Buffer.alloc(size, ANY);
    const ignored = Buffer.alloc(size, ANY);
    expected.write(text, 'latin1');
    for (let i = 0; i < text.length; i++) {
      ignored[i] = anyCase && /[a-z]/.test(text.charAt(i)) ? ANY_CASE : 0;
    }
    this.#words = new Int32Array(size / 2);
    for (let i = 0; i < size; i += 4) {
      this.#words[i / 2] = ignored.readInt32LE(i);
      this.#words[i / 2 + 1] = expected.readInt32LE(i);
    }
  }

  /**
   * Whether the text stands at `at`, and so many bytes up to `end` that it can be told: up to three
   * more than its own.
   */
  startsAt(view: DataView, at: number, end: number): boolean {
    const words = this.#words;
    if (at + 2 * words.length > end) return false;
    for (let word = 0, i = at; word < words.length; word += 2, i += 4) {
      if ((view.getInt32(i, true) | (words[word] as number)) !== words[word + 1]) return false;
    }
    return true;
  }
}
