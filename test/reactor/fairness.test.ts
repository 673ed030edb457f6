import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.ts';
import { programStarter } from '../support/programs.ts';
import { RawClient, text } from '../support/rawclient.ts';

const path = (name: string) => fileURLToPath(new URL(`../support/${name}`, import.meta.url));
const start = programStarter();

async function ask(client: RawClient, target: string): Promise<string> {
  await client.send(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
  return text(await client.response());
}

/** Longest wait of a client, and of a timer of 10 ms in the server, in milliseconds. */
interface Delays {
  client: number;
  timer: number;
}

async function measure(client: RawClient): Promise<Delays> {
  let longest = 0;
  await ask(client, '/lateness');
  for (let i = 0; i < 30; i += 1) {
    const begun = performance.now();
    await ask(client, '/');
    longest = Math.max(longest, performance.now() - begun);
    await sleep(10);
  }
  return { client: longest, timer: Number(await ask(client, '/lateness')) };
}

describeBackends('fairness', (selector) => {
  it.each([
    ['pipelines without end', '/'],
    ['an infinite generator', '/endless'],
    ['an infinite async generator', '/endlessasync'],
  ])('%s holds up neither another client nor a timer', async (_, target) => {
    const server = start(process.execPath, [path('faultserver.mjs'), selector], {
      env: process.env,
    });
    const { port } = new URL(await server.url('stdout'));
    const client = await RawClient.connect(['127.0.0.1', Number(port)]);
    expect(await ask(client, '/')).toBe('hello');
    const flood = start(process.execPath, [path('floodclient.mjs'), port, target]);
    await flood.says(/flooding/, 'stdout');
    // The machine has other work too: the best of a few counts.
    let best: Delays = { client: Infinity, timer: Infinity };
    for (let i = 0; i < 5 && (best.client > 100 || best.timer > 100); i += 1) {
      const delays = await measure(client);
      if (Math.max(delays.client, delays.timer) < Math.max(best.client, best.timer)) best = delays;
    }
    expect(best.timer).toBeLessThan(100);
    expect(best.client).toBeLessThan(100);
    expect(flood.ended).toBe(false);
    client.destroy();
  });
});
