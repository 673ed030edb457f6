import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.ts';
import {
  clientKeeper,
  eventually,
  get,
  isPending,
  medianTime,
  rejectionCode,
  runScript,
  threadKeeper,
} from '../support/servers.ts';

/** Milliseconds. */
const AT_ONCE = 20;

/** A server with a synchronous application, which can be told to shut its server down. */
const MAKE_SERVER = `
  let shutdowns = [];
  const app = (environ, startResponse) => {
    if (environ.PATH_INFO.startsWith('/shutdown')) shutdowns.push(server.shutdown());
    if (environ.PATH_INFO.startsWith('/twice')) shutdowns.push(server.shutdown(), server.shutdown());
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return ['hello ' + environ.PATH_INFO];
  };
  const { selector } = workerData;
  const server = ryegate.makeServer('127.0.0.1', 0, ryegate.validator(app), { selector });
  const ready = () => tell({ handle: server.shutdownHandle, address: server.serverAddress });
`;

const SERVE_ONCE = `
  ${MAKE_SERVER}
  ready();
  server.serveForeverSync(60);
  tell('ended');
  await Promise.all(shutdowns);
  await server.serverClose();
`;

const SERVE_TWICE = `
  ${MAKE_SERVER}
  ready();
  server.serveForeverSync(60);
  await Promise.all(shutdowns);
  tell('between');
  const gate = workerData.gate;
  if (gate) Atomics.wait(gate, 0, 0, 20_000);
  server.serveForeverSync(60);
  tell('ended');
  await server.serverClose();
`;

