import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
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

/** A stream that takes text only when it is told to. */
class Stalled extends Writable {
  taken = '';
  #isOpen = false;
  #proceed: (() => void) | null = null;

  override _write(chunk: Buffer, _encoding: unknown, done: () => void): void {
    this.taken += chunk;
    if (this.#isOpen) done();
    else this.#proceed = done;
  }

  open(isOpen = true): void {
    this.#isOpen = isOpen;
    const proceed = this.#proceed;
    this.#proceed = null;
    proceed?.();
  }
}

const MOST = 1024 * 1024;

describe('a stream that takes nothing', () => {
  it('keeps no more than it may, and is told what was lost when it goes on', async () => {
    const stalled = new Stalled();
    const logs = [new WritableErrorStream(stalled), new WritableErrorStream(stalled)];
    const line = `${'x'.repeat(1023)}\n`;
    for (let i = 0; i < 1500; i++) {
      logs[i % 2]?.write(line);
      logs[i % 2]?.write('a\nb\n');
      expect(stalled.writableLength).toBeLessThanOrEqual(MOST);
    }
    expect(stalled.writableLength).toBeGreaterThan(MOST - 2048);
    stalled.open();
    await vi.waitFor(() => expect(stalled.taken).toMatch(/lost\n$/));
    const pattern = /^((?:x{1023}\na\nb\n)+(?:x{1023}\n)?)ryegate: (\d+) lines were lost\n$/;
    const [, before = '', lost] = pattern.exec(stalled.taken) ?? [];
    expect(before.split('\n').length - 1 + Number(lost)).toBe(3 * 1500);
    logs[0]?.write('next\n');
    expect(stalled.taken).toMatch(/lost\nnext\n$/);
    expect(await told()).toHaveLength(1);
  });

  it('is warned of each time', async () => {
    const stalled = new Stalled();
    const log = new WritableErrorStream(stalled);
    for (let i = 1; i <= 3; i++) {
      stalled.open(false);
      for (let lines = 0; lines < 20; lines++) log.write(`${'x'.repeat(100_000)}\n`);
      stalled.open();
      await vi.waitFor(() => expect(stalled.taken.match(/lost/g)).toHaveLength(i));
      expect(await told()).toEqual(Array(i).fill('ERR_RYEGATE_LOG'));
    }
  });

  it('takes one text that is larger than all that it may keep', () => {
    const stalled = new Stalled();
    new WritableErrorStream(stalled).write('x'.repeat(2 * MOST));
    expect(stalled.taken).toHaveLength(2 * MOST);
  });
});
