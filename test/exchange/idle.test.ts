import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Application, WSGIServer } from '../../src/index.ts';
import { backends, describeBackends } from '../support/backends.ts';
import {
  clientKeeper,
  eventually,
  get,
  hello,
  serverKeeper,
  threadKeeper,
} from '../support/servers.ts';

/** Milliseconds. */
const IDLE = 5000;
/** Seconds. */
const POLL = 0.05;
const LONG_POLL = 60;

/** Records when it was called; `serviceActions` of a thread's server in `times`. */
const COUNT_ACTIONS = `
  const { selector, pollInterval } = workerData;
  const times = [];
  class Server extends ryegate.WSGIServer {
    serviceActions() { times.push(performance.now()); }
  }
  const app = (environ, startResponse) => {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    if (environ.PATH_INFO === '/end') server.shutdown();
    return [JSON.stringify(times)];
  };
  const options = { selector, serverClass: Server };
  const server = ryegate.makeServer('127.0.0.1', 0, ryegate.validator(app), options);
  tell({ handle: server.shutdownHandle, address: server.serverAddress });
  server.serveForeverSync(pollInterval);
  tell(times.length);
  await server.serverClose();
`;

const tellTurns: (server: () => WSGIServer) => Application = (server) => (_, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return [String(server().reactor.turns)];
};

function longestGap(times: readonly number[]): number {
  return Math.max(...times.slice(1).map((time, i) => time - (times[i] as number)));
}

describe('an idle server', () => {
  const { make, serve } = serverKeeper();
  const clients = clientKeeper();
  const thread = threadKeeper();

  it('makes no turn in 5 seconds and uses no CPU time, on any selector', async () => {
    const servers: WSGIServer[] = [];
    for (const selector of backends()) {
      const silent = make(hello, { selector });
      const connected = make(hello, { selector });
      servers.push(silent, connected);
      serve(silent, POLL);
      serve(connected, POLL);
      const client = await clients.connect(connected.serverAddress);
      client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      await client.until('hello /');
    }
    await sleep(100);
    const before = servers.map((server) => server.reactor.turns);
    const cpu = process.cpuUsage();
    await sleep(IDLE);
    const { user, system } = process.cpuUsage(cpu);
    expect(servers.map((server) => server.reactor.turns)).toEqual(before);
    // Microseconds: what else this process does is far from what one spinning thread would use.
    expect(user + system).toBeLessThan((IDLE * 1000) / 2);
  });

  it('sleeps under serveForeverSync too', async () => {
    const observed = backends().map(async (selector) => {
      const other = thread(
        `const app = (environ, startResponse) => {
           startResponse('200 OK', [['Content-Type', 'text/plain']]);
           return [String(server.reactor.turns)];
         };
         const { selector } = workerData;
         const server = ryegate.makeServer('127.0.0.1', 0, ryegate.validator(app), { selector });
         tell({ handle: server.shutdownHandle, address: server.serverAddress });
         server.serveForeverSync(0.05);
         await server.serverClose();`,
        { selector },
      );
      const { handle, address } = await other.ready();
      const agent = clients.agent();
      const first = Number((await get(address, '/', agent)).body);
      await sleep(IDLE);
      const second = Number((await get(address, '/', agent)).body);
      handle.shutdownSync(20);
      return second - first;
    });
    // The second request itself takes one.
    expect(await Promise.all(observed)).toEqual(backends().map(() => 1));
  });

  it('counts a turn when something happens', async () => {
    const server: WSGIServer = make(tellTurns(() => server));
    serve(server, POLL);
    const agent = clients.agent();
    const first = Number((await get(server.serverAddress, '/', agent)).body);
    const second = Number((await get(server.serverAddress, '/', agent)).body);
    expect(first).toBeGreaterThan(0);
    expect(second).toBe(first + 1);
  });
});

