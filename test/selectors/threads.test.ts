import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { EVENT_READ } from '../../src/selectors/index.ts';
import { describeBackends, selectorMaker } from '../support/backends.ts';
import { descriptorKeeper, openDescriptors } from '../support/descriptors.ts';

// Threads and processes load the compiled package: Node 20 runs no TypeScript.
const dist = new URL('../../dist/selectors/index.js', import.meta.url);
if (!existsSync(fileURLToPath(dist))) {
  throw new Error('dist/selectors/index.js is missing: compile it first with `npx tsc -p .`');
}

const SELECT_IN_WORKER = `
  const { parentPort, workerData } = require('node:worker_threads');
  import(workerData.dist).then(({ makeSelector }) => {
    const selector = makeSelector(workerData.name);
    selector.register(workerData.fd, 1, 'data');
    parentPort.postMessage('selecting');
    const ready = selector.select(null);
    parentPort.postMessage(ready.map(([key, events]) => [key.fd, events, key.data]));
  });
`;

const WRITE_FROM_WORKER = `
  const { workerData } = require('node:worker_threads');
  Atomics.wait(workerData.gate, 0, 0);
  Atomics.wait(workerData.gate, 0, 1, 30);
  workerData.written[0] = process.hrtime.bigint();
  require('node:fs').writeSync(workerData.fd, 'x');
`;

const LEAVE_OPEN_IN_WORKER = `
  const { workerData } = require('node:worker_threads');
  import(workerData.dist).then(({ makeSelector }) => {
    const selector = makeSelector(workerData.name);
    selector.register(workerData.fd, 1);
    selector.select(0);
  });
`;

const SELECT_UNDER_SIGNALS = `
  import { writeSync } from 'node:fs';
  import { setTimeout as sleep } from 'node:timers/promises';
  const [dist, name] = process.argv.slice(1);
  const { makeSelector } = await import(dist);
  let signals = 0;
  process.on('SIGUSR2', () => { signals += 1; });
  const selector = makeSelector(name);
  selector.register(0, 1);
  writeSync(1, 'selecting\\n');
  const ready = selector.select(0.3).length;
  await sleep(50);
  writeSync(1, JSON.stringify({ ready, again: selector.select(0).length, signals }) + '\\n');
  process.exit(0);
`;

describeBackends('threads and signals', (name) => {
  const makeSelector = selectorMaker(name);
  const descriptors = descriptorKeeper();

  it('blocks without a timeout until another thread writes', async () => {
    const selector = makeSelector();
    const { reader, writer } = descriptors.pipe();
    const key = selector.register(reader, EVENT_READ);
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const written = new BigInt64Array(new SharedArrayBuffer(8));
    const worker = new Worker(WRITE_FROM_WORKER, {
      eval: true,
      workerData: { fd: writer, gate, written },
    });
    const exit = once(worker, 'exit');
    await once(worker, 'online');
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
    const ready = selector.select(null);
    const returned = process.hrtime.bigint();
    expect(ready).toEqual([[key, EVENT_READ]]);
    expect(returned).toBeGreaterThanOrEqual(written[0] as bigint);
    expect(await exit).toEqual([0]);
  });

  it('runs in a worker thread, woken by the main thread through a pipe', async () => {
    const { reader, writer } = descriptors.pipe();
    const workerData = { dist: dist.href, name, fd: reader };
    const worker = new Worker(SELECT_IN_WORKER, { eval: true, workerData });
    const exit = once(worker, 'exit');
    expect(await once(worker, 'message')).toEqual(['selecting']);
    const answer = once(worker, 'message');
    writeSync(writer, 'x');
    expect(await answer).toEqual([[[reader, EVENT_READ, 'data']]]);
    expect(await exit).toEqual([0]);
  });

  it('runs in four worker threads at once', async () => {
    const runs = Array.from({ length: 4 }, async () => {
      const { reader, writer } = descriptors.pipe();
      const workerData = { dist: dist.href, name, fd: reader };
      const worker = new Worker(SELECT_IN_WORKER, { eval: true, workerData });
      const exit = once(worker, 'exit');
      await once(worker, 'message');
      const answer = once(worker, 'message');
      writeSync(writer, 'x');
      const [ready] = await answer;
      await exit;
      return ready[0][0] === reader;
    });
    expect(await Promise.all(runs)).toEqual([true, true, true, true]);
  });

  it('leaks no descriptor when threads end without closing their selectors', async () => {
    const { reader } = descriptors.pipe();
    const workerData = { dist: dist.href, name, fd: reader };
    const run = async () => {
      const worker = new Worker(LEAVE_OPEN_IN_WORKER, { eval: true, workerData });
      expect(await once(worker, 'exit')).toEqual([0]);
    };
    await run();
    const before = openDescriptors();
    for (let i = 0; i < 10; i += 1) await run();
    expect(openDescriptors() - before).toBeLessThan(10);
  });

  it('survives signals: an early empty list or the full wait, and no error', async () => {
    const child = spawn(
      process.execPath,
      ['--input-type=module', '--eval', SELECT_UNDER_SIGNALS, dist.href, name],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const lines: string[] = [];
    child.stdout.setEncoding('utf8').on('data', (text) => lines.push(text));
    const end = once(child, 'close');
    await once(child.stdout, 'data');
    for (let i = 0; i < 20 && child.exitCode === null; i += 1) {
      child.kill('SIGUSR2');
      await sleep(10);
    }
    expect(await end).toEqual([0, null]);
    const report = JSON.parse(lines.join('').split('\n')[1] as string);
    expect(report).toMatchObject({ ready: 0, again: 0 });
    expect(report.signals).toBeGreaterThan(0);
  });
});
