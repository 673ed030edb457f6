import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { describeBackends } from '../support/backends.ts';
import { programStarter } from '../support/programs.ts';
import { dist, get } from '../support/servers.ts';
import { application, startedPools, untilStats } from '../support/threadpools.ts';

const start = startedPools();
const startProgram = programStarter();

/** Runs a module that finds `pool()`, which makes one, and `get()`. */
async function run(body: string): Promise<string> {
  const source = `
    import { ThreadPool } from '${dist}';
    const pool = (options) => new ThreadPool(['127.0.0.1', 0], {
      application: '${application}', min: 2, execArgv: [], ...options });
    const get = async ({ serverAddress: [, port] }, path = '/') =>
      (await fetch('http://127.0.0.1:' + port + path)).status;
    ${body}`;
  const args = ['--input-type=module', '--eval', source];
  const program = startProgram(process.execPath, args, { env: process.env });
  const [code, signal] = await program.exit;
  return `${signal ?? code} ${program.stdout.trim()}${program.stderr.trim()}`;
}

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

it.each([{ blockOnClose: false }, { daemonThreads: true }])(
  'stop() with %j does not wait, and what was begun is finished',
  async (options) => {
    const { pool } = await start({ min: 1, ...options });
    const asked = get(pool.serverAddress, '/slow');
    await untilStats(pool, ({ connections }) => connections === 1, 'the request is handled');
    const begun = performance.now();
    expect(await pool.stop()).toMatchObject({ drained: 0, terminated: 0 });
    expect(performance.now() - begun).toBeLessThan(300);
    expect((await asked).status).toBe(200);
    await untilStats(pool, ({ threads }) => threads.length === 0, 'the thread has ended');
  },
);

describeBackends('60 threads of pools', (selector) => {
  it('leave no descriptors and no memory behind', async () => {
    const script = fileURLToPath(new URL('../support/threadcycles.mjs', import.meta.url));
    const args = ['--expose-gc', script, selector, '60'];
    const program = startProgram(process.execPath, args, { env: process.env });
    const [code] = await program.exit;
    expect([code, program.stderr]).toEqual([0, '']);
    const left = JSON.parse(program.stdout);
    expect(left.descriptors).toBe(0);
    // The sanitizers keep freed memory in quarantine.
    if (!process.env.RYEGATE_SANITIZED) expect(left.megabytes).toBeLessThan(40);
  }, 120_000);
});

describe('two threads', () => {
  const CLIENTS = 6;
  const MILLISECONDS = 400;

  /** How many requests of 10 ms of work are answered in a while. */
  async function count(threads: number): Promise<number> {
    const { pool } = await start({ min: threads });
    let answered = 0;
    const end = performance.now() + MILLISECONDS;
    const clients = Array.from({ length: CLIENTS }, async () => {
      while (performance.now() < end) {
        if ((await get(pool.serverAddress, '/cpu')).status === 200) answered += 1;
      }
    });
    await Promise.all(clients);
    await pool.stop();
    return answered;
  }

  it('answer more requests that need the processor than one', async () => {
    const ratios: number[] = [];
    // Others may be using the machine: bench/threads.ts tells the ratio.
    for (let i = 0; i < 8 && Math.max(...ratios, 0) < 1.4; i += 1) {
      const one = await count(1);
      ratios.push((await count(2)) / one);
    }
    expect(Math.max(...ratios)).toBeGreaterThan(1.4);
  });
});
