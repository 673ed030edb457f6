import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandLine } from '../support/commandline.ts';
import { NotifySocket } from '../support/notifysocket.ts';
import { until } from '../support/supervised.ts';

const APP = `export function app(environ, startResponse) {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return [process.env.GREETING + ' from ' + process.pid];
}`;

const { folder, ryegate, start } = commandLine({
  'app.mjs': APP,
  'stuck.mjs': `export const app = () => {
      console.log('begun');
      return new Promise(() => {});
    };`,
  'broken.mjs': 'export const app = ;',
  'loading.mjs':
    "console.log('loading'); setInterval(() => {}, 1000); await new Promise(() => {});",
  'site/ryegate.config.js': `export default {
    application: '../app.mjs', workers: 1, bind: '127.0.0.1:0', quiet: true,
    env: ['GREETING=first'],
  };`,
});

const SERVE = ['--bind', '127.0.0.1:0', '--workers', '2'];

async function ask(url: string, path = '/'): Promise<[status: number, body: string]> {
  const response = await fetch(url + path);
  return [response.status, await response.text()];
}

describe('--workers', () => {
  it('serves by other processes, and ends with status 0', async () => {
    const program = ryegate([...SERVE, '-q', '--env', 'GREETING=hello', 'app.mjs']);
    const url = await program.url();
    const [status, body] = await ask(url);
    expect(status).toBe(200);
    expect(body).toMatch(/^hello from [0-9]+$/);
    expect(body).not.toBe(`hello from ${program.child.pid}`);
    expect(await program.stop()).toEqual([0, null]);
  });

  it('ends with status 3 when the application cannot be loaded, and tells it once', async () => {
    const program = ryegate([...SERVE, 'broken.mjs']);
    expect(await program.exit).toEqual([3, null]);
    expect(program.stderr.match(/syntax error/g)).toHaveLength(1);
  });

  it('ends with status 1 when requests had to be cut off', async () => {
    const program = ryegate([...SERVE, '-q', '--graceful-timeout', '300ms', 'stuck.mjs']);
    const answer = fetch(await program.url()).catch(() => 'broken off');
    await program.says(/begun/, 'stdout');
    expect(await program.stop()).toEqual([1, null]);
    expect(await answer).toBe('broken off');
  });

  it('reads its configuration anew on SIGHUP, and goes on with the old one if it is wrong', async () => {
    const program = start(process.execPath, [join(process.cwd(), 'dist/cli/main.js')], {
      cwd: join(folder, 'site'),
    });
    const url = await program.url();
    expect((await ask(url))[1]).toMatch(/^first from/);
    const config = join(folder, 'site/ryegate.config.js');
    const good = readFileSync(config, 'utf8');
    writeFileSync(config, good.replace('first', 'second'));
    program.child.kill('SIGHUP');
    await program.says(/worker \d+ ended/);
    expect((await ask(url))[1]).toMatch(/^second from/);
    writeFileSync(config, good.replace('workers: 1', "workers: 'many'"));
    program.child.kill('SIGHUP');
    await program.says(/SIGHUP: ryegate\.config\.js: workers many/);
    writeFileSync(config, good);
    expect((await ask(url))[1]).toMatch(/^second from/);
    expect(await program.stop()).toEqual([0, null]);
  });

  it('goes on with the workers that it has when the application breaks', async () => {
    const path = join(folder, 'changing.mjs');
    writeFileSync(path, APP);
    const program = ryegate([...SERVE, '-q', '--env', 'GREETING=hello', 'changing.mjs']);
    const url = await program.url();
    await program.says(/(worker \d+ serves[\s\S]*){2}/);
    writeFileSync(path, 'export const app = ;');
    const [, victim] = /worker (\d+) serves/.exec(program.stderr) ?? [];
    process.kill(Number(victim), 'SIGKILL');
    await program.says(/another one is tried later/);
    program.child.kill('SIGTTIN');
    program.child.kill('SIGHUP');
    await program.says(/SIGHUP: .*syntax error/);
    const [, , other] = /worker (\d+) serves[\s\S]*worker (\d+) serves/.exec(program.stderr) ?? [];
    expect((await ask(url))[1]).toBe(`hello from ${other}`);
    expect(await program.stop()).toEqual([0, null]);
  });

  it('refuses to reload into another way of serving', async () => {
    const program = start(process.execPath, [join(process.cwd(), 'dist/cli/main.js')], {
      cwd: join(folder, 'site'),
    });
    const url = await program.url();
    const config = join(folder, 'site/ryegate.config.js');
    const good = readFileSync(config, 'utf8');
    writeFileSync(config, good.replace('workers: 1,', ''));
    await program.says(/worker \d+ serves/);
    program.child.kill('SIGHUP');
    await program.says(/SIGHUP: workers, threads and reload take a restart/);
    writeFileSync(config, good);
    expect((await ask(url))[0]).toBe(200);
    expect(await program.stop()).toEqual([0, null]);
  });

  it('keeps a socket file until the last worker has ended', async () => {
    const path = join(folder, 'drained.sock');
    const args = ['--bind', `unix:${path}`, '-w', '1', '-q', '--drain-delay', '3s', 'app.mjs'];
    const program = ryegate(args);
    await program.says(/worker \d+ serves/);
    program.child.kill('SIGTERM');
    await program.says(/got SIGTERM/);
    expect(existsSync(path)).toBe(true);
    expect(await program.exit).toEqual([0, null]);
    expect(existsSync(path)).toBe(false);
  });

  it('tells the service manager', async () => {
    const notify = await NotifySocket.open(start, join(folder, 'notify'));
    const program = ryegate([...SERVE, '-q', 'app.mjs'], {
      NOTIFY_SOCKET: notify.path,
      WATCHDOG_USEC: '400000',
      GREETING: 'hello',
    });
    const url = await program.url();
    await notify.until('READY=1');
    expect((await ask(url))[0]).toBe(200);
    await notify.until('WATCHDOG=1');
    program.child.kill('SIGHUP');
    await expect
      .poll(() => notify.messages.filter((text) => text === 'READY=1').length, { timeout: 10_000 })
      .toBe(2);
    expect(notify.messages.some((text) => text.startsWith('RELOADING=1\nMONOTONIC_USEC='))).toBe(
      true,
    );
    expect(await program.stop()).toEqual([0, null]);
    await notify.until('STOPPING=1');
    // As long as workers may take, so that TimeoutStopSec= does not cut them short.
    await notify.until('EXTEND_TIMEOUT_USEC=31025000');
  });
});

