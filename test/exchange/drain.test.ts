import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import type { DrainPhase, DrainProgress } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import {
  BIG,
  clientKeeper,
  eventually,
  get,
  held,
  hello,
  isPending,
  rejectionCode,
  requestFor,
  SERVING_THREAD,
  serverKeeper,
  threadKeeper,
} from '../support/servers.ts';

const REQUEST = requestFor('/x');
const SLOW = requestFor('/slow');
const BAD = '\x01\r\n\r\n';

function recorder(): { phases: DrainPhase[]; progress: (progress: DrainProgress) => void } {
  const phases: DrainPhase[] = [];
  return { phases, progress: ({ phase }) => phases.push(phase) };
}

describeBackends('drain', (selector) => {
  const { make, serve } = serverKeeper();
  const clients = clientKeeper();

  it('lets what was begun finish, ends the serving and tells what it has done', async () => {
    const { app, began, finish } = held('/x');
    const server = make(app, { selector });
    const serving = serve(server);
    const idle = await clients.connect(server.serverAddress);
    const slow = await clients.connect(server.serverAddress);
    slow.socket.write(REQUEST);
    await began;
    const { phases, progress } = recorder();
    expect(server.draining).toBe(false);
    const drained = server.drain({ progress });
    expect(server.draining).toBe(true);
    expect(server.drain()).toBe(drained);
    expect(await idle.end()).toBe('');
    expect(await rejectionCode(clients.connect(server.serverAddress))).toBe('ECONNREFUSED');
    expect(await isPending(serving)).toBe(true);
    finish();
    expect(await slow.end()).toMatch(/\r\nConnection: close\r\n(.|\r\n)*hello \/x$/);
    const { finished, aborted, seconds } = await drained;
    expect([finished, aborted]).toEqual([1, 0]);
    expect(seconds).toBeGreaterThan(0);
    expect(phases).toEqual(['unready', 'backlog', 'closing', 'drained']);
    await serving;
    expect(await rejectionCode(server.serveForever())).toBe('ERR_RYEGATE_SERVER_CLOSED');
  });

  it('serves on for the delay, new clients too', async () => {
    const server = make(hello, { selector });
    serve(server);
    const { phases, progress } = recorder();
    const drained = server.drain({ delay: 1, progress });
    const response = await get(server.serverAddress);
    expect(response.status).toBe(200);
    expect(phases).toEqual(['unready']);
    await drained;
    expect(phases).toEqual(['unready', 'backlog', 'closing', 'drained']);
  });

  it('has begun for whoever is told of its first phase', async () => {
    const server = make(hello, { selector });
    const serving = serve(server);
    const seen: boolean[] = [];
    const again = new Set<unknown>();
    const drained = server.drain({
      delay: 60,
      progress: () => {
        seen.push(server.draining);
        again.add(server.drain());
        // Nobody waits for the delay then.
        server.serverClose();
      },
    });
    await drained;
    await serving;
    expect(seen).toEqual([true, true, true, true]);
    expect([...again]).toEqual([drained]);
  });

  it('answers those who wait in the backlog', async () => {
    const server = make(hello, { selector });
    const waiting = await Promise.all(
      Array.from({ length: 40 }, () => clients.connect(server.serverAddress)),
    );
    for (const client of waiting) client.socket.write(REQUEST);
    // The server has not served yet, so that all of them are in the backlog.
    const drained = server.drain();
    for (const client of waiting) expect(await client.end()).toMatch(/hello \/x$/);
    expect(await drained).toMatchObject({ finished: 40, aborted: 0 });
  });

  it('answers a request that comes on an idle connection in the moment of grace', async () => {
    const server = make(hello, { selector });
    serve(server);
    const client = await clients.connect(server.serverAddress);
    client.socket.write(REQUEST);
    await client.until('hello /x');
    const { phases, progress } = recorder();
    const drained = server.drain({ grace: 5, progress });
    await eventually(() => phases.includes('closing'), 'the listener is closed');
    client.socket.write(REQUEST);
    const answers = await client.end();
    expect(answers.match(/hello \/x/g)).toHaveLength(2);
    expect(answers).toMatch(/\r\nConnection: close\r\n(.|\r\n)*hello \/x$/);
    await drained;
  });

  it('waits for the rest of a head that has begun to arrive', async () => {
    const server = make(hello, { selector });
    serve(server);
    const client = await clients.connect(server.serverAddress);
    client.socket.write(REQUEST.slice(0, 10));
    await eventually(() => server.stats().connections.head === 1, 'the head has begun');
    const { phases, progress } = recorder();
    const drained = server.drain({ grace: 0, progress });
    await eventually(() => phases.includes('closing'), 'the listener is closed');
    await sleep(50);
    client.socket.write(REQUEST.slice(10));
    expect(await client.end()).toMatch(/hello \/x$/);
    expect(await drained).toMatchObject({ finished: 1, aborted: 0 });
  });

  it('breaks off what is left at the deadline', async () => {
    const server = make(
      async (environ, startResponse) => {
        if (environ.PATH_INFO === '/stuck') return new Promise(() => {});
        return hello(environ, startResponse);
      },
      { selector },
    );
    const serving = serve(server);
    const stuck = await clients.connect(server.serverAddress);
    stuck.socket.write(requestFor('/stuck'));
    await eventually(() => server.stats().connections.responding === 1, 'the handler is at work');
    const { phases, progress } = recorder();
    const { finished, aborted, seconds } = await server.drain({ deadline: 0.2, progress });
    expect([finished, aborted]).toEqual([0, 1]);
    expect(seconds).toBeGreaterThanOrEqual(0.2);
    expect(phases).toEqual(['unready', 'backlog', 'closing', 'forcing', 'drained']);
    await stuck.end().catch(() => {});
    expect(stuck.failure?.code).toBe('ECONNRESET');
    await serving;
  });

  it('lets a slow reader have all of its answer', async () => {
    const server = make(
      (_environ, startResponse) => {
        startResponse('200 OK', [['Content-Type', 'text/plain']]);
        return [Buffer.alloc(BIG, 'x')];
      },
      { selector },
    );
    serve(server);
    const slow = await clients.connect(server.serverAddress);
    slow.socket.write(REQUEST);
    await slow.until('xxx');
    slow.socket.pause();
    const drained = server.drain();
    await sleep(100);
    expect(await isPending(drained)).toBe(true);
    slow.socket.resume();
    expect((await slow.end()).length).toBeGreaterThan(BIG);
    expect(await drained).toMatchObject({ finished: 1, aborted: 0 });
  });

  it('is cut short by serverClose()', async () => {
    const server = make(hello, { selector });
    serve(server);
    const drained = server.drain({ delay: 3600 });
    await get(server.serverAddress);
    await server.serverClose();
    expect((await drained).aborted).toBe(0);
  });

  it.each([0, 0.2])(
    'is cut short by serverClose() before its delay of %s s is over',
    async (delay) => {
      const server = make(hello, { selector });
      serve(server);
      const idle = await clients.connect(server.serverAddress);
      await eventually(() => server.stats().connections.open === 1, 'the client is accepted');
      const drained = server.drain({ delay, grace: 3600 });
      await server.serverClose();
      expect(await idle.end()).toBe('');
      expect(await drained).toMatchObject({ finished: 0, aborted: 0 });
    },
  );

  it('ends an idle connection also when nobody serves any more', async () => {
    const server = make(hello, { selector });
    const serving = serve(server);
    const idle = await clients.connect(server.serverAddress, { allowHalfOpen: true });
    idle.socket.write(REQUEST);
    await idle.until('hello /x');
    await server.shutdown();
    await serving;
    await Promise.all([idle.end(), server.serverClose()]);
  });

  it('outlives a serving that is shut down meanwhile', async () => {
    const server = make(hello, { selector });
    const serving = serve(server);
    const idle = await clients.connect(server.serverAddress);
    await eventually(() => server.stats().connections.open === 1, 'the client is accepted');
    const { phases, progress } = recorder();
    const drained = server.drain({ grace: 0.2, progress });
    await eventually(() => phases.includes('closing'), 'the listener is closed');
    await server.shutdown();
    await serving;
    expect(await idle.end()).toBe('');
    expect((await drained).seconds).toBeGreaterThanOrEqual(0.2);
  });

  it('lets nobody wait for a delay in which nobody serves', async () => {
    const server = make(hello, { selector });
    const serving = serve(server);
    await server.shutdown();
    await serving;
    const client = await clients.connect(server.serverAddress);
    client.socket.write(REQUEST);
    const { phases, progress } = recorder();
    const drained = server.drain({ delay: 3600, progress });
    expect(await client.end()).toMatch(/hello \/x$/);
    expect(await drained).toMatchObject({ finished: 1, aborted: 0 });
    expect(phases).toEqual(['unready', 'backlog', 'closing', 'drained']);
  });

  it('cuts the delay short when the serving is shut down', async () => {
    const server = make(hello, { selector });
    const serving = serve(server);
    const drained = server.drain({ delay: 3600 });
    await server.shutdown();
    await serving;
    expect(await drained).toMatchObject({ finished: 0, aborted: 0 });
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('told');
      },
    ],
    ['rejects', () => Promise.reject(new Error('told'))],
  ])('goes on when the one who is told %s', async (_how, progress) => {
    const told = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const server = make(hello, { selector });
    serve(server);
    const summary = await server.drain({ progress });
    const lines = told.mock.calls.map(([line]) => String(line));
    told.mockRestore();
    expect(summary.aborted).toBe(0);
    expect(lines.filter((line) => line.includes('Error: told'))).toHaveLength(4);
  });

  it.each([
    ['delay', -1],
    ['delay', Infinity],
    ['delay', '1'],
    ['deadline', NaN],
    ['grace', null],
    ['progress', 5],
    ['dealine', 1],
  ])('refuses %s %s', async (name, value) => {
    const server = make(hello, { selector });
    expect(() => server.drain({ [name]: value })).toThrow(
      expect.objectContaining({ code: 'ERR_RYEGATE_OPTION' }),
    );
    expect(server.draining).toBe(false);
  });
});

