import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/cli/configerror.ts';
import type { Environment } from '../../src/cli/environment.ts';
import { renderConfig } from '../../src/cli/printconfig.ts';
import { readSettings, type Settings } from '../../src/cli/settings.ts';
import { type Options, TABLE } from '../../src/cli/table/table.ts';
import { UsageError } from '../../src/cli/usageerror.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ryegate-sources-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function read(
  argv: readonly string[],
  env: Environment = {},
): Promise<Settings<Options> & { messages: string[] }> {
  const settings = await readSettings(TABLE, { argv, env, folder, command: 'ryegate' });
  return { ...settings, messages: settings.faults.map(({ message }) => message) };
}

/** What a config module with that default export makes of it. */
async function withModule(config: string): Promise<Awaited<ReturnType<typeof read>>> {
  write('ryegate.config.mjs', `export default ${config};`);
  return await read([]);
}

describe('what counts most', () => {
  it('is the command line, then the environment, then the config module', async () => {
    write('ryegate.config.mjs', `export default { selector: 'poll', backlog: 1, workers: 1 };`);
    const env = { RYEGATE_SELECTOR: 'epoll', RYEGATE_BACKLOG: '2' };
    const { values, messages } = await read(['--selector', 'select'], env);
    expect(messages).toEqual([]);
    expect(values).toMatchObject({ selector: 'select', backlog: 2, workers: 1, threads: 0 });
  });

  it('replaces lists as a whole', async () => {
    write('ryegate.config.mjs', `export default { bind: [':1', ':2'] };`);
    const { values } = await read(['--bind', ':3'], { RYEGATE_BIND: ':4,:5' });
    expect(values.bind).toEqual([{ kind: 'inet', host: '', port: 3 }]);
  });

  it('is decided for each name of limits, timeouts and variables', async () => {
    write('ryegate.config.mjs', `export default { limits: { connections: 1, headerCount: 9 } };`);
    const env = { RYEGATE_LIMIT: 'connections=2, requestLine=99' };
    const { values } = await read(['--limit', 'connections=3'], env);
    expect(values.limits).toEqual({ connections: 3, headerCount: 9, requestLine: 99 });
  });

  it('can be switched off as well as on', async () => {
    write('ryegate.config.mjs', 'export default { sendfile: false, quiet: true };');
    const env = { RYEGATE_QUIET: 'off', RYEGATE_SENDFILE: '0' };
    expect((await read(['--sendfile'], env)).values).toMatchObject({
      sendfile: true,
      quiet: false,
    });
  });

  it('may leave unused what a config module says for workers', async () => {
    write('ryegate.config.mjs', 'export default { workers: 4, maxRequests: 100, preload: true };');
    expect((await read(['--workers', '0'])).messages).toEqual([]);
  });

  it('says nothing of what a value is that another one replaces', async () => {
    const { messages } = await read(['--selector', 'poll'], { RYEGATE_SELECTOR: 'iocp' });
    expect(messages).toEqual([]);
  });
});

describe('the environment', () => {
  it('counts for nothing where it is empty', async () => {
    const { values, messages, warnings } = await read([], { RYEGATE_BIND: '', RYEGATE_QUIET: '' });
    expect([messages, warnings, values.quiet, values.bind.length]).toEqual([[], [], false, 1]);
  });

  it.each([
    ['1', true],
    ['true', true],
    ['Yes', true],
    ['ON', true],
    ['0', false],
    ['false', false],
    ['no', false],
    ['off', false],
  ])('takes %s for a flag', async (text, expected) => {
    expect((await read([], { RYEGATE_LISTING: text, RYEGATE_STATIC: '/=.' })).values.listing).toBe(
      expected,
    );
  });

  it('names the variable in errors, all of them', async () => {
    const env = { RYEGATE_BIND: ':1, nonsense ,:2', RYEGATE_QUIET: 'maybe', RYEGATE_WORKERS: 'x' };
    const { messages, faults } = await read([], env);
    expect(messages).toEqual([
      expect.stringMatching(/^RYEGATE_BIND nonsense: the port is missing/),
      'RYEGATE_WORKERS x: give a whole number of workers from 0 to 1024',
      'RYEGATE_QUIET maybe: give true, 1, yes, on or false, 0, no, off',
    ]);
    expect(faults.every((fault) => fault instanceof UsageError)).toBe(true);
  });

  it.each([
    ['RYEGATE_WROKERS', 'did you mean RYEGATE_WORKERS?'],
    ['RYEGATE_BIN', 'did you mean RYEGATE_BIND?'],
    ['RYEGATE_NATIV', 'did you mean RYEGATE_NATIVE?'],
    ['RYEGATE_FROBNICATE', 'no option has that name'],
    ['RYEGATE_HELP', 'no option has that name'],
  ])('%s is unknown, which is worth a warning', async (variable, hint) => {
    const { warnings, messages } = await read([], { [variable]: '1' });
    expect(warnings).toEqual([`unknown environment variable ${variable}; ${hint}`]);
    expect(messages).toEqual([]);
  });

  it.each([
    'RYEGATE_NATIVE',
    'RYEGATE_PORT',
    'RYEGATE_PORT_80_TCP_ADDR',
    'RYEGATE_SERVICE_HOST',
    'PORT',
    'ryegate_bind',
  ])('%s is none of its business', async (variable) => {
    const { warnings, messages } = await read([], { [variable]: 'tcp://10.0.0.1:80' });
    expect([...warnings, ...messages]).toEqual([]);
  });

  it('has what the files of --env-file add to it', async () => {
    write('one.env', 'RYEGATE_BACKLOG=1\nRYEGATE_SELECTOR=poll\n');
    write('two.env', '# of two\nRYEGATE_BACKLOG="2"\n');
    const argv = ['--env-file', 'one.env', '--env-file=two.env'];
    const { values } = await read(argv, { RYEGATE_SELECTOR: 'select' });
    expect(values).toMatchObject({ backlog: 2, selector: 'select' });
  });
});

