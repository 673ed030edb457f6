import fc from 'fast-check';

/** Characters of a token (RFC 9110 section 5.6.2) without the underscore, which hides a field. */
const TOKEN = "!#$%&'*+-.^`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

function textOf(characters: string, minLength: number, maxLength: number): fc.Arbitrary<string> {
  const unit = fc.constantFrom(...characters);
  return fc.string({ unit, minLength, maxLength });
}

export const token: fc.Arbitrary<string> = textOf(TOKEN, 1, 12);
export const whitespace: fc.Arbitrary<string> = textOf(' \t', 0, 3);

/** Any text of one character per byte. */
export function binaryText(maxLength: number): fc.Arbitrary<string> {
  const byte = fc.nat(255).map((code) => String.fromCharCode(code));
  return fc.string({ unit: byte, maxLength });
}

/** What a field value may hold: visible characters, SP, HTAB and bytes from 0x80 on. */
export const fieldText: fc.Arbitrary<string> = binaryText(20).map((text) =>
  text.replace(/[^\t\x20-\x7e\x80-\xff]/g, 'v'),
);

const quoted: fc.Arbitrary<string> = fieldText.map(
  (text) => `"${text.replace(/["\\]/g, (character) => `\\${character}`)}"`,
);

/** Chunk extensions after RFC 9112 section 7.1.1. */
export const extensions: fc.Arbitrary<string> = fc
  .array(
    fc
      .tuple(
        whitespace,
        whitespace,
        token,
        fc.option(fc.tuple(whitespace, whitespace, fc.oneof(token, quoted))),
      )
      .map(([before, after, name, value]) => {
        const assigned = value === null ? '' : `${value[0]}=${value[1]}${value[2]}`;
        return `${before};${after}${name}${assigned}`;
      }),
    { maxLength: 3 },
  )
  .map((list) => list.join(''));

/** Where a text of any length is cut: at shares of its length, or after every byte. */
export const cuts: fc.Arbitrary<readonly number[] | 'bytes'> = fc.oneof(
  { arbitrary: fc.array(fc.nat(999), { maxLength: 6 }), weight: 3 },
  { arbitrary: fc.constant('bytes' as const), weight: 1 },
);

/** The rising ends of the pieces; the last is `length`. */
export function endsOf(where: readonly number[] | 'bytes', length: number): number[] {
  if (where === 'bytes') return Array.from({ length }, (_, index) => index + 1);
  const ends = where.map((share) => Math.ceil((share * length) / 1000)).filter((end) => end > 0);
  return [...new Set([...ends, length])].sort((a, b) => a - b);
}
