import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TABLE } from '../../src/cli/table/table.ts';
import { commandLine, listenerMaker } from '../support/commandline.ts';
import { type Program, root } from '../support/programs.ts';

const { folder, start, ryegate } = commandLine({
  'app.mjs': `setInterval(() => {}, 1000);
    export const app = () => [];`,
  'never.mjs': 'await new Promise(() => {});',
  'hangs.mjs': "console.log('begun'); setInterval(() => {}, 1000); await new Promise(() => {});",
  'pub/file.txt': 'a file',
  'vars.env': 'FROM_FILE=file\nBOTH=file\n',
  'needs-env.mjs': `
    if (process.env.FROM_FILE !== 'file' || process.env.BOTH !== 'option') throw new Error('env');
    export const app = () => [];`,
  'good/ryegate.config.mjs': `export default { application: '../app.mjs', bind: ':0' };`,
  'bad/ryegate.config.mjs': `export default { workers: 1.5, bnd: ':0' };`,
  'syntax/ryegate.config.mjs': 'export default (;',
  'typescript/ryegate.config.ts': 'const bind: string = ":0";\nexport default { bind };',
});
const listener = listenerMaker();

function check(args: readonly string[], env: Record<string, string> = {}): Program {
  return ryegate(['--check-config', ...args], env);
}

async function isGood(program: Program): Promise<void> {
  expect(await program.exit).toEqual([0, null]);
  expect(program.stderr).toBe('');
  expect(program.stdout).toBe('ryegate: configuration ok\n');
}

/** The lines of a check that fails, without `ryegate: `. */
async function faults(program: Program, status: number): Promise<string[]> {
  expect(await program.exit).toEqual([status, null]);
  expect(program.stdout).toBe('');
  expect(program.stderr).toMatch(/^(ryegate: [^\n]+\n)+$/);
  return program.stderr.trimEnd().replaceAll('ryegate: ', '').split('\n');
}

