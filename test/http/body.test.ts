import { describe, expect, it } from 'vitest';
import { type BodyReader, ChunkedReader, LengthReader } from '../../src/http/body.ts';
import { HTTPError } from '../../src/http/httperror.ts';
import { type Limits, resolveLimits } from '../../src/http/limits.ts';

const LIMITS = resolveLimits();

class Collector {
  text = '';
  calls = 0;

  bodyData(bytes: Buffer, start: number, end: number): void {
    this.text += bytes.toString('latin1', start, end);
    this.calls++;
  }
}

interface Outcome {
  body: string;
  trailers: string[];
  /** Bytes taken, or the code of the refusal. */
  taken: number | string;
  done: boolean;
}

/** Feeds `text` in pieces that end at `ends`, each out of the middle of a buffer of its own. */
function read(text: string, ends: number[] = [text.length], limits: Limits = LIMITS): Outcome {
  const reader = new ChunkedReader(limits);
  const sink = new Collector();
  let taken: number | string = 0;
  try {
    for (const end of ends) {
      const piece = Buffer.from(`1\r\n${text.slice(taken, end)}2\r\n`, 'latin1');
      taken += reader.feed(piece, 3, piece.length - 3, sink);
    }
  } catch (error) {
    if (!(error instanceof HTTPError)) throw error;
    taken = `${error.status} ${error.code}`;
  }
  return { body: sink.text, trailers: reader.trailers, taken, done: reader.done };
}

function everyEnd(text: string): number[] {
  return Array.from(text, (_, index) => index + 1);
}

/** Reads whole, byte by byte and at every split, asserts the same outcome, and returns it. */
function readEveryWay(text: string, limits: Limits = LIMITS): Outcome {
  const whole = read(text, [text.length], limits);
  expect(read(text, everyEnd(text), limits)).toEqual(whole);
  for (const split of everyEnd(text)) {
    expect(read(text, [split, text.length], limits)).toEqual(whole);
  }
  return whole;
}

function expectRefusal(text: string, status: number, code: string, limits: Limits = LIMITS): void {
  const outcome = readEveryWay(text, limits);
  expect(outcome, JSON.stringify(text)).toMatchObject({ taken: `${status} ${code}`, done: false });
}

describe('LengthReader', () => {
  it('takes its bytes and no more, in any split', () => {
    const bytes = Buffer.from('xxhello worldGET /');
    for (let split = 0; split <= 11; split++) {
      const reader: BodyReader = new LengthReader(11);
      const sink = new Collector();
      expect(reader.feed(bytes, 2, 2 + split, sink)).toBe(split);
      expect(reader.done).toBe(split === 11);
      expect(reader.feed(bytes, 2 + split, bytes.length, sink)).toBe(11 - split);
      expect(reader.done).toBe(true);
      expect(sink.text).toBe('hello world');
      expect(reader.feed(bytes, 13, bytes.length, sink)).toBe(0);
    }
  });

  it('is done at once for no bytes, and gives the sink nothing empty', () => {
    const reader = new LengthReader(0);
    const sink = new Collector();
    expect(reader.done).toBe(true);
    expect(reader.feed(Buffer.from('GET'), 0, 3, sink)).toBe(0);
    expect(new LengthReader(5).feed(Buffer.from('GET'), 1, 1, sink)).toBe(0);
    expect(sink.calls).toBe(0);
  });

  it('counts beyond 2^32', () => {
    const reader = new LengthReader(2 ** 40);
    const block = Buffer.alloc(10);
    expect(reader.feed(block, 0, 10, new Collector())).toBe(10);
    expect(reader.done).toBe(false);
  });
});

