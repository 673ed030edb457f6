import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { commandLine } from '../support/commandline.ts';
import { Load } from '../support/load.ts';
import { unshareIsRefused } from '../support/namespaces.ts';
import { NotifySocket } from '../support/notifysocket.ts';
import { main, type Program } from '../support/programs.ts';
import { get } from '../support/servers.ts';

const { folder, ryegate, serving, start } = commandLine({
  'app.mjs': `export function app(environ, startResponse) {
    if (environ.PATH_INFO === '/spin') for (;;);
    if (environ.PATH_INFO === '/throw') throw new Error('<thrown>');
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return JSON.stringify({ pid: process.pid, watched: process.env.WATCHDOG_USEC ?? null });
  }`,
  'broken.mjs': 'export const app = ;',
  'loading.mjs': 'setInterval(() => {}, 1000); await new Promise(() => {});',
  'blocked.mjs': 'for (;;);',
  'third.mjs': `import { threadId } from 'node:worker_threads';
    if (threadId === 3) throw new Error('the third does not load');
    export { app } from './app.mjs';`,
  // Each request leaves an orphan, and waits for a child of the thread's own.
  'children.mjs': `import { execFile } from 'node:child_process';
    import { readdirSync, readFileSync } from 'node:fs';
    import { promisify } from 'node:util';
    const run = promisify(execFile);
    const zombies = () => readdirSync('/proc').filter((name) => {
      return /^[0-9]+$/.test(name) && readFileSync('/proc/' + name + '/stat', 'latin1').includes(') Z ');
    });
    export async function app(environ, startResponse) {
      if (environ.PATH_INFO === '/orphan') {
        await run('sh', ['-c', 'sleep 0.1 > /dev/null 2>&1 & true']);
        const { stdout } = await run('sh', ['-c', 'sleep 0.2; echo taken']);
        startResponse('200 OK', []);
        return stdout;
      }
      startResponse('200 OK', []);
      return String(zombies().length);
    }`,
  'stuck.mjs': `export const app = () => {
    console.log('begun');
    return new Promise(() => {});
  };`,
  'site/page.txt': 'a page\n',
});

async function ask(url: string, path = '/'): Promise<[status: number, body: string]> {
  const response = await fetch(url + path);
  return [response.status, await response.text()];
}

/** When what it says is in a file. */
async function urlIn(path: string): Promise<string> {
  const read = (): string => readFileSync(path, 'utf8');
  await expect.poll(read, { timeout: 10_000 }).toMatch(/listening on \S+/);
  return /listening on (\S+)/.exec(read())?.[1] as string;
}

