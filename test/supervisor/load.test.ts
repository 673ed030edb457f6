import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  childrenOf,
  descriptorsOf,
  isAlive,
  memoryOf,
  supervisorStarter,
  until,
} from '../support/supervised.ts';

const { start, single } = supervisorStarter();
/** How long the servers are reloaded for. */
const SECONDS = Number(process.env.RYEGATE_TEST_SECONDS ?? 5);

describe.each(['a supervisor', 'a single server'])('SIGTERM of %s under load', (kind) => {
  it('loses no request', { timeout: 60_000 }, async () => {
    let answered = 0;
    for (let round = 0; round < 4; round++) {
      const supervised = kind === 'a supervisor' ? await start({ workers: 2 }) : await single();
      const load = supervised.load({ clients: 16, rate: 200 });
      await load.until(150 + 37 * round);
      load.ending = true;
      expect(await supervised.end()).toBe(0);
      await load.stop();
      expect(load.failures).toEqual([]);
      // Only where the machine is so busy that clients learn late of what the server has closed.
      expect(load.crossed.length).toBeLessThan(17);
      answered += load.answered;
    }
    expect(answered).toBeGreaterThan(600);
  });
});

it('HUP every 200 ms under load loses no request, and leaves nothing', {
  timeout: 60_000 + 2000 * SECONDS,
}, async () => {
  const supervised = await start({ workers: 2 });
  const { pid } = supervised;
  const load = supervised.load({ clients: 16, rate: 200 });
  await load.until(100);
  /** Zombies, and since when. */
  let seen = new Map<number, number>();
  const reload = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds * 5; i++) {
      supervised.signal('SIGHUP');
      await sleep(200);
      const { zombies } = childrenOf(pid);
      const now = performance.now();
      seen = new Map(zombies.map((zombie) => [zombie, seen.get(zombie) ?? now]));
      // Every process is one for a moment.
      expect([...seen].filter(([, since]) => now - since > 5000)).toEqual([]);
    }
    await supervised.settled(2);
    await until(() => childrenOf(pid).zombies.length === 0, 'all that have ended are reaped', 5);
  };
  await reload(2);
  const before = { descriptors: descriptorsOf(pid), memory: memoryOf(pid) };
  await reload(SECONDS);
  await until(
    () => descriptorsOf(pid) <= before.descriptors,
    () => `there are ${before.descriptors} descriptors, not ${descriptorsOf(pid)}`,
  );
  expect(memoryOf(pid) - before.memory).toBeLessThan(30);
  expect(supervised.count('is replaced by a reload')).toBeGreaterThan(4);
  await load.stop();
  expect([...load.failures, ...load.crossed]).toEqual([]);
  expect(load.answered).toBeGreaterThan(1000);
  expect(await supervised.end()).toBe(0);
});

it('USR2 under load: another master takes over, and no request is lost', {
  timeout: 60_000,
}, async () => {
  const supervised = await start({ workers: 2 });
  const load = supervised.load({ clients: 16, rate: 200 });
  await load.until(100);
  supervised.signal('SIGUSR2');
  await supervised.says(' serves\n', 4);
  expect(await supervised.end()).toBe(0);
  await load.until(load.answered + 200);
  expect([...load.failures, ...load.crossed]).toEqual([]);
  const [successor = 0] = supervised.successors;
  const { alive } = childrenOf(successor);
  expect(alive.length).toBe(2);
  const served = new Set([...load.bodies.keys()].map(Number));
  await until(async () => {
    const asked = Array.from({ length: 8 }, () => supervised.ask());
    for (const worker of await Promise.all(asked)) served.add(Number(worker));
    return alive.every((worker) => served.has(worker));
  }, 'every new worker has answered');
  load.ending = true;
  process.kill(successor, 'SIGTERM');
  await until(() => !isAlive(successor), 'the new master has ended');
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(load.answered).toBeGreaterThan(300);
});
