import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { type Application, FileWrapper } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { openDescriptors } from '../support/descriptors.ts';
import {
  type Exchange,
  type ExchangeOptions,
  exchanges,
  get,
  PLAIN,
  request,
  TCP,
} from '../support/exchange.ts';
import { programStarter } from '../support/programs.ts';
import { eventually, field, RawClient, text } from '../support/rawclient.ts';
import { dist, requireDist, threadKeeper } from '../support/servers.ts';
import { type SlowFS, slowBytes, slowFileSystem } from '../support/slowfs.ts';

const MIB = 1024 * 1024;

/** Serves the file of `workerData` until it is told to end. */
const BLOCKING = `
  const { openSync } = require('node:fs');
  const app = (environ, startResponse) => {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return new ryegate.FileWrapper(openSync(workerData.path));
  };
  const server = ryegate.makeServer('127.0.0.1', 0, ryegate.validator(app));
  tell({ handle: server.shutdownHandle, address: server.serverAddress });
  server.serveForeverSync();
  await server.serverClose();
`;

/** Serves the file of the second argument, as the user of the third, until its input ends. */
const SERVER = `
  import { openSync } from 'node:fs';
  const [, dist, path, user] = process.argv;
  const { FileWrapper, makeServer } = await import(dist);
  const app = ({ PATH_INFO }, startResponse) => {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return PATH_INFO === '/hello' ? ['hello'] : new FileWrapper(openSync(path));
  };
  const server = makeServer('127.0.0.1', 0, app);
  process.stdin.on('end', () => process.exit()).resume();
  if (user !== undefined) process.setuid(Number(user));
  console.log('http://127.0.0.1:' + server.serverPort + '/');
  await server.serveForever();
`;

const start = programStarter();
const run = threadKeeper();
const mounted = await slowFileSystem();
const slow = mounted as SlowFS;

/** Names of the files that the server has closed, one for each time. */
let closed: string[] = [];

/** A descriptor whose closing is noted. */
function open(name: string): { fd: number; close(): void } {
  const fd = openSync(slow.path(name), 'r');
  return {
    fd,
    close: () => {
      closed.push(name);
      closeSync(fd);
    },
  };
}

/** Says hello, or sends a file of the slow file system. */
const application: Application = ({ PATH_INFO }, startResponse) => {
  startResponse('200 OK', PLAIN);
  if (PATH_INFO === '/hello') return 'hello';
  return new FileWrapper(open(PATH_INFO.slice(1)));
};

/** How many descriptors of this process are of the file. */
function descriptorsOf(name: string): number {
  const path = slow.path(name);
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false;
    }
  }).length;
}

async function expectFile(client: RawClient, size: number): Promise<void> {
  const response = await client.response();
  expect(response.status).toBe(200);
  expect(field(response, 'Content-Length')).toBe(String(size));
  expect(response.body.equals(slowBytes(size))).toBe(true);
}

/** What has come behind the head. */
function bodyOf({ pending }: RawClient): Buffer {
  const end = pending.indexOf('\r\n\r\n');
  return pending.subarray(end < 0 ? pending.length : end + 4);
}

async function asking(exchange: Exchange, ...targets: string[]): Promise<RawClient> {
  const client = await exchange.client();
  await client.send(targets.map((target) => get(target)).join(''));
  return client;
}

