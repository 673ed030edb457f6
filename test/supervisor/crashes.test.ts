import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { RawClient, text } from '../support/rawclient.ts';
import { type Supervised, supervisorStarter, until } from '../support/supervised.ts';

const { start, launch, folder } = supervisorStarter();

/** Asks `path` of a worker, which does not survive it; returns its process id. */
async function harm(supervised: Supervised, path: string | null): Promise<number> {
  const client = await RawClient.connect(supervised.address);
  await client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  const victim = Number(text(await client.response()));
  if (path === null) process.kill(victim, 'SIGKILL');
  else await client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await until(() => !supervised.workers.includes(victim), `worker ${victim} has ended`);
  client.destroy();
  return victim;
}

/** What is asked of a worker, or nothing and it is killed; and what is said of its end. */
const harms: [what: string, path: string | null, said: RegExp][] = [
  ['killed by SIGKILL', null, /was ended by SIGKILL; it is replaced at once/],
  ['that aborts', '/abort', /was ended by SIGABRT; it is replaced at once/],
  ['that exits', '/exit', /ended with status 1; it is replaced at once/],
  ['that throws in a callback', '/throw', /ended with status 1; it is replaced at once/],
  ['out of memory', '/exhaust', /was ended by SIGABRT; it is replaced at once/],
];

describe.each(harms)('a worker %s', (_, path, said) => {
  // A busy machine may hold one of the processes up for longer, but not every time.
  it('is replaced within a second, and clients of others do not notice', { retry: 2 }, async () => {
    const nodeOptions = ['--max-old-space-size=60'];
    const launched = performance.now();
    const supervised = await start({ workers: 2, nodeOptions });
    const starting = performance.now() - launched;
    const load = supervised.load({ clients: 8, rate: 200 });
    await load.until(50);
    const victim = await harm(supervised, path);
    const begun = performance.now();
    await supervised.says(' serves\n', 3);
    // Where the machine is too busy to start a process so soon, as long as that takes.
    expect(performance.now() - begun).toBeLessThan(Math.max(1000, 2 * starting));
    await load.until(load.answered + load.failures.length + 50);
    await load.stop();
    // Its own connections are lost, and those that it had accepted and not answered yet.
    const others = load.failures.filter(({ before }) => before !== `${victim}`);
    expect(others.filter(({ before }) => before !== null)).toEqual([]);
    expect(others.filter(({ what }) => what.includes('no connection'))).toEqual([]);
    expect(supervised.said).toMatch(said);
    expect(supervised.count('it is replaced')).toBe(1);
    expect(await supervised.end()).toBe(0);
  });
});

describe('a worker that is hung', () => {
  it('is killed after the timeout, and replaced', async () => {
    const supervised = await start({ workers: 2, timeout: 1 });
    const victim = await harm(supervised, '/block');
    await supervised.says(`worker ${victim} was not heard of for 1 seconds, and was killed`);
    await supervised.says(' serves\n', 3);
    expect(await supervised.end()).toBe(0);
  });

  it('is not one that is idle, or the supervisor was stopped for a while', async () => {
    const supervised = await start({ workers: 2, timeout: 2 });
    const { workers } = supervised;
    await sleep(2500);
    supervised.signal('SIGSTOP');
    await sleep(2500);
    supervised.signal('SIGCONT');
    await sleep(700);
    expect(supervised.workers).toEqual(workers);
    expect(supervised.count('not heard of')).toBe(0);
  });
});

describe('a crash loop', () => {
  it('of workers that end before they are ready stops everything with status 3', async () => {
    const supervised = launch({ application: './vanishing.mjs', workers: 2 });
    expect(await supervised.ended()).toBe(3);
    expect(supervised.said).toMatch(/5 workers in a row ended before they were ready: the last/);
    expect(supervised.said).toMatch(/ended with status 7, said:\n {2}I vanish\n/);
    expect(supervised.count('in a row')).toBe(1);
    expect(supervised.workers).toEqual([]);
  });

  it('of workers that crash soon after stops everything with status 3', async () => {
    const supervised = launch({ application: './shortlived.mjs', workers: 4 });
    expect(await supervised.ended()).toBe(3);
    expect(supervised.said).toMatch(/workers crashed 10 times within 30 seconds: the last/);
    expect(supervised.said).toMatch(/said:\n {2}Error: no more of this\n/);
    expect(supervised.said).toMatch(/it is replaced in \d\.\d s/);
  });
});

