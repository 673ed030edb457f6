import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputStream } from '../../src/io/inputstream.ts';

/** A step of the test: the source pushes bytes, or a reader asks for some. */
type Step =
  | { readonly push: string }
  | { readonly read: number }
  | { readonly readline: number }
  | { readonly readlines: number };

const size = fc.oneof(fc.constant(-1), fc.nat(12), fc.nat(2000));
const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '\n', '\r\n'), maxLength: 30 });
const push = fc.oneof(
  letters,
  fc.tuple(letters, fc.nat(80)).map(([text, times]) => text.repeat(times)),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ push }) },
  // A read to the end takes all, so that it must be rare.
  {
    weight: 2,
    arbitrary: fc.record({ read: fc.oneof({ weight: 9, arbitrary: fc.nat(60) }, size) }),
  },
  { weight: 2, arbitrary: fc.record({ readline: size }) },
  { weight: 1, arbitrary: fc.record({ readlines: fc.integer({ min: 1, max: 60 }) }) },
);

/** What the reads give, from the whole content: they are answered in order, each whole. */
class Model {
  rest: string;

  constructor(content: string) {
    this.rest = content;
  }

  take(count: number): string {
    const taken = this.rest.slice(0, count);
    this.rest = this.rest.slice(taken.length);
    return taken;
  }

  line(limit: number): string {
    const line = /^[^\n]*\n?/.exec(this.rest)?.[0] ?? '';
    return this.take(limit < 0 ? line.length : Math.min(line.length, limit));
  }

  lines(hint: number): string[] {
    const lines: string[] = [];
    for (let total = 0; this.rest !== '' && total < hint; ) {
      const line = this.line(-1);
      lines.push(line);
      total += line.length;
    }
    return lines;
  }

  answer(step: Step): string | string[] {
    if ('read' in step) return this.take(step.read < 0 ? this.rest.length : step.read);
    if ('readline' in step) return this.line(step.readline);
    return 'readlines' in step ? this.lines(step.readlines) : '';
  }
}

/** A source that keeps to the rules: it pushes nothing while it is paused. */
class Source {
  readonly stream: InputStream;
  paused = false;
  readonly #waiting: string[] = [];

  constructor(highWaterMark: number) {
    this.stream = new InputStream(this, highWaterMark);
  }

  pause(): void {
    expect(this.paused).toBe(false);
    this.paused = true;
  }

  resume(): void {
    expect(this.paused).toBe(true);
    this.paused = false;
  }

  demand(): void {
    expect(this.stream.waiting).toBe(true);
  }

  push(text: string): void {
    this.#waiting.push(text);
    this.flow();
  }

  flow(): void {
    while (!this.paused && this.#waiting.length > 0) {
      this.stream.push(Buffer.from(this.#waiting.shift() as string));
    }
  }

  /** Whether all was pushed. */
  get dry(): boolean {
    return this.#waiting.length === 0;
  }
}

function ask(stream: InputStream, step: Step): Promise<Buffer | Buffer[]> | null {
  if ('read' in step) return stream.read(step.read);
  if ('readline' in step) return stream.readline(step.readline);
  return 'readlines' in step ? stream.readlines(step.readlines) : null;
}

describe('InputStream', () => {
  it('gives the bytes in order to any reads, at any pace', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.nat(300), async (steps, mark) => {
        const source = new Source(mark);
        const { stream } = source;
        const answers: Promise<Buffer | Buffer[]>[] = [];
        for (const one of steps) {
          if ('push' in one) source.push(one.push);
          else answers.push(ask(stream, one) as Promise<Buffer | Buffer[]>);
          source.flow();
          // A reader that waits for a source that is told to wait would wait for ever.
          expect(source.paused && stream.waiting).toBe(false);
        }
        const rest = drain(source);
        const given = [...(await Promise.all(answers)), await rest];
        const model = new Model(steps.map((one) => ('push' in one ? one.push : '')).join(''));
        const expected = steps.filter((one) => !('push' in one)).map((one) => model.answer(one));
        // Only now, as no bytes may change once a reader has them.
        expect(given.map(shown)).toEqual([...expected, model.rest]);
        expect(stream.ended).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  it('gives the bytes in order chunk by chunk', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(push), fc.nat(300), async (pushes, mark) => {
        const source = new Source(mark);
        let given = '';
        const reading = (async () => {
          for await (const chunk of source.stream) {
            expect(chunk.length).toBeGreaterThan(0);
            given += String(chunk);
            source.flow();
          }
        })();
        for (const text of pushes) {
          source.push(text);
          await null;
        }
        while (!source.dry) await null;
        source.stream.end();
        await reading;
        expect(given).toBe(pushes.join(''));
      }),
      { numRuns: 1000 },
    );
  });
});

/** Pushes and reads whatever is left. */
async function drain(source: Source): Promise<Buffer> {
  const pieces: Buffer[] = [];
  while (!source.dry) {
    pieces.push(await source.stream.read(1));
    source.flow();
  }
  source.stream.end();
  pieces.push(await source.stream.read());
  return Buffer.concat(pieces);
}

function shown(answer: Buffer | Buffer[]): string | string[] {
  return Array.isArray(answer) ? answer.map(String) : String(answer);
}
