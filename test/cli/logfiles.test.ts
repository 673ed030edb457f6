import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FileOwner } from '../../src/io/fileowner.ts';
import { LogFile } from '../../src/logging/logfile.ts';
import { giveSocket } from '../../src/supervisor/privileges.ts';
import { commandLine } from '../support/commandline.ts';

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('not run as root: the tests of log files that root opens are skipped');

const USER = 54321;
const GROUP = 54322;
const OWNER: FileOwner = { uid: USER, gid: GROUP };

const { folder, ryegate } = commandLine({
  'app.mjs': `export function app(environ, startResponse) {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return 'served';
  }`,
});

/** The user's own folder, with a file of root beside it. */
let logs: string;
let secret: string;

beforeEach(() => {
  if (!isRoot) return;
  const place = mkdtempSync(join(tmpdir(), 'ryegate-owned-'));
  chmodSync(place, 0o755);
  chmodSync(folder, 0o755);
  logs = join(place, 'logs');
  mkdirSync(logs);
  chownSync(logs, USER, GROUP);
  secret = join(place, 'secret');
  writeFileSync(secret, 'of root\n', { mode: 0o600 });
});

afterEach(() => {
  if (isRoot) rmSync(join(logs, '..'), { recursive: true, force: true });
});

function expectUntouched(): void {
  expect(readFileSync(secret, 'utf8')).toBe('of root\n');
  const { uid, gid, mode } = statSync(secret);
  expect({ uid, gid, mode: mode & 0o7777 }).toEqual({ uid: 0, gid: 0, mode: 0o600 });
}

describe.skipIf(!isRoot)('a log file that root opens for a user', () => {
  async function open(path: string, owner = OWNER): Promise<void> {
    const log = new LogFile(path, {}, owner);
    log.write('line\n');
    await log.close();
  }

  it('is made for the user, who has it from then on', async () => {
    const path = join(logs, 'a.log');
    await open(path);
    await open(path);
    expect(readFileSync(path, 'utf8')).toBe('line\nline\n');
    expect(statSync(path)).toMatchObject({ uid: USER, gid: GROUP });
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  it('is made for a group alone', async () => {
    const path = join(logs, 'a.log');
    await open(path, { uid: null, gid: GROUP });
    await open(path, { uid: null, gid: GROUP });
    expect(statSync(path)).toMatchObject({ uid: 0, gid: GROUP });
    await expect(open(path)).rejects.toThrow(`it belongs to user 0 and group ${GROUP}, not to`);
  });

  it.each<[string, (path: string) => void, RegExp]>([
    ['a symbolic link', (path) => symlinkSync(secret, path), /ELOOP.*: remove it, and/],
    [
      'one that leads nowhere',
      (path) => symlinkSync(`${secret}2`, path),
      /ELOOP.*: remove it, and/,
    ],
    ['a hard link', (path) => linkSync(secret, path), /hard links\): remove it/],
    ['a file of another', (path) => writeFileSync(path, ''), /user 0 and group 0, not to user 54/],
    ['a folder', (path) => mkdirSync(path), /EISDIR/],
  ])('is not %s', async (_what, make, message) => {
    const path = join(logs, 'a.log');
    make(path);
    const opened = open(path);
    await expect(opened).rejects.toMatchObject({ code: 'ERR_RYEGATE_LOG_FILE' });
    await expect(opened).rejects.toThrow(message);
    expectUntouched();
    expect(() => statSync(`${secret}2`)).toThrow('ENOENT');
  });

  it('is no device', async () => {
    await expect(open('/dev/null')).rejects.toThrow('it is no regular file): remove it');
    expect(statSync('/dev/null').uid).toBe(0);
  });
});

it.skipIf(!isRoot)('gives a user no socket file that has become something else', () => {
  const path = join(logs, 'a.sock');
  const given = (): void => giveSocket(path, { user: USER, group: GROUP });
  symlinkSync(secret, path);
  expect(given).toThrow(expect.objectContaining({ code: 'ERR_RYEGATE_PRIVILEGES' }));
  rmSync(path);
  linkSync(secret, path);
  expect(given).toThrow('is no longer the socket that was bound');
  expectUntouched();
});

it.skipIf(!isRoot)(
  'keeps its log when the user puts a symbolic link there before USR1',
  async () => {
    const access = join(logs, 'access.log');
    const accounts = ['--user', `${USER}`, '--group', `${GROUP}`];
    const socket = join(logs, 'a.sock');
    const program = ryegate([
      ...['--bind', '127.0.0.1:0', '--bind', `unix:${socket}`, '--workers', '1', ...accounts],
      ...['--access-log', access, '--access-log-format', '%(m)s %(U)s', 'app.mjs'],
    ]);
    const url = await program.url();
    const ask = async (path: string): Promise<string> => (await fetch(url + path)).text();
    expect(await ask('/one')).toBe('served');
    expect(statSync(access)).toMatchObject({ uid: USER, gid: GROUP });
    expect(statSync(socket)).toMatchObject({ uid: USER, gid: GROUP });
    renameSync(access, `${access}.1`);
    symlinkSync(secret, access);
    program.child.kill('SIGUSR1');
    await program.says(/the log file \S+access\.log' cannot be opened \(ELOOP/);
    expect(await ask('/two')).toBe('served');
    const old = (): string => readFileSync(`${access}.1`, 'utf8');
    await expect.poll(old, { timeout: 10_000 }).toBe('GET /one\nGET /two\n');
    expectUntouched();
    expect(await program.stop()).toEqual([0, null]);
  },
);