describeBackends('shutdown of serveForeverSync', (selector) => {
  const thread = threadKeeper();
  const clients = clientKeeper();

  it('from another thread, by shutdown() and by shutdownSync() of the handle', async () => {
    for (const call of ['shutdown', 'shutdownSync'] as const) {
      const other = thread(SERVE_ONCE, { selector });
      const { handle, address } = await other.ready();
      expect((await get(address, '/x')).body).toBe('hello /x');
      await handle[call]();
      expect(handle.serving).toBe(false);
      expect(await other.next()).toBe('ended');
      await other.end();
    }
  });

  it('of the main thread of a process, from a worker thread', async () => {
    const output = await runScript(
      `
      import { Worker } from 'node:worker_threads';
      const ryegate = await import(process.argv[1]);
      const app = (environ, startResponse) => {
        startResponse('200 OK', [['Content-Type', 'text/plain']]);
        return ['main'];
      };
      const server = ryegate.makeServer('127.0.0.1', 0, ryegate.validator(app), {
        selector: process.argv[2],
      });
      new Worker(\`
        const { workerData } = require('node:worker_threads');
        import(workerData.dist).then(async ({ ShutdownHandle }) => {
          const [host, port] = workerData.address;
          const answer = await fetch('http://' + host + ':' + port);
          require('node:fs').writeSync(1, await answer.text());
          ShutdownHandle.from(workerData.handle).shutdownSync(20);
        });
      \`, { eval: true, execArgv: [], workerData: {
        dist: process.argv[1], handle: server.shutdownHandle, address: server.serverAddress,
      } });
      server.serveForeverSync(60);
      await server.serverClose();
      console.log(' ended');
      `,
      selector,
    );
    expect(output).toBe('main ended\n');
  });

  it('from inside a handler: the client gets its answer', async () => {
    const other = thread(SERVE_ONCE, { selector });
    const { address } = await other.ready();
    expect((await get(address, '/shutdown')).body).toBe('hello /shutdown');
    expect(await other.next()).toBe('ended');
    await other.end();
  });

  it('from inside an async handler: no promise can settle, so the client is told', async () => {
    const other = thread(
      `
      const errors = [];
      const app = async (environ, startResponse) => { await server.shutdown(); return ['never']; };
      class Handler extends ryegate.WSGIRequestHandler {
        getStderr() {
          return { write: (text) => errors.push(text), writelines() {}, flush() {} };
        }
      }
      const { selector } = workerData;
      const options = { selector, handlerClass: Handler };
      const server = ryegate.makeServer('127.0.0.1', 0, ryegate.validator(app), options);
      tell({ handle: server.shutdownHandle, address: server.serverAddress });
      server.serveForeverSync(60);
      await server.serverClose();
      tell(errors.join(''));
      `,
      { selector },
    );
    const { address } = await other.ready();
    expect((await get(address)).status).toBe(500);
    expect(await other.next()).toContain('ERR_RYEGATE_ASYNC');
    await other.end();
  });

  it('before serving ever began: the next serving serves', async () => {
    const other = thread(
      `
      ${MAKE_SERVER}
      await server.shutdown();
      ryegate.ShutdownHandle.from(server.shutdownHandle).shutdownSync();
      ready();
      server.serveForeverSync(60);
      tell('ended');
      `,
      { selector },
    );
    const { handle, address } = await other.ready();
    expect((await get(address, '/x')).body).toBe('hello /x');
    expect(await isPending(other.next())).toBe(true);
    expect(handle.shutdownSync(20)).toBe(true);
  });

  it('after serving ended: does not poison the next serving', async () => {
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const other = thread(SERVE_TWICE, { selector, gate });
    const { handle, address } = await other.ready();
    await get(address);
    await handle.shutdown();
    expect(await other.next()).toBe('between');
    await handle.shutdown();
    expect(handle.shutdownSync(20)).toBe(true);
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
    expect((await get(address, '/again')).body).toBe('hello /again');
    expect(handle.serving).toBe(true);
    expect(handle.shutdownSync(20)).toBe(true);
    expect(await other.next()).toBe('ended');
    await other.end();
  });

  it('twice, and twice at once', async () => {
    const other = thread(SERVE_TWICE, { selector });
    const { handle, address } = await other.ready();
    expect((await get(address, '/twice')).body).toBe('hello /twice');
    expect(await other.next()).toBe('between');
    await get(address);
    await Promise.all([handle.shutdown(), handle.shutdown()]);
    expect(handle.shutdownSync(20)).toBe(true);
    expect(await other.next()).toBe('ended');
    await other.end();
  });

  it('immediately after the call', async () => {
    const other = thread(
      `
      ${MAKE_SERVER}
      ready();
      for (let i = 0; i < 50; i++) server.serveForeverSync(60);
      tell('ended');
      await server.serverClose();
      `,
      { selector },
    );
    const { handle } = await other.ready();
    let asked = 0;
    await eventually(() => {
      while (handle.serving && asked++ < 10_000) handle.shutdownSync(20);
      return asked >= 50;
    }, 'fifty servings have been shut down');
    expect(await other.next()).toBe('ended');
    await other.end();
  });

  it('of one of two servers in two threads: the other goes on', async () => {
    const [one, other] = [thread(SERVE_ONCE, { selector }), thread(SERVE_ONCE, { selector })];
    const [ending, going] = await Promise.all([one.ready(), other.ready()]);
    await Promise.all([get(ending.address), get(going.address)]);
    await ending.handle.shutdown();
    await one.end();
    expect((await get(going.address, '/on')).body).toBe('hello /on');
    expect(going.handle.serving).toBe(true);
  });

  it('refuses a second serving from a handler, and the first goes on', async () => {
    const other = thread(
      `
      const app = (environ, startResponse) => {
        let code = 'none';
        try { server.serveForeverSync(); } catch (error) { code = error.code; }
        server.serveForever().catch((error) => tell(error.code));
        startResponse('200 OK', [['Content-Type', 'text/plain']]);
        return [code];
      };
      const server = ryegate.makeServer('127.0.0.1', 0, ryegate.validator(app), {
        selector: workerData.selector,
      });
      tell({ handle: server.shutdownHandle, address: server.serverAddress });
      server.serveForeverSync(60);
      await server.serverClose();
      `,
      { selector },
    );
    const { handle, address } = await other.ready();
    expect((await get(address)).body).toBe('ERR_RYEGATE_ALREADY_SERVING');
    expect((await get(address)).body).toBe('ERR_RYEGATE_ALREADY_SERVING');
    await handle.shutdown();
    expect(await other.next()).toBe('ERR_RYEGATE_ALREADY_SERVING');
    await other.end();
  });

  it('refuses to serve once it is closed', async () => {
    const other = thread(
      `
      ${MAKE_SERVER}
      await server.serverClose();
      try { server.serveForeverSync(); } catch (error) { tell(error.code); }
      `,
      { selector },
    );
    expect(await other.next()).toBe('ERR_RYEGATE_SERVER_CLOSED');
    await other.end();
  });

  it('leaves the listener and connections open for the next serving', async () => {
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const other = thread(SERVE_TWICE, { selector, gate });
    const { handle, address } = await other.ready();
    const client = await clients.connect(address);
    client.socket.write('GET /1 HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until('hello /1');
    await handle.shutdown();
    expect(await other.next()).toBe('between');
    client.socket.write('GET /2 HTTP/1.1\r\nHost: x\r\n\r\n');
    const newcomer = get(address, '/new');
    expect(await isPending(newcomer)).toBe(true);
    expect(client.received()).not.toContain('hello /2');
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
    await client.until('hello /2');
    expect((await newcomer).body).toBe('hello /new');
    client.socket.end();
    await handle.shutdown();
    await other.end();
  });

  it('alternates with serveForever on one server', async () => {
    const other = thread(
      `
      ${MAKE_SERVER}
      ready();
      for (let i = 0; i < 3; i++) {
        server.serveForeverSync(60);
        tell('sync');
        await server.serveForever(60);
        tell('async');
      }
      await server.serverClose();
      `,
      { selector },
    );
    const { address } = await other.ready();
    for (let i = 0; i < 3; i++) {
      await get(address, '/shutdown/1');
      expect(await other.next()).toBe('sync');
      await get(address, '/shutdown/2');
      expect(await other.next()).toBe('async');
    }
    await other.end();
  });

  it('takes effect in under 20 ms with a poll interval of 60 s', async () => {
    const milliseconds = await medianTime(5, async () => {
      const other = thread(SERVE_ONCE, { selector });
      const { handle, address } = await other.ready();
      await get(address);
      await sleep(20);
      const asked = performance.now();
      expect(handle.shutdownSync(20)).toBe(true);
      return performance.now() - asked;
    });
    expect(milliseconds).toBeLessThan(AT_ONCE);
  });

  it('refuses to wait on the serving thread itself, and the serving goes on', async () => {
    const other = thread(
      `
      const app = (environ, startResponse) => {
        let code = 'none';
        try { server.shutdownHandle.shutdownSync(); } catch (error) { code = error.code; }
        startResponse('200 OK', [['Content-Type', 'text/plain']]);
        return [code];
      };
      const server = ryegate.makeServer('127.0.0.1', 0, ryegate.validator(app), {
        selector: workerData.selector,
      });
      tell({ handle: server.shutdownHandle, address: server.serverAddress });
      server.serveForeverSync(60);
      tell(server.shutdownHandle.shutdownSync());
      await server.serverClose();
      `,
      { selector },
    );
    const { handle, address } = await other.ready();
    expect((await get(address)).body).toBe('ERR_RYEGATE_DEADLOCK');
    expect((await get(address)).body).toBe('ERR_RYEGATE_DEADLOCK');
    expect(handle.shutdownSync(20)).toBe(true);
    expect(await other.next()).toBe(true);
    await other.end();
  });

  it('ends when the serving thread is terminated', async () => {
    const other = thread(
      `
      const app = () => {
        tell('busy');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      };
      const server = ryegate.makeServer('127.0.0.1', 0, ryegate.validator(app), {
        selector: workerData.selector,
      });
      tell({ handle: server.shutdownHandle, address: server.serverAddress });
      server.serveForeverSync(60);
      `,
      { selector },
    );
    const { handle, address } = await other.ready();
    const broken = rejectionCode(get(address));
    expect(await other.next()).toBe('busy');
    const waiter = thread(
      `tell('waits');
       tell(ryegate.ShutdownHandle.from(workerData.handle).shutdownSync());`,
      { handle },
    );
    expect(await waiter.next()).toBe('waits');
    const ended = handle.shutdown();
    expect(await isPending(ended)).toBe(true);
    await other.worker.terminate();
    await ended;
    expect(await waiter.next()).toBe(true);
    expect(await broken).toBe('ECONNRESET');
  });

  it('a wait for the end of the serving can be limited', async () => {
    const other = thread(
      `
      const app = (environ, startResponse) => {
        tell('busy');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
        startResponse('200 OK', [['Content-Type', 'text/plain']]);
        return ['done'];
      };
      const server = ryegate.makeServer('127.0.0.1', 0, ryegate.validator(app), {
        selector: workerData.selector,
      });
      tell({ handle: server.shutdownHandle, address: server.serverAddress });
      server.serveForeverSync(60);
      await server.serverClose();
      `,
      { selector },
    );
    const { handle, address } = await other.ready();
    const answer = get(address);
    expect(await other.next()).toBe('busy');
    expect(handle.shutdownSync(0.02)).toBe(false);
    expect(handle.shutdownSync(20)).toBe(true);
    expect((await answer).body).toBe('done');
    await other.end();
  });
});