describeBackends('start', (selector) => {
  const { make, serve } = serverKeeper();

  it('resolves when clients are accepted; ended is the end', async () => {
    const server = make(hello, { selector });
    await server.start();
    expect(server.serverPort).toBeGreaterThan(0);
    expect((await get(server.serverAddress)).status).toBe(200);
    expect(await isPending(server.ended)).toBe(true);
    expect(await rejectionCode(server.start())).toBe('ERR_RYEGATE_ALREADY_SERVING');
    expect(await isPending(server.ended)).toBe(true);
    await server.shutdown();
    await server.ended;
    await server.start();
    expect((await get(server.serverAddress)).status).toBe(200);
  });

  it('rejects for what serveForever() would reject for', async () => {
    const server = make(hello, { selector });
    expect(await rejectionCode(server.start(-1))).toBe('ERR_RYEGATE_POLL_INTERVAL');
    await server.serverClose();
    expect(await rejectionCode(server.start())).toBe('ERR_RYEGATE_SERVER_CLOSED');
  });

  it('has serveForever() counted as well', async () => {
    const server = make(hello, { selector });
    const serving = serve(server);
    expect(await isPending(server.ended)).toBe(true);
    await server.shutdown();
    await Promise.all([server.ended, serving]);
  });
});

describeBackends('stats', (selector) => {
  const { make, serve } = serverKeeper();
  const clients = clientKeeper();

  it('counts connections by state, requests, bytes and turns', async () => {
    const { app, finish } = held('/slow');
    const server = make(app, { selector });
    const before = server.stats();
    expect(before).toMatchObject({
      connections: { open: 0 },
      requests: 0,
      refused: 0,
      failed: 0,
      bytesReceived: 0,
      bytesSent: 0,
      errors: 0,
      wakeLatency: null,
    });
    serve(server);
    const idle = await clients.connect(server.serverAddress);
    idle.socket.write(REQUEST);
    await idle.until('hello /x');
    const slow = await clients.connect(server.serverAddress);
    slow.socket.write(SLOW);
    await eventually(() => server.stats().connections.responding === 1, 'it is at work');
    const bad = await clients.connect(server.serverAddress);
    bad.socket.write(BAD);
    await bad.end();
    const stats = server.stats();
    expect(stats).toMatchObject({ requests: 2, refused: 1, errors: 0 });
    expect(stats.connections).toMatchObject({ idle: 1, responding: 1 });
    expect(stats.bytesReceived).toBe(REQUEST.length + SLOW.length + BAD.length);
    expect(stats.bytesSent).toBeGreaterThan(idle.received().length);
    expect(stats.turns).toBeGreaterThan(2);
    finish();
    await slow.until('hello /slow');
  });

  it('measures how long a wake-up takes', async () => {
    const server = make(hello, { selector });
    serve(server);
    server.stats();
    await eventually(() => server.stats().wakeLatency !== null, 'the turn has come');
    expect(server.stats().wakeLatency).toBeGreaterThanOrEqual(0);
  });

  it('counts requests that fail, and what is passed to handleError()', async () => {
    const server = make(
      (_environ, startResponse) => {
        startResponse('503 Service Unavailable', [['Content-Type', 'text/plain']]);
        return ['busy'];
      },
      { selector },
    );
    server.handleError = () => {};
    serve(server);
    expect((await get(server.serverAddress)).status).toBe(503);
    expect(server.stats()).toMatchObject({ requests: 1, failed: 1, errors: 0 });
    server.finishRequest = () => {
      throw new Error('no handler');
    };
    await rejectionCode(get(server.serverAddress));
    expect(server.stats()).toMatchObject({ requests: 1, failed: 1, errors: 1 });
  });
});

