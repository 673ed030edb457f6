import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { LogFile } from '../../src/index.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { logPlace, logWarnings } from '../support/logs.ts';
import { programStarter, root } from '../support/programs.ts';
import { eventually } from '../support/rawclient.ts';

const place = logPlace();
const warnings = logWarnings();
const start = programStarter();

function fifo(): string {
  const path = place.path();
  execFileSync('mkfifo', [path]);
  return path;
}

function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `line ${from + i}\n`);
}

/** Lines that a log says were lost. */
function lost(log: string): number {
  const told = [...log.matchAll(/^ryegate: (\d+) lines were lost$/gm)];
  return told.reduce((sum, [, count]) => sum + Number(count), 0);
}

describe('a log file', () => {
  it('is made, for its owner and group', async () => {
    const path = place.path();
    const log = place.keep(new LogFile(path));
    expect(statSync(path).mode & 0o7777).toBe(0o640 & ~process.umask());
    log.write('one\n');
    log.write('two é\n');
    await log.flush();
    expect(place.read(path)).toBe('one\ntwo é\n');
    expect([log.path, log.dropped]).toEqual([path, 0]);
  });

  it('is appended to, beside others who do so', async () => {
    const path = place.path();
    writeFileSync(path, 'before\n');
    const logs = [place.keep(new LogFile(path)), place.keep(new LogFile(path))] as const;
    logs[0].write('a\n');
    await logs[0].flush();
    logs[1].write('b\n');
    await logs[1].flush();
    logs[0].write('c\n');
    await logs[0].flush();
    expect(place.read(path)).toBe('before\na\nb\nc\n');
  });

  it('gets its lines without being asked', async () => {
    const path = place.path();
    const log = place.keep(new LogFile(path));
    log.write('by itself\n');
    expect(place.read(path)).toBe('');
    await eventually(() => place.read(path) === 'by itself\n', 'it is written');
  });

  it('has all lines in their order, however many there are', async () => {
    const path = place.path();
    const log = place.keep(new LogFile(path, { bufferBytes: 64 * 1024 * 1024 }));
    const lines = numbered(0, 50_000);
    for (const line of lines) log.write(line);
    await log.close();
    expect(place.read(path)).toBe(lines.join(''));
    expect(log.dropped).toBe(0);
  });

  it('closes once, gives its descriptor back, and takes nothing afterwards', async () => {
    const before = openDescriptors();
    const path = place.path();
    const log = new LogFile(path);
    log.write('last\n');
    expect([log.close(), log.closed]).toEqual([log.close(), true]);
    log.write('late\n');
    await log.close();
    log.reopen();
    log.flushSync();
    await log.flush();
    await eventually(() => openDescriptors() <= before, 'the descriptor is closed');
    expect([place.read(path), log.dropped]).toEqual(['last\n', 1]);
  });

  it.each([
    [
      'in a folder that does not exist',
      '/nowhere/x/access.log',
      "make the folder '/nowhere/x' first",
    ],
    ['that is a folder', '/tmp', 'EISDIR'],
    ['without a name', '', 'ENOENT'],
    ['that is no path', 7, 'path'],
  ])('%s is refused', (_title, path, message) => {
    expect(() => new LogFile(path as string)).toThrow(
      expect.objectContaining({
        code: 'ERR_RYEGATE_LOG_FILE',
        message: expect.stringContaining(message),
        cause: expect.any(Error),
      }),
    );
  });

  it.each([0, -1, 1.5, '1', Number.NaN])('with bufferBytes of %s is refused, unopened', (bytes) => {
    const path = place.path();
    const make = (): LogFile => new LogFile(path, { bufferBytes: bytes as number });
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_RYEGATE_OPTION' }));
    expect(() => statSync(path)).toThrow('ENOENT');
  });
});

