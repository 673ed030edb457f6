import { describe, expect, it } from 'vitest';
import { emptyInput, InputStream } from '../../src/io/inputstream.ts';
import { codeOf } from '../support/backends.ts';

class RecordingSource {
  readonly calls: string[] = [];
  pause(): void {
    this.calls.push('pause');
  }
  resume(): void {
    this.calls.push('resume');
  }
  demand(): void {
    this.calls.push('demand');
  }
}

function filled(...chunks: string[]): InputStream {
  const stream = new InputStream(null);
  for (const chunk of chunks) {
    stream.push(Buffer.from(chunk));
  }
  return stream;
}

function ended(...chunks: string[]): InputStream {
  const stream = filled(...chunks);
  stream.end();
  return stream;
}

async function text(promise: Promise<Buffer>): Promise<string> {
  return (await promise).toString('latin1');
}

async function texts(promise: Promise<Buffer[]>): Promise<string[]> {
  return (await promise).map(String);
}

/** Whether a promise is settled once all microtasks have run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const mark = (): void => {
    settled = true;
  };
  promise.then(mark, mark);
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe('read', () => {
  it('reads exactly the size asked for, across chunks', async () => {
    const stream = filled('abc', 'defg', 'h');
    expect(await text(stream.read(2))).toBe('ab');
    expect(await text(stream.read(4))).toBe('cdef');
    expect(stream.buffered).toBe(2);
    expect(await text(stream.read(0))).toBe('');
    expect(await text(stream.read(2))).toBe('gh');
  });

  it('waits until the size is there', async () => {
    const stream = filled('ab');
    const read = stream.read(4);
    stream.push(Buffer.from('c'));
    expect(await isSettled(read)).toBe(false);
    stream.push(Buffer.from('de'));
    expect(await text(read)).toBe('abcd');
    expect(await text(stream.read(1))).toBe('e');
  });

  it('gives fewer bytes at the end and then empty buffers', async () => {
    const stream = filled('abc');
    const read = stream.read(10);
    stream.end();
    expect(await text(read)).toBe('abc');
    expect(await text(stream.read(10))).toBe('');
    expect(await text(stream.read())).toBe('');
    expect(stream.ended).toBe(true);
  });

  it.each([[undefined], [-1]])('reads all to the end with size %s', async (size) => {
    const stream = filled('abc');
    const read = stream.read(size);
    stream.push(Buffer.from('def'));
    expect(await isSettled(read)).toBe(false);
    stream.end();
    expect(await text(read)).toBe('abcdef');
  });

  it('does not count as ended while bytes are left', async () => {
    const stream = ended('a');
    expect(stream.ended).toBe(false);
    await stream.read(1);
    expect(stream.ended).toBe(true);
  });

  it('does not copy bytes that lie in one chunk', async () => {
    const chunk = Buffer.from('abcdef');
    const stream = new InputStream(null);
    stream.push(chunk);
    const part = await stream.read(3);
    expect(part.buffer).toBe(chunk.buffer);
  });

  const badSizes = [-2, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '5', null, 5n, {}];
  it.each(badSizes.map((size) => [size]))('refuses the size %s', async (size) => {
    const stream = ended('abc\n');
    const refusal = { code: 'ERR_RYEGATE_READ_SIZE' };
    await expect(stream.read(size as number)).rejects.toMatchObject(refusal);
    await expect(stream.readline(size as number)).rejects.toMatchObject(refusal);
    await expect(stream.readlines(size as number)).rejects.toMatchObject(refusal);
    expect(await text(stream.read())).toBe('abc\n');
  });
});

describe('readline', () => {
  it('reads lines with their newline, and the last one without', async () => {
    const stream = ended('one\r\ntw', 'o\n\nthree');
    expect(await text(stream.readline())).toBe('one\r\n');
    expect(await text(stream.readline())).toBe('two\n');
    expect(await text(stream.readline())).toBe('\n');
    expect(await text(stream.readline())).toBe('three');
    expect(await text(stream.readline())).toBe('');
  });

  it('reads no more than the limit', async () => {
    const stream = filled('abc', 'def\ngh\n');
    expect(await text(stream.readline(0))).toBe('');
    expect(await text(stream.readline(2))).toBe('ab');
    expect(await text(stream.readline(3))).toBe('cde');
    expect(await text(stream.readline(2))).toBe('f\n');
    expect(await text(stream.readline(3))).toBe('gh\n');
  });

  it('waits for the newline or the limit', async () => {
    const stream = filled('a');
    const line = stream.readline();
    const limited = stream.readline(3);
    stream.push(Buffer.from('b'));
    expect(await isSettled(line)).toBe(false);
    stream.push(Buffer.from('\nx'));
    expect(await text(line)).toBe('ab\n');
    expect(await isSettled(limited)).toBe(false);
    stream.push(Buffer.from('yz\n'));
    expect(await text(limited)).toBe('xyz');
    expect(stream.buffered).toBe(1);
  });

  it('finds the same lines however the bytes are cut', async () => {
    const content = `a\n\nbc\r\n${'d'.repeat(20)}\ne`;
    for (let cut = 1; cut < content.length; cut += 1) {
      const stream = new InputStream(null);
      const lines = stream.readlines();
      for (let at = 0; at < content.length; at += cut) {
        stream.push(Buffer.from(content.slice(at, at + cut)));
      }
      stream.end();
      expect(await texts(lines)).toEqual(['a\n', '\n', 'bc\r\n', `${'d'.repeat(20)}\n`, 'e']);
    }
  });
});

describe('readlines', () => {
  it('stops after the line that reaches the hint', async () => {
    const stream = filled('ab\ncd\nef\n');
    expect(await texts(stream.readlines(4))).toEqual(['ab\n', 'cd\n']);
    expect(await texts(stream.readlines(1))).toEqual(['ef\n']);
  });

  it.each([[undefined], [-1], [0]])('reads all lines with the hint %s', async (hint) => {
    expect(await texts(ended('a\nb\n', 'c').readlines(hint))).toEqual(['a\n', 'b\n', 'c']);
  });

  it('gives no lines at the end', async () => {
    expect(await texts(ended().readlines())).toEqual([]);
  });
});

describe('async iteration', () => {
  it('yields chunks as they come', async () => {
    const stream = filled('abc');
    const seen: string[] = [];
    for await (const chunk of stream) {
      seen.push(String(chunk));
      if (seen.length === 1) {
        stream.push(Buffer.from('def'));
        stream.end();
      }
    }
    expect(seen).toEqual(['abc', 'def']);
  });

  it('leaves the rest to be read when broken off', async () => {
    const stream = new InputStream(null);
    stream.push(Buffer.alloc(600, 'a'));
    stream.push(Buffer.from('rest'));
    stream.end();
    for await (const chunk of stream) {
      expect(chunk.length).toBe(600);
      break;
    }
    expect(await text(stream.read())).toBe('rest');
  });

  it('throws the error of a source that broke off', async () => {
    const stream = new InputStream(null);
    const iterator = stream[Symbol.asyncIterator]();
    const next = iterator.next();
    stream.fail(new Error('gone'));
    await expect(next).rejects.toThrow('gone');
  });
});

describe('several readers', () => {
  it('are answered in the order of their calls, each whole', async () => {
    const stream = new InputStream(null);
    const order: string[] = [];
    const note = (name: string) => (value: Buffer | Buffer[]) => {
      order.push(`${name}=${String(value)}`);
    };
    const reads = [
      stream.read(3).then(note('read')),
      stream.readline().then(note('line')),
      stream.readlines(4).then(note('lines')),
      stream.read(1).then(note('one')),
      stream.read().then(note('rest')),
    ];
    for (const letter of 'abcd\ne\nf\nghi') {
      stream.push(Buffer.from(letter));
    }
    stream.end();
    await Promise.all(reads);
    expect(order).toEqual(['read=abc', 'line=d\n', 'lines=e\n,f\n', 'one=g', 'rest=hi']);
  });

  it('do not overtake a reader that waits', async () => {
    const stream = filled('ab');
    const big = stream.read(4);
    const small = stream.read(1);
    expect(await isSettled(small)).toBe(false);
    stream.push(Buffer.from('cde'));
    expect(await text(big)).toBe('abcd');
    expect(await text(small)).toBe('e');
  });
});

describe('backpressure', () => {
  it('pauses once over the mark and resumes once at half of it', async () => {
    const source = new RecordingSource();
    const stream = new InputStream(source, 10);
    stream.push(Buffer.alloc(10));
    expect(source.calls).toEqual([]);
    stream.push(Buffer.alloc(1));
    stream.push(Buffer.alloc(9));
    expect(source.calls).toEqual(['pause']);
    await stream.read(14);
    expect(source.calls).toEqual(['pause']);
    await stream.read(1);
    await stream.read(1);
    expect(source.calls).toEqual(['pause', 'resume']);
  });

  it('resumes for a reader that needs more than is buffered', async () => {
    const source = new RecordingSource();
    const stream = new InputStream(source, 4);
    stream.push(Buffer.alloc(5));
    const read = stream.read(100);
    expect(source.calls).toEqual(['pause', 'resume', 'demand']);
    for (let pushed = 5; pushed < 100; pushed += 5) {
      stream.push(Buffer.alloc(5));
    }
    expect((await read).length).toBe(100);
    expect(source.calls).toEqual(['pause', 'resume', 'demand']);
  });

  it('never pauses under a read to the end', async () => {
    const source = new RecordingSource();
    const stream = new InputStream(source, 4);
    const read = stream.read();
    stream.push(Buffer.alloc(1000));
    stream.push(Buffer.alloc(1000));
    stream.end();
    expect((await read).length).toBe(2000);
    expect(source.calls).toEqual(['demand']);
  });

  it('signals demand only when a reader begins to wait', async () => {
    const source = new RecordingSource();
    const stream = new InputStream(source);
    stream.push(Buffer.from('ab'));
    await stream.read(1);
    expect(source.calls).toEqual([]);
    const first = stream.read(2);
    const second = stream.read(1);
    expect(source.calls).toEqual(['demand']);
    stream.push(Buffer.from('cd'));
    await Promise.all([first, second]);
    const third = stream.read(1);
    expect(source.calls).toEqual(['demand', 'demand']);
    stream.end();
    await third;
    await stream.read(1);
    expect(source.calls).toEqual(['demand', 'demand']);
  });

  it('lets the source push while it is being resumed or asked', async () => {
    const stream: InputStream = new InputStream(
      {
        pause() {},
        resume() {
          stream.push(Buffer.from('resumed '));
        },
        demand() {
          stream.push(Buffer.from('asked'));
          stream.end();
        },
      },
      4,
    );
    stream.push(Buffer.from('before '));
    expect(await text(stream.read())).toBe('before resumed asked');
  });
});

describe('the end of a source that is paused', () => {
  it.each([
    ['end()', (stream: InputStream) => stream.end()],
    ['fail()', (stream: InputStream) => stream.fail(new Error('broken'))],
  ])('is its resumption, as nothing more comes that had to be held back (%s)', (_title, finish) => {
    const source = new RecordingSource();
    const stream = new InputStream(source, 4);
    stream.push(Buffer.alloc(8));
    finish(stream);
    expect(source.calls).toEqual(['pause', 'resume']);
  });

  it.each([
    ['end()', (stream: InputStream) => stream.end()],
    ['fail()', (stream: InputStream) => stream.fail(new Error('broken'))],
  ])('is the last that the source hears of it (%s)', async (_title, finish) => {
    const source = new RecordingSource();
    const stream = new InputStream(source, 4);
    stream.push(Buffer.alloc(8));
    finish(stream);
    const heard = source.calls.length;
    stream.push(Buffer.alloc(8));
    await stream.read(1).catch(() => {});
    await stream.read().catch(() => {});
    await stream.read().catch(() => {});
    expect(source.calls).toHaveLength(heard);
  });
});

describe('reading at once', () => {
  const NOT_BUFFERED = 'ERR_RYEGATE_INPUT_NOT_BUFFERED';

  it('gives what the promises give', () => {
    const stream = ended('one\ntw', 'o\nthree\nfour\nfive');
    expect(String(stream.readSync(2))).toBe('on');
    expect(String(stream.readlineSync())).toBe('e\n');
    expect(String(stream.readlineSync(2))).toBe('tw');
    expect(stream.readlinesSync(3).map(String)).toEqual(['o\n', 'three\n']);
    expect(stream.readlinesSync().map(String)).toEqual(['four\n', 'five']);
    expect(stream.ended).toBe(true);
    expect(String(stream.readSync())).toBe('');
    expect(String(stream.readlineSync())).toBe('');
    expect(stream.readlinesSync()).toEqual([]);
  });

  it.each(['all', -2, 1.5, null, Number.NaN])('refuses the size %s', (size) => {
    const stream = ended('abc\n');
    for (const name of ['readSync', 'readlineSync', 'readlinesSync'] as const) {
      expect(codeOf(() => stream[name](size as number))).toBe('ERR_RYEGATE_READ_SIZE');
    }
    expect(String(stream.readSync())).toBe('abc\n');
  });

  it('works as far as the bytes are there, and throws where it would wait', () => {
    const stream = filled('one\ntwo');
    expect(String(stream.readSync(1))).toBe('o');
    expect(codeOf(() => stream.readSync(7))).toBe(NOT_BUFFERED);
    expect(codeOf(() => stream.readSync())).toBe(NOT_BUFFERED);
    expect(String(stream.readlineSync())).toBe('ne\n');
    expect(codeOf(() => stream.readlineSync())).toBe(NOT_BUFFERED);
    expect(codeOf(() => stream.readlinesSync())).toBe(NOT_BUFFERED);
    expect(String(stream.readlineSync(2))).toBe('tw');
    expect(String(stream.readSync(0))).toBe('');
  });

  it.each([
    ['readSync', [0, 3, 8, 18], (stream: InputStream) => stream.readSync(100)],
    ['readlineSync', [19, 25], (stream: InputStream) => stream.readlineSync(100)],
    ['readlinesSync', [0, 3, 8, 18, 25], (stream: InputStream) => stream.readlinesSync()],
    ['readlinesSync, hint', [0, 3, 8, 18, 25], (stream: InputStream) => stream.readlinesSync(100)],
  ])('takes nothing when it throws (%s)', async (_title, places, attempt) => {
    const pieces = ['first ', 'half\nsecond', '\n\nthe', ' last without end'];
    for (const taken of places) {
      const stream = filled(...pieces);
      await stream.read(taken);
      const buffered = stream.buffered;
      expect(codeOf(() => attempt(stream))).toBe(NOT_BUFFERED);
      expect(codeOf(() => attempt(stream))).toBe(NOT_BUFFERED);
      expect(stream.buffered).toBe(buffered);
      stream.push(Buffer.from('!\n'));
      stream.end();
      const rest = `${pieces.join('')}!\n`.slice(taken);
      expect((await texts(stream.readlines())).join('')).toBe(rest);
    }
  });

  it('forgets how far it has looked when it throws', async () => {
    const stream = filled('0123456789');
    expect(codeOf(() => stream.readlineSync())).toBe(NOT_BUFFERED);
    expect(String(stream.readlineSync(2))).toBe('01');
    expect(codeOf(() => stream.readlinesSync())).toBe(NOT_BUFFERED);
    expect(await text(stream.readline(3))).toBe('234');
    expect(codeOf(() => stream.readlineSync(6))).toBe(NOT_BUFFERED);
    stream.push(Buffer.from('\nx'));
    expect(String(stream.readlineSync())).toBe('56789\n');
  });

  it('does not overtake a reader that waits', async () => {
    const stream = filled('ab');
    const waiting = stream.readline();
    expect(codeOf(() => stream.readSync(1))).toBe(NOT_BUFFERED);
    expect(codeOf(() => stream.readlineSync(1))).toBe(NOT_BUFFERED);
    stream.push(Buffer.from('c\nd'));
    expect(await text(waiting)).toBe('abc\n');
    expect(String(stream.readSync(1))).toBe('d');
  });

  it('does not ask the source for bytes, but resumes it', () => {
    const source = new RecordingSource();
    const stream = new InputStream(source, 4);
    expect(codeOf(() => stream.readSync(1))).toBe(NOT_BUFFERED);
    expect(source.calls).toEqual([]);
    stream.push(Buffer.alloc(8));
    expect(stream.readSync(8)).toHaveLength(8);
    expect(source.calls).toEqual(['pause', 'resume']);
  });

  it('throws what the source broke off with', () => {
    const stream = filled('abc');
    const error = new Error('connection lost');
    stream.fail(error);
    expect(() => stream.readSync(1)).toThrow(error);
    expect(() => stream.readlineSync()).toThrow(error);
    expect(() => stream.readlinesSync()).toThrow(error);
  });
});

describe('a source that is pulled from', () => {
  /** Gives one piece a pull, then the end. */
  class Pulled extends RecordingSource {
    readonly pieces: string[];
    readonly stream: InputStream = new InputStream(this, Infinity);

    constructor(...pieces: string[]) {
      super();
      this.pieces = pieces;
    }

    pull(): void {
      this.calls.push('pull');
      const piece = this.pieces.shift();
      if (piece === undefined) this.stream.end([['x-sum', '1']]);
      else if (piece === 'fail') this.stream.fail(new Error('no file'));
      else if (piece === 'throw') throw new Error('EIO');
      else this.stream.push(Buffer.from(piece));
    }
  }

  it('is pulled from as often as a read needs it, and no more', async () => {
    const source = new Pulled('ab', 'c\nd', 'ef', 'gh');
    const { stream } = source;
    expect(String(stream.readSync(1))).toBe('a');
    expect(source.calls).toHaveLength(1);
    expect(String(stream.readlineSync())).toBe('bc\n');
    expect(source.calls).toHaveLength(2);
    expect(await text(stream.read(2))).toBe('de');
    expect(source.calls).toHaveLength(3);
    expect(await texts(stream.readlines())).toEqual(['fgh']);
    expect(source.calls).toHaveLength(5);
    expect(stream.trailers).toEqual([['x-sum', '1']]);
    expect(String(stream.readSync())).toBe('');
    expect(source.calls).toHaveLength(5);
  });

  it('never has a reader wait', async () => {
    const { stream } = new Pulled('a', 'b', 'c');
    const reads = [stream.read(2), stream.read(5), stream.read(1)];
    expect(stream.waiting).toBe(false);
    expect((await Promise.all(reads)).map(String)).toEqual(['ab', 'c', '']);
  });

  it('is iterated over piece by piece', async () => {
    const pieces: string[] = [];
    for await (const piece of new Pulled('a', 'b', 'c').stream) pieces.push(String(piece));
    expect(pieces).toEqual(['a', 'b', 'c']);
  });

  it.each([
    ['that fails the stream', 'fail', 'no file'],
    ['that throws', 'throw', 'EIO'],
  ])('%s fails the read', async (_title, piece, message) => {
    expect(() => new Pulled('a', piece).stream.readSync(2)).toThrow(message);
    expect(() => new Pulled('a', piece).stream.readlinesSync()).toThrow(message);
    await expect(new Pulled('a', piece).stream.read(2)).rejects.toThrow(message);
    await expect(new Pulled('a', piece).stream.readline()).rejects.toThrow(message);
  });
});