describeBackends('drain by a handle of another thread', (selector) => {
  const thread = threadKeeper();
  const clients = clientKeeper();

  it.each(['async', 'sync'])('tells of its phases and its end (%s)', async (mode) => {
    const other = thread(SERVING_THREAD, { selector, mode });
    const { handle, address } = await other.ready();
    await eventually(() => handle.serving, 'the thread serves');
    const client = await clients.connect(address);
    client.socket.write(REQUEST);
    await client.until('hello /x');
    const seen: DrainProgress[] = [];
    const drained = handle.drain({ delay: 1, deadline: 5, progress: (one) => seen.push(one) });
    const ended = handle.wait();
    expect((await get(address)).status).toBe(200);
    expect(await client.end()).toMatch(/hello \/x$/);
    const { aborted, seconds } = await drained;
    expect(aborted).toBe(0);
    expect(seconds).toBeGreaterThanOrEqual(1);
    expect(seen.at(0)?.phase).toBe('unready');
    expect(seen.at(-1)).toMatchObject({ phase: 'drained', open: 0, seconds });
    await ended;
    expect(handle.serving).toBe(false);
  });

  it('rejects with what the one who is told throws, and goes on', async () => {
    const other = thread(SERVING_THREAD, { selector, mode: 'async' });
    const { handle } = await other.ready();
    await eventually(() => handle.serving, 'the thread serves');
    const progress = (): void => {
      throw new Error('told');
    };
    await expect(handle.drain({ progress })).rejects.toThrow('told');
    await handle.wait();
    expect(handle.serving).toBe(false);
  });

  it('rejects when there is nothing to drain', async () => {
    // To close it would be a drain, too.
    const open = SERVING_THREAD.replace('await server.serverClose();', '');
    const other = thread(open, { selector, mode: 'async' });
    const { handle } = await other.ready();
    await eventually(() => handle.serving, 'the thread serves');
    await handle.shutdown();
    expect(await rejectionCode(handle.drain())).toBe('ERR_RYEGATE_NOT_SERVING');
    await handle.wait();
  });
});