describe('--check-config', () => {
  it('says so when all is well, and ends though the application keeps timers', async () => {
    await isGood(check(['--bind', '127.0.0.1:0', '--static', '/=pub', 'app.mjs']));
  });

  it('finds health paths that do not go together', async () => {
    const paths = ['--health', '--health-path', '/x', '--ready-path', '/x'];
    const [fault] = await faults(check(['--bind', '127.0.0.1:0', ...paths, 'app.mjs']), 1);
    expect(fault).toMatch(/option ready .*another path than that of the option live/);
  });

  it('does not wait for ever for an application', async () => {
    const args = ['-b', '127.0.0.1:0', '--workers', '1', '--worker-timeout'];
    const [late] = await faults(check([...args, '10s', 'never.mjs']), 1);
    expect(late).toMatch(
      /never\.mjs has not come to the end of its loading, and waits for nothing/,
    );
    const hanging = check([...args, '300ms', 'hangs.mjs']);
    expect(await hanging.exit).toEqual([1, null]);
    expect(hanging.stderr).toContain('end of its loading, even after 0.3 seconds');
  });

  it('ends at once by Ctrl-C', async () => {
    const program = check(['-b', '127.0.0.1:0', 'hangs.mjs']);
    await program.says(/begun/, 'stdout');
    expect(await program.stop('SIGINT')).toEqual([null, 'SIGINT']);
  });

  it('takes what the config module and the environment say', async () => {
    await isGood(check(['--chdir', 'good', '-c', 'good/ryegate.config.mjs']));
    await isGood(check([], { RYEGATE_APPLICATION: './app.mjs', RYEGATE_BIND: '127.0.0.1:0' }));
  });

  it('has the environment that the options make', async () => {
    const args = ['-b', '127.0.0.1:0', '--env-file', 'vars.env', '-e', 'BOTH=option'];
    await isGood(check([...args, 'needs-env.mjs'], { BOTH: 'environment' }));
  });

  it('leaves no socket behind', async () => {
    const path = join(folder, 'check.sock');
    const { port, close } = await listener();
    close();
    await isGood(check(['--bind', `unix:${path}`, '--bind', `127.0.0.1:${port}`, 'app.mjs']));
    expect(existsSync(path)).toBe(false);
    const client = connect(port, '127.0.0.1');
    const [error] = await once(client, 'error');
    expect(error.code).toBe('ECONNREFUSED');
  });

  it.each([
    ['port', ['--bind', '127.0.0.1:65536'], /^--bind 127\.0\.0\.1:65536: the port .* to 65535$/],
    [
      'address',
      ['--bind', 'example.org:80'],
      /^--bind example\.org:80: .* names are not looked up/,
    ],
    ['duration', ['--graceful-timeout', '5x'], /^--graceful-timeout 5x: give a duration from 0 to/],
    ['timeout', ['--timeout', 'head=soon'], /^--timeout head=soon: the timeout head is 'soon'/],
    ['option', ['--bnid', ':0'], /^unknown option --bnid; did you mean --bind\?/],
    ['need', ['--listing'], /^--listing needs a folder to list/],
  ])('finds a bad %s: status 2', async (_, args, message) => {
    const free = args.includes('--bind') ? [] : ['--bind', '127.0.0.1:0'];
    expect(await faults(check([...free, ...args, 'app.mjs']), 2)).toEqual([
      expect.stringMatching(message),
    ]);
  });

  it.each([
    ['module', ['./missing.mjs'], /^there is no file .*missing\.mjs/],
    ['folder', ['--static', '/=nowhere'], /^'nowhere' cannot be served/],
    ['folder to start in', ['--chdir', 'nowhere'], /^--chdir nowhere: there is no such folder/],
    ['file of variables', ['--env', 'A=1'], /^RYEGATE_ENV_FILE nowhere: the file cannot be read/],
    ['address', ['--bind', '192.0.2.1:0'], /EADDRNOTAVAIL: .*no interface/],
    ['selector', ['--selector', 'kqueue'], /^kqueue is not available on this system/],
    ['config module', ['-c', 'syntax/ryegate.config.mjs'], /while it was loaded: SyntaxError: /],
  ])('finds a bad %s: status 1', async (what, args, message) => {
    const free = args.includes('--bind') ? [] : ['--bind', '127.0.0.1:0'];
    const env = what === 'file of variables' ? { RYEGATE_ENV_FILE: 'nowhere' } : {};
    expect(await faults(check([...free, ...args], env), 1)).toEqual([
      expect.stringMatching(message),
    ]);
  });

  it('finds a user, a group, files and folders that are not there', async () => {
    const program = check(
      ['-b', '127.0.0.1:0', '-u', 'nobody-of-that-name', '-g', 'no-such-group', '--pid-file=x/y/z'],
      { RYEGATE_ACCESS_LOG: '.', RYEGATE_RELOAD: '1', RYEGATE_RELOAD_DIR: 'app.mjs' },
    );
    await program.exit;
    expect(program.stderr.split('\n')).toEqual(
      expect.arrayContaining([
        expect.stringMatching(
          /^ryegate: --user nobody-of-that-name: there is no user 'nobody-of-that-name'/,
        ),
        expect.stringMatching(/^ryegate: --group no-such-group: there is no group 'no-such-group'/),
        'ryegate: --pid-file x/y/z: there is no folder x/y',
        'ryegate: RYEGATE_ACCESS_LOG .: that is a folder: give a file',
        'ryegate: RYEGATE_RELOAD_DIR app.mjs: that is no folder',
      ]),
    );
  });

  it('finds an address that is taken, or given twice', async () => {
    const { port, close } = await listener();
    const taken = await faults(check(['--bind', `127.0.0.1:${port}`]), 1);
    expect(taken).toEqual([expect.stringMatching(/EADDRINUSE/)]);
    close();
    const twice = ['--bind', `127.0.0.1:${port}`, '--bind', `127.0.0.1:${port}`];
    expect(await faults(check(twice), 1)).toEqual([expect.stringMatching(/EADDRINUSE/)]);
  });

  it('tells every fault, of the options and of the world', async () => {
    const args = [
      '-b',
      ':x',
      '-b',
      '192.0.2.1:0',
      '--static',
      '/=nowhere',
      '-c',
      'bad/ryegate.config.mjs',
    ];
    const lines = await faults(check([...args, './missing.mjs'], { RYEGATE_UMASK: '9' }), 2);
    expect(lines).toEqual([
      "ryegate.config.mjs: unknown key 'bnd'; did you mean bind?",
      expect.stringMatching(/^--bind :x: the port/),
      expect.stringMatching(/^ryegate\.config\.mjs: workers 1\.5: give a whole number/),
      expect.stringMatching(/^RYEGATE_UMASK 9: give octal permission bits/),
      expect.stringMatching(/^there is no file .*missing\.mjs/),
      expect.stringMatching(/^'nowhere' cannot be served/),
      expect.stringMatching(/EADDRNOTAVAIL/),
    ]);
  });

  it('says what it takes where Node cannot load a config module in TypeScript', async () => {
    const program = check(['-c', 'typescript/ryegate.config.ts', 'app.mjs']);
    const [status] = await program.exit;
    if (status === 0) expect(program.stdout).toBe('ryegate: configuration ok\n');
    else
      expect(program.stderr).toMatch(/takes no such file; use \.mjs, or Node 22\.18 for \.ts\n$/);
  });
});