describeBackends('serviceActions', (selector) => {
  const { make, serve } = serverKeeper();
  const thread = threadKeeper();

  it('is called at least every poll interval', async () => {
    const server = make(hello, { selector });
    const times: number[] = [];
    server.serviceActions = () => {
      times.push(performance.now());
    };
    serve(server, POLL);
    await sleep(1000);
    await server.shutdown();
    expect(times.length).toBeGreaterThanOrEqual(12);
    expect(longestGap(times)).toBeLessThan(250);
    const { length } = times;
    await sleep(4 * POLL * 1000);
    expect(times.length).toBe(length);
  });

  it('is called at least every poll interval under serveForeverSync', async () => {
    const other = thread(COUNT_ACTIONS, { selector, pollInterval: POLL });
    const { address } = await other.ready();
    await sleep(1000);
    const times: number[] = JSON.parse((await get(address)).body);
    expect(times.length).toBeGreaterThanOrEqual(12);
    expect(longestGap(times)).toBeLessThan(250);
    await get(address, '/end');
    await other.end();
  });

  it('is called after every turn, however long the poll interval', async () => {
    const server = make(hello, { selector });
    let calls = 0;
    server.serviceActions = () => {
      calls++;
    };
    serve(server, LONG_POLL);
    for (let i = 1; i <= 5; i++) {
      await get(server.serverAddress);
      await eventually(() => calls >= i, 'serviceActions was called after the turn');
    }
    expect(calls).toBeGreaterThanOrEqual(5);
    await server.shutdown();
    expect(calls).toBeLessThanOrEqual(server.reactor.turns);
  });

  it('is called after every turn under serveForeverSync', async () => {
    const other = thread(COUNT_ACTIONS, { selector, pollInterval: LONG_POLL });
    const { address } = await other.ready();
    for (let i = 0; i < 5; i++) await get(address);
    await get(address, '/end');
    expect(await other.next()).toBeGreaterThanOrEqual(6);
    await other.end();
  });

  it('ends the serving by what it throws; the server can serve again, and be closed', async () => {
    const server = make(hello, { selector });
    server.serviceActions = () => {
      throw new Error('no more');
    };
    await expect(server.serveForever(POLL)).rejects.toThrow('no more');
    expect(server.shutdownEvent.isSet()).toBe(true);
    const answer = get(server.serverAddress);
    // After a turn as well.
    await expect(server.serveForever(LONG_POLL)).rejects.toThrow('no more');
    server.serviceActions = () => {};
    serve(server, POLL);
    expect((await answer).status).toBe(200);
    await server.serverClose();
    expect(server.fileno()).toBe(-1);
  });

  it.each([
    ['null', null],
    ['undefined', undefined],
  ])('ends the serving even by throwing %s', async (_title, thrown) => {
    const server = make(hello, { selector });
    server.serviceActions = () => {
      throw thrown;
    };
    const ending = server.serveForever(POLL).then(
      () => 'resolved',
      (error: unknown) => error,
    );
    expect(await ending).toBe(thrown);
  });

  it('has to be synchronous', async () => {
    const server = make(hello, { selector });
    server.serviceActions = async () => {
      throw new Error('seen by nobody');
    };
    await expect(server.serveForever(POLL)).rejects.toMatchObject({ code: 'ERR_RYEGATE_ASYNC' });
  });

  it('ends serveForeverSync by what it throws', async () => {
    const other = thread(
      `
      const app = (environ, startResponse) => {
        startResponse('200 OK', [['Content-Type', 'text/plain']]);
        return ['x'];
      };
      const { selector } = workerData;
      const server = ryegate.makeServer('127.0.0.1', 0, ryegate.validator(app), { selector });
      server.serviceActions = () => { throw new Error('no more'); };
      try { server.serveForeverSync(0.05); } catch (error) { tell(error.message); }
      tell(server.shutdownEvent.isSet());
      server.serviceActions = () => { server.shutdown(); };
      server.serveForeverSync(0.05);
      await server.serverClose();
      tell(server.fileno());
      `,
      { selector },
    );
    expect(await other.next()).toBe('no more');
    expect(await other.next()).toBe(true);
    expect(await other.next()).toBe(-1);
    await other.end();
  });

  it('may write to connections', async () => {
    let send = (): void => {};
    const server = make(
      (_environ, startResponse) =>
        new Promise((resolve) => {
          send = () => {
            send = () => {};
            startResponse('200 OK', [['Content-Type', 'text/plain']]);
            resolve(['by serviceActions']);
          };
        }),
      { selector },
    );
    server.serviceActions = () => send();
    serve(server, POLL);
    expect((await get(server.serverAddress)).body).toBe('by serviceActions');
  });
});