describe('--threads', () => {
  it.each(['listener', 'acceptor'])('serves by threads of its process (%s)', async (mode) => {
    const program = serving('--threads', '2', '--thread-mode', mode, 'app.mjs');
    const url = await program.url();
    for (let i = 0; i < 4; i += 1) {
      const [status, body] = await ask(url);
      expect([status, JSON.parse(body).pid]).toEqual([200, program.child.pid]);
    }
    expect(await program.stop()).toEqual([0, null]);
    expect(program.stderr).toContain('"GET / HTTP/1.1" 200');
    expect(program.stderr).toMatch(/listening on \S+ \(2 threads\)/);
  });

  it('serves folders, and the demonstration application', async () => {
    const args = ['--threads', '2', '-q', '--static', '/files=site', '--listing'];
    const program = serving(...args, 'app.mjs');
    const url = await program.url();
    expect(await ask(url, '/files/page.txt')).toEqual([200, 'a page\n']);
    expect((await ask(url, '/files/'))[1]).toContain('page.txt');
    expect((await ask(url, '/other'))[0]).toBe(200);
    const demo = serving('--threads', '1', '-q');
    expect((await ask(await demo.url()))[1]).toContain('Hello world!');
  });

  it('shows errors in the browser under --development', async () => {
    const program = serving('--threads', '2', '--development', 'app.mjs');
    const headers = { Accept: 'text/html' };
    const response = await fetch(`${await program.url()}/throw`, { headers });
    expect(response.status).toBe(500);
    expect(await response.text()).toContain('&lt;thrown&gt;');
    expect(program.stderr).toContain('not for production');
    expect(program.stderr).toContain('quit with Ctrl-C');
  });

  it('does not open the debugger for SIGUSR1', async () => {
    const program = serving('-q', '--threads', '1', 'app.mjs');
    const url = await program.url();
    program.child.kill('SIGUSR1');
    expect((await ask(url))[0]).toBe(200);
    expect(await program.stop()).toEqual([0, null]);
    expect(program.stderr).not.toContain('Debugger');
  });

  it('tells in a line that the application cannot be loaded', async () => {
    const program = serving('--threads', '1', 'broken.mjs');
    expect(await program.exit).toEqual([1, null]);
    expect(program.stderr).toMatch(/^ryegate: broken\.mjs has a syntax error[^\n]*\n$/);
    const third = serving('--threads', '4', 'third.mjs');
    expect(await third.exit).toEqual([1, null]);
    expect(third.stderr).toMatch(/^ryegate: third\.mjs [^\n]*the third does not load\n$/);
  });

  it.each([
    [['--workers', '2'], '--workers does not go with --threads: give --workers N for processes'],
    [['--reload'], '--reload does not go with --threads: it serves by a process'],
    [['--max-requests', '9'], '--max-requests is for workers: give --workers N in place of --thr'],
  ])('refuses %j, and says what to do instead', async (args, message) => {
    const program = ryegate(['--threads', '2', ...args, 'app.mjs']);
    expect(await program.exit).toEqual([2, null]);
    expect(program.stderr).toContain(message);
  });

  it('warns of nothing when there are many', async () => {
    const program = serving('--threads', '16', '-q', 'app.mjs');
    await program.url();
    expect(await program.stop()).toEqual([0, null]);
    expect(program.stderr).toMatch(/^ryegate: listening on [^\n]*\n$/);
  });

  it('tells the service manager, who is nothing to the application', async () => {
    const notify = await NotifySocket.open(start, join(folder, 'notify'));
    const program = ryegate(['--bind', '127.0.0.1:0', '--threads', '1', '-q', 'app.mjs'], {
      NOTIFY_SOCKET: notify.path,
      WATCHDOG_USEC: '400000',
    });
    const url = await program.url();
    await notify.until('READY=1');
    await notify.until(`STATUS=serving on ${url}`);
    await notify.until('WATCHDOG=1');
    expect(JSON.parse((await ask(url))[1]).watched).toBe(null);
    expect(await program.stop()).toEqual([0, null]);
    await notify.until('STOPPING=1');
  });

  it('tells in the error log of a thread that is replaced', async () => {
    const log = join(folder, 'hung.log');
    const args = ['--threads', '2', '-q', '--worker-timeout', '1500ms', '--error-log', log];
    const program = serving(...args, 'app.mjs');
    const url = await urlIn(log);
    expect(await ask(url, '/spin').catch(() => 'broken off')).toBe('broken off');
    expect((await ask(url))[0]).toBe(200);
    expect(await program.stop()).toEqual([0, null]);
    expect(readFileSync(log, 'utf8')).toContain('ERR_RYEGATE_THREAD_HUNG');
  });
});

const noNamespaces = unshareIsRefused();

it.skipIf(noNamespaces)(
  '--threads reap orphans as process 1, and no children of threads',
  async () => {
    const socket = join(folder, 'one.sock');
    const command = ['--bind', `unix:${socket}`, '--threads', '2', '-q', 'children.mjs'];
    const args = [
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      process.execPath,
      main,
      ...command,
    ];
    const program = start('unshare', args, { cwd: folder });
    await program.says(/listening on/);
    for (let i = 0; i < 4; i += 1) {
      const { status, body } = await get(socket, '/orphan');
      expect([status, body]).toEqual([200, 'taken\n']);
    }
    const zombies = async (): Promise<string> => (await get(socket, '/zombies')).body;
    await expect.poll(zombies, { timeout: 10_000 }).toBe('0');
  },
);

