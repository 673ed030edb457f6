import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  type Application,
  BaseRequestHandler,
  makeServer,
  TCPServer,
  validator,
} from '../../src/index.ts';
import {
  EpollSelector,
  EVENT_READ,
  PollSelector,
  type Selector,
  type SelectorKey,
} from '../../src/selectors/index.ts';
import { codeOf } from '../support/backends.ts';
import { descriptorKeeper, drain, openDescriptors } from '../support/descriptors.ts';
import { clientKeeper, eventually, get, rejectionCode, serverKeeper } from '../support/servers.ts';

const hello: Application = validator((_environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return ['hello'];
});

/** By the contract alone, so that the reactor calls `select()`. */
function failing(inner: EpollSelector | PollSelector): Selector & { fail: () => void } {
  const failure = new Error('the wait has failed');
  let failed = false;
  return {
    register: (...of) => inner.register(...of),
    unregister: (of) => inner.unregister(of),
    modify: (...of) => inner.modify(...of),
    select: (timeout): [SelectorKey, number][] => {
      if (failed) throw failure;
      return inner.select(timeout);
    },
    getKey: (of) => inner.getKey(of),
    getMap: () => inner.getMap(),
    fileno: () => inner.fileno(),
    close: () => inner.close(),
    [Symbol.dispose]: () => inner.close(),
    fail: () => {
      failed = true;
    },
  };
}

describe.each([
  ['EpollSelector', EpollSelector],
  ['PollSelector', PollSelector],
] as const)("a caller's own %s", (_name, SelectorClass) => {
  const { keep, serve } = serverKeeper();
  const clients = clientKeeper();
  const descriptors = descriptorKeeper();

  it.each([
    ['nothing', undefined],
    ['text', 'mine'],
    ['an object that looks like one of the reactor', { ready: () => expect.unreachable() }],
  ])('may watch a descriptor of the caller with %s for data', async (_title, data) => {
    const selector = new SelectorClass();
    const { reader, writer } = descriptors.pipe();
    const key = selector.register(reader, EVENT_READ, data);
    const server = keep(makeServer('127.0.0.1', 0, hello, { selector }));
    const serving = serve(server);
    const client = await clients.connect(server.serverAddress);
    const ask = async (count: number): Promise<void> => {
      client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      await eventually(() => client.received().split('hello').length > count, 'an answer');
    };
    await ask(1);
    writeSync(writer, 'x');
    await ask(2);
    drain(reader);
    await ask(3);
    await server.shutdown();
    await serving;
    await server.serverClose();
    expect([...(selector.getMap()?.values() ?? [])]).toEqual([key]);
    writeSync(writer, 'x');
    expect(selector.select(0)).toEqual([[key, EVENT_READ]]);
    selector.close();
  });

  it('serves one server at a time', async () => {
    const selector = new SelectorClass();
    const first = keep(makeServer('127.0.0.1', 0, hello, { selector }));
    serve(first);
    const before = openDescriptors();
    for (let i = 0; i < 3; i++) {
      expect(codeOf(() => makeServer('127.0.0.1', 0, hello, { selector }))).toBe(
        'ERR_RYEGATE_SELECTOR_IN_USE',
      );
    }
    expect(openDescriptors()).toBe(before);
    expect((await get(first.serverAddress)).body).toBe('hello');
    await first.serverClose();
    const second = keep(makeServer('127.0.0.1', 0, hello, { selector }));
    serve(second);
    expect((await get(second.serverAddress)).body).toBe('hello');
    await second.serverClose();
    selector.close();
  });

  it('is free again when the making of a server has failed', async () => {
    const selector = new SelectorClass();
    const other = keep(makeServer('127.0.0.1', 0, hello));
    const { serverPort } = other;
    expect(codeOf(() => makeServer('127.0.0.1', serverPort, hello, { selector }))).toBe(
      'ERR_RYEGATE_SYSTEM',
    );
    const server = keep(makeServer('127.0.0.1', 0, hello, { selector }));
    await server.serverClose();
    expect(selector.getMap()?.size).toBe(0);
    selector.close();
  });

  it('is not closed while a server uses it, and nothing is harmed by the attempt', async () => {
    const selector = new SelectorClass();
    const server = keep(makeServer('127.0.0.1', 0, hello, { selector }));
    const serving = serve(server);
    const client = await clients.connect(server.serverAddress);
    for (const call of [() => selector.close(), () => selector[Symbol.dispose]()]) {
      expect(codeOf(call)).toBe('ERR_RYEGATE_SELECTOR_IN_USE');
    }
    client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until('hello');
    expect((await get(server.serverAddress)).body).toBe('hello');
    await server.serverClose();
    await serving;
    selector.close();
    expect(selector.getMap()).toBeNull();
  });

  it('that the server has made itself is not closed either', async () => {
    const selector = SelectorClass === EpollSelector ? 'epoll' : 'poll';
    const server = keep(makeServer('127.0.0.1', 0, hello, { selector }));
    serve(server);
    expect(codeOf(() => server.reactor.selector.close())).toBe('ERR_RYEGATE_SELECTOR_IN_USE');
    expect((await get(server.serverAddress)).body).toBe('hello');
  });

  it.each(['idle', 'with a client'])('whose wait fails ends the serving (%s)', async (state) => {
    const inner = new SelectorClass();
    const before = openDescriptors();
    const selector = failing(inner);
    const server = keep(makeServer('127.0.0.1', 0, hello, { selector }));
    const serving = server.serveForever();
    const rejected = expect(serving).rejects.toThrow('the wait has failed');
    const client = await clients.connect(server.serverAddress);
    client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until('hello');
    if (state === 'idle') {
      client.socket.destroy();
      await eventually(() => server.reactor.sockets.size === 0, 'the connection is over');
    }
    selector.fail();
    server.reactor.waker.wake();
    await rejected;
    await server.shutdown();
    expect(server.shutdownEvent.isSet()).toBe(true);
    await server.serverClose();
    expect(server.fileno()).toBe(-1);
    expect(server.reactor.sockets.size).toBe(0);
    if (state !== 'idle') await client.end();
    client.socket.destroy();
    await eventually(() => openDescriptors() <= before, 'all descriptors are given back');
    expect(inner.getMap()?.size).toBe(0);
    inner.close();
  });

  it('whose wait fails while serverClose() waits for a handler: all is closed', async () => {
    const inner = new SelectorClass();
    const before = openDescriptors();
    const selector = failing(inner);
    let handled = false;
    class Stuck extends BaseRequestHandler {
      override handle(): Promise<void> {
        handled = true;
        return new Promise(() => {});
      }
    }
    const server = new TCPServer(['127.0.0.1', 0], Stuck, { selector });
    const serving = server.serveForever();
    const client = await clients.connect(server.serverAddress);
    await eventually(() => handled, 'the handler is at work');
    const closing = server.serverClose();
    await serving;
    await sleep(20);
    selector.fail();
    server.reactor.waker.wake();
    // Whether it tells of the failure or not, it ends.
    await rejectionCode(closing);
    expect(server.fileno()).toBe(-1);
    expect(server.reactor.sockets.size).toBe(0);
    await client.end();
    client.socket.destroy();
    await eventually(() => openDescriptors() <= before, 'all descriptors are given back');
    expect(inner.getMap()?.size).toBe(0);
    inner.close();
  });
});
