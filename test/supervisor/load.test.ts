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
      expect(load.crossed.length).toBeLessThan(10);
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
  const reload = async (seconds: number): Promise<void> => {
    let zombies: number[] = [];
    for (let i = 0; i < seconds * 5; i++) {
      supervised.signal('SIGHUP');
      await sleep(200);
      // Every process is one for a moment.
      const before = zombies;
      ({ zombies } = childrenOf(pid));
      expect(zombies.filter((zombie) => before.includes(zombie))).toEqual([]);
    }
    await supervised.settled(2);
  };
  await reload(2);
  const before = { descriptors: descriptorsOf(pid), memory: memoryOf(pid) };
  await reload(SECONDS);
  expect(descriptorsOf(pid)).toBeLessThanOrEqual(before.descriptors);
  expect(memoryOf(pid) - before.memory).toBeLessThan(10);
  expect(supervised.count('is replaced by a reload')).toBeGreaterThan(8);
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
  const served = new Set([...load.bodies.keys()].map(Number));
  const { alive } = childrenOf(successor);
  expect(alive.length).toBe(2);
  expect(alive.every((worker) => served.has(worker))).toBe(true);
  load.ending = true;
  process.kill(successor, 'SIGTERM');
  await until(() => !isAlive(successor), 'the new master has ended');
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(load.answered).toBeGreaterThan(300);
});
