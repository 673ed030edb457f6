import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { makeServer, ShutdownHandle } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import {
  clientKeeper,
  get,
  held,
  hello,
  isPending,
  medianTime,
  rejectionCode,
  requestFor,
  SERVING_THREAD,
  serverKeeper,
  threadKeeper,
} from '../support/servers.ts';

/** So long, in seconds, that nothing can have waited for it. */
const LONG_POLL = 60;
/** Milliseconds. */
const AT_ONCE = 20;

describeBackends('shutdown of serveForever', (selector) => {
  const { make, serve } = serverKeeper();
  const clients = clientKeeper();
  const thread = threadKeeper();

  it('from another thread, by shutdown() of the handle', async () => {
    const server = make(hello, { selector });
    const serving = serve(server, LONG_POLL);
    const caller = thread(
      `await ryegate.ShutdownHandle.from(workerData.handle).shutdown();
       tell('done');`,
      { handle: server.shutdownHandle },
    );
    await serving;
    expect(await caller.next()).toBe('done');
    await caller.end();
    expect(server.shutdownEvent.isSet()).toBe(true);
  });

  it('from another thread, by shutdownSync() of the handle', async () => {
    const server = make(hello, { selector });
    const serving = serve(server, LONG_POLL);
    expect((await get(server.serverAddress)).status).toBe(200);
    const caller = thread(
      `tell(ryegate.ShutdownHandle.from(workerData.handle).shutdownSync(20));`,
      { handle: server.shutdownHandle },
    );
    await serving;
    expect(await caller.next()).toBe(true);
  });

  it('of a server in another thread, by shutdown() and by shutdownSync()', async () => {
    for (const call of ['shutdown', 'shutdownSync'] as const) {
      const other = thread(SERVING_THREAD, { selector });
      const { handle, address } = await other.ready();
      expect((await get(address)).body).toBe('hello /');
      expect(handle.serving).toBe(true);
      await handle[call]();
      expect(handle.serving).toBe(false);
      expect(await other.next()).toBe('ended');
      await other.end();
    }
  });

  it('from many threads at once', async () => {
    const server = make(hello, { selector });
    const serving = serve(server, LONG_POLL);
    const script = `
      const handle = ryegate.ShutdownHandle.from(workerData.handle);
      await Promise.all([handle.shutdown(), handle.shutdown()]);
      tell(handle.shutdownSync(20));
    `;
    const callers = Array.from({ length: 4 }, () =>
      thread(script, { handle: server.shutdownHandle }),
    );
    await serving;
    expect(await Promise.all(callers.map((caller) => caller.next()))).toEqual(Array(4).fill(true));
  });

  it('from inside a synchronous handler: the client gets its answer', async () => {
    let shutdown: Promise<void> | null = null;
    const server = make(
      (environ, startResponse) => {
        shutdown = server.shutdown();
        return hello(environ, startResponse);
      },
      { selector },
    );
    const serving = serve(server, LONG_POLL);
    expect((await get(server.serverAddress, '/last')).body).toBe('hello /last');
    await serving;
    await shutdown;
  });

  it('from inside an async handler that awaits it: the client gets its answer', async () => {
    const server = make(
      async (environ, startResponse) => {
        await server.shutdown();
        return hello(environ, startResponse);
      },
      { selector },
    );
    const serving = serve(server, LONG_POLL);
    expect((await get(server.serverAddress, '/awaits')).body).toBe('hello /awaits');
    await serving;
  });

  it('from inside verifyRequest: the client is served by the next serving', async () => {
    const server = make(hello, { selector });
    server.verifyRequest = () => {
      server.shutdown();
      return true;
    };
    const serving = serve(server, LONG_POLL);
    const answer = get(server.serverAddress);
    await serving;
    serve(server, LONG_POLL);
    expect((await answer).status).toBe(200);
  });

  it('from inside serviceActions, a timer and a promise job', async () => {
    const server = make(hello, { selector });
    server.serviceActions = () => {
      server.shutdown();
    };
    await serve(server, 0.01);
    server.serviceActions = () => {};
    const second = serve(server, LONG_POLL);
    setTimeout(() => server.shutdown(), 1);
    await second;
    const third = serve(server, LONG_POLL);
    await Promise.resolve().then(() => server.shutdown());
    await third;
  });

  it('before serving ever began: resolves, and the next serving serves', async () => {
    const server = make(hello, { selector });
    expect(server.shutdownEvent.isSet()).toBe(true);
    await server.shutdown();
    await server.shutdownEvent.wait();
    const serving = serve(server, LONG_POLL);
    expect((await get(server.serverAddress)).status).toBe(200);
    expect(await isPending(serving)).toBe(true);
    await server.shutdown();
    await serving;
  });

  it('before serving ever began, from another thread', async () => {
    const server = make(hello, { selector });
    const caller = thread(
      `const handle = ryegate.ShutdownHandle.from(workerData.handle);
       await handle.shutdown();
       tell(handle.shutdownSync(20));`,
      { handle: server.shutdownHandle },
    );
    expect(await caller.next()).toBe(true);
    const serving = serve(server, LONG_POLL);
    expect((await get(server.serverAddress)).status).toBe(200);
    expect(await isPending(serving)).toBe(true);
  });

  it('after serving ended: resolves, and does not poison the next serving', async () => {
    const server = make(hello, { selector });
    const first = serve(server, LONG_POLL);
    await server.shutdown();
    await first;
    await server.shutdown();
    await ShutdownHandle.from(server.shutdownHandle).shutdown();
    const second = serve(server, LONG_POLL);
    expect((await get(server.serverAddress)).status).toBe(200);
    expect(await isPending(second)).toBe(true);
  });

  it('twice, and twice at once', async () => {
    const server = make(hello, { selector });
    const first = serve(server, LONG_POLL);
    await server.shutdown();
    await server.shutdown();
    await first;
    const second = serve(server, LONG_POLL);
    await Promise.all([server.shutdown(), server.shutdown(), server.shutdownEvent.wait()]);
    await second;
  });

  it('immediately after the call of serveForever', async () => {
    const server = make(hello, { selector });
    for (let i = 0; i < 50; i++) {
      const serving = serve(server, LONG_POLL);
      expect(server.shutdownEvent.isSet()).toBe(false);
      await server.shutdown();
      expect(server.shutdownEvent.isSet()).toBe(true);
      await serving;
    }
  });

  it('of one of two servers: the other goes on', async () => {
    const [one, other] = [make(hello, { selector }), make(hello, { selector })];
    const [ending, going] = [serve(one, LONG_POLL), serve(other, LONG_POLL)];
    await Promise.all([get(one.serverAddress), get(other.serverAddress)]);
    await one.shutdown();
    await ending;
    expect((await get(other.serverAddress)).status).toBe(200);
    expect(await isPending(going)).toBe(true);
  });

  it('refuses a second serving of one server, and the first goes on', async () => {
    const server = make(hello, { selector });
    const first = serve(server, LONG_POLL);
    for (const refusal of [server.serveForever(), server.handleRequest()]) {
      expect(await rejectionCode(refusal)).toBe('ERR_RYEGATE_ALREADY_SERVING');
    }
    expect(() => server.serveForeverSync()).toThrowError(
      expect.objectContaining({ code: 'ERR_RYEGATE_ALREADY_SERVING' }),
    );
    expect((await get(server.serverAddress)).status).toBe(200);
    expect(await isPending(first)).toBe(true);
  });

  it('refuses to serve once it is closed', async () => {
    const server = make(hello, { selector });
    await server.serverClose();
    for (const refusal of [server.serveForever(), server.handleRequest()]) {
      expect(await rejectionCode(refusal)).toBe('ERR_RYEGATE_SERVER_CLOSED');
    }
    await server.shutdown();
  });

  it('leaves the listener open: who connects meanwhile is served by the next serving', async () => {
    const server = make(hello, { selector });
    const first = serve(server, LONG_POLL);
    await server.shutdown();
    await first;
    const waiting = get(server.serverAddress, '/meanwhile');
    expect(await isPending(waiting)).toBe(true);
    serve(server, LONG_POLL);
    expect((await waiting).body).toBe('hello /meanwhile');
  });

  it('leaves connections open: they are served by the next serving', async () => {
    const server = make(hello, { selector });
    const client = await clients.connect(server.serverAddress);
    const first = serve(server, LONG_POLL);
    client.socket.write(requestFor('/1'));
    await client.until('hello /1');
    await server.shutdown();
    await first;
    client.socket.write(requestFor('/2'));
    await sleep(50);
    expect(client.received()).not.toContain('hello /2');
    serve(server, LONG_POLL);
    await client.until('hello /2');
  });

  it('does not wait for a handler at work: its answer is sent when it comes', async () => {
    const { app, began, finish } = held('/late');
    const server = make(app, { selector });
    const serving = serve(server, LONG_POLL);
    const answer = get(server.serverAddress, '/late');
    await began;
    await server.shutdown();
    await serving;
    finish();
    expect((await answer).body).toBe('hello /late');
  });

  it('by an AbortSignal: aborted already', async () => {
    const server = make(hello, { selector });
    await server.serveForever(LONG_POLL, { signal: AbortSignal.abort() });
    expect(server.reactor.turns).toBe(0);
    const serving = serve(server, LONG_POLL);
    expect((await get(server.serverAddress)).status).toBe(200);
    expect(await isPending(serving)).toBe(true);
  });

  it('by an AbortSignal: aborted later', async () => {
    const server = make(hello, { selector });
    const aborter = new AbortController();
    const serving = server.serveForever(LONG_POLL, { signal: aborter.signal });
    expect((await get(server.serverAddress)).status).toBe(200);
    aborter.abort();
    await serving;
    // The signal of a serving that is over has no hold on the next one.
    const stale = new AbortController();
    const second = server.serveForever(LONG_POLL, { signal: stale.signal });
    await server.shutdown();
    await second;
    const third = serve(server, LONG_POLL);
    stale.abort();
    expect((await get(server.serverAddress)).status).toBe(200);
    expect(await isPending(third)).toBe(true);
  });

  it('takes effect in under 20 ms with a poll interval of 60 s', async () => {
    const server = make(hello, { selector });
    server.serviceActions = () => {};
    const milliseconds = await medianTime(9, async () => {
      const serving = serve(server, LONG_POLL);
      await sleep(20);
      const asked = performance.now();
      await server.shutdown();
      await serving;
      return performance.now() - asked;
    });
    expect(milliseconds).toBeLessThan(AT_ONCE);
  });

  it('takes effect in under 20 ms when another thread asks', async () => {
    const milliseconds = await medianTime(5, async () => {
      const other = thread(SERVING_THREAD, { selector });
      const { handle, address } = await other.ready();
      await get(address);
      await sleep(20);
      const asked = performance.now();
      expect(handle.shutdownSync(20)).toBe(true);
      return performance.now() - asked;
    });
    expect(milliseconds).toBeLessThan(AT_ONCE);
  });
});

describe('serving', () => {
  it('refuses a handle that was none before it was posted', () => {
    for (const posted of [null, {}, { control: new SharedArrayBuffer(4) }, { control: 1 }]) {
      expect(() => ShutdownHandle.from(posted as never)).toThrowError(
        expect.objectContaining({ code: 'ERR_RYEGATE_SHUTDOWN_HANDLE' }),
      );
    }
  });

  it.each([0, -1, Number.NaN, '1'])('refuses a poll interval of %s', async (interval) => {
    const server = makeServer('127.0.0.1', 0, hello);
    try {
      const code = 'ERR_RYEGATE_POLL_INTERVAL';
      expect(await rejectionCode(server.serveForever(interval as number))).toBe(code);
      expect(() => server.serveForeverSync(interval as number)).toThrowError(
        expect.objectContaining({ code }),
      );
      expect(server.shutdownEvent.isSet()).toBe(true);
    } finally {
      await server.serverClose();
    }
  });
});
