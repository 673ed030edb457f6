import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PidFile, RyegateError } from '../../src/index.ts';
import { type Program, programStarter } from '../support/programs.ts';
import { dist, requireDist } from '../support/servers.ts';

const start = programStarter();
const ours = `${process.pid}\n`;
let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ryegate-pid-'));
  path = join(folder, 'server.pid');
});

afterEach(() => rmSync(folder, { recursive: true }));

/** A process that lives until the end of the test. */
function living(): number {
  return start('sleep', ['60']).child.pid as number;
}

/** One that has ended, and been reaped. */
function dead(): number {
  return spawnSync('true').pid;
}

function refusal(action: () => void): RyegateError {
  try {
    action();
  } catch (error) {
    if (error instanceof RyegateError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

const read = (): string => readFileSync(path, 'utf8');

it('has the number of the process, and leaves nothing else behind', () => {
  const file = new PidFile(path);
  file.create();
  expect(read()).toBe(ours);
  expect(statSync(path).mode & 0o777).toBe(0o644 & ~process.umask());
  expect(readdirSync(folder)).toEqual(['server.pid']);
  expect(file.unlink()).toBe(true);
  expect(readdirSync(folder)).toEqual([]);
  expect(file.unlink()).toBe(false);
});

it('stays where it is when the folder is changed', () => {
  const file = new PidFile(relative(process.cwd(), path));
  expect(file.path).toBe(path);
});

describe('a file that is there', () => {
  it.each([
    ['of a dead process', () => `${dead()}\n`],
    ['without a line end', () => String(dead())],
    ['that is empty', () => ''],
    ['with the number that we have now', () => ours],
  ])('%s is replaced', (_, text) => {
    writeFileSync(path, text());
    new PidFile(path).create();
    expect(read()).toBe(ours);
    expect(readdirSync(folder)).toEqual(['server.pid']);
  });

  it('of a living process is refused', () => {
    const text = `${living()}\n`;
    writeFileSync(path, text);
    const error = refusal(() => new PidFile(path).create());
    expect(error.code).toBe('ERR_RYEGATE_PIDFILE');
    expect(error.message).toContain(`process ${text.trim()} runs`);
    expect(read()).toBe(text);
    expect(readdirSync(folder)).toEqual(['server.pid']);
  });

  it('of a process that is not ours to signal is refused', () => {
    // Process 1 is there, and only root may signal it.
    writeFileSync(path, '1\n');
    expect(refusal(() => new PidFile(path).create()).code).toBe('ERR_RYEGATE_PIDFILE');
  });

  it.each(['export const app = 1;\n', '12x', '0', '-1', '1 2', '99999999999', 'x'.repeat(1000)])(
    'that holds %j is left alone',
    (text) => {
      writeFileSync(path, text);
      const file = new PidFile(path);
      expect(refusal(() => file.create()).message).toContain('something other than the number');
      expect(file.unlink()).toBe(false);
      expect(read()).toBe(text);
    },
  );

  it.each([
    ['a folder', () => mkdirSync(path)],
    ['a FIFO', () => spawnSync('mkfifo', [path])],
    ['a link that leads nowhere', () => spawnSync('ln', ['-s', '/does/not/exist', path])],
  ])('and is %s is refused', (_, make) => {
    make();
    expect(refusal(() => new PidFile(path).create()).message).toContain('no regular file');
    expect(readdirSync(folder)).toEqual(['server.pid']);
  });
});

it('tells why it cannot be made, with the cause', () => {
  const error = refusal(() => new PidFile(join(folder, 'missing', 'server.pid')).create());
  expect(error.code).toBe('ERR_RYEGATE_PIDFILE');
  expect(error.message).toContain('ENOENT');
  expect(error.cause).toHaveProperty('code', 'ENOENT');
});

describe('rename()', () => {
  it('moves it, so that a successor can take the name', () => {
    const file = new PidFile(path);
    file.create();
    file.rename(`${path}.oldbin`);
    expect(readdirSync(folder)).toEqual(['server.pid.oldbin']);
    expect(file.path).toBe(`${path}.oldbin`);
    new PidFile(path).create();
    expect(file.unlink()).toBe(true);
    expect(readdirSync(folder)).toEqual(['server.pid']);
  });

  it('to a name that a living process has keeps the old one', () => {
    const file = new PidFile(path);
    file.create();
    writeFileSync(`${path}.oldbin`, `${living()}\n`);
    expect(refusal(() => file.rename(`${path}.oldbin`)).code).toBe('ERR_RYEGATE_PIDFILE');
    expect(file.path).toBe(path);
    expect(read()).toBe(ours);
  });

  it('to its own name changes nothing', () => {
    const file = new PidFile(path);
    file.create();
    file.rename(path);
    expect(read()).toBe(ours);
  });
});

it('unlink() leaves the file of another process', () => {
  const file = new PidFile(path);
  file.create();
  const text = `${living()}\n`;
  writeFileSync(path, text);
  expect(file.unlink()).toBe(false);
  expect(read()).toBe(text);
});

it('is had by one of many that find a stale one at the same time', async () => {
  requireDist();
  writeFileSync(path, `${dead()}\n`);
  const script = `
    import { readFileSync } from 'node:fs';
    import { PidFile } from '${dist}';
    // All have started when this comes to its end, and all go on at once.
    process.stdout.write('started\\n');
    readFileSync(0);
    for (let i = 0; i < 20; i++) {
      try {
        new PidFile(process.argv[1]).create();
        process.stdout.write('mine\\n');
        break;
      } catch (error) {
        if (error.code !== 'ERR_RYEGATE_PIDFILE' || !/runs/.test(error.message)) throw error;
      }
    }
    process.stdout.write('done\\n');
    setInterval(() => {}, 1000);`;
  const programs = Array.from({ length: 6 }, () =>
    start(process.execPath, ['--input-type=module', '--eval', script, path]),
  );
  const all = (pattern: RegExp): Promise<unknown> =>
    Promise.all(programs.map((program: Program) => program.says(pattern, 'stdout')));
  await all(/started\n/);
  for (const { child } of programs) child.stdin?.end();
  await all(/done\n/);
  const winners = programs.filter(({ stdout }) => stdout.includes('mine'));
  expect(winners).toHaveLength(1);
  expect(read()).toBe(`${winners[0]?.child.pid}\n`);
  expect(existsSync(`${path}.${winners[0]?.child.pid}`)).toBe(false);
  expect(readdirSync(folder)).toEqual(['server.pid']);
});
