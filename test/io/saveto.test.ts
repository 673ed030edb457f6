import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { emptyInput, InputStream } from '../../src/io/inputstream.ts';
import { Spool } from '../../src/io/spool.ts';
import { codeOf } from '../support/backends.ts';
import { content } from '../support/bodies.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { eventually } from '../support/rawclient.ts';

const LIMIT = 1000;
const MIB = 1024 * 1024;
const gone = new Error('the request is over');

const before = process.env.TMPDIR;
const folder = mkdtempSync(join(tmpdir(), 'ryegate-saveto-'));
const spools = join(folder, 'spools');
const target = join(folder, 'target', 'file');
beforeAll(() => {
  mkdirSync(spools);
  process.env.TMPDIR = spools;
});
beforeEach(() => {
  rmSync(join(folder, 'target'), { recursive: true, force: true });
  mkdirSync(join(folder, 'target'));
});
afterAll(() => {
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
  rmSync(folder, { recursive: true });
});

const open: Spool[] = [];
afterEach(() => {
  for (const spool of open.splice(0)) spool.close(() => gone);
});

/** A spool that holds `bytes`, in a file when there are more than `LIMIT`. */
function spooled(bytes: Buffer, memory = LIMIT): Spool {
  const spool = new Spool(memory);
  open.push(spool);
  for (let at = 0; at < bytes.length; at += 999) spool.push(bytes.subarray(at, at + 999));
  spool.end([['x-sum', '1']]);
  return spool;
}

/** A stream that holds `bytes`, and their end. */
function streamed(bytes: Buffer): InputStream {
  const stream = new InputStream(null);
  for (let at = 0; at < bytes.length; at += 999) {
    stream.push(Buffer.from(bytes.subarray(at, at + 999)));
  }
  stream.end([['x-sum', '1']]);
  return stream;
}

const SOURCES: [title: string, make: (bytes: Buffer) => InputStream][] = [
  ['a stream', streamed],
  ['a spool', (bytes) => spooled(bytes).input],
];

/** The files of the target's folder. */
const names = (): string[] => readdirSync(join(folder, 'target'));

