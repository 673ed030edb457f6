import { describe, expect, it } from 'vitest';
import { FIELD_NAMES } from '../../src/http/fieldnames.ts';
import { parseHead, RequestHead } from '../../src/http/head.ts';
import { HTTPError } from '../../src/http/httperror.ts';
import { everyEnd, LIMITS, parse as parseText } from './headtools.ts';

type Reading = { fields: readonly string[] } | { code: string; byte: string } | 'more';

const TCHAR = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]";
const NAME = new RegExp(TCHAR);
const VALUE = /[\t -~\x80-\xff]/;
const BYTES = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));

function refused(character: string, code: string): Reading {
  return { code, byte: `0x${character.charCodeAt(0).toString(16).padStart(2, '0')}` };
}

/** Reads field lines after RFC 9112 section 5, one byte after the other. */
function readFields(text: string): Reading {
  const fields: string[] = [];
  let [name, value, state] = ['', '', 'name'];
  for (const character of text) {
    if (state.endsWith('LF')) {
      if (character !== '\n') return refused('\r', 'ERR_RYEGATE_BAD_FIELD');
      if (state === 'last LF') return { fields };
      const shown = [name.toLowerCase(), value.replace(/^[\t ]+|[\t ]+$/g, '')];
      if (!name.includes('_')) fields.push(...shown);
      [name, value, state] = ['', '', 'name'];
    } else if (state === 'value') {
      if (character === '\r') state = 'LF';
      else if (VALUE.test(character)) value += character;
      else return refused(character, 'ERR_RYEGATE_BAD_FIELD');
    } else if (character === '\r' && name === '') state = 'last LF';
    else if (character === ':' && name !== '') state = 'value';
    else if (NAME.test(character)) name += character;
    else return refused(character, 'ERR_RYEGATE_BAD_FIELD');
  }
  return 'more';
}

/** As much of a request line of HTTP as there is: each part only behind the one before it. */
const LINE = new RegExp(
  `^${[
    `${TCHAR}+`,
    ' ',
    '[!-"$-~]+',
    ' ',
    ...'HTTP/',
    '\\d',
    '\\.',
    '\\d',
    '\\r',
    '\\n',
  ].reduceRight((rest, part) => `(?:${part}${rest})?`, '')}`,
);

function readLine(line: string): Reading {
  const sound = (LINE.exec(line) as RegExpExecArray)[0];
  if (sound.length < line.length) {
    const wrong = sound.endsWith('\r') ? '\r' : line.charAt(sound.length);
    return refused(wrong, 'ERR_RYEGATE_BAD_REQUEST_LINE');
  }
  if (!line.endsWith('\n')) return 'more';
  const [, target = '', version = ''] = line.trimEnd().split(' ');
  if (!/1\.[01]$/.test(version)) return { code: 'ERR_RYEGATE_UNSUPPORTED_VERSION', byte: '' };
  return target.startsWith('/') ? 'more' : { code: 'ERR_RYEGATE_BAD_TARGET', byte: '' };
}

/** Parses what comes up to each of `ends` in turn; the bytes behind are those that come later. */
function parse(text: string, ...ends: number[]): Reading {
  const bytes = Buffer.from(text, 'latin1');
  const head = new RequestHead();
  try {
    for (const end of ends) {
      if (parseHead(bytes, 0, end, LIMITS, head) > 0) return { fields: head.fields };
    }
  } catch (error) {
    if (!(error instanceof HTTPError)) throw error;
    return { code: error.code, byte: /^Unexpected byte (0x..)/.exec(error.message)?.[1] ?? '' };
  }
  return 'more';
}

/** The readings that differ from the plain one. To expect each of so many would take minutes. */
class Differences {
  readonly #found: unknown[] = [];

  compare(text: string, end: number, parsed: Reading, plain: Reading): void {
    if (JSON.stringify(parsed) === JSON.stringify(plain)) return;
    this.#found.push({ text, end, parsed, plain });
  }

