import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.ts';
import {
  type Client,
  clientKeeper,
  get,
  type ServerThread,
  threadKeeper,
} from '../support/servers.ts';

/** Serves in a thread until it is told to end; what the server's script calls `made` is the server. */
const SERVE = `
  tell({ handle: made.shutdownHandle, address: made.serverAddress });
  made.serveForeverSync(60);
  tell('ended');
  await made.serverClose();
`;
const TIMEOUTS = `
  const app = (environ, startResponse) => {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return ['hello'];
  };
  const { selector, settings } = workerData;
  const made = ryegate.makeServer('127.0.0.1', 0, ryegate.validator(app), {
    selector,
    ...settings,
  });
`;
/** An application that is asynchronous; what goes to wsgi.errors is told. */
const ASYNC_RESULT = `
  class Handler extends ryegate.WSGIRequestHandler {
    getStderr() { return { write: tell, writelines() {}, flush() {} }; }
  }
  const app = (environ, startResponse) => {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    if (environ.PATH_INFO === '/sync') return ['hello'];
    return (async function* () { yield 'never'; })();
  };
  const { selector } = workerData;
  const made = ryegate.makeServer('127.0.0.1', 0, ryegate.validator(app), {
    selector,
    handlerClass: Handler,
  });
`;
const ASYNC_METHOD = `
  class Server extends ryegate.HTTPServer {
    handleError(request, address, error) { tell(error.code); }
  }
  class Handler extends ryegate.BaseHTTPRequestHandler {
    logMessage() {}
    async doGET() {
      this.sendResponse(200);
      this.endHeaders();
    }
    async doPUT() {
      await null;
      throw new Error('seen by nobody');
    }
    doPOST() {
      this.sendResponse(204);
    }
  }
  const { selector } = workerData;
  const made = new Server(['127.0.0.1', 0], Handler, { selector });
`;
/** What comes is kept, and written back by the next serviceActions(). */
const ACTIONS = `
  let request = null;
  let owed = '';
  class Server extends ryegate.TCPServer {
    processRequest(accepted) {
      request = accepted;
      request.attach({
        dataReceived(bytes, start, end) { owed += bytes.toString('latin1', start, end); },
        eofReceived() { request.end(); },
        drained() {}, deadlinePassed() {}, serverClosing() { request.end(); }, connectionLost() {},
      });
    }
    serviceActions() {
      if (owed !== '') request.writeLatin1(owed);
      owed = '';
    }
  }
  const { selector } = workerData;
  const made = new Server(['127.0.0.1', 0], ryegate.BaseRequestHandler, { selector });
`;
/** Its thread is held up when a client has taken everything and the generator was not told so yet. */
const HELD_UP = `
  const seconds = 0.3;
  const app = (environ, startResponse) => {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return (function* () {
      yield Buffer.alloc(8 * 1024 * 1024, 'x');
      yield 'the end';
    })();
  };
  let waits = false;
  class Server extends ryegate.WSGIServer {
    serviceActions() {
      const [client] = this.reactor.sockets.values();
      if (client === undefined) return;
      const held = client.buffered > 0;
      if (waits && !held) {
        const until = performance.now() + seconds * 1000 + 5;
        while (performance.now() < until);
      }
      waits = held;
    }
  }
  const { selector } = workerData;
  const settings = { selector, serverClass: Server, timeouts: { handler: seconds } };
  const made = ryegate.makeServer('127.0.0.1', 0, ryegate.validator(app), settings);
`;

describeBackends('serveForeverSync', (selector) => {
  const thread = threadKeeper();
  const clients = clientKeeper();

  async function serve(script: string, settings: object = {}) {
    const other: ServerThread = thread(script + SERVE, { selector, settings });
    const { handle, address } = await other.ready();
    const finish = async (): Promise<void> => {
      handle.shutdownSync(20);
      expect(await other.next()).toBe('ended');
      await other.end();
    };
    return { other, address, finish };
  }

  /** Milliseconds until the server has ended the connection. */
  async function untilEnded(client: Client): Promise<number> {
    const begin = performance.now();
    await client.end();
    return performance.now() - begin;
  }

  it('answers a head that takes longer than timeouts.head by 408, in time', async () => {
    const { address, finish } = await serve(TIMEOUTS, { timeouts: { head: 0.5 } });
    const client = await clients.connect(address);
    client.socket.write('GET / HTTP/1.1\r\nHo');
    const taken = await untilEnded(client);
    expect(client.received()).toMatch(/^HTTP\/1\.1 408 /);
    expect(taken).toBeGreaterThan(400);
    // Long before the poll interval, which is a minute.
    expect(taken).toBeLessThan(3000);
    await finish();
  });

  it('closes a connection that is idle for timeouts.keepAlive, in time', async () => {
    const { address, finish } = await serve(TIMEOUTS, { timeouts: { keepAlive: 0.5 } });
    const client = await clients.connect(address);
    client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until('hello');
    const taken = await untilEnded(client);
    expect(client.received()).toMatch(/hello$/);
    expect(taken).toBeGreaterThan(400);
    expect(taken).toBeLessThan(3000);
    await finish();
  });

  it('sends what serviceActions() writes at once', async () => {
    const { address, finish } = await serve(ACTIONS);
    const client = await clients.connect(address);
    for (const text of ['first', 'second']) {
      client.socket.write(text);
      await client.until(text);
    }
    client.socket.destroy();
    await sleep(20);
    await finish();
  });

  it('answers an async iterable by 500, and logs ERR_RYEGATE_ASYNC', async () => {
    const { other, address, finish } = await serve(ASYNC_RESULT);
    const answer = await get(address, '/async');
    expect(answer.status).toBe(500);
    expect(await other.next()).toContain('ERR_RYEGATE_ASYNC');
    expect((await get(address, '/sync')).body).toBe('hello');
    await finish();
  });

  it('answers an async doGET() by 500, and tells handleError() ERR_RYEGATE_ASYNC', async () => {
    const { other, address, finish } = await serve(ASYNC_METHOD);
    for (const method of ['PUT', 'GET']) {
      const client = await clients.connect(address);
      client.socket.write(`${method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      const answer = await client.end();
      // What doGET() has sent before it returned cannot be taken back, but must not look complete.
      if (method === 'PUT') expect(answer).toMatch(/^HTTP\/1\.1 500 /);
      else expect(answer).not.toMatch(/0\r\n\r\n$/);
      expect(await other.next()).toBe('ERR_RYEGATE_ASYNC');
    }
    const client = await clients.connect(address);
    client.socket.write('POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(await client.end()).toMatch(/^HTTP\/1\.1 204 /);
    await finish();
  });

  it('waits for a handler that is about to hear that its client has taken everything', async () => {
    const { address, finish } = await serve(HELD_UP);
    const client = await clients.connect(address);
    client.socket.pause();
    client.socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    // The deadline passes meanwhile: it does not count the time that the client is waited for.
    await sleep(900);
    client.socket.resume();
    expect(await client.end()).toMatch(/the end\r\n0\r\n\r\n$/);
    await finish();
  });
});