describe('the end of --threads', () => {
  it.each(['loading.mjs', 'blocked.mjs'])('comes while they load (%s)', async (module) => {
    const socket = join(folder, `${module}.sock`);
    const pid = join(folder, `${module}.pid`);
    const args = ['--threads', '2', '--drain-delay', '20s', '--pid-file', pid, module];
    const program = ryegate(['--bind', `unix:${socket}`, ...args]);
    await expect.poll(() => existsSync(pid), { timeout: 10_000 }).toBe(true);
    const begun = performance.now();
    expect(await program.stop()).toEqual([0, null]);
    expect(performance.now() - begun).toBeLessThan(8000);
    expect([existsSync(socket), existsSync(pid)]).toEqual([false, false]);
    expect(program.stderr).toBe('');
  });

  it('leaves nothing, whenever it is told to end', async () => {
    const socket = join(folder, 'any.sock');
    const pid = join(folder, 'any.pid');
    for (let delay = 0; delay <= 400; delay += 50) {
      const args = ['--bind', `unix:${socket}`, '--threads', '2', '-q', '--pid-file', pid];
      const program = ryegate([...args, 'app.mjs']);
      await sleep(delay);
      const [status, signal] = await program.stop();
      // Before its first line has run, Node ends by the signal.
      expect([0, null]).toContain(status);
      expect([null, 'SIGTERM']).toContain(signal);
      expect([existsSync(socket), existsSync(pid)]).toEqual([false, false]);
    }
  });

  it.each(['listener', 'acceptor'])('loses no request under load (%s)', async (mode) => {
    const args = ['--threads', '2', '--thread-mode', mode, '-q', '--health'];
    const program = serving(...args, '--drain-delay', '300ms', 'app.mjs');
    const { hostname, port } = new URL(await program.url());
    const load = new Load([hostname, Number(port)], { clients: 10, rate: 200 });
    await load.until(100);
    load.ending = true;
    expect(await program.stop()).toEqual([0, null]);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(load.answered).toBeGreaterThan(100);
  });

  it('waits for no readiness checks when somebody is at the terminal', async () => {
    const program = serving('--threads', '1', '-q', '--drain-delay', '20s', 'app.mjs');
    await program.url();
    const begun = performance.now();
    expect(await program.stop('SIGINT')).toEqual([0, null]);
    expect(performance.now() - begun).toBeLessThan(10_000);
  });

  it('has status 4 when connections had to be broken off', async () => {
    const program = serving('--threads', '2', '-q', '--graceful-timeout', '300ms', 'stuck.mjs');
    const answer = fetch(await program.url()).catch(() => 'broken off');
    await program.says(/begun/, 'stdout');
    expect(await program.stop()).toEqual([4, null]);
    expect(await answer).toBe('broken off');
    expect(program.stderr).toContain('stopped; 1 connections had not finished');
  });
});

describe('the access log of threads', () => {
  /** Moves the file away and tells the program, and resolves when there is another one. */
  async function rotate(program: Program, path: string, number: number): Promise<void> {
    renameSync(path, `${path}.${number}`);
    program.child.kill('SIGUSR1');
    await expect.poll(() => existsSync(path), { timeout: 10_000 }).toBe(true);
  }

  it.each(['listener', 'acceptor'])('loses no line when it is rotated (%s)', async (mode) => {
    const name = `rotated-${mode}.log`;
    const log = join(folder, name);
    const args = ['--threads', '3', '--thread-mode', mode, '--access-log', log];
    const program = serving(...args, '--access-log-format', '%(U)s', 'app.mjs');
    const { hostname, port } = new URL(await program.url());
    let sent = 0;
    let stopped = false;
    const clients = Array.from({ length: 6 }, async () => {
      while (!stopped) {
        sent += 1;
        await get([hostname, Number(port)], `/${sent}`);
      }
    });
    for (let i = 0; i < 10; i += 1) {
      const before = sent;
      await expect.poll(() => sent, { timeout: 10_000 }).toBeGreaterThan(before + 20);
      await rotate(program, log, i);
    }
    stopped = true;
    await Promise.all(clients);
    expect(await program.stop()).toEqual([0, null]);
    const files = readdirSync(folder).filter((file) => file.startsWith(name));
    expect(files).toHaveLength(11);
    const lines = files.flatMap((file) => readFileSync(join(folder, file), 'utf8').split('\n'));
    const paths = lines.filter((line) => line !== '').sort();
    expect(paths).toEqual(Array.from({ length: sent }, (_, i) => `/${i + 1}`).sort());
  });
});