describe('ChunkedReader', () => {
  it.each([
    ['no chunk', '0\r\n\r\n', '', []],
    ['one chunk', '5\r\nhello\r\n0\r\n\r\n', 'hello', []],
    ['chunks', '5\r\nhello\r\n1\r\n \r\n005\r\nworld\r\n00\r\n\r\n', 'hello world', []],
    ['line ends in data', '6\r\n\r\n0\r\n\r\r\n0\r\n\r\n', '\r\n0\r\n\r', []],
    [
      'hex in both cases',
      `0a\r\n${'x'.repeat(10)}\r\nB\r\n${'y'.repeat(11)}\r\n0\r\n\r\n`,
      'x'.repeat(10) + 'y'.repeat(11),
      [],
    ],
    ['16 digits', '0000000000000001\r\nx\r\n0000000000000000\r\n\r\n', 'x', []],
    ['a trailer', '1\r\nx\r\n0\r\nX-Sum: 12\r\n\r\n', 'x', ['x-sum', '12']],
    [
      'trailers',
      '0\r\nA:\t b c \t\r\na:\r\nB: \xa0\xff\r\n\r\n',
      '',
      ['a', 'b c', 'a', '', 'b', '\xa0\xff'],
    ],
    ['an underscore trailer', '0\r\nX_Y: 1\r\nZ: 2\r\n\r\n', '', ['z', '2']],
    ['extension name', '1;a\r\nx\r\n0;b\r\n\r\n', 'x', []],
    ['extension value', '1;a=b;c=d\r\nx\r\n0\r\n\r\n', 'x', []],
    ['quoted value', '1;a="b c";d="";e="\t\\"\\\\;=,\xff"\r\nx\r\n0\r\n\r\n', 'x', []],
    ['bad whitespace', '1 ; a = b \t;\tc\t=\t"d" ;e\r\nx\r\n0\r\n\r\n', 'x', []],
  ])('reads %s', (_, text, body, trailers) => {
    const outcome = readEveryWay(`${text}GET / HTTP/1.1\r\n`);
    expect(outcome).toEqual({ body, trailers, taken: text.length, done: true });
  });

  it('needs more for every proper prefix', () => {
    const text = '3;a="b"\r\nabc\r\n0\r\nA: b\r\n\r\n';
    for (const end of everyEnd(text).slice(0, -1)) {
      expect(read(text.slice(0, end))).toMatchObject({ taken: end, done: false });
    }
  });

  it('hands data on as it comes, in one piece per chunk and buffer', () => {
    const bytes = Buffer.from('a\r\n0123456789\r\n');
    const reader = new ChunkedReader(LIMITS);
    const sink = new Collector();
    reader.feed(bytes, 0, 7, sink);
    expect(sink).toMatchObject({ text: '0123', calls: 1 });
    reader.feed(bytes, 7, bytes.length, sink);
    expect(sink).toMatchObject({ text: '0123456789', calls: 2 });
  });

  it('reads a great many tiny chunks in one buffer', () => {
    const count = 200_000;
    const bytes = Buffer.from(`${'1\r\nx\r\n'.repeat(count)}0\r\n\r\n`);
    const reader = new ChunkedReader(LIMITS);
    let bodyBytes = 0;
    const sink = {
      bodyData: (_: Buffer, start: number, end: number) => {
        bodyBytes += end - start;
      },
    };
    expect(reader.feed(bytes, 0, bytes.length, sink)).toBe(bytes.length);
    expect(reader.done).toBe(true);
    expect(bodyBytes).toBe(count);
  });

  it.each([
    ...[
      '',
      '+5',
      '-5',
      '-1',
      '-0',
      '0x5',
      '0X5',
      'x5',
      '5x',
      '5h',
      'g',
      'G',
      '1_0',
      '_1',
      '1_',
      ' 5',
    ],
    ...[
      '\t5',
      '5 ',
      '5\t',
      '5 5',
      '5,5',
      ',5',
      '5,',
      '5.',
      '5.0',
      '.5',
      '1e+3',
      '#5',
      '$5',
      '%5',
      '"5"',
    ],
    ...["'5'", '=5', '5=', ';5', '5\0', '\x005', '5\xb2', '\xb25', '\xa05', '5\xa0', '0b1 ', '0o7'],
    ...[
      '20000000000000',
      '20000000000001',
      'ffffffffffffff',
      '7fffffffffffffff',
      '8000000000000000',
    ],
    ...['ffffffffffffffff', '10000000000000000', '10000000000000005', `${'0'.repeat(17)}`],
    ...[`${'0'.repeat(16)}5`, 'f'.repeat(100), '\r\n5', '\n5', 'NaN', 'Infinity', '0x', '0X0', '-'],
  ])('refuses the size %j', (size) => {
    const limits = resolveLimits({ bodyBytes: Number.MAX_SAFE_INTEGER });
    expectRefusal(`${size}\r\nhello\r\n0\r\n\r\n`, 400, 'ERR_RYEGATE_BAD_CHUNK', limits);
  });

  it('takes a size of 2^53 - 1', () => {
    const limits = resolveLimits({ bodyBytes: Number.MAX_SAFE_INTEGER });
    const outcome = read('1fffffffffffff\r\nabc', undefined, limits);
    expect(outcome).toMatchObject({ body: 'abc', taken: 19, done: false });
  });

  it.each([
    ...['5\nhello\r\n', '5\rhello\r\n', '5\r\r\nhello\r\n', '5\n\rhello\r\n', '5\r\0\nhello\r\n'],
    ...['5\r\nhello\n', '5\r\nhello\rx', '5\r\nhello\r\r\n', '5\r\nhello0', '5\r\nhello!\r\n'],
    ...[
      '5\r\nhell\r\n0\r\n\r\n',
      '5\r\nhello 0',
      '0\n',
      '0\rX',
      '5\r\nhello\r\n\r\n',
      '5\r\nhello\0\r\n',
    ],
  ])('refuses the broken line end of %j', (text) => {
    expectRefusal(text, 400, 'ERR_RYEGATE_BAD_CHUNK');
  });

  it.each([
    ...[
      ';',
      ';;',
      '; ',
      ';\t',
      ';a;',
      ';a ',
      ';a=',
      ';a= ',
      ';=',
      ';=b',
      ';a==b',
      ';a=b=c',
      ';a=b ',
    ],
    ...[
      ' ',
      ' a',
      ' ;',
      ';a b',
      ';a =',
      ';a=b c',
      ';a="b',
      ';a="b"c',
      ';a="b" ',
      ';a="b"=',
      ';a="\\',
    ],
    ...[
      ';a="\\"',
      ';a"',
      ';"a"',
      ';a=b"',
      ';a\\',
      ';(a)',
      ';a=(b)',
      ';a,b',
      ';a=b,c',
      ';\xe9',
      ';a=\xe9',
    ],
    ...[
      ';\0',
      ';a\0',
      ';a=\0',
      ';a="\0"',
      ';a="\x7f"',
      ';a="\\\0"',
      ';a="\\\x7f"',
      ';a\n',
      ';\n',
      ';a=b\n',
    ],
    ...[
      ';a="\n"',
      ';a="\\\n"',
      ';a="\r\n"',
      ';a="\\\r\n"',
      ';a=\n',
      ' \n',
      ';a\rb',
      ';a=b\rc',
      ';a\r\r\n',
      '=a',
    ],
  ])('refuses the extension %j', (extension) => {
    expectRefusal(`1${extension}\r\nx\r\n0\r\n\r\n`, 400, 'ERR_RYEGATE_BAD_CHUNK');
  });

  it.each([
    ...[
      ' A: b',
      '\tA: b',
      'A : b',
      'A',
      'A b: c',
      ': b',
      'A: b\r\n c',
      'A: \0',
      'A: b\x7f',
      'A: b\rc',
    ],
    ...[
      'A: b\n',
      'A\n',
      '\n',
      '\rX',
      'A: b\r\r\n',
      'A\0: b',
      '(A): b',
      '\xe9: b',
      'A:\n b',
      'GET / HTTP/1.1',
    ],
  ])('refuses the trailer %j', (line) => {
    expectRefusal(`0\r\n${line}\r\n\r\n`, 400, 'ERR_RYEGATE_BAD_TRAILER');
    expectRefusal(`0\r\nZ: z\r\n${line}\r\n\r\n`, 400, 'ERR_RYEGATE_BAD_TRAILER');
  });

  it.each([
    ...['Content-Length', 'Transfer-Encoding', 'Host', 'Connection', 'Trailer', 'TE', 'Upgrade'],
    ...['Content-Type', 'Content-Encoding', 'Authorization', 'Cookie', 'EXPECT', 'keep-alive'],
  ])('refuses %s in a trailer', (name) => {
    expectRefusal(`0\r\nA: b\r\n${name}: 1\r\n\r\n`, 400, 'ERR_RYEGATE_BAD_TRAILER');
  });

  it('refuses an underscore in a trailer where the limits say so', () => {
    const limits = resolveLimits({ underscoreHeaders: 'refuse' });
    expectRefusal('0\r\nA_b: c\r\n\r\n', 400, 'ERR_RYEGATE_BAD_FIELD', limits);
  });
});

