import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HELP } from '../../src/cli/options.ts';
import { commandLine, listenerMaker } from '../support/commandline.ts';
import { main, type Program } from '../support/programs.ts';

const { folder, start, ryegate, serving } = commandLine({
  'app.mjs': `export const app = () => [];\nexport const other = () => [];`,
  'default.mjs': 'export default () => [];',
  'throws.mjs': `throw new Error('first line\\nsecond line');`,
  'throws.cjs': `throw new Error('from CommonJS');`,
  'imports-throwing.mjs': `import './throws.cjs';\nexport const app = () => [];`,
  'rejects.mjs': `await Promise.reject(new Error('rejected'));`,
  'never.mjs': 'await new Promise(() => {});',
  'syntax.mjs': 'export const app = (;',
  'imports-missing.mjs': `import 'not-installed';`,
  'number.mjs': 'export const app = 5;',
  'nothing.mjs': 'export const setting = 5;',
});
const listener = listenerMaker();

/** A program that failed says one line about it and no more. */
async function fails(program: Program, code: number, message: RegExp): Promise<void> {
  expect(await program.exit).toEqual([code, null]);
  expect(program.stderr).toMatch(/^ryegate: [^\n]+\n$/);
  expect(program.stderr).toMatch(message);
  expect(program.stdout).toBe('');
}

describe('usage errors: one line, status 2', () => {
  it.each([
    [['--bnd', ':0'], /unknown option --bnd; did you mean --bind\?/],
    [['-x'], /unknown option -x/],
    [['--bind'], /--bind needs a value/],
    [['--bind', 'example.org:80'], /names are not looked up/],
    [['--bind', '127.0.0.1'], /the port is missing/],
    [['--bind', '127.0.0.1:65536'], /from 0 \(any free one\) to 65535/],
    [['--bind', 'fd://x'], /fd:\/\/3/],
    [['--bind', 'unix:'], /a path must follow/],
    [['--selector', 'iocp'], /choose one of auto, epoll/],
    [['--poll-interval', '0'], /above 0/],
    [['--limit', 'connections'], /write a name, = and a value/],
    [['--limit', 'connections=0'], /connections is 0: give a whole number of connections from 1/],
    [['--limit', 'conections=1'], /unknown limit 'conections': use one of requestLine/],
    [['--timeout', 'head=soon'], /head is 'soon': give a number of seconds from 0\.001/],
    [['--timeout', 'heads=1'], /unknown timeout 'heads': use one of head, body/],
    [['--input-buffering', 'disk'], /choose one of stream, buffer/],
    [['--quiet=yes'], /takes no value/],
    [['app.mjs', 'default.mjs'], /one argument too many/],
  ])('%j', async (args, message) => {
    await fails(ryegate(args), 2, message);
  });
});

describe('failures: one line, status 1', () => {
  it.each([
    ['./missing.mjs', /there is no file .*missing\.mjs/],
    ['missing-package', /no package missing-package is found/],
    ['./throws.mjs', /failed while it was loaded at throws\.mjs:1: Error: first line\n$/],
    ['./throws.cjs', /failed while it was loaded at throws\.cjs:1: Error: from CommonJS\n$/],
    [
      './imports-throwing.mjs',
      /failed while it was loaded at throws\.cjs:1: Error: from CommonJS\n$/,
    ],
    ['./rejects.mjs', /failed while it was loaded at rejects\.mjs:1: Error: rejected\n$/],
    ['./never.mjs', /has not come to the end of its loading, and waits for nothing; see/],
    ['./syntax.mjs', /has a syntax error at syntax\.mjs:1: SyntaxError/],
    ['./imports-missing.mjs', /imports what cannot be found.*not-installed/],
    ['./number.mjs', /its export app is no function but of type number/],
    ['./nothing.mjs', /exports no function app or default/],
    ['./app.mjs:wrong', /exports no function wrong; its functions are app, other/],
  ])('%s', async (target, message) => {
    await fails(serving(target), 1, message);
  });

  it('a taken port', async () => {
    const { port } = await listener();
    const taken = ryegate(['--bind', `127.0.0.1:${port}`]);
    await fails(
      taken,
      1,
      /EADDRINUSE: 127\.0\.0\.1:\d+: another program uses that address: stop it/,
    );
  });

  it('a taken port among others: nothing is served, no socket is left', async () => {
    const { port } = await listener();
    const path = join(folder, 'half.sock');
    const program = ryegate(['--bind', `unix:${path}`, '--bind', `127.0.0.1:${port}`]);
    await fails(program, 1, /EADDRINUSE/);
    expect(existsSync(path)).toBe(false);
  });

  it('an address of no interface', async () => {
    await fails(ryegate(['--bind', '192.0.2.1:0']), 1, /EADDRNOTAVAIL: .*no interface/);
  });

  it('a folder that may not be written to', async () => {
    const locked = join(folder, 'locked');
    mkdirSync(locked);
    chmodSync(locked, 0o555);
    // The superuser may do everything, unless it has no capabilities.
    const drop = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-all'] : ['env'];
    const bind = `unix:${join(locked, 'x.sock')}`;
    const [command = '', ...args] = [...drop, process.execPath, main, '--bind', bind];
    await fails(start(command, args), 1, /EACCES: .*not permitted/);
  });

  it('a folder that is not there', async () => {
    const bind = `unix:${join(folder, 'nowhere', 'x.sock')}`;
    await fails(ryegate(['--bind', bind]), 1, /ENOENT: .*folder of the socket does not exist/);
  });

  it('a descriptor that is no listening socket, or not open', async () => {
    await fails(ryegate(['--bind', 'fd://1']), 1, /descriptor 1 is no listening stream socket/);
    await fails(ryegate(['--bind', 'fd://999']), 1, /descriptor 999 is no listening stream socket/);
  });

  it('a selector that this system lacks', async () => {
    const message = /kqueue is not available on this system: expected one of epoll, poll, select/;
    await fails(serving('--selector', 'kqueue'), 1, message);
  });
});

describe('without an addon', () => {
  const env = { RYEGATE_NATIVE: '/nowhere/ryegate.node' };

  it('says what was tried, without a stack trace, and ends with status 1', async () => {
    const program = ryegate(['--bind', '127.0.0.1:0'], env);
    expect(await program.exit).toEqual([1, null]);
    expect(program.stderr).toMatch(/^ryegate: the native addon could not be loaded\. Tried:\n/);
    expect(program.stderr).toContain('  /nowhere/ryegate.node: not found\n');
    expect(program.stderr).not.toMatch(/^\s+at /m);
  });

  it('still helps', async () => {
    const program = ryegate(['--help'], env);
    expect(await program.exit).toEqual([0, null]);
    expect(program.stdout).toBe(HELP);
  });
});
