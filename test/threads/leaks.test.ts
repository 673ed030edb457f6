import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.ts';
import { programStarter } from '../support/programs.ts';

const script = fileURLToPath(new URL('../support/cycles.mjs', import.meta.url));
const start = programStarter();

const TERMINATE = `
  import { once } from 'node:events';
  import { Worker } from 'node:worker_threads';
  const [script, selector] = process.argv.slice(1);
  // Here too, so that the addon is still there to be named when leaks are told.
  await import(new URL('../../dist/index.js', script));
  for (const mode of ['loop', 'sync', 'churn', 'loop']) {
    const workerData = { selector, mode };
    const worker = new Worker(new URL(script), { workerData, execArgv: [] });
    const [port] = await once(worker, 'message');
    if (mode !== 'churn') await (await fetch('http://127.0.0.1:' + port)).text();
    await worker.terminate();
  }
`;

describeBackends('300 servers, one after the other', (selector) => {
  it('leave no descriptors and no memory behind', async () => {
    const args = ['--expose-gc', script, selector, '300'];
    const program = start(process.execPath, args, { env: process.env });
    const [code] = await program.exit;
    expect([code, program.stderr]).toEqual([0, '']);
    const left = JSON.parse(program.stdout);
    expect(left.descriptors).toBe(0);
    // Each had slabs of two megabytes. The sanitizers keep freed memory in quarantine.
    if (!process.env.RYEGATE_SANITIZED) expect(left.megabytes).toBeLessThan(60);
  }, 120_000);

  it.runIf(process.env.RYEGATE_SANITIZED)(
    'LeakSanitizer finds nothing (under npm run test:asan)',
    async () => {
      const ASAN_OPTIONS = `${process.env.ASAN_OPTIONS}:detect_leaks=1:log_path=stderr`;
      // Leaks of Node's own are told too, and do not count.
      const env = { ...process.env, ASAN_OPTIONS, LSAN_OPTIONS: 'exitcode=0' };
      const cycles = start(process.execPath, ['--expose-gc', script, selector, '9'], { env });
      const worker = new URL('../support/servingworker.mjs', import.meta.url).href;
      const args = ['--input-type=module', '--eval', TERMINATE, worker, selector];
      const workers = start(process.execPath, args, { env });
      for (const program of [cycles, workers]) {
        expect(await program.exit).toEqual([0, null]);
        expect(program.stderr).not.toMatch(/ryegate\.node|napi_/);
      }
    },
    120_000,
  );
});