describe('the config module', () => {
  it('may be a function, async as well, and a CommonJS module', async () => {
    expect((await withModule('() => ({ backlog: 3 })')).values.backlog).toBe(3);
    rmSync(join(folder, 'ryegate.config.mjs'));
    write('ryegate.config.cjs', 'module.exports = async () => ({ backlog: 4 });');
    expect((await read([])).values.backlog).toBe(4);
  });

  it('takes numbers, lists and objects as JavaScript writes them', async () => {
    const { values, messages } = await withModule(`{
      umask: 0o027, socketMode: 0o660, pollInterval: 0.25, maxRss: 2 ** 30, workers: 2, user: 33,
      bind: '127.0.0.1:80', static: { '/a': 'one', '/b': 'two' }, env: { N: 5, S: 'a,b' },
      timeouts: { head: 10, body: '1m', handler: Infinity }, limits: { underscoreHeaders: 'refuse' },
      quiet: undefined, chdir: null,
    }`);
    expect(messages).toEqual([]);
    expect(values).toMatchObject({
      umask: 0o27,
      socketMode: 0o660,
      pollInterval: 0.25,
      maxRss: 2 ** 30,
      user: '33',
      bind: [{ kind: 'inet', host: '127.0.0.1', port: 80 }],
      static: [
        { prefix: '/a', folder: 'one' },
        { prefix: '/b', folder: 'two' },
      ],
      env: { N: '5', S: 'a,b' },
      timeouts: { head: 10, body: 60, handler: Infinity },
      limits: { underscoreHeaders: 'refuse' },
      quiet: false,
      chdir: null,
    });
  });

  it.each([
    ['{ aplication: 1 }', "unknown key 'aplication'; did you mean application?"],
    ["{ 'poll-interval': 1 }", "unknown key 'poll-interval'; did you mean pollInterval?"],
    ['{ limit: {} }', "unknown key 'limit'; did you mean limits?"],
    ['{ help: true }', "unknown key 'help'; no option has that name"],
    ["{ config: 'x' }", "unknown key 'config'; no option has that name"],
    ["{ quiet: 'yes' }", "quiet is 'yes': give true or false"],
    ["{ selector: ['poll'] }", 'selector is an object: give a string or a number'],
    ['{ bind: 80 }', 'bind 80: is that a port?'],
    ['{ bind: [{}] }', 'bind is an object: give a string, or an array of strings'],
    ['{ bind: { a: 1 } }', 'bind is an object: give a string, or an array of strings'],
    ['{ static: { a: {} } }', 'static is an object: give a string, or an array of strings, or an'],
    ['{ limits: () => 1 }', 'limits is a function: give an object of strings and numbers by name'],
    ['{ limits: { conections: 5 } }', "limits conections=5: unknown limit 'conections': use one"],
    ['{ timeouts: { head: -1 } }', "timeouts head=-1: the timeout head is '-1': give a number"],
    ['{ umask: 0o7777 }', 'umask 0o7777: give octal permission bits'],
    ['{ workers: 1.5 }', 'workers 1.5: give a whole number'],
    ['{ pollInterval: 0 }', 'pollInterval 0: give a duration above 0'],
  ])('%s', async (config, message) => {
    const { messages, faults } = await withModule(config);
    expect(messages).toEqual([expect.stringContaining(`ryegate.config.mjs: ${message}`)]);
    expect(faults[0]).toBeInstanceOf(UsageError);
  });

  it.each([
    ["throw new Error('of the module\\nand more')", /failed while it was loaded: Error: of the/],
    ["export default () => { throw new TypeError('called') }", /loaded: TypeError: called$/],
    ["import 'not-installed-at-all'", /loaded: Error: Cannot find package 'not-installed-at-all'/],
    ['export default 5', /^x\.mjs gives 5: export an object of options, or a function/],
    ['export default [1]', /^x\.mjs gives an object: export an object of options/],
    ['export const bind = 5', /^x\.mjs gives nothing: export an object of options/],
  ])('%s: cannot be taken', async (source, message) => {
    write('x.mjs', source);
    const { messages, faults } = await read(['--config', 'x.mjs']);
    expect(messages).toEqual([expect.stringMatching(message)]);
    expect(messages[0]).not.toContain('\n');
    expect(faults[0]).toBeInstanceOf(ConfigError);
    expect((faults[0] as ConfigError).code).toBe('ERR_RYEGATE_CONFIG');
  });

  it('has to be there when it is asked for', async () => {
    expect((await read(['-c', 'x.mjs'])).messages).toEqual([
      `there is no config module ${join(folder, 'x.mjs')}`,
    ]);
    expect((await read(['-c', '.'])).messages).toEqual([
      `${folder} is no file: give the config module itself`,
    ]);
  });

  it('is the first of those in the folder, another one, or none', async () => {
    write('ryegate.config.mjs', 'export default { backlog: 1 };');
    write('ryegate.config.cjs', 'module.exports = { backlog: 2 };');
    write('other.mjs', 'export default { backlog: 3 };');
    expect((await read([])).values.backlog).toBe(1);
    expect((await read(['-c', 'other.mjs'])).values.backlog).toBe(3);
    expect((await read([], { RYEGATE_CONFIG: 'other.mjs' })).values.backlog).toBe(3);
    expect((await read(['--no-config'])).values.backlog).toBe(1024);
    expect((await read([], { RYEGATE_NO_CONFIG: '1' })).values.backlog).toBe(1024);
    const insisting = await read(['-c', 'other.mjs'], { RYEGATE_NO_CONFIG: '1' });
    expect(insisting.values.backlog).toBe(3);
  });

  it('is not loaded for the help', async () => {
    write('ryegate.config.mjs', "throw new Error('not to be loaded');");
    const { messages, values } = await read(['--help']);
    expect([messages, values.help]).toEqual([[], true]);
  });
});

