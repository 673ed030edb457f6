import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { LogFile, LogStream, openLog } from '../../src/index.ts';
import { logPlace, logWarnings } from '../support/logs.ts';
import { root } from '../support/programs.ts';
import { eventually } from '../support/rawclient.ts';

const place = logPlace();
const warnings = logWarnings();

/** A stream whose writes are done when a test says so. */
class Slow extends Writable {
  taken = '';
  #done: (() => void) | null = null;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.taken += chunk;
    this.#done = done;
  }

  proceed(): void {
    const done = this.#done;
    this.#done = null;
    done?.();
  }
}

describe('a log over a stream', () => {
  it('keeps no more than it may while the stream takes nothing, and tells what was lost', async () => {
    const stream = new Slow({ highWaterMark: 1 });
    const log = place.keep(new LogStream(stream, { bufferBytes: 1000 }));
    for (let i = 0; i < 500; i++) {
      log.write('0123456789\n');
      if (i % 100 === 0) await sleep(25);
      expect(stream.writableLength).toBeLessThanOrEqual(1000);
    }
    expect(log.dropped).toBe(500 - 90);
    const ticking = setInterval(() => stream.proceed(), 1);
    const all = `${'0123456789\n'.repeat(90)}ryegate: 410 lines were lost\n`;
    await log.flush();
    expect(stream.taken).toBe(all);
    log.write('next\n');
    await log.flush();
    clearInterval(ticking);
    expect(stream.taken).toBe(`${all}next\n`);
    expect(warnings).toHaveLength(1);
  });

  it('whose flush() is not waited for longer than it may help', async () => {
    const log = new LogStream(new Slow());
    log.write('never taken\n');
    const begun = performance.now();
    await log.flush();
    expect(performance.now() - begun).toBeGreaterThan(900);
    await log.close();
  });

  it('that fails is told of once, and harms nobody', async () => {
    const stream = new Writable({ write: (_chunk, _encoding, done) => done(new Error('broken')) });
    const log = place.keep(new LogStream(stream));
    for (let i = 0; i < 5; i++) {
      log.write('x\n');
      await log.flush();
    }
    expect(log.dropped).toBe(4);
    await eventually(() => warnings.length > 0, 'the warning');
    expect(warnings).toEqual([expect.stringContaining('broken')]);
  });

  it('that throws is told of, and harms nobody', async () => {
    const stream = new Writable({
      write: () => {
        throw new Error('broken at once');
      },
    });
    const log = place.keep(new LogStream(stream));
    log.write('x\n');
    await log.flush();
    await eventually(() => warnings.length > 0, 'the warning');
    expect(warnings).toEqual([expect.stringContaining('broken at once')]);
  });

  it('leaves the stream open', async () => {
    const stream = new Slow();
    const log = new LogStream(stream);
    log.reopen();
    await log.close();
    expect([stream.writable, stream.destroyed]).toEqual([true, false]);
  });
});

it('openLog() takes a path, or - for a stream', async () => {
  const path = place.path();
  const stream = new Slow();
  const logs = [openLog(path), openLog('-', stream)].map((log) => place.keep(log));
  expect(logs.map((log) => log.constructor)).toEqual([LogFile, LogStream]);
  logs[1]?.write('to the stream\n');
  await eventually(() => stream.taken !== '', 'it is taken');
  stream.proceed();
  expect(stream.taken).toBe('to the stream\n');
});

/** Logs 40 MB to standard output while it serves timers, and tells how that went. */
const FLOOD = `
  import { AccessLog, openLog } from ${JSON.stringify(`${root}/dist/index.js`)};
  const [how] = process.argv.slice(1);
  const output = how === 'stream' ? process.stdout : openLog('-');
  const log = new AccessLog({ format: '%(h)s', output });
  const entry = { client: 'x'.repeat(1000), head: { fields: [] } };
  let most = 0;
  for (let round = 0; round < 40; round++) {
    for (let i = 0; i < 1000; i++) log.log(entry);
    most = Math.max(most, process.stdout.writableLength);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  console.error(JSON.stringify({ most, dropped: output.dropped }));
  process.exit();
`;

it.each(['openLog', 'stream'])('a pipe that nobody reads from, by %s', async (how) => {
  const args = ['--no-warnings', '--input-type=module', '-e', FLOOD, how];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = text(child.stderr as Readable);
  expect(await once(child, 'exit')).toEqual([0, null]);
  child.stdout?.destroy();
  const { most, dropped } = JSON.parse(await said);
  expect(most).toBeLessThanOrEqual(1024 * 1024);
  expect(most).toBeGreaterThan(0);
  if (how === 'openLog') expect(dropped).toBeGreaterThan(30_000);
});
