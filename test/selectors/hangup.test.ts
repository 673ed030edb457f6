import { once } from 'node:events';
import { readSync, writeSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { constants } from 'node:os';
import { afterEach, expect, it } from 'vitest';
import { native } from '../../src/native.ts';
import { EVENT_READ, EVENT_WRITE } from '../../src/selectors/index.ts';
import { describeBackends, eventsByDescriptor, selectorMaker } from '../support/backends.ts';
import { descriptorKeeper } from '../support/descriptors.ts';

const BOTH = EVENT_READ | EVENT_WRITE;

describeBackends('hang-ups and connections', (name) => {
  const makeSelector = selectorMaker(name);
  const descriptors = descriptorKeeper();
  const clients: Socket[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });

  function listen(): { listener: number; port: number } {
    const listener = descriptors.keep(native.socket(native.AF_INET));
    expect(native.bind(listener, native.AF_INET, '127.0.0.1', 0)).toBe(0);
    expect(native.listen(listener, 16)).toBe(0);
    const address = native.address(listener, false) as [number, string, number];
    return { listener, port: address[2] };
  }

  async function connected(port: number): Promise<Socket> {
    const client = connect(port, '127.0.0.1');
    clients.push(client);
    await once(client, 'connect');
    return client;
  }

  function accept(listener: number): number {
    const accepts = new Int32Array(7);
    const batch = new native.SocketBatch({
      input: new Uint8Array(64),
      output: new Uint8Array(64),
      receives: new Int32Array(3),
      sends: new Int32Array(6),
      accepts,
    });
    expect(batch.acceptMany(listener, 1)).toBe(1);
    return descriptors.keep(accepts[0] as number);
  }

  it('reports the end of a pipe as readable, and it stays so', () => {
    const selector = makeSelector();
    const { reader, writer } = descriptors.pipe();
    const key = selector.register(reader, EVENT_READ);
    descriptors.close(writer);
    expect(selector.select(0)).toEqual([[key, EVENT_READ]]);
    expect(readSync(reader, Buffer.alloc(1))).toBe(0);
    expect(selector.select(0)).toEqual([[key, EVENT_READ]]);
  });

  it('reports bytes that were sent before the end', () => {
    const selector = makeSelector();
    const { reader, writer } = descriptors.pipe();
    const key = selector.register(reader, EVENT_READ);
    writeSync(writer, 'last');
    descriptors.close(writer);
    expect(selector.select(0)).toEqual([[key, EVENT_READ]]);
    expect(readSync(reader, Buffer.alloc(8))).toBe(4);
    expect(readSync(reader, Buffer.alloc(8))).toBe(0);
  });

  it.each([EVENT_READ, EVENT_WRITE, BOTH])(
    'reports a pipe without a reader to whoever waits for %i',
    (events) => {
      const selector = makeSelector();
      const { reader, writer } = descriptors.pipe();
      selector.register(writer, events);
      descriptors.close(reader);
      expect(eventsByDescriptor(selector.select(0))).toEqual(new Map([[writer, events]]));
    },
  );

  it.each([EVENT_READ, EVENT_WRITE, BOTH])(
    'reports a socket whose peer has closed to whoever waits for %i',
    (events) => {
      const selector = makeSelector();
      const [near, far] = descriptors.socketPair();
      selector.register(near, events);
      descriptors.close(far);
      expect(eventsByDescriptor(selector.select(0))).toEqual(new Map([[near, events]]));
    },
  );

  it('reports a half-closed socket as readable at its end', () => {
    const selector = makeSelector();
    const [near, far] = descriptors.socketPair();
    const key = selector.register(near, EVENT_READ);
    expect(native.shutdown(far)).toBe(0);
    expect(selector.select(0)).toEqual([[key, EVENT_READ]]);
    expect(readSync(near, Buffer.alloc(1))).toBe(0);
    writeSync(near, 'still open this way');
    selector.register(far, EVENT_READ);
    expect(eventsByDescriptor(selector.select(0)).has(far)).toBe(true);
  });

  it('reports a listening socket as readable while a connection waits', async () => {
    const selector = makeSelector();
    const { listener, port } = listen();
    const key = selector.register(listener, EVENT_READ);
    expect(selector.select(0)).toEqual([]);
    await connected(port);
    expect(selector.select(1)).toEqual([[key, EVENT_READ]]);
    accept(listener);
    expect(selector.select(0)).toEqual([]);
  });

  it('reports an accepted connection as writable, then readable when bytes come', async () => {
    const selector = makeSelector();
    const { listener, port } = listen();
    const client = await connected(port);
    const server = accept(listener);
    selector.register(server, BOTH);
    expect(eventsByDescriptor(selector.select(1)).get(server)).toBe(EVENT_WRITE);
    await new Promise((resolve) => client.write('hello', resolve));
    const key = selector.modify(server, EVENT_READ);
    expect(selector.select(1)).toEqual([[key, EVENT_READ]]);
  });

  it.each([EVENT_READ, EVENT_WRITE, BOTH])(
    'reports a reset connection to whoever waits for %i, and SO_ERROR names it',
    async (events) => {
      const selector = makeSelector();
      const { listener, port } = listen();
      const client = await connected(port);
      const server = accept(listener);
      selector.register(server, EVENT_READ);
      client.resetAndDestroy();
      expect(eventsByDescriptor(selector.select(5))).toEqual(new Map([[server, EVENT_READ]]));
      selector.modify(server, events);
      expect(eventsByDescriptor(selector.select(0))).toEqual(new Map([[server, events]]));
      expect(native.socketError(server)).toBe(-constants.errno.ECONNRESET);
      expect(native.socketError(server)).toBe(0);
    },
  );
});