it('ends at once, and leaves nothing, when it is told to while the application loads', async () => {
  const path = join(folder, 'loading.pid');
  const program = ryegate(['--bind', '127.0.0.1:0', '--pid-file', path, 'loading.mjs']);
  await program.says(/loading/, 'stdout');
  expect(existsSync(path)).toBe(true);
  expect(await program.stop()).toEqual([0, null]);
  expect(existsSync(path)).toBe(false);
});

describe.each([
  ['this process', []],
  ['workers', ['--workers', '2']],
  ['threads', ['--threads', '2']],
])('by %s', (_who, how) => {
  const args = ['--bind', '127.0.0.1:0', ...how];

  it('logs to files, which SIGUSR1 has reopened', async () => {
    const [access, errors] = ['access', 'error'].map((name) => {
      return join(folder, `${name}${how.join('')}.log`);
    }) as [string, string];
    const logs = [
      '--access-log',
      access,
      '--error-log',
      errors,
      '--access-log-format',
      '%(m)s %(U)s',
    ];
    const program = ryegate([...args, ...logs, '--env', 'GREETING=x', 'app.mjs']);
    const read = (path: string): string => readFileSync(path, 'utf8');
    await expect.poll(() => read(errors), { timeout: 10_000 }).toMatch(/listening on \S+/);
    const [, url = ''] = /listening on (\S+)/.exec(read(errors)) ?? [];
    await ask(url, '/one');
    await expect.poll(() => read(access), { timeout: 10_000 }).toBe('GET /one\n');
    renameSync(access, `${access}.1`);
    program.child.kill('SIGUSR1');
    await until(async () => {
      await ask(url, '/two');
      return existsSync(access) && read(access).includes('GET /two\n');
    }, 'the new file has lines');
    expect(read(access)).toMatch(/^(GET \/two\n)+$/);
    expect(read(`${access}.1`)).toMatch(/^GET \/one\n(GET \/two\n)*$/);
    expect(await program.stop()).toEqual([0, null]);
    expect(program.stderr).toBe('');
  });

  it('answers health checks, which tell that it drains', async () => {
    const health = ['--health', '--ready-path', '/ready', '--drain-delay', '4s'];
    const program = ryegate([...args, '-q', ...health, '--env', 'GREETING=x', 'app.mjs']);
    const url = await program.url();
    expect((await ask(url, '/healthz'))[0]).toBe(200);
    expect((await ask(url, '/ready'))[0]).toBe(200);
    program.child.kill('SIGTERM');
    await expect
      .poll(() => ask(url, '/ready').then(([status]) => status), { timeout: 10_000 })
      .toBe(503);
    expect((await ask(url, '/healthz'))[0]).toBe(200);
    expect((await ask(url, '/'))[0]).toBe(200);
    expect(await program.exit).toEqual([0, null]);
  });

  it('writes its process id to a file, and removes it', async () => {
    const path = join(folder, 'pid');
    const program = ryegate([...args, '-q', '--pid-file', path, 'app.mjs']);
    await program.url();
    expect(readFileSync(path, 'utf8')).toBe(`${program.child.pid}\n`);
    expect(await program.stop()).toEqual([0, null]);
    expect(() => readFileSync(path)).toThrow('ENOENT');
  });
});