describe('a config module that changes', () => {
  const program = `
    import { writeFileSync } from 'node:fs';
    import { setTimeout as sleep } from 'node:timers/promises';
    import { readSettings } from '${join(root, 'dist/cli/settings.js')}';
    import { TABLE } from '${join(root, 'dist/cli/table/table.js')}';
    const [file, begin] = process.argv.slice(1);
    const sources = { argv: ['-c', file], env: {}, folder: process.cwd(), command: 'ryegate' };
    for (const backlog of [1, 2, 3]) {
      writeFileSync(file, begin + JSON.stringify({ backlog }));
      console.log((await readSettings(TABLE, sources)).values.backlog);
      await sleep(20);
    }`;

  it.each([
    ['changing.mjs', 'export default '],
    ['changing.cjs', 'module.exports = '],
  ])('%s: is loaded anew', async (file, begin) => {
    const args = ['--input-type=module', '-e', program, file, begin];
    const running = start(process.execPath, args, { cwd: folder });
    expect(await running.exit).toEqual([0, null]);
    expect(running.stdout).toBe('1\n2\n3\n');
  });
});

describe('--print-config', () => {
  it('shows every option with its source, and serves nothing', async () => {
    const args = ['--print-config', '-w', '4', '--timeout', 'head=10s', './no-matter.js'];
    const program = ryegate(args, { RYEGATE_LIMIT: 'connections=5' });
    expect(await program.exit).toEqual([0, null]);
    expect(program.stderr).toBe('');
    const lines = program.stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(
      TABLE.options.filter(({ commandLineOnly }) => !commandLineOnly).length,
    );
    expect(lines.filter((line) => !line.endsWith(' default'))).toEqual([
      expect.stringMatching(/^application +\.\/no-matter\.js +command line$/),
      expect.stringMatching(/^limit +connections=5 +RYEGATE_LIMIT$/),
      expect.stringMatching(/^timeout +head=10s +command line$/),
      expect.stringMatching(/^workers +4 +command line$/),
    ]);
  });

  it('goes with --check-config', async () => {
    const program = check(['--print-config', '-b', '127.0.0.1:0', 'app.mjs']);
    expect(await program.exit).toEqual([0, null]);
    expect(program.stdout).toMatch(
      /^bind +127\.0\.0\.1:0 +command line\n[\s\S]*\nryegate: configuration ok\n$/,
    );
  });
});

describe('a start', () => {
  it('warns of unknown variables and goes on', async () => {
    const program = ryegate(['-b', '127.0.0.1:0', 'app.mjs'], { RYEGATE_WROKERS: '4' });
    await program.url();
    expect(program.stderr).toMatch(
      /^ryegate: warning: unknown environment variable RYEGATE_WROKERS; did you mean RYEGATE_WORKERS\?\nryegate: listening on [^\n]+\n$/,
    );
    expect(await program.stop()).toEqual([0, null]);
  });

  it('serves what the config module of the folder says', async () => {
    const config = ['--config', 'good/ryegate.config.mjs', '--chdir', 'good'];
    const program = ryegate(config, { RYEGATE_BIND: '127.0.0.1:0' });
    expect(await program.url()).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]/);
    expect(await program.stop()).toEqual([0, null]);
  });

  it('tells all that is wrong with its options, one line each', async () => {
    const program = ryegate(['--bnd', '--selector', 'iocp'], { RYEGATE_QUIET: 'maybe' });
    expect(await faults(program, 2)).toEqual([
      expect.stringMatching(/^unknown option --bnd; did you mean --bind\?/),
      expect.stringMatching(/^--selector iocp: choose one of/),
      expect.stringMatching(/^RYEGATE_QUIET maybe: give/),
    ]);
  });

  it('ends with status 1 when a folder of its options is not there', async () => {
    const program = ryegate(['-b', '127.0.0.1:0', '--chdir', 'nowhere', 'app.mjs']);
    expect(await faults(program, 1)).toEqual([expect.stringMatching(/^--chdir nowhere: /)]);
  });
});

describe('settings of the listener and of responses', () => {
  it('--socket-mode and --umask decide who may connect', async () => {
    const path = join(folder, 'mode.sock');
    const program = ryegate(['-b', `unix:${path}`, '--socket-mode', '600', 'app.mjs']);
    await program.says(/listening/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await program.stop();
    const masked = ryegate(['-b', `unix:${path}`, '--umask', '077', 'app.mjs']);
    await masked.says(/listening/);
    expect(statSync(path).mode & 0o077).toBe(0);
    await masked.stop();
  });

  it('--reuse-port lets two listen on one address', async () => {
    const first = ryegate(['-b', '127.0.0.1:0', '--reuse-port', '--backlog', '8', 'app.mjs']);
    const { host } = new URL(await first.url());
    const second = ryegate(['-b', host, '--reuse-port', 'app.mjs']);
    expect(await second.url()).toBe(`http://${host}`);
    const refused = ryegate(['-b', host, 'app.mjs']);
    expect(await refused.exit).toEqual([1, null]);
    await first.stop();
    await second.stop();
  });

  it('--keep-alive is told, and --no-server-header leaves the field out', async () => {
    const args = ['-b', '127.0.0.1:0', '--timeout', 'keepAlive=5', '--keep-alive', '2m'];
    const program = ryegate([...args, '--no-server-header']);
    const { headers } = await fetch(await program.url());
    expect(headers.get('keep-alive')).toBe('timeout=120');
    expect(headers.get('server')).toBeNull();
  });
});
