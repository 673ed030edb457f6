import { expect, it } from 'vitest';
import { Reaper } from '../../src/index.ts';
import { unshareIsRefused } from '../support/namespaces.ts';
import { type Program, programStarter } from '../support/programs.ts';
import { dist, requireDist } from '../support/servers.ts';

const start = programStarter();

/** What every script here has: orphans, children of its own, and a look at what is left. */
const PREAMBLE = `
  import { spawn, execFileSync } from 'node:child_process';
  import { once } from 'node:events';
  import { readFileSync } from 'node:fs';
  import { setTimeout as sleep } from 'node:timers/promises';
  import { isMainThread, parentPort, Worker } from 'node:worker_threads';
  const { Reaper } = await import('${dist}');
  const block = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  const children = () =>
    readFileSync('/proc/' + process.pid + '/task/' + process.pid + '/children', 'utf8').trim();
  // A shell that ends at once leaves its child to us, which ends soon after.
  const orphan = () => once(spawn('sh', ['-c', 'sleep 0.1 & exit 7'], { stdio: 'ignore' }), 'exit');
  const until = async (done, what) => {
    for (let i = 0; i < 1500; i++) {
      if (done()) return;
      await sleep(10);
    }
    console.log('waited in vain until', what, '; children:', children());
    process.exit(1);
  };
  const tell = (...values) => console.log(JSON.stringify(values));
`;

function node(script: string): [command: string, args: string[]] {
  requireDist();
  return [process.execPath, ['--input-type=module', '--eval', PREAMBLE + script]];
}

/** What the script tells, of each line an array. */
async function told(program: Program): Promise<unknown[]> {
  const [code] = await program.exit;
  expect([code, program.stderr]).toEqual([0, '']);
  return program.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const noNamespaces = unshareIsRefused();

it('does nothing in a process that gets no orphans', () => {
  const before = process.listenerCount('SIGCHLD');
  const reaper = new Reaper();
  expect(reaper.start()).toBe(false);
  expect(process.listenerCount('SIGCHLD')).toBe(before);
  reaper.stop();
});

it('reaps orphans, and not one of the children that Node has started', async () => {
  const program = start(
    ...node(`
      const reaper = new Reaper({ subreaper: true });
      const started = reaper.start() && reaper.start();
      const codes = new Set();
      for (let round = 0; round < 4; round++) {
        const orphans = Array.from({ length: 5 }, orphan);
        const own = Array.from({ length: 5 }, () => once(spawn('sh', ['-c', 'exit 8']), 'exit'));
        // While these end the loop is blocked: for longer than the time between two looks as well.
        block(round % 2 === 0 ? 50 : 1500);
        execFileSync('true');
        for (const [code] of await Promise.all([...orphans, ...own])) codes.add(code);
      }
      await until(() => reaper.reaped === 20, 'all orphans are reaped');
      tell(started, [...codes].sort());
      tell(children(), reaper.reaped);
      reaper.stop();
      tell(process.listenerCount('SIGCHLD'));`),
  );
  expect(await told(program)).toEqual([[true, [7, 8]], ['', 20], [0]]);
});

it('leaves the children of a worker to its loop, even if that is blocked', async () => {
  const program = start(
    ...node(`
      const reaper = new Reaper({ subreaper: true });
      reaper.start();
      const worker = new Worker(
        "const { spawn } = require('node:child_process');" +
        "const child = spawn('sh', ['-c', 'exit 9']);" +
        "child.once('exit', (code) => require('node:worker_threads').parentPort.postMessage(code));" +
        "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3500);",
        { eval: true, execArgv: [] },
      );
      const ofWorker = once(worker, 'message');
      // There is a look for each of these, and one a second later.
      for (let i = 0; i < 3; i++) await Promise.all([orphan(), sleep(1000)]);
      tell(await ofWorker);
      await until(() => reaper.reaped === 3, 'the orphans are reaped');`),
  );
  expect(await told(program)).toEqual([[[9]]]);
});

it('leaves orphans alone once it is stopped, and finds them when it is started again', async () => {
  const program = start(
    ...node(`
      const reaper = new Reaper({ subreaper: true });
      reaper.start();
      reaper.stop();
      await orphan();
      await sleep(2500);
      tell(reaper.reaped);
      reaper.start();
      await until(() => reaper.reaped === 1, 'it is reaped');
      tell(children());
      // Nothing of it keeps the process alive.`),
  );
  expect(await told(program)).toEqual([[0], ['']]);
});

it('survives a lack of descriptors', async () => {
  const [command, args] = node(`
    const { closeSync, openSync } = await import('node:fs');
    const reaper = new Reaper({ subreaper: true });
    reaper.start();
    await orphan();
    const open = [];
    try {
      for (;;) open.push(openSync('/dev/null'));
    } catch (error) {
      tell(error.code);
    }
    await sleep(2500);
    tell(reaper.reaped);
    for (const fd of open) closeSync(fd);
    await until(() => reaper.reaped === 1, 'it is reaped');`);
  const limited = ['-c', 'ulimit -n 100; exec "$0" "$@"', command, ...args];
  expect(await told(start('sh', limited))).toEqual([['EMFILE'], [0]]);
});

it('refuses in a worker thread', async () => {
  const program = start(
    ...node(`
      const worker = new Worker(
        "import('${dist}').then(({ Reaper }) => require('node:worker_threads').parentPort" +
        ".postMessage(new Reaper({ subreaper: true }).start()))",
        { eval: true, execArgv: [] },
      );
      tell(await once(worker, 'message'));`),
  );
  expect(await program.exit).toEqual([0, null]);
  expect(program.stdout).toBe('[[false]]\n');
  expect(program.stderr).toMatch(/ERR_RYEGATE_REAPER.*only the main thread can do it/);
});

it.skipIf(noNamespaces)('is at work in process 1', async () => {
  const [command, args] = node(`
    const reaper = new Reaper();
    tell(process.pid, reaper.start());
    await Promise.all([orphan(), orphan()]);
    await until(() => reaper.reaped === 2, 'they are reaped');
    tell(children());`);
  const program = start('unshare', ['--pid', '--fork', '--mount-proc', command, ...args]);
  expect(await told(program)).toEqual([[1, true], ['']]);
});

it.skipIf(noNamespaces)('refuses where /proc has the numbers of others', async () => {
  const [command, args] = node('tell(process.pid, new Reaper().start());');
  const program = start('unshare', ['--pid', '--fork', command, ...args]);
  expect(await program.exit).toEqual([0, null]);
  expect(program.stdout).toBe('[1,false]\n');
  expect(program.stderr).toMatch(/ERR_RYEGATE_REAPER.*another namespace.*docker run --init/);
});
