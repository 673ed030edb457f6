import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterAll, expect, it } from 'vitest';
import { scriptRunner, withAddon } from '../support/addonscripts.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { settledDescriptors } from '../support/workers.ts';

const folder = mkdtempSync(join(tmpdir(), 'ryegate-filework-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'file');
writeFileSync(path, Buffer.alloc(8 * 1024 * 1024, 'x'));

const runScript = scriptRunner();

/** Finds `native`; `busy(done)` begins work of every kind; each calls `done(again)`. */
const PRELUDE = `
  const root = native.openFolder(${JSON.stringify(folder)});
  const fd = native.openBeneath(root, 'file', true, new Float64Array(11));
  const target = native.openUnnamed(${JSON.stringify(folder)});
  const kinds = [
    (done) => native.openBeneathLater(root, 'file', new Float64Array(11), done),
    (done) => native.readLater(fd, Buffer.alloc(1 << 20), 0, done),
    (done) => native.readAhead(fd, 0, 1 << 20, done),
    (done) => native.copyRange(fd, 0, target, 0, 1 << 20, done),
  ];
  const busy = (done) => {
    for (const begin of kinds) {
      const again = () => begin(() => done(again));
      again();
    }
  };
`;

const run = (source: string): Promise<string> => runScript(`${PRELUDE}\n${source}`);

it('a worker may be terminated at any moment of it', async () => {
  const source = `
    ${withAddon}
    ${PRELUDE}
    const { parentPort } = require('node:worker_threads');
    let count = 0;
    const done = (again) => {
      if (++count === 100) parentPort.postMessage('busy');
      again();
    };
    for (let i = 0; i < 10; i += 1) busy(done);
  `;
  const before = openDescriptors();
  for (let i = 0; i < 40; i += 1) {
    const worker = new Worker(source, { eval: true });
    const failures: unknown[] = [];
    worker.on('error', (error) => failures.push(error));
    if (i % 4 === 0) await new Promise((resolve) => worker.once('message', resolve));
    else await sleep(20 + 3 * i);
    await worker.terminate();
    expect(failures).toEqual([]);
  }
  expect(await settledDescriptors(before)).toBe(before);
}, 60_000);

it('a worker ends by itself when it is done, with nothing left open', async () => {
  const source = `${withAddon} ${PRELUDE}
    let told = 0;
    for (let i = 0; i < 20; i += 1) busy(() => { told += 1; });
    process.on('exit', () => process.exit(told));
  `;
  const before = openDescriptors();
  const worker = new Worker(source, { eval: true });
  expect(await new Promise((resolve) => worker.once('exit', resolve))).toBe(80);
  expect(await settledDescriptors(before)).toBe(before);
});

it('process.exit() while it runs', async () => {
  expect(await run('for (let i = 0; i < 50; i += 1) busy(() => {}); process.exit(3);')).toBe('3');
});

it('keeps a process alive until it is done', async () => {
  expect(await run('let n = 0; busy(() => { if (++n === 4) console.log(n); });')).toBe('0 4');
});

it('what a callback throws is an uncaught exception, whatever it is', async () => {
  const source = `
    process.on('uncaughtException', (error) => console.log(String(error)));
    native.readLater(fd, Buffer.alloc(1), 0, () => { throw new Error('thrown'); });
    native.readLater(fd, Buffer.alloc(1), 0, () => { throw undefined; });
    native.readLater(fd, Buffer.alloc(1), 0, () => { throw null; });
  `;
  const printed = await run(source);
  expect(printed.slice(2).split('\n').sort()).toEqual(['Error: thrown', 'null', 'undefined']);
});

it('runs promise jobs and ticks after each callback', async () => {
  const source = `
    native.readLater(fd, Buffer.alloc(1), 0, () => {
      Promise.resolve().then(() => console.log('job'));
      process.nextTick(() => console.log('tick'));
      setImmediate(() => console.log('immediate'));
    });
  `;
  expect(await run(source)).toBe('0 tick\njob\nimmediate');
});

it('keeps the memory that it works on', async () => {
  const source = `
    let left = 400;
    for (let i = 0; i < 200; i += 1) {
      native.readLater(fd, Buffer.alloc(100_000), 0, () => { left -= 1; });
      native.openBeneathLater(root, 'file', new Float64Array(11), (opened) => {
        native.close(opened);
        left -= 1;
      });
    }
    const collecting = setInterval(() => {
      gc();
      if (left > 0) return;
      clearInterval(collecting);
      console.log('done');
    }, 1);
  `;
  expect(await run(source)).toBe('0 done');
});

it('gives its memory back', async () => {
  const source = `
    const round = () => new Promise((resolve) => {
      let left = 200;
      const done = (result) => { if (--left === 0) resolve(); };
      for (let i = 0; i < 200; i += 1) native.readLater(fd, Buffer.alloc(1 << 20), 0, done);
    });
    const measure = async () => {
      await round();
      for (let i = 0; i < 5; i += 1) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return process.memoryUsage().arrayBuffers;
    };
    (async () => {
      const before = await measure();
      for (let i = 0; i < 3; i += 1) await measure();
      console.log((await measure()) - before < 20 << 20);
    })();
  `;
  expect(await run(source)).toBe('0 true');
}, 60_000);
