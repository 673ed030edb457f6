import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { makeServer, StreamRequestHandler, TCPServer, WSGIServer } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import {
  clientKeeper,
  gate,
  get,
  hello,
  isPending,
  serverKeeper,
  threadKeeper,
} from '../support/servers.ts';

describeBackends('handleRequest', (selector) => {
  const { keep, make, serve } = serverKeeper();
  const clients = clientKeeper();
  const thread = threadKeeper();

  function timing(timeout: number | null): WSGIServer & { timeouts: number } {
    class TimingServer extends WSGIServer {
      static override timeout = timeout;
      timeouts = 0;
      override handleTimeout(): void {
        this.timeouts++;
      }
    }
    return keep(
      makeServer('127.0.0.1', 0, hello, { selector, serverClass: TimingServer }) as TimingServer,
    );
  }

  it('serves one request and resolves; the connection closes although it was persistent', async () => {
    const server = make(hello, { selector });
    const handled = server.handleRequest();
    const client = await clients.connect(server.serverAddress);
    client.socket.write('GET /1 HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n');
    const answer = await client.end();
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).toMatch(/\r\nConnection: close\r\n/);
    expect(answer).toMatch(/hello \/1$/);
    await handled;
    expect(server.shutdownEvent.isSet()).toBe(true);
  });

  it('serves the first of pipelined requests only', async () => {
    const server = make(hello, { selector });
    const handled = server.handleRequest();
    const client = await clients.connect(server.serverAddress);
    client.socket.write('GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n');
    const answer = await client.end();
    client.socket.end();
    await handled;
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });

  it('waits for an async application', async () => {
    const finish = gate();
    const server = make(
      async (environ, startResponse) => {
        await finish.opened;
        return hello(environ, startResponse);
      },
      { selector },
    );
    const handled = server.handleRequest();
    const answer = get(server.serverAddress, '/async');
    expect(await isPending(handled)).toBe(true);
    finish.open();
    expect((await answer).body).toBe('hello /async');
    await handled;
  });

  it('takes one connection: the next call serves the next', async () => {
    const server = make(hello, { selector });
    const answers = [get(server.serverAddress, '/1'), get(server.serverAddress, '/2')];
    await server.handleRequest();
    await Promise.race(answers);
    expect(await isPending(Promise.all(answers))).toBe(true);
    await server.handleRequest();
    expect((await Promise.all(answers)).map(({ body }) => body)).toEqual(['hello /1', 'hello /2']);
  });

  it('calls handleTimeout once when no client comes in time', async () => {
    const server = timing(0.1);
    const begun = performance.now();
    await server.handleRequest();
    expect(performance.now() - begun).toBeGreaterThanOrEqual(95);
    expect(server.timeouts).toBe(1);
    await sleep(150);
    expect(server.timeouts).toBe(1);
    await server.handleRequest();
    expect(server.timeouts).toBe(2);
    const handled = server.handleRequest();
    expect((await get(server.serverAddress)).status).toBe(200);
    await handled;
    expect(server.timeouts).toBe(2);
  });

  it('does not time a client out that has come', async () => {
    const server = timing(0.05);
    const handled = server.handleRequest();
    const client = await clients.connect(server.serverAddress);
    await sleep(120);
    client.socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until('hello /slow');
    await handled;
    expect(server.timeouts).toBe(0);
  });

  it.each([
    [
      'throws',
      (): void => {
        throw new Error('nobody came');
      },
    ],
    ['rejects with', async () => Promise.reject(new Error('nobody came'))],
  ])('rejects with what handleTimeout %s', async (_how, handleTimeout) => {
    const server = timing(0.01);
    server.handleTimeout = handleTimeout;
    await expect(server.handleRequest()).rejects.toThrow('nobody came');
    expect(server.shutdownEvent.isSet()).toBe(true);
  });

  it('counts a client that verifyRequest refuses', async () => {
    const server = make(hello, { selector });
    server.verifyRequest = () => false;
    const handled = server.handleRequest();
    const client = await clients.connect(server.serverAddress);
    expect(await client.end()).toBe('');
    await handled;
  });

  it('is ended by shutdown(), from here and from another thread', async () => {
    const server = make(hello, { selector });
    const first = server.handleRequest();
    expect(await isPending(first, 20)).toBe(true);
    await server.shutdown();
    await first;
    const second = server.handleRequest();
    thread(`ryegate.ShutdownHandle.from(workerData.handle).shutdownSync(20);`, {
      handle: server.shutdownHandle,
    });
    await second;
    const third = server.handleRequest();
    expect((await get(server.serverAddress)).status).toBe(200);
    await third;
  });

  it('serves one connection of a stream server', async () => {
    class Echo extends StreamRequestHandler {
      override async handle(): Promise<void> {
        for await (const chunk of this.rfile) await this.wfile.write(chunk);
      }
    }
    const server = keep(new TCPServer(['127.0.0.1', 0], Echo, { selector }));
    const handled = server.handleRequest();
    const client = await clients.connect(server.serverAddress);
    client.socket.write('one ');
    await client.until('one ');
    client.socket.end('two');
    expect(await client.end()).toBe('one two');
    await handled;
  });

  it('makes no turns while it waits, and serveForever can follow', async () => {
    const server = make(hello, { selector });
    const handled = server.handleRequest();
    await sleep(50);
    const { turns } = server.reactor;
    await sleep(200);
    expect(server.reactor.turns).toBe(turns);
    await get(server.serverAddress);
    await handled;
    serve(server);
    expect((await get(server.serverAddress)).status).toBe(200);
  });
});