describe('trailers', () => {
  const TRAILERS = [['x-sum', '1']] as const;

  it('are none before the end, and those of the first end after it', () => {
    const stream = filled('abc');
    expect(stream.trailers).toEqual([]);
    stream.end(TRAILERS);
    expect(stream.trailers).toEqual(TRAILERS);
    stream.end([['x-sum', '2']]);
    expect(stream.trailers).toEqual(TRAILERS);
  });

  it('are none when the body breaks off', () => {
    const stream = filled('abc');
    stream.fail(new Error('broken'));
    stream.end(TRAILERS);
    expect(stream.trailers).toEqual([]);
  });

  it('are there when the read resolves that waited for the end', async () => {
    const stream = filled('abc');
    const seen = stream.read().then(() => stream.trailers);
    stream.end(TRAILERS);
    expect(await seen).toEqual(TRAILERS);
  });
});

describe('fail', () => {
  it('rejects waiting and later reads and drops buffered bytes', async () => {
    const stream = filled('abc');
    const waiting = [stream.read(10), stream.readline(), stream.readlines()];
    const error = new Error('connection lost');
    stream.fail(error);
    for (const read of waiting) {
      await expect(read).rejects.toBe(error);
    }
    expect(stream.buffered).toBe(0);
    expect(stream.ended).toBe(false);
    await expect(stream.read(1)).rejects.toBe(error);
    stream.push(Buffer.from('late'));
    stream.end();
    await expect(stream.readline()).rejects.toBe(error);
  });

  it('does nothing once all bytes are there', async () => {
    const stream = ended('abc');
    stream.fail(new Error('connection lost'));
    expect(await text(stream.read())).toBe('abc');
    expect(stream.ended).toBe(true);
  });

  it('raises no unhandled rejection for a read that nobody awaits', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => {
      unhandled.push(reason);
    };
    process.on('unhandledRejection', note);
    try {
      const stream = new InputStream(null);
      stream.read();
      stream.fail(new Error('gone'));
      stream.read();
      new InputStream(null).fail(new Error('never read'));
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off('unhandledRejection', note);
    }
    expect(unhandled).toEqual([]);
  });
});