/** The inodes of the files without a name that this process has open in the folder of spools. */
function unnamed(): number[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const inside = readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${spools}/`);
      return inside ? [statSync(`/proc/self/fd/${fd}`).ino] : [];
    } catch {
      return [];
    }
  });
}

describe.each(SOURCES)('saveTo of %s', (_title, make) => {
  it.each([0, 1, LIMIT, LIMIT + 1, 65_536, 600 * 1024, 3 * MIB])(
    'saves %i bytes, and reads them by that',
    async (size) => {
      const bytes = content(size);
      const input = make(bytes);
      expect(await input.saveTo(target)).toBe(size);
      expect(readFileSync(target).equals(bytes)).toBe(true);
      expect(names()).toEqual(['file']);
      expect(input.bytesRead).toBe(size);
      expect(input.ended).toBe(true);
      expect(input.readSync()).toHaveLength(0);
      expect(input.trailers).toEqual([['x-sum', '1']]);
    },
  );

  it.each([1, LIMIT - 1, LIMIT, LIMIT + 5, 70_000, 200_000])(
    'saves what is left after %i bytes',
    async (read) => {
      const bytes = content(200_000);
      const input = make(bytes);
      const first = await input.read(read);
      expect(await input.saveTo(target)).toBe(200_000 - read);
      expect(Buffer.concat([first, readFileSync(target)]).equals(bytes)).toBe(true);
      expect(input.bytesRead).toBe(200_000);
    },
  );

  it('saves behind lines, which are looked for further than they are taken', async () => {
    const bytes = content(200_000);
    const input = make(bytes);
    const lines = [input.readlineSync(), await input.readline(5), ...(await input.readlines(3000))];
    expect(await input.saveTo(target)).toBe(200_000 - Buffer.concat(lines).length);
    expect(Buffer.concat([...lines, readFileSync(target)]).equals(bytes)).toBe(true);
  });

  it('saves a second time what is left, which is nothing', async () => {
    const input = make(content(5000));
    const saves = [input.saveTo(target), input.saveTo(`${target}-2`), input.read()] as const;
    expect(await Promise.all(saves)).toEqual([5000, 0, Buffer.alloc(0)]);
    expect([statSync(target).size, statSync(`${target}-2`).size]).toEqual([5000, 0]);
    expect(await input.saveTo(target)).toBe(0);
    expect(statSync(target).size).toBe(0);
  });

  it('replaces a file, which is still there for those who have it open', async () => {
    writeFileSync(target, 'old');
    const { ino } = statSync(target);
    await make(content(5000)).saveTo(target);
    expect(statSync(target).size).toBe(5000);
    expect(statSync(target).ino).not.toBe(ino);
  });

  it('replaces a symlink, and not what it leads to', async () => {
    const linked = join(folder, 'linked');
    writeFileSync(linked, 'old');
    symlinkSync(linked, target);
    await make(content(5000)).saveTo(target);
    expect(lstatSync(target).isFile()).toBe(true);
    expect(readFileSync(linked, 'latin1')).toBe('old');
  });

  it.each([0o600, 0o644, 0o666, 0o400])('gives the mode %o, whatever the umask', async (mode) => {
    for (const size of [10, 5000]) {
      await make(content(size)).saveTo(target, { mode });
      expect(statSync(target).mode & 0o7777).toBe(mode);
    }
    await make(content(5000)).saveTo(target);
    expect(statSync(target).mode & 0o7777).toBe(0o600);
  });

  it.each([
    ['a folder that does not exist', () => join(folder, 'target', 'missing', 'file'), 'ENOENT'],
    ['a folder', () => spools, 'EISDIR'],
    ['a file as a folder', () => join(import.meta.filename, 'file'), 'ENOTDIR'],
    ['no text', () => 5 as unknown as string, 'ERR_INVALID_ARG_TYPE'],
    ['a NUL', () => `${target}\0`, 'ERR_INVALID_ARG_VALUE'],
    ['a name that is too long', () => `${target}${'x'.repeat(300)}`, 'ENAMETOOLONG'],
  ])('fails for %s, and leaves nothing', async (_case, path, code) => {
    for (const size of [10, 5000]) {
      const descriptors = openDescriptors();
      const input = make(content(size));
      await expect(input.saveTo(path())).rejects.toMatchObject({ code });
      expect(names()).toEqual([]);
      expect(existsSync(spools) && readdirSync(spools)).toEqual([]);
      for (const spool of open.splice(0)) spool.close(() => gone);
      expect(openDescriptors()).toBe(descriptors);
    }
  });

  it.each([['x'], [1.5], [-1]])('fails for the mode %j', async (mode) => {
    for (const size of [0, 10, 5000]) {
      const saving = make(content(size)).saveTo(target, { mode: mode as number });
      await expect(saving).rejects.toMatchObject({ code: /^ERR_(INVALID_ARG|OUT_OF_RANGE)/ });
      expect(names()).toEqual([]);
    }
  });

  it('saves to another file system', async () => {
    const elsewhere = mkdtempSync('/dev/shm/ryegate-saveto-');
    try {
      const bytes = content(3 * MIB);
      expect(await make(bytes).saveTo(join(elsewhere, 'file'))).toBe(3 * MIB);
      expect(readFileSync(join(elsewhere, 'file')).equals(bytes)).toBe(true);
      expect(readdirSync(elsewhere)).toEqual(['file']);
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });

  it('has reads wait that are called later, and refuses those at once', async () => {
    const input = make(content(5000));
    const order: string[] = [];
    const note = (name: string) => (): void => {
      order.push(name);
    };
    const calls = [
      input.read(10).then(note('read')),
      input.saveTo(target).then(note('saveTo')),
      input.readline().then(note('readline')),
      input.readlines().then(note('readlines')),
    ];
    expect(codeOf(() => input.readSync(1))).toBe('ERR_RYEGATE_INPUT_NOT_BUFFERED');
    await Promise.all(calls);
    expect(order).toEqual(['read', 'saveTo', 'readline', 'readlines']);
    expect(input.readSync()).toHaveLength(0);
  });
});

describe('a spool', () => {
  it.runIf(process.platform === 'linux')('gives its whole file the name', async () => {
    const spool = spooled(content(5000));
    const [ino] = unnamed();
    await spool.input.saveTo(target);
    expect(statSync(target).ino).toBe(ino);
    expect(statSync(target).nlink).toBe(1);
  });

  it('does not when some of it was read', async () => {
    const spool = spooled(content(5000));
    const [ino] = unnamed();
    await spool.input.read(1);
    await spool.input.saveTo(target);
    expect(statSync(target).ino).not.toBe(ino);
  });

  it.each([
    ['in memory', 10],
    ['in a file', 5000],
  ])('is still unread when it could not be saved (%s)', async (_title, size) => {
    const bytes = content(size);
    const { input } = spooled(bytes);
    const missing = input.saveTo(join(folder, 'target', 'missing', 'file'));
    // They wait, and then find what is in memory, and in the file.
    const reads = [input.read(size * 0.6), input.readline()];
    await expect(missing).rejects.toMatchObject({ code: 'ENOENT' });
    const read = Buffer.concat(await Promise.all(reads));
    await expect(input.saveTo(folder)).rejects.toMatchObject({ code: 'EISDIR' });
    expect(await input.saveTo(target)).toBe(size - read.length);
    expect(Buffer.concat([read, readFileSync(target)]).equals(bytes)).toBe(true);
  });

  it('is still whole after it could not be renamed', async () => {
    const bytes = content(5000);
    const { input } = spooled(bytes);
    await expect(input.saveTo(folder)).rejects.toMatchObject({ code: 'EISDIR' });
    expect(names()).toEqual([]);
    expect(await input.saveTo(target)).toBe(5000);
    expect(readFileSync(target).equals(bytes)).toBe(true);
  });

  it.each([
    ['its file moved', 0],
    ['its file copied', 1],
  ])('may be closed while it is saved (%s)', async (_title, read) => {
    const descriptors = openDescriptors();
    const bytes = content(3 * MIB);
    const spool = spooled(bytes);
    await spool.input.read(read);
    const saving = spool.input.saveTo(target);
    // The job has begun.
    await Promise.resolve();
    spool.close(() => gone);
    expect(await saving).toBe(3 * MIB - read);
    expect(readFileSync(target).equals(bytes.subarray(read))).toBe(true);
    await expect(spool.input.read()).rejects.toBe(gone);
    expect(openDescriptors()).toBe(descriptors);
    open.length = 0;
  });

  it('is not saved once it is closed', async () => {
    const spool = spooled(content(5000));
    const saving = spool.input.saveTo(target);
    spool.close(() => gone);
    open.length = 0;
    await expect(saving).rejects.toBe(gone);
    await expect(spool.input.saveTo(target)).rejects.toBe(gone);
    expect(names()).toEqual([]);
  });

  it('saves the bytes of a million small pieces', async () => {
    const spool = new Spool(LIMIT);
    open.push(spool);
    const bytes = content(100_000);
    for (let at = 0; at < bytes.length; at += 3) spool.push(bytes.subarray(at, at + 3));
    spool.end([]);
    await spool.input.saveTo(target);
    expect(readFileSync(target).equals(bytes)).toBe(true);
  });
});

describe('a stream', () => {
  /** Whether the target's folder has a file that is being written. */
  const begun = (): boolean => names().length > 0;

  it('is written as it comes, and nobody sees a part of it', async () => {
    const calls: string[] = [];
    const stream = new InputStream({
      pause: () => calls.push('pause'),
      resume: () => calls.push('resume'),
      demand: () => calls.push('demand'),
    });
    const bytes = content(5 * MIB);
    const saving = stream.saveTo(target);
    await eventually(() => calls.includes('demand'), 'it waits for bytes');
    for (let at = 0; at < bytes.length; at += 65_536) {
      stream.push(Buffer.from(bytes.subarray(at, at + 65_536)));
      expect(existsSync(target)).toBe(false);
      if (at % MIB === 0) await eventually(() => stream.waiting, 'it waits for more');
    }
    stream.end();
    expect(await saving).toBe(5 * MIB);
    expect(readFileSync(target).equals(bytes)).toBe(true);
  });

  it('holds its source back while the disk is slow, and has it go on', async () => {
    const calls: string[] = [];
    const stream = new InputStream({
      pause: () => calls.push('pause'),
      resume: () => calls.push('resume'),
      demand: () => {},
    });
    const saving = stream.saveTo(target);
    await eventually(() => stream.waiting, 'it waits for bytes');
    // The first is being written while the second and third come.
    for (let i = 0; i < 3; i += 1) stream.push(Buffer.alloc(65_000, 'x'));
    expect(calls).toEqual(['pause']);
    await eventually(() => calls.length === 2, 'it goes on');
    expect(calls).toEqual(['pause', 'resume']);
    stream.end();
    expect(await saving).toBe(195_000);
  });

  it('that breaks off leaves nothing, and the target alone', async () => {
    writeFileSync(target, 'old');
    for (const moment of ['at once', 'while it is written', 'while it waits']) {
      const stream = new InputStream(null);
      const saving = stream.saveTo(target);
      if (moment !== 'at once') {
        await eventually(() => stream.waiting, 'it waits for bytes');
        stream.push(content(100_000));
        if (moment === 'while it waits') await eventually(() => stream.waiting, 'it waits');
        expect(names()).toHaveLength(2);
      }
      stream.fail(gone);
      await expect(saving).rejects.toBe(gone);
      await expect(stream.saveTo(target)).rejects.toBe(gone);
      expect(names()).toEqual(['file']);
      expect(readFileSync(target, 'latin1')).toBe('old');
    }
  });

  it('that breaks off fails what waits behind the save, at once', async () => {
    const stream = new InputStream(null);
    const calls = [stream.read(5), stream.saveTo(target), stream.read(5), stream.saveTo(target)];
    stream.push(content(10));
    await eventually(begun, 'it is saved');
    stream.fail(gone);
    const results = await Promise.allSettled(calls);
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'rejected',
    ]);
    expect(names()).toEqual([]);
  });

  it('can be read on when the file could not be made', async () => {
    const stream = streamed(content(5000));
    const missing = join(folder, 'target', 'missing', 'file');
    await expect(stream.saveTo(missing)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(stream.bytesRead).toBe(0);
    expect(await stream.saveTo(target)).toBe(5000);
  });

  it('raises no unhandled rejection for a save that nobody awaits', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): number => unhandled.push(reason);
    process.on('unhandledRejection', note);
    try {
      const missing = join(folder, 'target', 'missing', 'file');
      for (const input of [streamed(content(10)), spooled(content(10)).input, emptyInput]) {
        void input.saveTo(missing);
      }
      const broken = new InputStream(null);
      void broken.saveTo(target);
      void broken.saveTo(target);
      broken.fail(gone);
      void broken.saveTo(target);
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(unhandled).toEqual([]);
    } finally {
      process.off('unhandledRejection', note);
    }
  });
});

describe('emptyInput', () => {
  it('is saved as an empty file, and does not hold up others who read it', async () => {
    const saving = emptyInput.saveTo(target);
    expect(emptyInput.readSync()).toHaveLength(0);
    expect(emptyInput.waiting).toBe(false);
    expect(await saving).toBe(0);
    expect(statSync(target).size).toBe(0);
  });
});
