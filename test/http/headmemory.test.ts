import { describe, expect, it } from 'vitest';
import { parseHead, RequestHead } from '../../src/http/head.ts';
import { HeadMemory } from '../../src/http/headmemory.ts';
import { resolveLimits } from '../../src/http/limits.ts';

const LIMITS = resolveLimits(undefined);

/** A head as a connection reads it: by the memory first. Throws what parsing throws. */
function read(memory: HeadMemory, bytes: Buffer, start: number, end: number, limits = LIMITS) {
  const recalled = memory.recall(bytes, start, Math.min(end, start + limits.headerBytes));
  if (recalled !== null) return { head: recalled, taken: memory.length, recalled: true };
  const head = new RequestHead();
  const taken = parseHead(bytes, start, end, limits, head, memory);
  return { head, taken, recalled: false };
}

function head(line: string, ...fields: string[]): string {
  return [line, 'Host: a.example', ...fields, '', ''].join('\r\n');
}

const HELLO = head('GET / HTTP/1.1');

/** What is read from `text`, which stands `times` times in the buffer. */
function readings(text: string, times: number, memory: HeadMemory = new HeadMemory()) {
  const bytes = Buffer.from(text.repeat(times), 'latin1');
  const all: ReturnType<typeof read>[] = [];
  let start = 0;
  for (let i = 0; i < times; i++) {
    const reading = read(memory, bytes, start, bytes.length);
    all.push(reading);
    start += reading.taken;
  }
  return all;
}

/** The outcome of reading, whichever way. */
function outcome(read: () => { head: RequestHead; taken: number }): unknown {
  try {
    const { head, taken } = read();
    const { method, target, minor, fields, contentLength, chunked, keepAlive } = head;
    const { expectContinue } = head;
    if (taken === 0) return 'more';
    return [
      taken,
      method,
      target,
      minor,
      fields,
      contentLength,
      chunked,
      keepAlive,
      expectContinue,
    ];
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

describe('a head that comes again', () => {
  it('is recalled from the third time on', () => {
    const all = readings(HELLO, 4);
    expect(all.map(({ recalled }) => recalled)).toEqual([false, false, true, true]);
    expect(all[3]?.head).toBe(all[2]?.head);
    expect(all.map(({ taken }) => taken)).toEqual(all.map(() => HELLO.length));
  });

  it('is not recalled on another connection', () => {
    readings(HELLO, 4);
    expect(readings(HELLO, 2).some(({ recalled }) => recalled)).toBe(false);
  });

  it('is parsed when it is longer than is kept', () => {
    const long = head('GET / HTTP/1.1', `X: ${'x'.repeat(1024)}`);
    expect(readings(long, 4).some(({ recalled }) => recalled)).toBe(false);
  });

  it('is not recalled when its connection is over', () => {
    const memory = new HeadMemory();
    readings(HELLO, 3, memory);
    memory.forget();
    expect(readings(HELLO, 1, memory)[0]?.recalled).toBe(false);
  });

  it('is not kept with a byte that a number of eight may begin with and be zero', () => {
    const strange = head('GET / HTTP/1.1', `X: ${'\x80'.repeat(8)}`);
    expect(readings(strange, 4).some(({ recalled }) => recalled)).toBe(false);
  });

  it('is no longer kept when a thousand connections have come after it', () => {
    const memory = new HeadMemory();
    readings(HELLO, 3, memory);
    for (let i = 0; i < 1024; i++) readings(HELLO, 2);
    expect(readings(HELLO, 1, memory)[0]?.recalled).toBe(false);
  });

  it('is not kept for ever of a connection that sends others of the same length', () => {
    const memory = new HeadMemory();
    for (let i = 100; i < 120; i++) readings(head('GET / HTTP/1.1', `X: ${i}`), 1, memory);
    expect(readings(HELLO, 4, memory).some(({ recalled }) => recalled)).toBe(false);
  });
});

describe('a head, whatever came before it,', () => {
  const HEADS = [
    HELLO,
    head('GET /a HTTP/1.1'),
    head('GET /b?c=d HTTP/1.1'),
    head('HEAD / HTTP/1.1'),
    head('GET / HTTP/1.0'),
    head('POST / HTTP/1.0'),
    `\r\n${HELLO}`,
    head('GET  / HTTP/1.1'),
    head('GET / HTTP/1.1', 'Connection: close'),
    head('GET / HTTP/1.1', 'Connection: clost'),
    head('POST / HTTP/1.1', 'Content-Length: 5'),
    head('POST / HTTP/1.1', 'Content-Length: 6'),
    head('POST / HTTP/1.1', 'Content-Length: x'),
    head('POST / HTTP/1.1', 'Transfer-Encoding: chunked'),
    head('POST / HTTP/1.1', 'Transfer-Encoding: chunked', 'Content-Length: 5'),
    head('POST / HTTP/1.1', 'Content-Length: 5', 'Expect: 100-continue'),
    head('GET / HTTP/1.1', 'Host: b.example'),
    HELLO.replace('a.example', 'b.example'),
    HELLO.replace('a.example', 'a_example '),
    HELLO.replace('\r\n\r\n', '\r\n\n\r'),
    HELLO.replace('\r\n\r\n', '\r\n\r '),
    HELLO.slice(0, -1),
    HELLO.slice(0, -4),
    HELLO.slice(0, 10),
    'GET / HTTP/1.1\r\n\r\n',
    head('GET / HTTP/1.1', 'Cookie: a=b; c=\xe9'),
    head('GET / HTTP/1.1', 'Cookie: a=b; c=\x7f'),
    head('GET / HTTP/1.1', `Cookie: ${'\xff'.repeat(16)}`),
    head('GET / HTTP/1.1', `Cookie: ${'\xf0\xff'.repeat(8)}`),
    head('GET / HTTP/1.1', `Cookie: ${'\0'.repeat(16)}`),
    head('GET / HTTP/1.1', `Cookie: ${'\0'.repeat(15)}\x80`),
    'GET / HTTP/1.1\r\nHost:\r\n\r\n',
    'GET / HTTP/1.1\r\nHost:a\r\n\r\n',
  ];
  const LIMIT_SETS = [LIMITS, { ...LIMITS, headerBytes: HELLO.length }];

  it.each(HEADS)('reads as without a memory: %j', (before) => {
    for (const limits of LIMIT_SETS) {
      for (const after of HEADS) {
        const memory = new HeadMemory();
        // At different places, and often enough to be kept.
        for (let i = 0; i < 3; i++) {
          const bytes = Buffer.from('.'.repeat(i) + before, 'latin1');
          outcome(() => read(memory, bytes, i, bytes.length, limits));
        }
        for (const rest of ['', HELLO, 'x']) {
          const bytes = Buffer.from(`....${after}${rest}`, 'latin1');
          const plain = outcome(() => {
            const head = new RequestHead();
            return { head, taken: parseHead(bytes, 4, bytes.length, limits, head) };
          });
          const remembered = outcome(() => read(memory, bytes, 4, bytes.length, limits));
          expect(remembered).toEqual(plain);
        }
      }
    }
  });
});