describe('a worker is replaced by a new one that serves', () => {
  it.each([
    [
      'after maxRequests',
      { maxRequests: 40, maxRequestsJitter: 20 },
      /served (4|5|60)\d* requests/,
    ],
    ['when it is older than maxAge', { maxAge: 1, timeout: 2 }, /is \d+ seconds old/],
    ['above maxRss', { maxRss: 1_000_000, timeout: 2 }, /uses \d+ bytes of memory/],
  ])('%s, and no request is lost', { timeout: 60_000 }, async (_, settings, said) => {
    const supervised = await start({ workers: 2, ...settings });
    const load = supervised.load({ clients: 8, rate: 200 });
    await supervised.says('it is replaced', 3, 25);
    await supervised.says(' serves\n', 5, 25);
    await load.until(load.answered + load.failures.length + 20);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(load.bodies.size).toBeGreaterThan(2);
    expect(supervised.said).toMatch(said);
    expect(supervised.count('crash')).toBe(0);
    expect(await supervised.end()).toBe(0);
  });
});

it('maxRss below what every worker needs has them replaced ever more slowly', async () => {
  const supervised = await start({ maxRss: 1_000_000, timeout: 2 });
  const times =
    /uses \d+ bytes of memory after \d\.\d s, and used \d{8,} before its first request: it is replaced (.*); raise maxRss, 1000000,/g;
  const waits = (): unknown[] => [...supervised.said.matchAll(times)].map(([, wait]) => wait);
  await until(
    () => waits().length >= 4,
    () => `four are replaced, not: ${supervised.said}`,
    25,
  );
  expect(waits().slice(0, 4)).toEqual(['at once', 'in 1.0 s', 'in 2.0 s', 'in 4.0 s']);
  // They serve meanwhile, and end with the others.
  expect(Number(await supervised.ask())).toBeGreaterThan(0);
  supervised.reconfigure({ maxRss: 0 });
  supervised.signal('SIGHUP');
  await supervised.says('reloaded');
  expect(await supervised.end()).toBe(0);
});

describe('a reload', () => {
  const GOOD = `export const app = (environ, startResponse) => {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return 'VERSION';
  };`;

  async function versioned(settings: object = {}): Promise<{
    supervised: Supervised;
    write: (text: string) => void;
  }> {
    const cwd = folder();
    const write = (text: string): void => writeFileSync(join(cwd, 'app.mjs'), text);
    write(GOOD.replace('VERSION', 'one'));
    return { supervised: await start({ cwd, workers: 2, ...settings }), write };
  }

  it('serves the new application', async () => {
    const { supervised, write } = await versioned();
    expect(await supervised.ask()).toBe('one');
    write(GOOD.replace('VERSION', 'two'));
    supervised.signal('SIGHUP');
    await supervised.says(' ended\n', 2);
    expect(await supervised.ask()).toBe('two');
  });

  it.each([false, true])('of a broken one keeps the old, preload: %s', async (preload) => {
    const { supervised, write } = await versioned({ preload });
    const { workers } = supervised;
    write('this is no JavaScript');
    supervised.signal('SIGHUP');
    await supervised.says('syntax error');
    await supervised.settled(2);
    expect(supervised.count('syntax error')).toBe(1);
    expect(supervised.workers).toEqual(workers);
    expect(await supervised.ask()).toBe('one');
    write(GOOD.replace('VERSION', 'two'));
    supervised.signal('SIGHUP');
    await supervised.says(' ended\n', 2);
    expect(await supervised.ask()).toBe('two');
    expect(await supervised.end()).toBe(0);
  });

  it('has its settings: number of workers, environment, further addresses', async () => {
    const supervised = await start({ workers: 1 });
    const { address } = supervised;
    const path = join(folder(), 'socket');
    supervised.reconfigure({
      workers: 3,
      env: { FLAVOUR: 'wheat' },
      bind: [['127.0.0.1', 0], path],
    });
    supervised.signal('SIGHUP');
    await supervised.says(' serves\n', 4);
    await supervised.settled(3);
    expect(await supervised.ask('/env')).toBe('["wheat",[]]');
    supervised.address = path;
    const load = supervised.load({ clients: 2, rate: 100 });
    await load.until(10);
    await load.stop();
    expect(load.failures).toEqual([]);
    supervised.reconfigure({ workers: 1, bind: [['127.0.0.1', 0]] });
    supervised.signal('SIGHUP');
    await supervised.settled(1);
    await expect(RawClient.connect(path)).rejects.toThrow(/ENOENT/);
    supervised.address = address;
    expect(await supervised.ask()).not.toBe(null);
  });

  it('with senseless settings changes nothing', async () => {
    const supervised = await start({ workers: 2 });
    const { workers } = supervised;
    supervised.reconfigure({ workers: -1 });
    supervised.signal('SIGHUP');
    await supervised.says('SIGHUP: the option workers is -1');
    expect(supervised.workers).toEqual(workers);
  });
});
