import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { programStarter, root } from '../support/programs.ts';
import { dist, requireDist } from '../support/servers.ts';

// What a user's callback throws must not end a supervisor, its workers, or a pool and its threads.

const run = programStarter();
const WAYS = ['throws', 'rejects'] as const;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ryegate-callbacks-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The path of a new file with a program's text. */
function write(program: string): string {
  const path = join(folder, `${readdirSync(folder).length}.mjs`);
  writeFileSync(path, program);
  return path;
}

/** What the program below says when it is done, and what came on standard error until then. */
async function outcome(body: string): Promise<{ done: unknown; stderr: string }> {
  requireDist();
  const script = `
    import { setTimeout as sleep } from 'node:timers/promises';
    const { Supervisor, ThreadPool } = await import(${JSON.stringify(dist)});
    const until = async (condition) => { while (!(await condition())) await sleep(5); };
    const ask = async (port, path = '/') =>
      (await fetch('http://127.0.0.1:' + port + path, { headers: { Connection: 'close' } })).text();
    ${body.trim()}
    console.log('done ' + JSON.stringify(result));`;
  const program = run(process.execPath, [write(script)]);
  const [, done = ''] = await program.says(/^done (.*)$/m, 'stdout');
  expect(await program.exit).toEqual([0, null]);
  return { done: JSON.parse(done), stderr: program.stderr };
}

function fail(way: (typeof WAYS)[number], what: string): string {
  const error = `new Error(${JSON.stringify(what)})`;
  return way === 'throws' ? `() => { throw ${error}; }` : `() => Promise.reject(${error})`;
}

/** A module with a `reopenLogs()` that fails; what else it has is `parts`. */
function writeModule(start: string, parts: string, way: (typeof WAYS)[number]): string {
  const text = `import { WSGIRequestHandler, WSGIServer } from ${JSON.stringify(dist)};
    const application = (environ, startResponse) => {
      startResponse('200 OK', [['Content-Type', 'text/plain']]);
      return String(process.pid);
    };
    const reopenLogs = ${fail(way, 'no new log')};
    export const ${start} = ({ listeners }) => (${parts});`;
  return write(text);
}

it('a server of a worker that cannot be drained costs the clients of another one nothing', async () => {
  const begun = join(folder, 'begun');
  const text = `import { writeFileSync } from 'node:fs';
    import { setTimeout as sleep } from 'node:timers/promises';
    import { WSGIRequestHandler, WSGIServer } from ${JSON.stringify(dist)};
    const app = async (environ, startResponse) => {
      writeFileSync(${JSON.stringify(begun)}, '');
      await sleep(500);
      startResponse('200 OK', [['Content-Type', 'text/plain']]);
      return 'answered';
    };
    class Failing extends WSGIServer {
      drain() { throw new Error('no drain'); }
    }
    export const startWorker = ({ listeners }) => ({
      servers: listeners.map(({ fd, address }, i) => {
        const Server = i === 0 ? WSGIServer : Failing;
        const server = new Server(address, WSGIRequestHandler, { fd });
        server.setApp(app);
        return server;
      }),
    });`;
  const settings = { workerModule: write(text), bind: [['127.0.0.1', 0], join(folder, 'socket')] };
  const { done, stderr } = await outcome(`
    const { existsSync } = await import('node:fs');
    const supervisor = new Supervisor(
      { ...${JSON.stringify(settings)}, workers: 1 },
      { log: () => {} },
    );
    await supervisor.start();
    const asked = ask(supervisor.addresses[0][1]);
    await until(() => existsSync(${JSON.stringify(begun)}));
    const stopped = supervisor.stop();
    const result = await asked.catch(String);
    await stopped;`);
  expect(done).toBe('answered');
  expect(stderr).toContain('Error: no drain');
});

