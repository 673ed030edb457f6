import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Application } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { content } from '../support/bodies.ts';
import { exchanges, get, get10, PLAIN, TCP } from '../support/exchange.ts';
import { eventually, type RawClient } from '../support/rawclient.ts';

const BODY = content(3 * 1024 * 1024);
/** Between two reads of up to 64 KiB, in milliseconds: about 4 seconds for the body. */
const REST = 80;

function readSlowly(client: RawClient): void {
  client.socket.on('data', () => {
    client.socket.pause();
    setTimeout(() => client.socket.resume(), REST);
  });
}

/** What has come of the body when the connection has ended or all of it is there. */
async function bodyOf(client: RawClient): Promise<Buffer> {
  const head = (): number => client.pending.indexOf('\r\n\r\n') + 4;
  const done = (): boolean =>
    client.ending !== null || client.pending.length >= head() + BODY.length;
  for (let i = 0; i < 200 && !done(); i++) await sleep(100);
  return Buffer.from(client.pending.subarray(head()));
}

describeBackends('a steady slow reader of a large answer gets all of it', (selector) => {
  const serve = exchanges();
  const timeouts = { keepAlive: 1, linger: 0.3 };
  const app: Application = (_environ, startResponse) => {
    startResponse('200 OK', [...PLAIN, ['Content-Length', String(BODY.length)]]);
    return [BODY];
  };

  async function check(message: string, late: boolean): Promise<void> {
    // Over TCP a byte that comes after the close resets the connection.
    const exchange = serve(app, { selector, timeouts, ...(late ? { address: TCP } : {}) });
    const client = await exchange.client();
    readSlowly(client);
    const begun = performance.now();
    await client.send(message);
    if (late) {
      await sleep(2000);
      expect(client.pending.length).toBeLessThan(BODY.length);
      client.socket.write('\r');
    }
    expect((await bodyOf(client)).equals(BODY)).toBe(true);
    // Longer than all deadlines together.
    expect(performance.now() - begun).toBeGreaterThan(2000);
    // The byte may be the first of another request.
    if (late) return;
    await eventually(() => exchange.server.reactor.sockets.size === 0, 'the connection is over');
  }

  // At once, as each takes some seconds.
  it.each([
    ['', false],
    [', also when it sends a byte late', true],
  ])('whether the connection is kept or closed%s', async (_late, late) => {
    const messages = [get(), get('/', 'Connection: close'), get10()];
    await Promise.all(messages.map((message) => check(message, late)));
  });
});