describe('limits of a chunked body', () => {
  it('bounds the body before the chunk that is too much', () => {
    const limits = resolveLimits({ bodyBytes: 6 });
    expect(readEveryWay('3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n', limits).body).toBe('abcdef');
    expectRefusal('7\r\n', 413, 'ERR_RYEGATE_BODY_TOO_LARGE', limits);
    const over = '3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n';
    expectRefusal(over, 413, 'ERR_RYEGATE_BODY_TOO_LARGE', limits);
    expect(read(over, undefined, limits).body).toBe('abc');
    expectRefusal('1fffffffffffff\r\n', 413, 'ERR_RYEGATE_BODY_TOO_LARGE');
    const none = resolveLimits({ bodyBytes: 0 });
    expect(read('0\r\n\r\n', undefined, none).done).toBe(true);
    expectRefusal('1\r\n', 413, 'ERR_RYEGATE_BODY_TOO_LARGE', none);
  });

  it('bounds the extensions of all chunks together', () => {
    const code = 'ERR_RYEGATE_CHUNK_EXTENSIONS_TOO_LARGE';
    const limits = resolveLimits({ chunkExtensionBytes: 8 });
    const chunk = '1;a=b\r\nx\r\n';
    expect(readEveryWay(`${chunk}${chunk}0\r\n\r\n`, limits).done).toBe(true);
    expectRefusal(`${chunk}${chunk}0;\r\n\r\n`, 400, code, limits);
    expectRefusal('1;a="bcdef', 400, code, limits);
    expectRefusal(`1${' '.repeat(9)}`, 400, code, limits);
    expect(read(`1;${'a'.repeat(16_383)}\r\nx`).body).toBe('x');
    expect(read(`1;${'a'.repeat(16_384)}\r\nx`).taken).toBe(`400 ${code}`);
    expect(read('1;a\r\nx\r\n'.repeat(8193)).taken).toBe(`400 ${code}`);
  });

  it('bounds the trailers together, line ends included', () => {
    const code = 'ERR_RYEGATE_TRAILERS_TOO_LARGE';
    const limits = resolveLimits({ trailerBytes: 12 });
    expect(readEveryWay('0\r\nA: b\r\nC: d\r\n\r\n', limits).trailers).toHaveLength(4);
    expectRefusal('0\r\nA: b\r\nC: de\r\n\r\n', 431, code, limits);
    expectRefusal(`0\r\n${'A'.repeat(13)}`, 431, code, limits);
    expectRefusal(`0\r\nA:${' '.repeat(11)}`, 431, code, limits);
    expectRefusal('0\r\nA_:b\r\nA_:b\r\nA', 431, code, limits);
    expect(read(`0\r\nA: ${'b'.repeat(8187)}\r\n\r\n`).done).toBe(true);
    expect(read(`0\r\nA: ${'b'.repeat(8188)}\r\n\r\n`).taken).toBe(`431 ${code}`);
    const none = resolveLimits({ trailerBytes: 0 });
    expect(read('0\r\n\r\n', undefined, none).done).toBe(true);
  });
});
