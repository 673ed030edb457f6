import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { WritableErrorStream } from '../../src/io/errorstream.ts';

const warnings: (Error & { code?: string })[] = [];
const note = (warning: Error): number => warnings.push(warning);
beforeEach(() => {
  process.on('warning', note);
});
afterEach(() => {
  process.off('warning', note);
  warnings.length = 0;
});

/** Warnings are told in a turn of their own. */
async function told(): Promise<(string | undefined)[]> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
  return warnings.map(({ code }) => code);
}

/** A log whose disk is full from the second line on. */
class Full extends Writable {
  lines: string[] = [];

  constructor(autoDestroy = true) {
    super({ autoDestroy });
  }

  override _write(chunk: Buffer, _encoding: unknown, done: (error?: Error) => void): void {
    if (this.lines.length > 0) {
      done(Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' }));
      return;
    }
    this.lines.push(String(chunk));
    done();
  }
}

it.each([true, false])(
  'a log that fails is told of once (destroyed by it: %s)',
  async (destroyed) => {
    const full = new Full(destroyed);
    const stream = new WritableErrorStream(full);
    stream.write('one\n');
    expect(await told()).toEqual([]);
    for (let i = 0; i < 5; i++) {
      stream.write('lost\n');
      stream.writelines(['lost\n', 'lost\n']);
      stream.flush();
      await told();
    }
    expect(await told()).toEqual(['ERR_RYEGATE_LOG']);
    expect(warnings[0]).toMatchObject({ name: 'RyegateWarning' });
    expect(warnings[0]?.message).toContain('ENOSPC');
    expect(full.lines).toEqual(['one\n']);
  },
);

it('several error streams over one log tell of it once, and listen once', async () => {
  const full = new Full(false);
  const streams = Array.from({ length: 20 }, () => new WritableErrorStream(full));
  expect(full.listenerCount('error')).toBe(1);
  for (const stream of streams) stream.write('text\n');
  expect(await told()).toEqual(['ERR_RYEGATE_LOG']);
});

it('each log is told of for itself', async () => {
  for (const full of [new Full(), new Full()]) {
    const stream = new WritableErrorStream(full);
    stream.write('one\n');
    stream.write('lost\n');
  }
  expect(await told()).toEqual(['ERR_RYEGATE_LOG', 'ERR_RYEGATE_LOG']);
});

it('a log that was closed on purpose is no failure', async () => {
  const full = new Full();
  const stream = new WritableErrorStream(full);
  full.end();
  await once(full, 'close');
  stream.write('after\n');
  expect(await told()).toEqual([]);
});

it('/dev/full fails as a disk does', async () => {
  const full = createWriteStream('/dev/full');
  const closed = new Promise<void>((resolve) => {
    full.once('close', () => resolve());
  });
  const stream = new WritableErrorStream(full);
  stream.write('lost\n');
  await closed;
  stream.write('lost\n');
  expect(await told()).toEqual(['ERR_RYEGATE_LOG']);
  expect(warnings[0]?.message).toContain('ENOSPC');
});
