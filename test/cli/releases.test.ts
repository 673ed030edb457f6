import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { commandLine } from '../support/commandline.ts';
import { main, type Program } from '../support/programs.ts';
import { isAlive, until } from '../support/supervised.ts';

// What a reload changes of the process, and what it must not.

const { folder, start, ryegate } = commandLine({});

const APP = `import { openSync, closeSync, statSync, rmSync } from 'node:fs';
  export function app(environ, startResponse) {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    closeSync(openSync('made', 'w', 0o666));
    const mode = (statSync('made').mode & 0o777).toString(8);
    rmSync('made');
    return ['RELEASE', process.env.GREETING, process.cwd().split('/').at(-1), mode].join(' ');
  }`;

function release(at: string, name: string, options: object = {}): void {
  const path = join(at, name);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'app.mjs'), APP.replace('RELEASE', name));
  const all = { application: 'app.mjs', workers: 1, bind: '127.0.0.1:0', quiet: true, ...options };
  writeFileSync(join(path, 'ryegate.config.mjs'), `export default ${JSON.stringify(all)};`);
}

const ask = async (url: string): Promise<string> =>
  await (await fetch(url, { headers: { Connection: 'close' } })).text();

describe('a folder that a symbolic link leads to', () => {
  function releases(): { current: string; swap: (name: string) => void } {
    const at = join(folder, `site${Math.random()}`);
    const current = join(at, 'current');
    for (const name of ['first', 'second', 'third']) {
      release(at, name, { env: [`GREETING=of-${name}`] });
    }
    const swap = (name: string): void => {
      rmSync(current, { force: true });
      symlinkSync(name, current);
    };
    swap('first');
    return { current, swap };
  }

  /** As a shell starts it, which knows the name of its folder. */
  function startIn(current: string, ...args: string[]): Program {
    const command = `cd ${current} && exec "$0" "$@"`;
    const env = { ...process.env, GREETING: '', PWD: undefined };
    return start('sh', ['-c', command, process.execPath, main, ...args], { env });
  }

  it('is followed anew by SIGHUP and SIGUSR2, and not before', async () => {
    const { current, swap } = releases();
    const program = startIn(current);
    const url = await program.url();
    expect(await ask(url)).toMatch(/^first of-first first /);
    swap('second');
    // A worker that is replaced meanwhile is of the same release as the others.
    const [, worker] = await program.says(/worker (\d+) serves/);
    process.kill(Number(worker), 'SIGKILL');
    await program.says(/(worker \d+ serves[\s\S]*){2}/);
    expect(await ask(url)).toMatch(/^first of-first first /);
    program.child.kill('SIGHUP');
    await program.says(/reloaded: 1 worker/);
    await until(async () => (await ask(url)).startsWith('second of-second second '), 'it is new');
    swap('third');
    rmSync(join(current, '..', 'first'), { recursive: true });
    program.child.kill('SIGUSR2');
    const [, successor] = await program.says(/process (\d+) is ready/);
    program.child.kill('SIGTERM');
    await until(() => !isAlive(program.child.pid as number), 'the old master has ended');
    expect(await ask(url)).toMatch(/^third of-third third /);
    process.kill(Number(successor), 'SIGTERM');
    expect(await program.exit).toEqual([0, null]);
  });

  it('of --chdir is followed as well', async () => {
    const { current, swap } = releases();
    const env = { GREETING: 'hello' };
    const bind = ['--bind', '127.0.0.1:0', '-w', '1', '-q'];
    const program = ryegate([...bind, '--chdir', current, 'app.mjs'], env);
    const url = await program.url();
    expect(await ask(url)).toMatch(/^first hello first /);
    swap('second');
    program.child.kill('SIGHUP');
    await program.says(/reloaded: 1 worker/);
    await until(async () => (await ask(url)).startsWith('second hello second '), 'it is new');
    expect(await program.stop()).toEqual([0, null]);
  });
});

describe('a reload of what is faulty', () => {
  const good = { env: ['GREETING=hello'], chdir: 'one', umask: '027' };
  const other = { env: ['GREETING=changed', 'MORE=yes'], chdir: 'two', umask: '077' };

  it.each([
    ['settings', { ...other, pidFile: '/missing/folder/pid' }, /SIGHUP: .*no folder/],
    ['an application', { ...other, application: 'missing.mjs' }, /SIGHUP: .*missing\.mjs/],
  ])('%s leaves environment, folder and umask as they were', async (what, options, said) => {
    const at = join(folder, what.replaceAll(' ', '-'));
    for (const name of ['one', 'two']) release(join(at, 'main'), name);
    release(at, 'main', good);
    const program = start(process.execPath, [main], {
      cwd: join(at, 'main'),
      env: { ...process.env, PWD: undefined },
    });
    const url = await program.url();
    expect(await ask(url)).toBe('one hello one 640');
    const own = (): unknown[] => {
      const proc = `/proc/${program.child.pid}`;
      const umask = /^Umask:\s+(\d+)/m.exec(readFileSync(`${proc}/status`, 'utf8'))?.[1];
      return [readlinkSync(`${proc}/cwd`), umask];
    };
    const before = own();
    expect(before).toEqual([expect.stringMatching(/one$/), '0027']);
    release(at, 'main', options);
    program.child.kill('SIGHUP');
    await program.says(said);
    await until(() => isDeepStrictEqual(own(), before), 'it is as it was');
    const [, worker] = await program.says(/worker (\d+) serves/);
    process.kill(Number(worker), 'SIGKILL');
    await program.says(/(worker \d+ serves[\s\S]*){2}/);
    expect(await ask(url)).toBe('one hello one 640');
    release(at, 'main', other);
    program.child.kill('SIGHUP');
    await program.says(/reloaded: 1 worker/);
    await until(async () => (await ask(url)) === 'two changed two 600', 'it is new');
    // What is left out is as it was at the start.
    release(at, 'main', { chdir: 'one' });
    program.child.kill('SIGHUP');
    await program.says(/(reloaded: 1 worker[\s\S]*){2}/);
    const mask = execFileSync('sh', ['-c', 'umask'], { encoding: 'utf8' });
    const mode = (0o666 & ~Number.parseInt(mask, 8)).toString(8);
    await until(async () => (await ask(url)) === `one  one ${mode}`, 'it is new');
    expect(await program.stop()).toEqual([0, null]);
  });
});