describe.skipIf(mounted === null)('a file that is slow to read', () => {
  describeBackends('by', (selector) => {
    const serve = exchanges();
    // A server that is closed waits for the reads.
    afterEach(() => slow.release());

    /** Serves; what is returned checks that these files have been closed, once each. */
    function begin(
      options: ExchangeOptions = {},
    ): [Exchange, (...names: string[]) => Promise<void>] {
      closed = [];
      const before = openDescriptors();
      const exchange = serve(application, { selector, ...options });
      const end = async (...names: string[]): Promise<void> => {
        await slow.release();
        await slow.untilClosed();
        expect(closed.sort()).toEqual(names.sort());
        await exchange.close();
        await eventually(() => openDescriptors() <= before, 'all descriptors are closed');
      };
      return [exchange, end];
    }

    it.each([
      ['from its beginning', 0, { sendfile: true }],
      ['from its middle on', MIB, { sendfile: true }],
      ['from its last page on', 3 * MIB, { sendfile: true }],
      ['from its beginning, sendfile off', 0, { sendfile: false }],
      ['from its middle on, sendfile off', MIB, { sendfile: false }],
    ])('holds nobody else up: %s', async (_where, from, options) => {
      const [exchange, end] = begin(options);
      const size = 3 * MIB + 1;
      await slow.hold(from);
      const client = await asking(exchange, `/${size}`);
      await slow.untilHeld();
      await slow.expectOthersServed(exchange);
      expect(closed).toEqual([]);
      await slow.release();
      await expectFile(client, size);
      await end(String(size));
    });

    it('is sent when nothing of it ever stays in the page cache', async () => {
      const [exchange, end] = begin();
      const size = 2 * MIB + 17;
      await slow.direct(true);
      await slow.hold();
      const client = await asking(exchange, `/${size}`);
      await slow.untilHeld();
      await slow.expectOthersServed(exchange);
      await slow.release();
      await expectFile(client, size);
      // Each byte is read once, twice if it was looked for in vain: more has no end.
      const reads = await slow.of('read', size);
      const bytes = reads.reduce((sum, [, , , count = 0]) => sum + count, 0);
      expect(bytes).toBeLessThan(3 * size);
      await end(String(size));
    });

    it('holds nobody up as one of more than the thread pool has threads', async () => {
      const [exchange, end] = begin();
      const sizes = Array.from({ length: 12 }, (_, index) => 300_000 + 1000 * index);
      await slow.hold();
      const clients: RawClient[] = [];
      for (const size of sizes) clients.push(await asking(exchange, `/${size}`));
      await slow.untilHeld(2);
      await slow.expectOthersServed(exchange);
      await slow.release();
      await Promise.all(clients.map((client, index) => expectFile(client, sizes[index] as number)));
      await end(...sizes.map(String));
    });

    it('holds nobody up while it is read already for somebody else', async () => {
      const [exchange, end] = begin();
      const size = 100_001;
      await slow.hold();
      // The first read puts all of its pages into the page cache, where they wait for the disk.
      const clients = [await asking(exchange, `/${size}`)];
      await slow.untilHeld();
      await slow.keep(true);
      for (let i = 0; i < 3; i++) {
        clients.push(await asking(exchange, `/${size}`));
        await slow.expectOthersServed(exchange);
      }
      await slow.release();
      for (const client of clients) await expectFile(client, size);
      await end(...clients.map(() => String(size)));
    });

    it('comes before what was asked for behind it on the same connection', async () => {
      const [exchange, end] = begin();
      await slow.hold();
      const client = await asking(exchange, '/400001', '/hello', '/500001', '/hello');
      await slow.untilHeld();
      await slow.expectOthersServed(exchange);
      await slow.release();
      await expectFile(client, 400_001);
      expect(text(await client.response())).toBe('hello');
      await expectFile(client, 500_001);
      expect(text(await client.response())).toBe('hello');
      expect(client.pending).toHaveLength(0);
      await end('400001', '500001');
    });

    it('is closed once and after the read when the client leaves during it', async () => {
      const [exchange, end] = begin({ address: TCP });
      const names = ['600001', '600002', '600003'];
      await slow.hold();
      for (const [index, name] of names.entries()) {
        const client = await asking(exchange, `/${name}`);
        await slow.untilHeld(index + 1);
        client.reset();
      }
      await eventually(() => exchange.server.reactor.sockets.size === 0, 'the clients are gone');
      await slow.expectOthersServed(exchange);
      // A descriptor that is closed too early may be another file's when the thread reads.
      expect(names.map(descriptorsOf)).toEqual([1, 1, 1]);
      await end(...names);
      expect(exchange.errors.getValue()).toBe('');
    });

    it.each([
      ['at once', 0],
      ['in its middle', MIB],
    ])('that cannot be read, %s, breaks only its own connection off', async (_when, from) => {
      const [exchange, end] = begin({ address: TCP });
      const size = 2 * MIB + 5;
      await slow.hold(from);
      const client = await asking(exchange, `/${size}`, '/hello');
      await slow.untilHeld();
      // A client that has not read all yet may take the reset for an end.
      const [socket] = exchange.server.reactor.sockets;
      const sent = size - (socket?.buffered ?? 0);
      await eventually(() => bodyOf(client).length === sent, 'the client has what was sent');
      expect(sent).toBeLessThanOrEqual(from);
      expect(sent > 0).toBe(from > 0);
      await slow.fail(constants.errno.EIO);
      await slow.release();
      expect(await client.ended()).toBe('reset');
      // What was sent is of the file; nothing comes in the place of the rest.
      expect(bodyOf(client).equals(slowBytes(size, 0, sent))).toBe(true);
      await slow.fail(0);
      expect(text(await exchange.ask(get('/hello')))).toBe('hello');
      await end(String(size));
      expect(exchange.errors.getValue().match(/read failed with EIO/g)).toHaveLength(1);
    });

    it('is closed once when the server closes during the read', async () => {
      const [exchange, end] = begin();
      await slow.hold();
      const client = await asking(exchange, '/700001');
      await slow.untilHeld();
      const closing = exchange.server.serverClose();
      await sleep(20);
      expect(descriptorsOf('700001')).toBe(1);
      expect(await slow.expired()).toBe(0);
      await slow.release();
      await expectFile(client, 700_001);
      client.destroy();
      await closing;
      await end('700001');
    });

    it('does not make its client late: no timeout counts the disk', async () => {
      const [exchange, end] = begin({ timeouts: { write: 0.3, keepAlive: 0.3 } });
      await slow.hold(200_000);
      const client = await asking(exchange, '/800001');
      await slow.untilHeld();
      await sleep(1500);
      await slow.expectOthersServed(exchange);
      await slow.release();
      await expectFile(client, 800_001);
      await end('800001');
    });

    it('is not read for HEAD', async () => {
      const [exchange, end] = begin();
      await slow.hold();
      const client = await exchange.client();
      await client.send(request('HEAD', '/900001'));
      const response = await client.response('HEAD');
      expect([response.status, field(response, 'Content-Length')]).toEqual([200, '900001']);
      await end('900001');
      expect(await slow.of('read', 900_001)).toEqual([]);
    });
  });

  it('blocks serveForeverSync(), and is sent', async () => {
    await slow.delay(30);
    const size = MIB + 1;
    const { ready, end } = run(BLOCKING, { path: slow.path(size) });
    const { handle, address } = await ready();
    const client = await RawClient.connect(address);
    await client.send(get());
    await expectFile(client, size);
    handle.shutdown();
    await end();
    client.destroy();
    await slow.untilClosed();
  });

  it('holds nobody up where the kernel does not tell what is in the page cache', async () => {
    requireDist();
    const size = 2 * MIB + 3;
    // Who does not own a file may not ask by cachestat(2), and FUSE knows no RWF_NOWAIT.
    const args = ['--input-type=module', '--eval', SERVER, dist, slow.path(size), '65534'];
    const program = start(process.execPath, args);
    const { port } = new URL(await program.url('stdout'));
    await slow.hold(MIB);
    const client = await RawClient.connect(['127.0.0.1', Number(port)]);
    await client.send(get('/file'));
    await slow.untilHeld();
    const other = await RawClient.connect(['127.0.0.1', Number(port)]);
    await other.send(get('/hello'));
    expect(text(await other.response())).toBe('hello');
    expect([(await slow.held()) > 0, await slow.expired()]).toEqual([true, 0]);
    await slow.release();
    await expectFile(client, size);
    for (const each of [client, other]) each.destroy();
    await slow.untilClosed();
  });
});
