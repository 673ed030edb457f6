import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import {
  BaseRequestHandler,
  makeServer,
  StreamRequestHandler,
  TCPServer,
  WSGIServer,
} from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { openDescriptors } from '../support/descriptors.ts';
import {
  BIG,
  clientKeeper,
  eventually,
  gate,
  get,
  held,
  hello,
  isPending,
  rejectionCode,
  requestFor,
  serverKeeper,
} from '../support/servers.ts';

const REQUEST = requestFor('/x');

describeBackends('serverClose', (selector) => {
  const { keep, make, serve } = serverKeeper();
  const clients = clientKeeper();

  it('frees the port at once, before the call returns when it is not serving', async () => {
    const server = make(hello, { selector });
    const { serverPort } = server;
    const closing = server.serverClose();
    expect(server.fileno()).toBe(-1);
    const successor = keep(makeServer('127.0.0.1', serverPort, hello, { selector }));
    serve(successor);
    expect((await get(successor.serverAddress)).status).toBe(200);
    await closing;
  });

  it('lets a handler at work finish, while the port is free and the idle are closed', async () => {
    const { app, began, finish } = held('/slow');
    const server = make(app, { selector });
    const serving = serve(server);
    const idle = await clients.connect(server.serverAddress);
    idle.socket.write(REQUEST);
    await idle.until('hello /x');
    const slow = await clients.connect(server.serverAddress);
    slow.socket.write(requestFor('/slow'));
    await began;
    const closing = server.serverClose();
    await serving;
    expect(await idle.end()).toMatch(/hello \/x$/);
    expect(idle.failure).toBeNull();
    expect(await rejectionCode(clients.connect(server.serverAddress))).toBe('ECONNREFUSED');
    const successor = keep(makeServer('127.0.0.1', server.serverPort, hello, { selector }));
    serve(successor);
    expect((await get(successor.serverAddress)).status).toBe(200);
    expect(await isPending(closing)).toBe(true);
    finish();
    const answer = await slow.end();
    expect(answer).toMatch(/\r\nConnection: close\r\n/);
    expect(answer).toMatch(/hello \/slow$/);
    await closing;
  });

  it('answers what is at work, and no pipelined request behind it', async () => {
    const { app, began, finish } = held('/x');
    const paths: unknown[] = [];
    const server = make(
      (environ, startResponse) => {
        paths.push(environ.PATH_INFO);
        return app(environ, startResponse);
      },
      { selector },
    );
    serve(server);
    const client = await clients.connect(server.serverAddress);
    client.socket.write(REQUEST.repeat(3));
    await began;
    const closing = server.serverClose();
    await sleep(20);
    finish();
    expect((await client.end()).match(/hello/g)).toHaveLength(1);
    await closing;
    expect(paths).toEqual(['/x']);
  });

  it('lets an upload that has begun arrive', async () => {
    const began = gate();
    const server = make(
      async (environ, startResponse) => {
        began.open();
        const body = await environ['wsgi.input'].read();
        startResponse('200 OK', [['Content-Type', 'text/plain']]);
        return [`got ${body.length}`];
      },
      { selector },
    );
    serve(server);
    const client = await clients.connect(server.serverAddress);
    client.socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n');
    await began.opened;
    const closing = server.serverClose();
    await sleep(20);
    client.socket.write(Buffer.alloc(200_000, 'x'));
    expect(await client.end()).toMatch(/got 200000$/);
    await closing;
  });

  it('closes a connection whose request has not arrived yet', async () => {
    const server = make(hello, { selector });
    serve(server);
    const silent = await clients.connect(server.serverAddress);
    const begun = await clients.connect(server.serverAddress);
    begun.socket.write('GET / HTT');
    await eventually(() => server.reactor.sockets.size === 2, 'both were accepted');
    await sleep(20);
    await server.serverClose();
    expect(await silent.end()).toBe('');
    expect(await begun.end()).toBe('');
  });

  it('gives a client that never closes a moment only', async () => {
    const server = make(hello, { selector });
    serve(server);
    const client = await clients.connect(server.serverAddress, { allowHalfOpen: true });
    client.socket.write(REQUEST);
    await client.until('hello');
    await server.serverClose();
    expect(server.reactor.sockets.size).toBe(0);
  });

  it('breaks a stuck handler off after closeTimeout', async () => {
    class HastyServer extends WSGIServer {
      static override closeTimeout = 0.2;
    }
    const began = gate();
    let aborted = false;
    const server = keep(
      makeServer(
        '127.0.0.1',
        0,
        (environ) => {
          environ['ryegate.signal'].addEventListener('abort', () => {
            aborted = true;
          });
          began.open();
          return new Promise(() => {});
        },
        { selector, serverClass: HastyServer },
      ),
    );
    serve(server);
    const client = await clients.connect(server.serverAddress);
    client.socket.write(REQUEST);
    await began.opened;
    const asked = performance.now();
    await server.serverClose();
    const milliseconds = performance.now() - asked;
    expect(milliseconds).toBeGreaterThan(190);
    expect(milliseconds).toBeLessThan(5000);
    expect(aborted).toBe(true);
    expect(await client.end()).toBe('');
  });

  it('waits for nobody when blockOnClose is off', async () => {
    class ImpatientServer extends WSGIServer {
      static override blockOnClose = false;
    }
    const began = gate();
    const server = keep(
      makeServer(
        '127.0.0.1',
        0,
        () => {
          began.open();
          return new Promise(() => {});
        },
        { selector, serverClass: ImpatientServer },
      ),
    );
    serve(server);
    const client = await clients.connect(server.serverAddress);
    client.socket.write(REQUEST);
    await began.opened;
    await server.serverClose();
    expect(server.reactor.sockets.size).toBe(0);
    expect(await client.end()).toBe('');
  });

  it('sends a big response to a slow reader to its end', async () => {
    const began = gate();
    const server = make(
      (_environ, startResponse) => {
        startResponse('200 OK', [['Content-Type', 'text/plain']]);
        began.open();
        return [Buffer.alloc(BIG, 'x')];
      },
      { selector },
    );
    serve(server);
    const client = await clients.connect(server.serverAddress);
    client.socket.pause();
    client.socket.write(REQUEST);
    await began.opened;
    const closing = server.serverClose();
    expect(await isPending(closing, 200)).toBe(true);
    client.socket.resume();
    const answer = await client.end();
    await closing;
    expect(answer.length - answer.indexOf('\r\n\r\n') - 4).toBe(BIG);
  });

  it('sends the rest of a generator to a slow reader', async () => {
    const server = make(
      function* (_environ, startResponse) {
        startResponse('200 OK', [
          ['Content-Type', 'text/plain'],
          ['Content-Length', String(BIG)],
        ]);
        for (let i = 0; i < BIG / 65536; i++) yield Buffer.alloc(65536, 'x');
      },
      { selector },
    );
    serve(server);
    const client = await clients.connect(server.serverAddress);
    client.socket.write(REQUEST);
    await client.until('xxx');
    client.socket.pause();
    const closing = server.serverClose();
    expect(await isPending(closing, 200)).toBe(true);
    client.socket.resume();
    const answer = await client.end();
    await closing;
    expect(answer.length - answer.indexOf('\r\n\r\n') - 4).toBe(BIG);
  });

  it('lets stream handlers finish, whatever they wait for', async () => {
    class Reader extends StreamRequestHandler {
      override async handle(): Promise<void> {
        await this.wfile.write('hi ');
        const line = await this.rfile.readline();
        await sleep(20);
        await this.wfile.write(line);
      }
    }
    const server = keep(new TCPServer(['127.0.0.1', 0], Reader, { selector }));
    serve(server);
    const client = await clients.connect(server.serverAddress);
    await client.until('hi ');
    const closing = server.serverClose();
    await sleep(20);
    client.socket.write('bye\n');
    expect(await client.end()).toBe('hi bye\n');
    await closing;
  });

  it('gives the same promise when it is called again', async () => {
    const server = make(hello, { selector });
    serve(server);
    const first = server.serverClose();
    expect(server.serverClose()).toBe(first);
    await first;
    expect(server.serverClose()).toBe(first);
    await server.serverClose();
  });

  it('ends the serving, also that of handleRequest', async () => {
    const one = make(hello, { selector });
    const serving = serve(one);
    await one.serverClose();
    await serving;
    const other = make(hello, { selector });
    const handled = other.handleRequest();
    await other.serverClose();
    await handled;
  });

  it('is what asyncDispose does', async () => {
    const server = make(hello, { selector });
    const serving = serve(server);
    expect((await get(server.serverAddress)).status).toBe(200);
    await server[Symbol.asyncDispose]();
    await serving;
    expect(server.fileno()).toBe(-1);
  });

  it('can be called from inside a handler, which still answers', async () => {
    let closing: Promise<void> | null = null;
    const server = make(
      (environ, startResponse) => {
        closing = server.serverClose();
        return hello(environ, startResponse);
      },
      { selector },
    );
    const serving = serve(server);
    expect((await get(server.serverAddress)).body).toBe('hello /');
    await serving;
    await closing;
  });

  it('closes a server that never served, with clients in its backlog', async () => {
    const server = make(hello, { selector });
    const client = await clients.connect(server.serverAddress);
    await server.serverClose();
    await client.end();
    const unbound = new TCPServer(['127.0.0.1', 0], BaseRequestHandler, {
      selector,
      bindAndActivate: false,
    });
    await unbound.serverClose();
  });

  it('leaks no descriptor over 100 openings and closings', async () => {
    const cycle = async (): Promise<void> => {
      const server = makeServer('127.0.0.1', 0, hello, { selector });
      const serving = server.serveForever();
      await get(server.serverAddress);
      await server.serverClose();
      await serving;
    };
    for (let i = 0; i < 3; i++) await cycle();
    await sleep(50);
    const before = openDescriptors();
    for (let i = 0; i < 100; i++) await cycle();
    await eventually(() => openDescriptors() <= before, 'the descriptors are back');
  });

  it('leaks no descriptor when making a server fails', async () => {
    const server = make(hello, { selector });
    const attempt = (): unknown => makeServer('127.0.0.1', server.serverPort, hello, { selector });
    expect(attempt).toThrow(/EADDRINUSE/);
    const before = openDescriptors();
    for (let i = 0; i < 20; i++) expect(attempt).toThrow(/EADDRINUSE/);
    expect(openDescriptors()).toBe(before);
  });
});
