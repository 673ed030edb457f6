import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Application } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { exchanges, get, PLAIN } from '../support/exchange.ts';
import { eventually, text } from '../support/rawclient.ts';

const KIB = 1024;

/** Resolves when `value` has not changed for a while. */
async function settled(value: () => number): Promise<number> {
  for (let last = -1; last !== value(); ) {
    last = value();
    await sleep(200);
  }
  return value();
}

describeBackends('a client that does not read', (selector) => {
  const serve = exchanges();

  it.each(['sync', 'async'])('has the producer pause at bufferedBytes (%s)', async (kind) => {
    const piece = 4 * KIB;
    const total = 256 * KIB * KIB;
    for (const bufferedBytes of [16 * KIB, 1024 * KIB]) {
      let made = 0;
      let most = 0;
      const make = (): Buffer => {
        const [socket] = exchange.server.reactor.sockets;
        most = Math.max(most, socket?.buffered ?? 0);
        made += piece;
        return Buffer.alloc(piece);
      };
      const app: Application = (_environ, startResponse) => {
        startResponse('200 OK', PLAIN);
        const sync = (function* () {
          while (made < total) yield make();
        })();
        return kind === 'sync'
          ? sync
          : (async function* () {
              yield* sync;
            })();
      };
      const exchange = serve(app, { selector, limits: { bufferedBytes } });
      const client = await exchange.client();
      client.socket.pause();
      await client.send(get());
      expect(await settled(() => made)).toBeLessThan(total);
      // When a producer is asked for more, less than that waits; what it makes comes on top.
      expect(most).toBeLessThan(bufferedBytes);
      const [socket] = exchange.server.reactor.sockets;
      // The kernel may have taken some since, but less than the producer would be told of.
      expect(socket?.buffered).toBeGreaterThan(bufferedBytes / 4);
      expect(socket?.buffered).toBeLessThan(bufferedBytes + 2 * piece);
      // It goes on when the client does.
      const before = made;
      client.socket.resume();
      await eventually(() => made > before, 'the producer goes on');
      client.reset();
    }
  });

  it('is not read from any further when pipelinedBytes wait', async () => {
    let served = 0;
    const app: Application = (_environ, startResponse) => {
      served++;
      startResponse('200 OK', PLAIN);
      return Buffer.alloc(10 * KIB);
    };
    const limits = { bufferedBytes: 64 * KIB, pipelinedBytes: 8 * KIB };
    const exchange = serve(app, { selector, limits });
    const client = await exchange.client();
    client.socket.pause();
    const message = get('/'.padEnd(200, 'x'));
    const count = 50_000;
    let taken = false;
    client.socket.write(message.repeat(count), () => {
      taken = true;
    });
    const stopped = await settled(() => served);
    expect(stopped).toBeLessThan(count);
    // The rest is in the kernel, or still with the client.
    expect(taken).toBe(false);
    const [socket] = exchange.server.reactor.sockets;
    expect(socket?.buffered).toBeLessThan(64 * KIB + 64 * 11 * KIB);
    client.socket.resume();
    await eventually(() => served > stopped + 100, 'it goes on');
    client.reset();
  });

  it('gets all of its answers, in order, once it reads', async () => {
    const app: Application = (environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return environ.PATH_INFO.padEnd(20 * KIB);
    };
    const limits = { bufferedBytes: 16 * KIB, pipelinedBytes: KIB, pipelinedPerTurn: 3 };
    const exchange = serve(app, { selector, limits });
    const client = await exchange.client();
    client.socket.pause();
    const count = 2000;
    client.socket.write(Array.from({ length: count }, (_, index) => get(`/${index}`)).join(''));
    await sleep(100);
    client.socket.resume();
    for (let index = 0; index < count; index++) {
      expect(text(await client.response()).trimEnd()).toBe(`/${index}`);
    }
  });

  it('that sends while a handler works is held back at pipelinedBytes', async () => {
    let answer = (): void => {};
    let served = 0;
    const app: Application = async (_environ, startResponse) => {
      if (served++ === 0) {
        await new Promise<void>((resolve) => {
          answer = resolve;
        });
      }
      startResponse('200 OK', PLAIN);
      return 'x';
    };
    const exchange = serve(app, { selector, limits: { pipelinedBytes: 2 * KIB } });
    const client = await exchange.client();
    await client.send(get());
    await eventually(() => served === 1, 'the handler works');
    const message = get('/'.padEnd(8 * KIB - 100, 'x'));
    const count = 10_000;
    let taken = false;
    client.socket.write(message.repeat(count), () => {
      taken = true;
    });
    await sleep(300);
    expect(taken).toBe(false);
    answer();
    for (let i = 0; i <= count; i++) await client.response();
    expect(served).toBe(count + 1);
  });
});
