import { constants } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { staticFiles } from '../../src/files/index.ts';
import type { Application } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { openDescriptors } from '../support/descriptors.ts';
import {
  type Exchange,
  type ExchangeOptions,
  exchanges,
  get,
  PLAIN,
  TCP,
} from '../support/exchange.ts';
import { eventually, type RawClient } from '../support/rawclient.ts';
import { type SlowFS, slowBytes, slowFileSystem } from '../support/slowfs.ts';

const MIB = 1024 * 1024;
const mounted = await slowFileSystem();
const slow = mounted as SlowFS;

const next: Application = (_environ, startResponse) => {
  startResponse('200 OK', PLAIN);
  return 'hello';
};

describe.skipIf(mounted === null)('static files that are slow to read', () => {
  describeBackends('by', (selector) => {
    const serve = exchanges();
    const open: { close(): void }[] = [];
    afterEach(async () => {
      await slow.release();
      for (const site of open.splice(0)) site.close();
      await slow.untilClosed();
    });

    function begin(options: ExchangeOptions = {}): Exchange {
      const site = staticFiles(slow.folder, { next, contentType: () => 'text/plain' });
      open.push(site);
      return serve(site, { selector, ...options });
    }

    async function ask(
      exchange: Exchange,
      target: string,
      ...fields: string[]
    ): Promise<RawClient> {
      const client = await exchange.client();
      await client.send(get(target, ...fields));
      return client;
    }

    it('are read once, and held, for all who ask for a small one at once', async () => {
      const exchange = begin();
      const size = 40_001;
      await slow.hold();
      const clients: RawClient[] = [];
      for (let i = 0; i < 8; i++) {
        clients.push(await ask(exchange, `/${size}`));
        if (i === 0) await slow.untilHeld();
      }
      await slow.expectOthersServed(exchange);
      await slow.release();
      for (const client of clients) {
        expect((await client.response()).body.equals(slowBytes(size))).toBe(true);
      }
      expect(await slow.of('read', size)).toHaveLength(1);
      // Now it is in memory.
      await slow.hold();
      expect((await exchange.ask(get(`/${size}`))).body.equals(slowBytes(size))).toBe(true);
      expect(await slow.of('read', size)).toHaveLength(1);
      expect(await slow.of('open', size)).toHaveLength(1);
    });

    it('are read at the range that is asked for', async () => {
      const exchange = begin();
      const size = 8 * MIB;
      const [first, last] = [5 * MIB + 1, 6 * MIB];
      await slow.hold();
      const client = await ask(exchange, `/${size}`, `Range: bytes=${first}-${last}`);
      await slow.untilHeld();
      await slow.expectOthersServed(exchange);
      await slow.release();
      const response = await client.response();
      expect(response.status).toBe(206);
      expect(response.body.equals(slowBytes(size, first, last + 1))).toBe(true);
      const [, , offset = 0] = (await slow.of('read', size))[0] ?? [];
      expect(offset).toBeGreaterThan(4 * MIB);
    });

    it('that cannot be read are answered with 500, and asked for again later', async () => {
      const exchange = begin();
      const size = 30_001;
      await slow.hold();
      const clients = [await ask(exchange, `/${size}`), await ask(exchange, `/${size}`)];
      await slow.untilHeld();
      await slow.fail(constants.errno.EIO);
      await slow.release();
      for (const client of clients) expect((await client.response()).status).toBe(500);
      expect(exchange.errors.getValue()).toMatch(/EIO/);
      await slow.fail(0);
      expect((await exchange.ask(get(`/${size}`))).body.equals(slowBytes(size))).toBe(true);
    });

    it('leave nothing open when their clients leave', async () => {
      const before = openDescriptors();
      const exchange = begin({ address: TCP });
      await slow.hold();
      for (const size of [20_001, 3 * MIB]) {
        const client = await ask(exchange, `/${size}`);
        await slow.untilHeld(size === 20_001 ? 1 : 2);
        client.reset();
      }
      await eventually(() => exchange.server.reactor.sockets.size === 0, 'the clients are gone');
      await slow.expectOthersServed(exchange);
      await slow.release();
      for (const site of open.splice(0)) site.close();
      await slow.untilClosed();
      await exchange.close();
      await eventually(() => openDescriptors() <= before, 'all descriptors are closed');
      expect(exchange.errors.getValue()).toBe('');
    });
  });
});