describe('many chunks', () => {
  it('keeps the bytes of a million small chunks in order', async () => {
    const stream = new InputStream(null);
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    for (let index = 0; index < 1_000_000; index += 1) {
      stream.push(bytes.subarray(index & 255, (index & 255) + 1));
    }
    stream.end();
    expect(stream.buffered).toBe(1_000_000);
    const all = await stream.read();
    expect(all.length).toBe(1_000_000);
    expect(all.findIndex((byte, index) => byte !== (index & 255))).toBe(-1);
  });

  it('never changes bytes that a reader already has', async () => {
    const stream = filled('a', 'b', 'c');
    const first = await stream.read(3);
    stream.push(Buffer.from('d'));
    stream.push(Buffer.from('e'));
    const second = await stream.read(1);
    stream.push(Buffer.from('f'));
    stream.push(Buffer.alloc(600, 'g'));
    stream.push(Buffer.from('h'));
    stream.end();
    const rest = await stream.read();
    expect([first, second, rest].map(String)).toEqual(['abc', 'd', `ef${'g'.repeat(600)}h`]);
  });

  it('survives any mix of chunk and read sizes', async () => {
    const content = Buffer.alloc(60_000);
    for (let index = 0; index < content.length; index += 1) {
      content[index] = (index * 31 + (index >> 8)) & 255;
    }
    for (const [chunkSize, readSize] of [
      [1, 1],
      [7, 3],
      [3, 7],
      [513, 100],
      [40, 2000],
      [5000, 1],
    ] as const) {
      const stream = new InputStream(null);
      for (let at = 0; at < content.length; at += chunkSize) {
        stream.push(content.subarray(at, Math.min(at + chunkSize, content.length)));
      }
      stream.end();
      const parts: Buffer[] = [];
      for (let read = 0; read < content.length; read += readSize) {
        parts.push(await stream.read(readSize));
      }
      expect(Buffer.concat(parts).equals(content)).toBe(true);
      expect(stream.ended).toBe(true);
    }
  });
});

