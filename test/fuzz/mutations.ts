import type { Random } from './random.ts';
import { NUMERALS } from './vocabulary.ts';

type Mutation = (random: Random, text: string) => string;

/** Bytes that parsers look at, to be put anywhere. */
const TELLING = '\r\n\t \0:;,=#%/?@[]"\\_-+0159aAfFxX\x0b\x0c\x7f\x80\xa0\xff';

/** `text` with `count` characters from `at` on replaced. */
function replaced(text: string, at: number, count: number, by: string): string {
  return text.slice(0, at) + by + text.slice(at + count);
}

/** One of the places where `pattern` (with the flag g) matches, replaced by what `by` gives. */
function replaceOne(
  random: Random,
  text: string,
  pattern: RegExp,
  by: (found: string) => string,
): string {
  const places = [...text.matchAll(pattern)];
  if (places.length === 0) return text;
  const place = random.pick(places);
  return replaced(text, place.index, place[0].length, by(place[0]));
}

function swapCase(found: string): string {
  const lower = found.toLowerCase();
  return found === lower ? found.toUpperCase() : lower;
}

/** Does `change` to the lines of the text. */
function withLines(text: string, change: (lines: string[]) => void): string {
  const lines = text.split('\r\n');
  change(lines);
  return lines.join('\r\n');
}

const MUTATIONS: readonly Mutation[] = [
  // A bit, a byte.
  (random, text) => {
    const at = random.below(text.length);
    const flipped = text.charCodeAt(at) ^ (1 << random.below(8));
    return replaced(text, at, 1, String.fromCharCode(flipped));
  },
  (random, text) => replaced(text, random.below(text.length), 1, random.pick(TELLING)),
  (random, text) => replaced(text, random.below(text.length + 1), 0, random.pick(TELLING)),
  (random, text) => replaced(text, random.below(text.length), random.pick([1, 1, 2, 4, 20]), ''),
  (random, text) => {
    const at = random.below(text.length);
    return replaced(text, at, 0, text.slice(at, at + random.pick([1, 1, 2, 8, 40])));
  },
  // Line ends and whitespace.
  (random, text) =>
    replaceOne(random, text, /\r\n/g, () =>
      random.pick([
        '\n',
        '\r',
        '\r\r\n',
        '\n\r',
        '\r\n\r\n',
        '',
        ' \r\n',
        '\r\n ',
        '\r\n\t',
        '\0\r\n',
      ]),
    ),
  (random, text) =>
    replaceOne(random, text, /[ \t]/g, () =>
      random.pick(['', '  ', '\t', '\r\n ', '\x0b', '\xa0']),
    ),
  (random, text) =>
    replaceOne(random, text, /:/g, () =>
      random.pick(['', ' :', '::', ': ', ':\t', ':\r\n ', '\0:']),
    ),
  // Numbers and names.
  (random, text) => replaceOne(random, text, /\b[0-9a-f]+(?=[\r;])/g, () => random.pick(NUMERALS)),
  (random, text) =>
    replaceOne(random, text, /[0-9]+/g, (found) =>
      random.pick([...NUMERALS, `${Number(found) + 1}`, `${Number(found) - 1}`, `0${found}`]),
    ),
  (random, text) => replaceOne(random, text, /[A-Za-z-]{3,}/g, swapCase),
  (random, text) => replaceOne(random, text, /-/g, () => '_'),
  // Lines.
  (random, text) =>
    withLines(text, (lines) => {
      const line = random.pick(lines);
      lines.splice(random.below(lines.length + 1), 0, line);
    }),
  (random, text) => withLines(text, (lines) => lines.splice(random.below(lines.length), 1)),
  (random, text) =>
    withLines(text, (lines) => {
      const [line = ''] = lines.splice(random.below(lines.length), 1);
      lines.splice(random.below(lines.length + 1), 0, line);
    }),
  (random, text) => text.slice(0, random.between(1, text.length)),
];

/** `text` changed in one place; never empty. */
export function mutate(random: Random, text: string): string {
  return random.pick(MUTATIONS)(random, text) || text;
}
