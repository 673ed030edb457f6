import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cleanEnvironment, type Program, programStarter, root } from '../support/programs.ts';

/** Installing and compiling take a while on a slow machine. */
const MINUTES = 60_000;

/** The sources as git would hand them out: neither installed nor built. */
describe('a fresh copy of the sources', () => {
  const start = programStarter();
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ryegate-fresh-'));
    const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
    const files = execFileSync('git', list, { cwd: root, encoding: 'utf8' }).split('\0');
    for (const file of files) {
      // One that was removed is still in the index.
      if (file === '' || !existsSync(join(root, file))) continue;
      cpSync(join(root, file), join(folder, file));
    }
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function npm(...args: string[]): Program {
    // What npm tells its scripts is not for another npm; what npm itself is told is.
    const told = /^npm_(?!config_)|^npm_config_local_prefix$/;
    const env = Object.fromEntries(
      Object.entries(cleanEnvironment()).filter(([name]) => !told.test(name)),
    );
    return start('npm', args, { cwd: folder, env });
  }

  async function url(program: Program): Promise<string> {
    try {
      const line = /listening on (http:\S+)/;
      return (await program.says(line, 'stderr', 5 * MINUTES))[1] as string;
    } catch (error) {
      const hint = 'npm start has to reach the package registry, or find all in its cache';
      throw new Error(`${(error as Error).message}\n${hint}`);
    }
  }

  it('has no packages and no build', () => {
    for (const name of ['node_modules', 'build', 'dist']) {
      expect(existsSync(join(folder, name))).toBe(false);
    }
  });

  it('npm start installs, builds and serves the demo application', {
    timeout: 6 * MINUTES,
  }, async () => {
    const program = npm('start', '--', '--bind', '127.0.0.1:0');
    const target = `${await url(program)}/x?y=1`;
    const answer = spawnSync('curl', ['-sSi', '--max-time', '10', target], { encoding: 'utf8' });
    expect(answer.stdout).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    const [, body = ''] = answer.stdout.split('\r\n\r\n');
    const [greeting, empty, ...lines] = body.trimEnd().split('\n');
    expect([greeting, empty]).toEqual(['Hello world!', '']);
    const keys = lines.map((line) => line.split(' = ')[0]);
    expect(keys).toEqual([...keys].sort());
    expect(lines).toEqual(
      expect.arrayContaining([
        "PATH_INFO = '/x'",
        "QUERY_STRING = 'y=1'",
        "REQUEST_METHOD = 'GET'",
        `HTTP_HOST = '${new URL(target).host}'`,
      ]),
    );
    expect(await program.stop()).toEqual([0, null]);
  });

  it('npm start makes nothing again when nothing has changed', { timeout: MINUTES }, async () => {
    const program = npm('start', '--', '--bind', '127.0.0.1:0', '--quiet');
    await url(program);
    expect(program.stderr).not.toMatch(/installing|building/);
    expect(await program.stop('SIGINT')).toEqual([0, null]);
  });

  it('npm test builds what it needs and runs the tests', { timeout: 6 * MINUTES }, async () => {
    const program = npm('test', '--', 'test/http/date.test.ts', 'test/selectors/choice.test.ts');
    const [status] = await program.exit;
    const output = stripVTControlCharacters(program.stdout);
    // The selectors run on kqueue too.
    expect(output, program.stderr).toMatch(/Test Files .*\b3 passed/);
    expect(status).toBe(0);
  });
});
