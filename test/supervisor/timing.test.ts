import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { commandLine } from '../support/commandline.ts';
import { main } from '../support/programs.ts';
import { type Supervised, supervisorStarter, until } from '../support/supervised.ts';
import { toolEnv } from '../support/tools.ts';

// Signals at moments at which nothing can be done about them yet, and loads that take their time.

const { start, launch, folder } = supervisorStarter();
const { folder: cwd, ryegate, start: run } = commandLine({});

/** Loads until the file `go` is there, which `proceed` makes. */
function loading(): { cwd: string; proceed: () => void } {
  const cwd = folder();
  writeFileSync(
    join(cwd, 'app.mjs'),
    `import { existsSync } from 'node:fs';
     import { setTimeout as sleep } from 'node:timers/promises';
     console.error('loading');
     while (!existsSync(new URL('go', import.meta.url))) await sleep(10);
     export const app = (environ, startResponse) => {
       startResponse('200 OK', [['Content-Type', 'text/plain']]);
       return 'loaded';
     };`,
  );
  return { cwd, proceed: () => writeFileSync(join(cwd, 'go'), '') };
}

async function starting(settings: object = {}): Promise<[Supervised, () => void]> {
  const { cwd, proceed } = loading();
  const supervised = launch({ cwd, application: './app.mjs', ...settings });
  await supervised.says('loading');
  return [supervised, proceed];
}

describe('a signal while it starts', () => {
  it('TTIN, TTIN: the workers are there once it runs', async () => {
    const [supervised, proceed] = await starting();
    supervised.signal('SIGTTIN');
    await supervised.says('got SIGTTIN');
    supervised.signal('SIGTTIN');
    await supervised.says('got SIGTTIN', 2);
    expect(supervised.workers.length).toBe(1);
    proceed();
    await supervised.says(' serves\n', 3);
    expect(supervised.said).not.toContain('refuses');
    expect(await supervised.end()).toBe(0);
  });

  it('HUP: it reloads once it runs', async () => {
    const [supervised, proceed] = await starting();
    supervised.signal('SIGHUP');
    await supervised.says('got SIGHUP');
    supervised.reconfigure({ workers: 2 });
    proceed();
    await supervised.says('ready: 1 worker\n');
    await supervised.says('reloaded: 2 workers\n');
    expect(supervised.said).not.toContain('refuses');
    expect(await supervised.end()).toBe(0);
  });

  it('USR2: the new master is started once it runs', async () => {
    const [supervised, proceed] = await starting();
    supervised.signal('SIGUSR2');
    await supervised.says('got SIGUSR2');
    expect(supervised.successors).toEqual([]);
    proceed();
    await supervised.says('takes over');
    await supervised.says('is ready');
    expect(await supervised.end()).toBe(0);
  });

  it('WINCH: the workers end once it runs', async () => {
    const [supervised, proceed] = await starting();
    supervised.signal('SIGWINCH');
    await supervised.says('got SIGWINCH');
    proceed();
    await supervised.says(' serves\n');
    await until(() => supervised.workers.length === 0, 'there are none');
    expect(await supervised.end()).toBe(0);
  });

  it('HUP, then TERM: it ends, and does not say that it could not reload', async () => {
    const [supervised] = await starting();
    supervised.signal('SIGHUP');
    await supervised.says('got SIGHUP');
    expect(await supervised.end()).toBe(0);
    expect(supervised.said).not.toMatch(/SIGHUP: /);
  });
});

it('USR1 while the application is loaded: the logs are reopened', async () => {
  const { cwd: place, proceed } = loading();
  const log = join(cwd, 'access.log');
  const program = ryegate([
    ...['--bind', '127.0.0.1:0', '-w', '1', '--access-log', log, join(place, 'app.mjs')],
  ]);
  await program.says(/loading/);
  renameSync(log, `${log}.1`);
  program.child.kill('SIGUSR1');
  await program.says(/got SIGUSR1/);
  proceed();
  await program.says(/ready: 1 worker/);
  await fetch(await program.url());
  await until(() => existsSync(log), 'there is a new log');
  expect(await program.stop()).toEqual([0, null]);
});

it('WINCH of a terminal, whose window has changed, is not even told', async () => {
  const pidFile = join(cwd, 'pid');
  const serve = ['--bind', '127.0.0.1:0', '-w', '1', '--pid-file', pidFile];
  const inTerminal = ['-c', 'import pty, sys; pty.spawn(sys.argv[1:])', process.execPath, main];
  const program = run('python3', [...inTerminal, ...serve], { cwd, env: toolEnv });
  await program.says(/ready: 1 worker/, 'stdout');
  const pid = Number(readFileSync(pidFile, 'utf8'));
  process.kill(pid, 'SIGWINCH');
  process.kill(pid, 'SIGTTIN');
  await program.says(/(worker \d+ serves[\s\S]*){2}/, 'stdout');
  process.kill(pid, 'SIGTERM');
  await program.exit;
  expect(program.stdout).toContain('got SIGTTIN');
  expect(program.stdout).not.toContain('SIGWINCH');
});

describe('an application that never ends to load', () => {
  it('is ended by the timeout at the start', async () => {
    const { cwd } = loading();
    const supervised = launch({ cwd, application: './app.mjs', timeout: 0.6 });
    expect(await supervised.ended()).toBe(3);
    expect(supervised.said).toMatch(
      /worker \d+ had not loaded the application in 0.6 seconds, and was killed/,
    );
    expect(supervised.said).toMatch(/5 workers in a row ended before they were ready/);
    expect(supervised.workers).toEqual([]);
  });

  it('is ended by the timeout when it is loaded on trial', async () => {
    const { cwd } = loading();
    const settings = { cwd, application: './app.mjs', timeout: 0.6, preload: true };
    const supervised = launch(settings);
    expect(await supervised.ended()).toBe(3);
    expect(supervised.said).toMatch(/no worker can start: the process that loads it is hung/);
  });

  it('leaves the workers that serve when it is new', async () => {
    const { cwd } = loading();
    const supervised = await start({ timeout: 2 });
    const { workers } = supervised;
    supervised.reconfigure({ cwd });
    supervised.signal('SIGHUP');
    await supervised.says('SIGHUP: worker');
    expect(supervised.workers).toEqual(workers);
    await sleep(300);
    expect(Number(await supervised.ask())).toBe(workers[0]);
    expect(await supervised.end()).toBe(0);
  });
});