describe('reopen()', () => {
  it('leaves what was written before to the file that was moved', async () => {
    const path = place.path();
    const log = place.keep(new LogFile(path));
    log.write('old 1\n');
    renameSync(path, `${path}.1`);
    log.write('old 2\n');
    log.reopen();
    log.write('new\n');
    await log.flush();
    expect([place.read(`${path}.1`), place.read(path)]).toEqual(['old 1\nold 2\n', 'new\n']);
  });

  it('under load loses and doubles no line, and no descriptor', async () => {
    const before = openDescriptors();
    const path = place.path();
    const log = place.keep(new LogFile(path, { bufferBytes: 16 * 1024 * 1024 }));
    const bounds = [0];
    for (let rotation = 1; rotation <= 50; rotation++) {
      for (let burst = 0; burst < 4; burst++) {
        const from = bounds.at(-1) as number;
        for (const line of numbered(from, from + 500)) log.write(line);
        bounds[bounds.length - 1] = from + 500;
        // Some rotations find nothing unwritten, some a write under way, some both.
        if (rotation % 3 > 0) await new Promise((resolve) => setImmediate(resolve));
        if (rotation % 5 === 0) await log.flush();
      }
      renameSync(path, `${path}.${rotation}`);
      log.reopen();
      bounds.push(bounds.at(-1) as number);
    }
    await log.close();
    await eventually(() => openDescriptors() <= before, 'all descriptors are closed');
    let next = 0;
    for (let rotation = 1; rotation <= 50; rotation++) {
      const end = bounds[rotation - 1] as number;
      expect(place.read(`${path}.${rotation}`)).toBe(numbered(next, end).join(''));
      next = end;
    }
    expect([place.read(path), next, log.dropped]).toEqual(['', 100_000, 0]);
  });

  it('that fails leaves the old file in use', async () => {
    const folder = place.path();
    mkdirSync(folder);
    const log = place.keep(new LogFile(join(folder, 'access.log')));
    renameSync(folder, `${folder}.old`);
    expect(() => log.reopen()).toThrow(expect.objectContaining({ code: 'ERR_RYEGATE_LOG_FILE' }));
    log.write('still here\n');
    await log.flush();
    expect(place.read(join(`${folder}.old`, 'access.log'))).toBe('still here\n');
  });

  it('gives the new file what the old one did not take', async () => {
    const path = place.path();
    symlinkSync('/dev/full', path);
    const log = place.keep(new LogFile(path));
    log.write('kept 1\nkept 2\n');
    await log.flush();
    log.write('lost\n');
    rmSync(path);
    log.reopen();
    await eventually(() => place.read(path).endsWith('lost\n'), 'it goes on');
    log.write('new\n');
    await log.flush();
    expect(place.read(path)).toBe('kept 1\nkept 2\nryegate: 1 lines were lost\nnew\n');
    expect(log.dropped).toBe(1);
  });
});

describe('a full disk', () => {
  it('costs lines, which are counted, and makes one warning', async () => {
    const log = place.keep(new LogFile('/dev/full'));
    for (let i = 0; i < 10; i++) {
      log.write(`${i}\n`);
      await log.flush();
    }
    // The first is kept, to be tried again.
    expect(log.dropped).toBe(9);
    await log.close();
    expect(log.dropped).toBe(10);
    await eventually(() => warnings.length > 0, 'the warning');
    expect(warnings).toEqual([expect.stringMatching(/\/dev\/full.*ENOSPC/)]);
  });
});

