import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeBackends } from '../support/backends.ts';
import { Program, programStarter } from '../support/programs.ts';
import { type Answer, dist, get, isPending } from '../support/servers.ts';
import { application, requestMarker, startedPools, untilStats } from '../support/threadpools.ts';

const start = startedPools();
const mark = requestMarker();
const startProgram = programStarter();

/** A module that finds `pool()`, which makes one, and `get()`. */
function program(body: string): string[] {
  const source = `
    import { ThreadPool } from '${dist}';
    const pool = (options) => new ThreadPool(['127.0.0.1', 0], {
      application: '${application}', min: 2, execArgv: [], ...options });
    const get = async ({ serverAddress: [, port] }, path = '/') =>
      (await fetch('http://127.0.0.1:' + port + path)).status;
    ${body}`;
  return [process.execPath, '--input-type=module', '--eval', source];
}

/** How it ended, and what it said. */
async function outcome(ran: Program): Promise<string> {
  const [code, signal] = await ran.exit;
  return `${signal ?? code} ${ran.stdout.trim()}${ran.stderr.trim()}`;
}

async function run(body: string): Promise<string> {
  const [command = '', ...args] = program(body);
  return await outcome(startProgram(command, args, { env: process.env }));
}

// It takes half a minute, while the other tests run.
let hanging: Program;
beforeAll(() => {
  const [command = '', ...args] = program(`
    setTimeout(() => process.exit(5), 100_000).unref();
    const application = '${fileURLToPath(new URL('../support/poolloading.mjs', import.meta.url))}';
    const begun = performance.now();
    const served = pool({ application, timeout: 8 });
    const refusal = await served.start().catch((error) => error);
    const seconds = (performance.now() - begun) / 1000;
    const answer = await get(served).catch((error) => error.cause.code);
    console.log(refusal.code, refusal.message, seconds > 29, served.size, answer);`);
  hanging = new Program(command, args, { env: process.env });
});
afterAll(async () => {
  if (!hanging.ended) hanging.child.kill('SIGKILL');
  await hanging.exit;
});

describe('the end of a process with a pool', () => {
  it('comes by itself after stop(), not before', async () => {
    const ended = await run(`
      const served = pool();
      await served.start();
      setTimeout(async () => console.log(await get(served), (await served.stop()).drained), 200)
        .unref();`);
    expect(ended).toBe('0 200 2');
  });

  it('comes by itself when its threads are daemons', async () => {
    const ended = await run(`
      const served = pool({ daemonThreads: true });
      await served.start();
      console.log(await get(served));`);
    expect(ended).toBe('0 200');
  });

  it.each(['listener', 'acceptor'])('comes with process.exit() (%s)', async (mode) => {
    const ended = await run(`
      for (const blocking of [false, true]) {
        const served = pool({ mode: '${mode}', blocking });
        await served.start();
        console.log(await get(served));
      }
      process.exit(4);`);
    expect(ended).toBe('4 200\n200');
  });

  it('comes by itself with a pool that was never started', async () => {
    expect(await run(`pool(); await pool().stop();`)).toBe('0 ');
  });
});

it('threads serve while the thread that made the pool is blocked, and their log comes later', async () => {
  const ended = await run(`
    import { Worker } from 'node:worker_threads';
    const served = pool({ server: { logRequests: true } });
    await served.start();
    const words = new Int32Array(new SharedArrayBuffer(4));
    const client = (async () => {
      const { workerData: { port, words } } = require('node:worker_threads');
      for (let i = 0; i < 20; i++) await (await fetch('http://127.0.0.1:' + port + '/')).text();
      Atomics.add(words, 0, 20);
      Atomics.notify(words, 0);
    }).toString();
    const workerData = { port: served.serverAddress[1], words };
    new Worker('(' + client + ')()', { eval: true, execArgv: [], workerData });
    console.log(Atomics.wait(words, 0, 0, 10_000), words[0]);
    await served.stop();`);
  expect(ended).toMatch(/^0 ok 20/);
  expect(ended.match(/"GET \/ HTTP\/1\.1" 200/g)).toHaveLength(20);
});

it('a pool can be stopped when its process has no descriptor left', async () => {
  const module = program(`
    import { closeSync, openSync } from 'node:fs';
    const served = pool({ mode: 'acceptor', min: 1 });
    await served.start();
    console.log(await get(served));
    const kept = [];
    try {
      for (;;) kept.push(openSync('/dev/null'));
    } catch {}
    const { drained } = await served.stop();
    for (const fd of kept) closeSync(fd);
    console.log(drained, await get(served).catch((error) => error.cause.code));`);
  const limited = ['-c', 'ulimit -n 100; exec "$0" "$@"', ...module];
  const ended = await outcome(startProgram('sh', limited, { env: process.env }));
  // To accept who waits fails then, whether somebody waits or not.
  expect(ended).toMatch(/^0 200\n1 ECONNREFUSED/);
  expect(ended).toContain('EMFILE');
});

it.each([{ blockOnClose: false }, { daemonThreads: true }])(
  'stop() with %j does not wait, and what was begun is finished',
  async (options) => {
    const { pool } = await start({ min: 1, ...options });
    const held = mark('/waiting');
    const asked = get(pool.serverAddress, held.path);
    await held.begun();
    expect(await pool.stop()).toMatchObject({ drained: 0, terminated: 0 });
    expect(await isPending(asked)).toBe(true);
    held.release();
    expect((await asked).status).toBe(200);
    await untilStats(pool, ({ threads }) => threads.length === 0, 'the thread has ended');
  },
);

describeBackends('60 threads of pools', (selector) => {
  it('leave no descriptors and no memory behind', async () => {
    const script = fileURLToPath(new URL('../support/threadcycles.mjs', import.meta.url));
    const args = ['--expose-gc', script, selector, '60'];
    const ran = startProgram(process.execPath, args, { env: process.env });
    const [code] = await ran.exit;
    expect([code, ran.stderr]).toEqual([0, '']);
    const left = JSON.parse(ran.stdout);
    expect(left.descriptors).toBe(0);
    // The sanitizers keep freed memory in quarantine.
    if (!process.env.RYEGATE_SANITIZED) expect(left.megabytes).toBeLessThan(40);
  }, 120_000);
});

it('two threads handle requests that need the processor at the same time', async () => {
  const { pool } = await start({ min: 2 });
  const working = [mark('/working'), mark('/working')];
  const asked: Promise<Answer>[] = [];
  for (const request of working) {
    asked.push(get(pool.serverAddress, request.path));
    await request.begun();
  }
  for (const request of working) request.release();
  const bodies = (await Promise.all(asked)).map(({ body }) => body);
  expect(new Set(bodies).size).toBe(2);
});

// The last test: see above.
it('start() rejects when threads have not loaded after 30 seconds', async () => {
  const ended = await outcome(hanging);
  expect(ended).toMatch(
    /^0 ERR_RYEGATE_THREAD_HUNG thread \d did not begin to serve in 30 seconds/,
  );
  expect(ended).toMatch(/ true 0 ECONNREFUSED$/);
}, 120_000);