describe.each(WAYS)('a callback that %s', (way) => {
  it('logError of a pool: the thread is replaced, and both faults are told', async () => {
    const application = join(root, 'test/support/poolapp.mjs');
    const { done, stderr } = await outcome(`
      const pool = new ThreadPool(['127.0.0.1', 0], {
        application: ${JSON.stringify(application)},
        min: 1,
        logError: ${fail(way, 'no log')},
      });
      await pool.start();
      const [, port] = pool.serverAddress;
      await ask(port, '/exit').catch(() => {});
      await until(() => pool.stats().replaced === 1 && pool.idle === 1);
      const result = (await ask(port)) !== '';
      await pool.stop();`);
    expect(done).toBe(true);
    expect(stderr).toContain('ryegate: ERR_RYEGATE_THREAD_ENDED: ');
    expect(stderr).toContain('Error: no log');
  });

  it('reopenLogs() of a thread module: the thread serves on', async () => {
    const threadModule = writeModule('startThread', '{ application, reopenLogs }', way);
    const { done, stderr } = await outcome(`
      const pool = new ThreadPool(['127.0.0.1', 0], {
        threadModule: ${JSON.stringify(threadModule)},
        min: 1,
      });
      await pool.start();
      const [thread] = pool.stats().threads;
      pool.reopenLogs();
      await sleep(100);
      await ask(pool.serverAddress[1]);
      const [same] = pool.stats().threads;
      const result = [same.threadId === thread.threadId, pool.stats().replaced];
      await pool.stop();`);
    expect(done).toEqual([true, 0]);
    expect(stderr).toContain('Error: no new log');
  });

  it('log of a supervisor: it works on, and tells both on standard error', async () => {
    const cwd = join(root, 'test/supervisor/programs');
    const { done, stderr } = await outcome(`
      const settings = { application: './app.mjs', cwd: ${JSON.stringify(cwd)}, workers: 1 };
      const supervisor = new Supervisor(
        { ...settings, bind: [['127.0.0.1', 0]] },
        { log: ${fail(way, 'no log')} },
      );
      await supervisor.start();
      const [worker] = supervisor.stats().workers;
      process.kill(worker.pid, 'SIGKILL');
      const others = () => supervisor.stats().workers.filter(({ pid }) => pid !== worker.pid);
      await until(() => others().some(({ state }) => state === 'ready'));
      const result = Number(await ask(supervisor.addresses[0][1])) === others()[0].pid;
      await supervisor.stop();`);
    expect(done).toBe(true);
    expect(stderr).toMatch(/^ryegate\[\d+\]: listening on /m);
    expect(stderr).toMatch(/^ryegate\[\d+\]: Error: no log$/m);
  });

  it('reopenLogs and revert of a supervisor: its workers reopen theirs, and it serves on', async () => {
    const parts = `{ reopenLogs: () => console.error('reopened'), servers: listeners.map(
      ({ fd, address }) => new WSGIServer(address, WSGIRequestHandler, { fd }))}`;
    const workerModule = writeModule('startWorker', parts, way);
    const settings = JSON.stringify({ workerModule, bind: [['127.0.0.1', 0]], workers: 1 });
    const { done, stderr } = await outcome(`
      let reloads = 0;
      class Options {
        lines = [];
        log(level, text) { this.lines.push(level + ' ' + text); }
        reload() { return ++reloads === 1 ? {} : Promise.reject(null); }
        reopenLogs = ${fail(way, 'no new log')};
        revert = ${fail(way, 'no way back')};
      }
      const options = new Options();
      const supervisor = new Supervisor(${settings}, options);
      const ended = supervisor.run();
      await until(() => supervisor.isRunning);
      const errors = () => options.lines.filter((line) => line.startsWith('error '));
      for (const [signal, count] of [['SIGUSR1', 1], ['SIGHUP', 3], ['SIGHUP', 4]]) {
        process.kill(process.pid, signal);
        await until(() => errors().length === count);
      }
      await sleep(100);
      const { crashes, target } = supervisor.stats();
      process.kill(process.pid, 'SIGTERM');
      const result = [errors(), crashes, target, await ended];`);
    expect(done).toEqual([
      [
        'error the logs were not reopened: no new log',
        'error what the reload had changed stays: no way back',
        expect.stringMatching(/^error SIGHUP: a supervisor needs/),
        'error SIGHUP: null',
      ],
      0,
      1,
      0,
    ]);
    expect(stderr).toContain('reopened');
  });

  it('reopenLogs() of a worker module: the worker serves on', async () => {
    const server = `new WSGIServer(address, WSGIRequestHandler, { fd })`;
    const parts = `{ reopenLogs, servers: listeners.map(({ fd, address }) => {
      const server = ${server};
      server.setApp(application);
      return server;
    }) }`;
    const workerModule = writeModule('startWorker', parts, way);
    const { done, stderr } = await outcome(`
      const supervisor = new Supervisor(
        { workerModule: ${JSON.stringify(workerModule)}, bind: [['127.0.0.1', 0]], workers: 1 },
        { log: () => {} },
      );
      await supervisor.start();
      const port = supervisor.addresses[0][1];
      const before = await ask(port);
      supervisor.reopenLogs();
      await sleep(200);
      const result = [(await ask(port)) === before, supervisor.stats().crashes];
      await supervisor.stop();`);
    expect(done).toEqual([true, 0]);
    expect(stderr).toMatch(/^ryegate: Error: no new log$/m);
  });
});