/** Reads what is in a FIFO until `done`. */
async function readUntil(fd: number, done: (log: string) => boolean): Promise<string> {
  const chunk = Buffer.alloc(65_536);
  let log = '';
  await eventually(() => {
    try {
      log += chunk.toString('utf8', 0, readSync(fd, chunk));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
    return done(log);
  }, 'the log is read');
  return log;
}

function openReader(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
}

it('a FIFO that is read from loses nothing, although it holds little', async () => {
  const path = fifo();
  const copy = place.path();
  const log = new LogFile(path, { bufferBytes: 16 * 1024 * 1024 });
  const reader = start('sh', ['-c', `exec cat ${path} > ${copy}`]);
  const lines = numbered(0, 300_000);
  for (const line of lines) log.write(line);
  await log.flush();
  await log.close();
  expect(await reader.exit).toEqual([0, null]);
  expect(place.read(copy) === lines.join('')).toBe(true);
  expect([log.dropped, warnings]).toEqual([0, []]);
});

describe('a FIFO that nobody reads from', () => {
  it('holds nobody up, and costs no more memory than it may', async () => {
    const path = fifo();
    const log = place.keep(new LogFile(path, { bufferBytes: 100_000 }));
    const begun = performance.now();
    for (const line of numbered(0, 100_000)) log.write(line);
    expect(performance.now() - begun).toBeLessThan(5000);
    expect(log.dropped).toBeGreaterThan(80_000);
    await eventually(() => warnings.length > 0, 'the warning');
    expect(warnings).toEqual([expect.stringContaining(path)]);
  });

  it('has every line that it took, in order, when somebody comes; then the count of the others', async () => {
    const path = fifo();
    const log = place.keep(new LogFile(path, { bufferBytes: 100_000 }));
    for (const line of numbered(0, 20_000)) log.write(line);
    await log.flush();
    const reader = openReader(path);
    const read = await readUntil(reader, (log) => log.endsWith('were lost\n'));
    const kept = read.split('\n').length - 2;
    expect(read).toBe(`${numbered(0, kept).join('')}ryegate: ${20_000 - kept} lines were lost\n`);
    expect(log.dropped).toBe(20_000 - kept);
    log.write('and on it goes\n');
    await log.flush();
    expect(await readUntil(reader, (log) => log !== '')).toBe('and on it goes\n');
    closeSync(reader);
  });

  it('does not keep the log from closing', async () => {
    const path = fifo();
    const log = new LogFile(path, { bufferBytes: 200_000 });
    const lines = numbered(0, 10_000);
    for (const line of lines) log.write(line);
    await log.flush();
    await log.close();
    // The pipe has taken 64 KiB of 100 KB.
    expect(log.dropped).toBeGreaterThan(1000);
    expect(log.dropped).toBeLessThan(lines.length);
  });

  it('whose reader leaves and another comes: each time is told once', async () => {
    const path = fifo();
    // Opened before the log, which then opens it for writing only.
    let reader = openReader(path);
    const log = place.keep(new LogFile(path));
    for (let outage = 1; outage <= 2; outage++) {
      log.write('taken\n');
      await log.flush();
      expect(await readUntil(reader, (log) => log !== '')).toBe('taken\n');
      closeSync(reader);
      log.write('kept\n');
      await log.flush();
      for (const line of numbered(0, 7)) log.write(line);
      expect(log.dropped).toBe(7 * outage);
      reader = openReader(path);
      const read = await readUntil(reader, (log) => lost(log) === 7);
      expect(read).toBe('kept\nryegate: 7 lines were lost\n');
      await log.flush();
      await eventually(() => warnings.length >= outage, 'the warning');
      expect(warnings).toHaveLength(outage);
    }
    closeSync(reader);
  });
});

it('a line that was torn when its file failed is whole in the new file', async () => {
  const path = fifo();
  const reader = openReader(path);
  const log = place.keep(new LogFile(path));
  const lines = numbered(0, 10_000);
  for (const line of lines) log.write(line);
  // Ends when the pipe has taken what it can.
  await log.flush();
  closeSync(reader);
  rmSync(path);
  log.reopen();
  await log.flush();
  const all = lines.join('');
  const read = place.read(path);
  expect([all.endsWith(read), read.split('\n', 1)]).toEqual([
    true,
    [expect.stringMatching(/^line \d{4}$/)],
  ]);
  expect(read.length).toBeLessThan(all.length);
  expect([statSync(path).isFile(), log.dropped]).toEqual([true, 0]);
});

it('a line larger than all that may wait is dropped, and those behind it are not', async () => {
  const path = place.path();
  const log = place.keep(new LogFile(path, { bufferBytes: 100 }));
  log.write(`${'x'.repeat(200)}\n`);
  await eventually(() => place.read(path) !== '', 'its loss is told');
  log.write('fits\n');
  await log.flush();
  expect(place.read(path)).toBe('ryegate: 1 lines were lost\nfits\n');
});

it('a line that would fit behind one that was dropped does not come before that is told', async () => {
  const path = place.path();
  const log = place.keep(new LogFile(path, { bufferBytes: 100 }));
  log.write(`${'x'.repeat(89)}\n`);
  log.write(`${'y'.repeat(19)}\n`);
  log.write('z\n');
  await log.flush();
  log.write('after\n');
  await log.flush();
  expect(place.read(path)).toBe(`${'x'.repeat(89)}\nryegate: 2 lines were lost\nafter\n`);
});

describe('the end of the process', () => {
  const program = (body: string): string[] => [
    '--input-type=module',
    '-e',
    `import { LogFile, openLog } from ${JSON.stringify(`${root}/dist/index.js`)}; ${body}`,
  ];

  it.each([
    ['by itself', ''],
    ['by process.exit()', 'process.exit(0)'],
    ['by an exception', "process.on('uncaughtException', () => process.exit(0)); throw 1"],
  ])('%s loses no line', async (_how, end) => {
    const path = place.path();
    const body = `
      const log = new LogFile(${JSON.stringify(path)});
      for (let i = 0; i < 5000; i++) log.write('line ' + i + '\\n');
      ${end}`;
    expect(await start(process.execPath, program(body)).exit).toEqual([0, null]);
    expect(place.read(path)).toBe(numbered(0, 5000).join(''));
  });

  it('is not kept back by a FIFO that nobody reads from', async () => {
    const path = fifo();
    const body = `
      const log = new LogFile(${JSON.stringify(path)});
      for (let i = 0; i < 50000; i++) log.write('line ' + i + '\\n');`;
    expect(await start(process.execPath, program(body)).exit).toEqual([0, null]);
  });

  it('of one that logs to a file behind standard output', async () => {
    const path = place.path();
    const fd = openSync(path, 'a');
    const body = `
      const log = openLog('-');
      for (let i = 0; i < 5000; i++) log.write('line ' + i + '\\n');`;
    const child = spawn(process.execPath, program(body), { stdio: ['ignore', fd, 'pipe'] });
    const said = text(child.stderr as Readable);
    expect(await once(child, 'exit')).toEqual([0, null]);
    closeSync(fd);
    expect(await said).toBe('');
    expect(place.read(path)).toBe(numbered(0, 5000).join(''));
  });
});
