import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { descriptorsOf, isAlive, supervisorStarter, until } from '../support/supervised.ts';

const { start, launch, folder } = supervisorStarter();

const pidIn = (path: string): number => Number(readFileSync(path, 'utf8'));

describe('USR2', () => {
  it('hands over a unix socket and the name of the pid file', async () => {
    const path = join(folder(), 'socket');
    const pidfile = join(folder(), 'pid');
    const supervised = await start({ bind: [path], pidfile });
    expect(pidIn(pidfile)).toBe(supervised.pid);
    supervised.signal('SIGUSR2');
    await supervised.says(' serves\n', 2);
    const [successor = 0] = supervised.successors;
    expect(pidIn(pidfile)).toBe(successor);
    expect(pidIn(`${pidfile}.oldbin`)).toBe(supervised.pid);
    expect(await supervised.end()).toBe(0);
    expect(existsSync(`${pidfile}.oldbin`)).toBe(false);
    expect(existsSync(path)).toBe(true);
    const load = supervised.load({ clients: 2, rate: 100 });
    await load.until(10);
    await load.stop();
    expect(load.failures).toEqual([]);
    process.kill(successor, 'SIGTERM');
    await until(() => !isAlive(successor), 'the new master has ended');
    expect(existsSync(path)).toBe(false);
    expect(existsSync(pidfile)).toBe(false);
  });

  it('of a program that does not start any more leaves the old one as it was', async () => {
    const path = join(folder(), 'socket');
    const pidfile = join(folder(), 'pid');
    const supervised = await start({ bind: [path], pidfile });
    const { workers } = supervised;
    supervised.reconfigure({ application: './missing.mjs' });
    supervised.signal('SIGUSR2');
    await supervised.says('which was to take over, ended with status 3');
    expect(supervised.workers).toEqual(workers);
    await until(
      () => existsSync(pidfile) && pidIn(pidfile) === supervised.pid,
      'the pid file is its own again',
    );
    expect(existsSync(path)).toBe(true);
    supervised.reconfigure({ application: './app.mjs' });
    supervised.signal('SIGUSR2');
    await supervised.says(' serves\n', 2);
    expect(await supervised.end()).toBe(0);
  });

  it('again while another master is there is refused', async () => {
    const supervised = await start();
    supervised.signal('SIGUSR2');
    await supervised.says(' serves\n', 2);
    supervised.signal('SIGUSR2');
    await supervised.says('takes over already');
    expect(supervised.successors.length).toBe(2);
    expect(new Set(supervised.successors).size).toBe(1);
  });
});

it('a pid file of a process that lives is not replaced', async () => {
  const pidfile = join(folder(), 'pid');
  const first = await start({ pidfile });
  const second = launch({ pidfile });
  expect(await second.ended()).toBe(1);
  expect(second.said).toMatch(new RegExp(`process ${first.pid} runs`));
  expect(pidIn(pidfile)).toBe(first.pid);
});

it('a worker has no descriptors but those of its own', async () => {
  const supervised = await start({ workers: 3 });
  const counts = (): number[] => supervised.workers.map(descriptorsOf);
  // The last one was started when the supervisor had those of the others open.
  await until(
    () => counts().at(0) === counts().at(2),
    () => `the first and the last have as many, not ${counts()}`,
  );
});

const notRoot = process.getuid?.() !== 0;
if (notRoot) console.warn('not run: giving up the rights of root, as these tests are not root');

it.skipIf(notRoot)('workers give up the rights of root, the supervisor does not', async () => {
  const path = join(folder(), 'socket');
  const supervised = await start({ bind: [['127.0.0.1', 0], path], user: 65534, group: 65534 });
  const owner = (pid: number): string | undefined =>
    /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  expect(supervised.workers.map(owner)).toEqual(['65534']);
  expect(owner(supervised.pid)).toBe('0');
  expect(Number(await supervised.ask())).toBeGreaterThan(0);
  expect(await supervised.end()).toBe(0);
});