  expectNone(): void {
    expect(this.#found.slice(0, 3)).toEqual([]);
  }
}

function replaced(text: string, at: number, character: string): string {
  return text.slice(0, at) + character + text.slice(at + 1);
}

describe('a name that is empty', () => {
  it('is refused behind every known name, behind which none has come yet', () => {
    for (const name of FIELD_NAMES.names.slice(1)) {
      const text = `GET / HTTP/1.0\r\n${name}: 1\r\n: 1\r\n\r\n`;
      expect(parse(text, text.length)).toEqual(refused(':', 'ERR_RYEGATE_BAD_FIELD'));
    }
  });
});

describe('every byte at every place', () => {
  const line = 'GET / HTTP/1.0\r\n';

  // What is next to a byte must not change what it is: all of these carry or borrow, or neither.
  it.each(['v', '~', '\xff', '\x80', '\t', ' '])('of a value among %j', (filler) => {
    const differences = new Differences();
    for (let length = 1; length <= 12; length++) {
      for (let at = 0; at < Math.min(length, 10); at++) {
        for (const byte of BYTES) {
          const text = `${line}A:${replaced(filler.repeat(length), at, byte)}\r\n\r\n`;
          const plain = readFields(text.slice(line.length));
          differences.compare(text, text.length, parse(text, text.length), plain);
        }
      }
    }
    differences.expectNone();
  });

  it('of a value that comes in two pieces', () => {
    const differences = new Differences();
    const bytes = BYTES.filter((byte) => byte < ' ' || byte >= '\x7f');
    for (let length = 1; length <= 12; length++) {
      for (let at = 0; at < Math.min(length, 10); at++) {
        for (const byte of bytes) {
          const value = replaced('\xffv~v v~\xffv\tvv'.slice(-length), at, byte);
          const text = `${line}A:${value}\r\n\r\n`;
          const plain = everyEnd(text).map((end) => readFields(text.slice(line.length, end)));
          const whole = plain.at(-1) as Reading;
          for (const end of everyEnd(text)) {
            differences.compare(text, end, parse(text, end), plain[end - 1] as Reading);
            differences.compare(text, end, parse(text, end, text.length), whole);
          }
        }
      }
    }
    differences.expectNone();
  });

  it('of a known name where it is expected', () => {
    const values: Record<string, string> = {
      expect: '100-continue',
      'transfer-encoding': 'chunked',
    };
    const differences = new Differences();
    for (const name of FIELD_NAMES.names.slice(1)) {
      // A request of HTTP/1.0 needs no Host.
      const first = `GET / HTTP/1.${name === 'transfer-encoding' ? 1 : 0}\r\n`;
      const before = `${first}${name === 'host' ? '' : 'Host: a\r\n'}`;
      const known = `${before}${name}: ${values[name] ?? '1'}\r\n\r\n`;
      const knownFields = readFields(known.slice(first.length));
      differences.compare(known, known.length, parse(known, known.length), knownFields);
      for (let at = before.length; at <= before.length + name.length; at++) {
        for (const byte of BYTES) {
          const text = replaced(known, at, byte);
          // From here on the name is expected.
          parse(known, known.length);
          for (const end of [at + 1, text.length]) {
            const plain = readFields(text.slice(first.length, end));
            differences.compare(text, end, parse(text, end), plain);
          }
        }
      }
    }
    differences.expectNone();
  });

  it.each(['keep-alive', 'Keep-Alive', ' KEEP-ALIVE\t', 'keep-alive,keep-alive', 'a, keep-alive'])(
    'of the Connection option in %j',
    (options) => {
      for (let at = 0; at <= options.length; at++) {
        for (const byte of BYTES.filter((byte) => VALUE.test(byte))) {
          for (const value of [replaced(options, at, byte), options.slice(0, at)]) {
            const { head } = parseText(`GET / HTTP/1.0\r\nConnection:${value}\r\n\r\n`);
            const tokens = value.split(',').map((token) => token.replace(/^[\t ]+|[\t ]+$/g, ''));
            const isKept = tokens.some((token) => token.toLowerCase() === 'keep-alive');
            if (head.keepAlive !== isKept) expect(value).toBe(isKept ? 'to keep' : 'not to keep');
          }
        }
      }
    },
  );

  it.each(['GET /a HTTP/1.1\r\n', 'HEAD /ab HTTP/1.0\r\n'])('of the request line %j', (line) => {
    const differences = new Differences();
    for (let at = 0; at < line.length; at++) {
      // A CR at the start may be that of an empty line.
      for (const byte of BYTES.filter((byte) => at > 0 || byte !== '\r')) {
        const text = replaced(line, at, byte);
        for (const end of everyEnd(text)) {
          differences.compare(text, end, parse(text, end), readLine(text.slice(0, end)));
        }
      }
    }
    differences.expectNone();
  });
});
