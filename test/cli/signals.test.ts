import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandLine, isRefused } from '../support/commandline.ts';
import { main, type Program } from '../support/programs.ts';
import { get } from '../support/servers.ts';
import { childrenOf, until } from '../support/supervised.ts';

const { folder, ryegate, start, serving } = commandLine({
  'app.mjs': `export function app(environ, startResponse) {
    if (environ.PATH_INFO === '/log') environ['wsgi.errors'].write('logged\\n');
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return 'app';
  }`,
  'stuck.mjs': `export function app() {
    console.log('begun');
    return new Promise(() => {});
  }`,
  'loading.mjs': "console.log('begun'); setInterval(() => {}, 1000); await new Promise(() => {});",
});

async function ask(url: string, path = '/'): Promise<string> {
  return await (await fetch(url + path)).text();
}

/** One whose application does not answer a request that has begun. */
async function stuck(): Promise<{ program: Program; url: string; answer: Promise<unknown> }> {
  const program = serving('-q', 'stuck.mjs');
  const url = await program.url();
  const answer = ask(url).catch(() => 'broken off');
  await program.says(/begun/, 'stdout');
  return { program, url, answer };
}

describe('on SIGQUIT', () => {
  it('ends with status 0', async () => {
    const program = serving('-q', 'app.mjs');
    await program.url();
    expect(await program.stop('SIGQUIT')).toEqual([0, null]);
  });

  it('gives requests half a second, whatever the graceful timeout', async () => {
    const { program, answer } = await stuck();
    const since = performance.now();
    expect(await program.stop('SIGQUIT')).toEqual([4, null]);
    expect(performance.now() - since).toBeGreaterThan(450);
    expect(performance.now() - since).toBeLessThan(5000);
    expect(await answer).toBe('broken off');
    expect(program.stderr).toContain('1 connections had not finished in time');
  });

  it('does not wait when it is the second signal', async () => {
    const { program, url } = await stuck();
    program.child.kill('SIGTERM');
    // The listener closes at once.
    await until(() => isRefused(url), 'the first one is seen');
    expect((await program.stop('SIGQUIT'))[0]).toBe(131);
  });

  it('ends while the application is loaded', async () => {
    const program = serving('loading.mjs');
    await program.says(/begun/, 'stdout');
    expect(await program.stop('SIGQUIT')).toEqual([0, null]);
  });
});

describe('a second signal', () => {
  it.each([[], ['--threads', '1']])('leaves no files behind (%j)', async (...args) => {
    const socket = join(folder, 'second.sock');
    const pid = join(folder, 'second.pid');
    const files = ['--bind', 'unix:second.sock', '--pid-file', 'second.pid'];
    const log = ['--error-log', `second${args.length}.log`, '--health'];
    const program = ryegate([...files, ...log, '--drain-delay', '60s', ...args, 'app.mjs']);
    const listens = (): boolean => {
      const path = join(folder, `second${args.length}.log`);
      return existsSync(path) && readFileSync(path, 'utf8').includes('listening');
    };
    await until(listens, 'it listens');
    expect([existsSync(socket), existsSync(pid)]).toEqual([true, true]);
    program.child.kill('SIGTERM');
    await until(async () => (await get(socket, '/readyz')).status === 503, 'it is seen');
    expect(await program.stop()).toEqual([143, null]);
    expect([existsSync(socket), existsSync(pid)]).toEqual([false, false]);
  });
});

describe('without a terminal', () => {
  it('SIGHUP has logs reopened, and serves on', async () => {
    const log = join(folder, 'error.log');
    const program = serving('-q', '--error-log', log, 'app.mjs');
    await until(() => existsSync(log) && readFileSync(log, 'utf8').includes('http'), 'it listens');
    const [, url = ''] = /(http:\S+)/.exec(readFileSync(log, 'utf8')) ?? [];
    renameSync(log, `${log}.1`);
    program.child.kill('SIGHUP');
    await until(() => existsSync(log), 'it is reopened');
    expect(await ask(url, '/log')).toBe('app');
    expect(await program.stop()).toEqual([0, null]);
    expect(readFileSync(log, 'utf8')).toMatch(/^ryegate: SIGHUP: .*--workers\nlogged\n$/);
  });

  it.each(['SIGUSR2', 'SIGTTIN', 'SIGTTOU'] as const)('%s says what it takes', async (signal) => {
    const program = serving('-q', 'app.mjs');
    const url = await program.url();
    program.child.kill(signal);
    await program.says(new RegExp(`ryegate: ${signal} does nothing without .*--workers N\n`));
    expect(await ask(url)).toBe('app');
    expect(await program.stop()).toEqual([0, null]);
  });

  it('SIGWINCH does nothing', async () => {
    const program = serving('-q', 'app.mjs');
    const url = await program.url();
    program.child.kill('SIGWINCH');
    expect(await ask(url)).toBe('app');
    expect(await program.stop()).toEqual([0, null]);
    expect(program.stderr.split('\n')).toHaveLength(2);
  });
});

const SCRIPT = '/usr/bin/script';
const hasScript = existsSync(SCRIPT) && process.platform === 'linux';
if (!hasScript) console.log(`${SCRIPT} of util-linux is not installed: no test has a terminal`);

describe.skipIf(!hasScript)('at a terminal', () => {
  it.each([1, 2])('SIGHUP ends it, as its terminal is closed (%s times)', async (times) => {
    const command = `exec '${process.execPath}' '${main}' -q -b 127.0.0.1:0 app.mjs`;
    // Gives the status of the command as its own.
    const script = start(SCRIPT, ['-qec', command, '/dev/null'], { cwd: folder });
    await script.url('stdout');
    const [pid = 0] = childrenOf(script.child.pid as number).alive;
    for (let i = 0; i < times; i++) process.kill(pid, 'SIGHUP');
    expect(await script.exit).toEqual([0, null]);
  });
});
