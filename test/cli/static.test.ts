import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandLine } from '../support/commandline.ts';
import { main, type Program } from '../support/programs.ts';
import { straceIsMissing } from '../support/strace.ts';

const { folder, ryegate, serving, start } = commandLine({
  'one/file.txt': 'file of one',
  'one/both.txt': 'both of one',
  'one/deep/index.html': 'index of one',
  'two/both.txt': 'both of two',
  'two/other.txt': 'other of two',
  'two/list/x': 'x',
  'a=b/file.txt': 'file of a=b',
  'app.mjs': `export const app = ({ PATH_INFO }, startResponse) => {
      startResponse('200 OK', [['Content-Type', 'text/plain']]);
      return ['app ' + PATH_INFO];
    };`,
  'large/file.bin': 'l'.repeat(300_000),
});

async function answers(program: Program, targets: string[]): Promise<string[]> {
  const url = await program.url();
  const found: string[] = [];
  for (const target of targets) {
    const response = await fetch(url + target, { redirect: 'manual' });
    const { status } = response;
    const body = await response.text();
    found.push(
      status === 200 ? body : `${status} ${response.headers.get('location') ?? ''}`.trim(),
    );
  }
  return found;
}

describe('--static', () => {
  it('serves a folder, and nothing else without MODULE', async () => {
    const program = serving('--quiet', '--static', '/=one');
    const targets = ['/file.txt', '/deep/', '/deep', '/', '/missing', '/app.mjs', '/../app.mjs'];
    expect(await answers(program, targets)).toEqual([
      'file of one',
      'index of one',
      '301 /deep/',
      '404',
      '404',
      '404',
      '404',
    ]);
    expect(await program.stop()).toEqual([0, null]);
  });

  it('comes before the application, which has the rest', async () => {
    const program = serving('--quiet', '--static', '/assets=one', 'app.mjs');
    const targets = ['/assets/file.txt', '/assets/missing', '/file.txt', '/', '/assets'];
    expect(await answers(program, targets)).toEqual([
      'file of one',
      'app /assets/missing',
      'app /file.txt',
      'app /',
      'app /assets',
    ]);
    const posted = await fetch(`${await program.url()}/assets/file.txt`, { method: 'POST' });
    expect(await posted.text()).toBe('app /assets/file.txt');
  });

  it('may be repeated: the first folder in which something is found counts', async () => {
    const program = serving('--quiet', '--static', '/=one', '--static=/=two', '--static', '/p=two');
    const targets = ['/file.txt', '/both.txt', '/other.txt', '/p/both.txt', '/p/file.txt'];
    expect(await answers(program, targets)).toEqual([
      'file of one',
      'both of one',
      'other of two',
      'both of two',
      '404',
    ]);
    const reversed = serving('--quiet', '--static', '/=two', '--static', '/=one', 'app.mjs');
    expect(await answers(reversed, ['/both.txt', '/file.txt', '/none'])).toEqual([
      'both of two',
      'file of one',
      'app /none',
    ]);
  });

  it('takes a folder with = in its name, and one by its absolute path', async () => {
    const program = serving('--static', '/a=a=b', '--static', `/two=${join(folder, 'two')}`);
    expect(await answers(program, ['/a/file.txt', '/two/other.txt'])).toEqual([
      'file of a=b',
      'other of two',
    ]);
  });

  it('shows what is changed after at most a second', async () => {
    const path = join(folder, 'two/changed.txt');
    writeFileSync(path, 'before');
    const program = serving('--quiet', '--static', '/=two');
    expect(await answers(program, ['/changed.txt'])).toEqual(['before']);
    writeFileSync(path, 'after');
    await expect
      .poll(() => answers(program, ['/changed.txt']), { timeout: 5000 })
      .toEqual(['after']);
  });

  it('logs the bytes of a file', async () => {
    const program = serving('--static', '/=one');
    await answers(program, ['/file.txt']);
    await program.says(/"GET \/file\.txt HTTP\/1\.1" 200 11\n/);
  });
});

describe('--listing', () => {
  it('lists the folders that have no index file', async () => {
    const program = serving('--quiet', '--static', '/=two', '--static', '/one=one', '--listing');
    const [root, list, deep] = await answers(program, ['/', '/list/', '/one/deep/']);
    expect(root).toMatch(/<h1>Index of \/<\/h1>[\s\S]*both\.txt[\s\S]*other\.txt/);
    expect(list).toContain('Index of /list/');
    expect(deep).toBe('index of one');
  });
});

describe.skipIf(straceIsMissing())('--no-sendfile', () => {
  it.each([
    ['', ['--static', '/=large']],
    ['not', ['--no-sendfile', '--static', '/=large']],
  ])('large files are %s sent by sendfile(2)', async (not, args) => {
    const trace = join(folder, `trace${not}`);
    const all = ['--bind', '127.0.0.1:0', '--quiet', ...args];
    const strace = ['-f', '-o', trace, '-e', 'trace=sendfile,exit_group', process.execPath, main];
    const program = start('strace', [...strace, ...all], { cwd: folder });
    expect(await answers(program, ['/file.bin'])).toEqual(['l'.repeat(300_000)]);
    const children = readFileSync(`/proc/${program.child.pid}/task/${program.child.pid}/children`);
    // strace passes the signal on only when it is sent to the program it runs.
    for (const pid of `${children}`.trim().split(' ').filter(Boolean)) process.kill(Number(pid));
    expect(await program.exit).toEqual([0, null]);
    const lines = readFileSync(trace, 'utf8').split('\n');
    expect(lines.some((line) => line.includes('exit_group('))).toBe(true);
    expect(lines.some((line) => line.includes('sendfile('))).toBe(not === '');
  });
});

describe('a folder that cannot be served: one line, status 1', () => {
  it.each([
    ['missing', ['--static', '/=missing']],
    ['app.mjs', ['--static', '/=app.mjs']],
    ['missing', ['--static', '/=one', '--static', '/x=missing', 'app.mjs']],
  ])('%s', async (name, args) => {
    const program = ryegate(['--bind', '127.0.0.1:0', ...args]);
    expect(await program.exit).toEqual([1, null]);
    expect(program.stderr).toBe(
      `ryegate: '${name}' cannot be served: give a folder that exists and may be entered\n`,
    );
    expect(program.stdout).toBe('');
  });
});