describe('a read that nobody awaits', () => {
  it('ends no process when it fails', async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): number => unhandled.push(error);
    process.on('unhandledRejection', note);
    try {
      const failed = filled('a');
      const waiting = filled('a');
      void waiting.read();
      for (const stream of [failed, waiting]) stream.fail(new Error('gone'));
      for (const stream of [filled('a'), ended('a'), emptyInput]) {
        void stream.read(Number.NaN);
        void stream.readline('x' as unknown as number);
        void stream.readlines({} as unknown as number);
      }
      void failed.read();
      void failed.readline();
      void failed.readlines();
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(unhandled).toEqual([]);
    } finally {
      process.off('unhandledRejection', note);
    }
  });
});

describe('readline behind a line that could not be had at once', () => {
  it.each([
    ['readlineSync()', (stream: InputStream) => stream.readlineSync()],
    ['readlineSync(1000)', (stream: InputStream) => stream.readlineSync(1000)],
    ['readlinesSync()', (stream: InputStream) => stream.readlinesSync()],
  ])('gives no more bytes than it was asked for: %s', async (_title, attempt) => {
    const stream = filled('x'.repeat(50), 'y'.repeat(50));
    expect(codeOf(() => attempt(stream))).toBe('ERR_RYEGATE_INPUT_NOT_BUFFERED');
    expect(await text(stream.readline(10))).toBe('x'.repeat(10));
    expect(codeOf(() => attempt(stream))).toBe('ERR_RYEGATE_INPUT_NOT_BUFFERED');
    expect(await text(stream.readline(45))).toBe('x'.repeat(40) + 'y'.repeat(5));
    stream.push(Buffer.from('z\nrest'));
    expect(await text(stream.readline())).toBe(`${'y'.repeat(45)}z\n`);
  });

  it('gives no more than that behind a longer line that is waited for', async () => {
    const stream = filled('x'.repeat(50));
    const long = stream.readline(60);
    const short = stream.readline(5);
    stream.push(Buffer.from('y'.repeat(30)));
    expect(await text(long)).toBe('x'.repeat(50) + 'y'.repeat(10));
    expect(await text(short)).toBe('y'.repeat(5));
  });
});

describe('emptyInput', () => {
  it('is at its end and cannot be changed', async () => {
    emptyInput.push(Buffer.from('x'));
    emptyInput.fail(new Error('x'));
    expect(emptyInput.ended).toBe(true);
    expect(emptyInput.buffered).toBe(0);
    expect(await text(emptyInput.read())).toBe('');
    expect(await text(emptyInput.readline())).toBe('');
    expect(await texts(emptyInput.readlines())).toEqual([]);
    for await (const chunk of emptyInput) {
      expect.unreachable(`got ${String(chunk)}`);
    }
  });
});
