import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from '../support/programs.ts';
import { runScript } from '../support/servers.ts';

const cwd = join(root, 'test/supervisor/programs');

/** Runs the body of a program that has `Supervisor`; gives what it passes to `tell`. */
async function told(body: string): Promise<unknown[]> {
  const output = await runScript(
    `const [, dist, cwd] = process.argv;
     const { Supervisor } = await import(dist);
     const tell = (value) => console.log(JSON.stringify(value));
     const quiet = { log: () => {} };
     const code = (promise) => promise.then(() => 'none', (error) => error.code);
     const settings = { application: './app.mjs', cwd, bind: [['127.0.0.1', 0]], workers: 2 };
     ${body}`,
    cwd,
  );
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

it('a program can start, scale, reload and stop a supervisor', async () => {
  const results = await told(`
    let workers = 2;
    const supervisor = new Supervisor(settings, {
      log: () => {},
      reload: async () => ({ ...settings, workers }),
    });
    await supervisor.start();
    const [[host, port]] = supervisor.addresses;
    const states = () => supervisor.stats().workers.map(({ state }) => state);
    tell([host, port > 0, states()]);
    tell((await fetch(\`http://127.0.0.1:\${port}/\`)).status);
    await supervisor.scale(3);
    tell(states());
    await supervisor.scale(1);
    workers = 4;
    await supervisor.reload();
    const ready = supervisor.stats().workers.filter(({ state }) => state === 'ready');
    const { target, crashes, reloads } = supervisor.stats();
    tell([ready.length, target, crashes, reloads, ready.every(({ pid, age }) => pid > 0 && age > 0)]);
    const { killed, aborted, seconds } = await supervisor.stop();
    tell([killed, aborted, seconds >= 0, await supervisor.ended]);
    tell(supervisor.stats().workers);`);
  expect(results).toEqual([
    ['127.0.0.1', true, ['ready', 'ready']],
    200,
    ['ready', 'ready', 'ready'],
    [4, 4, 0, 1, true],
    [0, 0, true, 0],
    [],
  ]);
});

it('reloads that are asked for during one are joined into one more', async () => {
  const results = await told(`
    let calls = 0;
    const reload = () => {
      calls += 1;
      return settings;
    };
    const supervisor = new Supervisor(settings, { ...quiet, reload });
    await supervisor.start();
    await Promise.all([1, 2, 3, 4, 5].map(() => supervisor.reload()));
    tell([calls, supervisor.stats().reloads]);
    await supervisor.stop();`);
  expect(results).toEqual([[2, 2]]);
});

it('what cannot be done is refused, with a code', async () => {
  const results = await told(`
    const supervisor = new Supervisor(settings, quiet);
    tell(await code(supervisor.reload()));
    tell(await code(supervisor.scale(1)));
    await supervisor.start();
    tell(await code(supervisor.start()));
    const reloading = code(supervisor.reload());
    await supervisor.stop({ graceful: false });
    tell(await reloading);
    tell(await code(supervisor.reload()));
    const broken = new Supervisor({ ...settings, application: './broken.mjs' }, quiet);
    tell([await code(broken.start()), await broken.ended]);
    const checked = new Supervisor({ ...settings, application: './broken.mjs', preload: true }, quiet);
    tell([await code(checked.start()), await checked.ended]);
    const crashLimits = { unready: 2 };
    const looping = new Supervisor({ ...settings, application: './vanishing.mjs' }, { ...quiet, crashLimits });
    tell([await code(looping.start()), await looping.ended]);`);
  expect(results).toEqual([
    ...Array(5).fill('ERR_RYEGATE_SUPERVISOR'),
    ['ERR_RYEGATE_WORKER_BOOT', 3],
    ['ERR_RYEGATE_WORKER_BOOT', 3],
    ['ERR_RYEGATE_CRASH_LOOP', 3],
  ]);
});

it('a stop during a reload closes what the reload has left out as well', async () => {
  const results = await told(`
    const { connect } = await import('node:net');
    const two = { ...settings, bind: [["127.0.0.1", 0], ["127.0.0.2", 0]] };
    let bind = two.bind;
    const supervisor = new Supervisor(two, { ...quiet, reload: () => ({ ...two, bind }) });
    await supervisor.start();
    const { addresses } = supervisor;
    bind = [bind[0]];
    const reloading = code(supervisor.reload());
    await new Promise(setImmediate);
    await supervisor.stop({ graceful: false });
    await reloading;
    for (const [host, port] of addresses) {
      const socket = connect(port, host);
      tell(await new Promise((resolve) => {
        socket.on('connect', () => resolve('connected')).on('error', ({ code }) => resolve(code));
      }));
    }
    process.exit();`);
  expect(results).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
});

it('a worker that reaches its limit during a reload that fails is replaced all the same', async () => {
  const results = await told(`
    const one = { ...settings, workers: 1, maxRequests: 2 };
    const broken = { ...one, application: './broken.mjs' };
    const supervisor = new Supervisor(one, { ...quiet, reload: () => broken });
    await supervisor.start();
    const [[host, port]] = supervisor.addresses;
    const [{ pid }] = supervisor.stats().workers;
    const reloading = code(supervisor.reload());
    for (let i = 0; i < 2; i++) await (await fetch(\`http://\${host}:\${port}/\`)).text();
    tell(await reloading);
    const isThere = () => supervisor.stats().workers.some((worker) => worker.pid === pid);
    for (let i = 0; i < 1000 && isThere(); i++) await new Promise((next) => setTimeout(next, 10));
    tell(isThere());
    await supervisor.stop();`);
  expect(results).toEqual(['ERR_RYEGATE_WORKER_BOOT', false]);
});

it('a graceful timeout that no service manager can be told of does not keep it from stopping', async () => {
  const results = await told(`
    const { Notifier } = await import(dist);
    const long = { ...settings, gracefulTimeout: 1e10 };
    const supervisor = new Supervisor(long, { ...quiet, notifier: new Notifier({}) });
    await supervisor.start();
    const { killed } = await supervisor.stop();
    tell([killed, await supervisor.ended]);`);
  expect(results).toEqual([[0, 0]]);
});
