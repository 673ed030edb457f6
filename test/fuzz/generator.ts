import { mutate } from './mutations.ts';
import { ODD } from './oddities.ts';
import { type Random, randomOfCase } from './random.ts';
import { BODIES, VALID } from './vocabulary.ts';

/** A stream of bytes of one client, and where it is cut. */
export interface FuzzCase {
  readonly number: number;
  readonly bytes: Buffer;
  /** Ends of the pieces, rising; the last is the length. */
  readonly ends: readonly number[];
}

/** The case `number` of the run with `seed`. */
export function generateCase(seed: number, number: number): FuzzCase {
  const random = randomOfCase(seed, number);
  const kind = random.below(100);
  // Per element of a request, in percent.
  const oddity = kind < 40 ? 0 : random.pick([0, 1, 3, 8]);
  let text = '';
  for (let count = random.pick([1, 1, 2, 2, 3, 4]); count > 0; count--) {
    if (random.chance(4))
      text += random.pick(['\r\n', '\r\n\r\n', '\r\n'.repeat(5), '\n', '\r', ' ']);
    text += makeRequest(random, oddity);
  }
  if (kind >= 60) {
    for (let count = random.pick([1, 1, 1, 2, 3]); count > 0; count--) text = mutate(random, text);
  }
  const bytes = Buffer.from(text, 'latin1');
  return { number, bytes, ends: cut(random, bytes.length) };
}

function makeRequest(random: Random, oddity: number): string {
  const odd = (): boolean => oddity > 0 && random.chance(oddity);
  const from = (part: 'methods' | 'targets' | 'versions' | 'hosts' | 'fields'): string =>
    random.pick(odd() ? ODD[part] : VALID[part]);
  const method = from('methods');
  const authority = method === 'CONNECT' && random.chance(50);
  const target = authority ? random.pick(['a:80', '[::1]:80', 'a:']) : from('targets');
  const lines = [`${method} ${target} ${from('versions')}`];
  if (!odd()) lines.push(`${random.pick(['Host', 'Host', 'host', 'HOST'])}: ${from('hosts')}`);
  for (let count = random.below(5); count > 0; count--) lines.push(from('fields'));
  // An oddity that only shows in fields needs more of them.
  if (odd() || odd()) lines.push(random.pick(ODD.fields));
  const { fields, body } = random.chance(55) ? makeBody(random, odd) : { fields: [], body: '' };
  lines.splice(random.between(1, lines.length), 0, ...fields);
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

function makeBody(random: Random, odd: () => boolean): { fields: string[]; body: string } {
  const content = random.pick(BODIES).repeat(random.pick([1, 1, 1, 2, 3]));
  if (random.chance(50)) {
    const length = odd() ? content.length + random.between(-3, 3) : content.length;
    const name = random.pick(['Content-Length', 'content-length', 'CONTENT-LENGTH']);
    return { fields: [`${name}:${random.pick([' ', '', '\t'])}${length}`], body: content };
  }
  const value = random.pick(['chunked', 'chunked', 'Chunked', 'CHUNKED']);
  return { fields: [`Transfer-Encoding: ${value}`], body: encodeChunked(random, content, odd) };
}

function encodeChunked(random: Random, content: string, odd: () => boolean): string {
  let encoded = '';
  for (let at = 0; at < content.length; ) {
    const size = random.between(1, Math.min(content.length - at, random.pick([1, 5, 20, 500])));
    encoded += sizeLine(random, size, odd);
    const lineEnd = odd() ? random.pick(['\n', '', '\r', ' \r\n']) : '\r\n';
    encoded += content.slice(at, at + size) + lineEnd;
    at += size;
  }
  encoded += sizeLine(random, 0, odd);
  if (random.chance(25)) encoded += `${random.pick(odd() ? ODD.trailers : VALID.trailers)}\r\n`;
  if (odd()) encoded += `${random.pick(ODD.trailers)}\r\n`;
  return `${encoded}\r\n`;
}

function sizeLine(random: Random, size: number, odd: () => boolean): string {
  const digits = size.toString(16);
  const shown = random.pick([digits, digits, digits.toUpperCase(), `0${digits}`]);
  const wrong = odd()
    ? random.pick(['+', '0x', ' ', '-', '\t', '00000000000000000', 'g', '"'])
    : '';
  return `${wrong}${shown}${random.pick(odd() ? ODD.extensions : VALID.extensions)}\r\n`;
}

/** Bytes that come one by one, at most, where a case is cut that finely. */
const MOST_SINGLE_BYTES = 24;

function cut(random: Random, length: number): number[] {
  const ends = new Set<number>();
  const style = random.below(10);
  if (style >= 2) ends.add(random.between(1, length));
  if (style >= 6)
    for (let count = random.below(5); count > 0; count--) ends.add(random.between(1, length));
  if (style === 9) {
    const first = random.between(1, length);
    for (let end = first; end < Math.min(length, first + MOST_SINGLE_BYTES); end++) ends.add(end);
  }
  ends.add(length);
  return [...ends].filter((end) => end <= length).sort((a, b) => a - b);
}