it('all faults are told, of every source', async () => {
  write('ryegate.config.mjs', 'export default { backlog: 0, wrong: 1 };');
  const argv = ['--bnd', ':80', '--selector', 'iocp', '--listing'];
  const { messages } = await read(argv, { RYEGATE_UMASK: '9' });
  expect(messages.map((message) => message.split(/[:;]/)[0])).toEqual([
    'unknown option --bnd',
    'ryegate.config.mjs',
    'ryegate.config.mjs',
    '--selector iocp',
    'RYEGATE_UMASK 9',
    '--listing needs a folder to list',
  ]);
});

it('the effective values are shown with their sources, variables without their values', async () => {
  write('ryegate.config.mjs', 'export default { limits: { connections: 1, headerCount: 9 } };');
  const argv = ['-b', ':80', '-b', ':81', '-e', 'TOKEN=geheim', '--limit', 'headerCount=8', '-w2'];
  const settings = await read([...argv, '-w3', 'app.js'], { RYEGATE_QUIET: 'yes' });
  const lines = renderConfig(TABLE, settings).split('\n');
  expect(lines.filter((line) => !line.endsWith('default'))).toEqual([
    'bind                 :80                command line',
    '                     :81                command line',
    'application          app.js             command line',
    'env                  TOKEN=(not shown)  command line',
    'limit                connections=1      ryegate.config.mjs',
    '                     headerCount=8      command line',
    'workers              3                  command line',
    'quiet                yes                RYEGATE_QUIET',
    '',
  ]);
  expect(lines).toContain('poll-interval        500ms              default');
  expect(lines).toContain('user                 (none)             default');
});

describe('a secret', () => {
  it.each([
    [['--env', '1X=secret']],
    [['--env=secret']],
    [['-e1X=secret']],
    [['--env', 'A=1', 'B=secret', 'app.mjs']],
    [['app.mjs', 'B=secret']],
    [['--evn', 'A=secret']],
    [['--evn=A=secret']],
    [['-E', 'A=secret']],
    [['-EA=secret']],
    [['-EA', 'secret']],
    [['--no-env=A=secret']],
  ])('is in no message about %j', async (argv) => {
    const { messages } = await read(argv);
    expect(messages).toHaveLength(1);
    expect(messages[0]).not.toMatch(/secret|ecret/);
  });

  it.each([
    `{ env: 'secret' }`,
    `{ env: { '1x': 'secret' } }`,
    `{ env: ['1X=secret'] }`,
    `{ env: { X: 'secret\\0' } }`,
    `{ env: { X: ['secret'] } }`,
    `{ Env: { X: 'secret' } }`,
  ])('is in no message about a module that gives %s', async (config) => {
    const { messages } = await withModule(config);
    expect(messages).toHaveLength(1);
    expect(messages[0]).not.toContain('secret');
  });

  it('is in no message about a variable', async () => {
    const { messages } = await read([], { RYEGATE_ENV: 'A=sec,ret' });
    expect(messages).toEqual(['RYEGATE_ENV: write a name, = and a value, such as TZ=UTC']);
  });
});
