import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.ts';
import { openDescriptors } from '../support/descriptors.ts';
import {
  type ServingWorker,
  settledDescriptors,
  startWorker,
  untilClosed,
} from '../support/workers.ts';

/** What a worker is in the middle of when it is terminated. */
const situations: Record<string, (serving: ServingWorker) => Promise<Socket | null>> = {
  'nothing has come yet': async () => null,
  'a connection is kept alive': ({ ask }) => ask('/'),
  'a promise is awaited': async ({ worker, send }) => {
    const waiting = once(worker, 'message');
    const client = await send('/never');
    await waiting;
    return client;
  },
  'a result is streamed to a client that does not read': async ({ ask }) => {
    const client = await ask('/endless');
    return client.pause();
  },
  'an application spins': async ({ worker, send }) => {
    const spinning = once(worker, 'message');
    const client = await send('/spin');
    await spinning;
    return client;
  },
};
const names = Object.keys(situations);

/** Starts a worker, has it serve, terminates it. Every fifth blocks in serveForeverSync(). */
async function runOne(selector: string, index: number): Promise<void> {
  const mode = index % 5 === 4 ? 'sync' : 'loop';
  const serving = await startWorker(selector, mode);
  const name = names[index % names.length] as string;
  const clients = [await serving.ask('/'), await serving.ask('/')];
  // What blocks cannot wait for a promise.
  const client = mode === 'loop' ? await situations[name]?.(serving) : null;
  if (client) clients.push(client);
  await serving.worker.terminate();
  expect(await serving.exit).toBe(1);
  // The thread has gone, and so have its descriptors.
  await Promise.all(clients.map(untilClosed));
}

async function runMany(selector: string, count: number): Promise<void> {
  await runOne(selector, 0);
  await runOne(selector, 4);
  const before = openDescriptors();
  for (let i = 0; i < count; i += 1) await runOne(selector, i);
  expect(await settledDescriptors(before)).toBe(before);
}

it('terminates 100 serving workers in turn', () => runMany('auto', 100), 300_000);

describeBackends('terminating', (selector) => {
  it('25 serving workers in turn', () => runMany(selector, 25), 120_000);

  it.each(names)('while %s', async (name) => {
    const before = openDescriptors();
    const serving = await startWorker(selector, 'loop');
    const client = await situations[name]?.(serving);
    await serving.worker.terminate();
    if (client) await untilClosed(client);
    expect(await settledDescriptors(before)).toBe(before);
  });

  it('at any moment, while it makes servers and closes them', async () => {
    const before = openDescriptors();
    for (let i = 0; i < 40; i += 1) {
      const { worker } = await startWorker(selector, 'churn');
      await sleep(i % 8);
      await worker.terminate();
    }
    expect(await settledDescriptors(before)).toBe(before);
  });

  it('twenty at once', async () => {
    const before = openDescriptors();
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, i) => startWorker(selector, i % 2 === 0 ? 'loop' : 'sync')),
    );
    const clients = await Promise.all(all.map(({ ask }) => ask('/')));
    await Promise.all(all.map(({ worker }) => worker.terminate()));
    await Promise.all(clients.map(untilClosed));
    expect(await settledDescriptors(before)).toBe(before);
  });
});
