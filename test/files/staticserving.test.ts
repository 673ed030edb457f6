import { readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { staticFiles } from '../../src/files/index.ts';
import { describeBackends } from '../support/backends.ts';
import { exchanges, get, TCP } from '../support/exchange.ts';
import { programStarter } from '../support/programs.ts';
import { eventually, field, RawClient, text } from '../support/rawclient.ts';
import { threadKeeper } from '../support/servers.ts';
import { pattern, type SiteFolder, siteFolders } from './sitefolder.ts';

const serve = exchanges();
const makeFolder = siteFolders();

/** How many files below the folder, and its root itself, are open in this process. */
function openIn({ base }: SiteFolder): number {
  let count = 0;
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`).startsWith(base)) count += 1;
    } catch {
      // That of the listing itself.
    }
  }
  return count;
}

describeBackends('many requests at once', (selector) => {
  it.each([
    ['small', 5000],
    ['large', 300_000],
  ])('for one %s file that nobody has asked for before', async (_, size) => {
    const folder = makeFolder();
    const content = pattern(size);
    folder.write('file', content);
    // Which has to be waited for.
    folder.link('absolute', folder.path('file'));
    const site = staticFiles(folder.root);
    const exchange = serve(site, { validate: false, selector });
    const clients = await Promise.all(Array.from({ length: 20 }, () => exchange.client()));
    const ask = async (client: RawClient): Promise<void> => {
      await client.send(get('/absolute').repeat(10));
      for (let i = 0; i < 10; i += 1) {
        const response = await client.response();
        expect([response.status, response.body.equals(content)]).toEqual([200, true]);
      }
    };
    await Promise.all(clients.map(ask));
    expect(openIn(folder)).toBe(size > 65_536 ? 2 : 1);
    site.close();
    expect(openIn(folder)).toBe(0);
    expect(exchange.errors.getValue()).toBe('');
  });

  it('of small, large, missing and unchanged files are answered in their order', async () => {
    const folder = makeFolder();
    const small = pattern(3000, 2);
    const large = pattern(1_500_000, 3);
    folder.write('small', small);
    folder.write('large', large);
    const exchange = serve(staticFiles(folder.root, { listing: true }), {
      validate: false,
      selector,
    });
    const kinds = [
      [get('/large'), 200, large],
      [get('/small'), 200, small],
      [get('/missing'), 404, null],
      [get('/large', 'Range: bytes=1000-700000'), 206, large.subarray(1000, 700_001)],
      [get('/'), 200, null],
      [get('/small', 'If-None-Match: *'), 304, Buffer.alloc(0)],
      [get('/large', 'Range: bytes=2000000-'), 416, null],
      [get('/small', 'Range: bytes=-10'), 206, small.subarray(-10)],
    ] as const;
    const order = Array.from({ length: 40 }, (_, i) => kinds[(i * i + 3 * i) % kinds.length]);
    const client = await exchange.client();
    await client.send(order.map((kind) => kind?.[0]).join(''));
    for (const kind of order) {
      const response = await client.response();
      expect(response.status).toBe(kind?.[1]);
      if (kind?.[2] !== null) expect(response.body.equals(kind?.[2] as Buffer)).toBe(true);
    }
    expect(exchange.errors.getValue()).toBe('');
  });
});

describe('close() of a site', () => {
  it('while a file is downloaded lets it come to its end, and nothing new is found', async () => {
    const folder = makeFolder();
    const content = pattern(20_000_000);
    folder.write('file', content);
    const site = staticFiles(folder.root, { cache: { revalidate: 0.01 } });
    const exchange = serve(site, { validate: false, address: TCP });
    const client = await exchange.client();
    client.socket.pause();
    await client.send(get('/file') + get('/file'));
    const { sockets } = exchange.server.reactor;
    const isSending = (): boolean => [...sockets.values()].some((socket) => socket.buffered > 0);
    await eventually(isSending, 'the client holds the answer back');
    site.close();
    expect(openIn(folder)).toBe(1);
    client.socket.resume();
    expect((await client.response()).body.equals(content)).toBe(true);
    expect((await client.response()).status).toBe(404);
    await eventually(() => openIn(folder) === 0, 'the file is closed');
    // After the time in which the root would be looked at again.
    await sleep(30);
    expect((await exchange.ask(get('/file'))).status).toBe(404);
    expect(openIn(folder)).toBe(0);
    expect(exchange.errors.getValue()).toBe('');
  });

  it('closes the file of a client that leaves', async () => {
    const folder = makeFolder();
    folder.write('file', pattern(20_000_000));
    const site = staticFiles(folder.root);
    const exchange = serve(site, { validate: false });
    const client = await exchange.client();
    client.socket.pause();
    await client.send(get('/file'));
    const { sockets } = exchange.server.reactor;
    const isSending = (): boolean => [...sockets.values()].some((socket) => socket.buffered > 0);
    await eventually(isSending, 'the client holds the answer back');
    site.close();
    client.reset();
    await eventually(() => openIn(folder) === 0, 'the file is closed');
  });
});

describe('a large file that is rewritten where it is', () => {
  it('has another entity tag at once, so that ranges of both are not joined', async () => {
    const folder = makeFolder();
    const [before, after] = [pattern(200_000, 1), pattern(200_000, 2)];
    folder.write('file', before);
    const exchange = serve(staticFiles(folder.root, { cache: { revalidate: 3600 } }), {
      validate: false,
    });
    const first = await exchange.ask(get('/file', 'Range: bytes=0-99999'));
    expect(first.body.equals(before.subarray(0, 100_000))).toBe(true);
    writeFileSync(folder.path('file'), after);
    const ifRange = `If-Range: ${field(first, 'ETag')}`;
    const second = await exchange.ask(get('/file', 'Range: bytes=100000-', ifRange));
    expect([second.status, second.body.equals(after)]).toEqual([200, true]);
    expect(field(second, 'ETag')).not.toBe(field(first, 'ETag'));
  });
});

/** Appends lines of 16 bytes with their numbers to a file until it is killed. */
const APPEND = `
  const { openSync, writeSync } = require('node:fs');
  const fd = openSync(process.argv[1], 'a');
  let line = 0;
  setInterval(() => {
    // Slowly at first, so that it is small for a while.
    const count = line < 2000 ? 2 : 50;
    for (let i = 0; i < count; i += 1) writeSync(fd, String(line++).padStart(15) + '\\n');
  }, 1);
`;

describe('a file that grows while it is read and sent', () => {
  const start = programStarter();

  it('is sent as far as it was promised, while it is small and when it is large', async () => {
    const folder = makeFolder();
    const path = folder.write('log', '');
    const exchange = serve(staticFiles(folder.root, { cache: { revalidate: 0 } }), {
      validate: false,
    });
    const client = await exchange.client();
    start(process.execPath, ['--eval', APPEND, path]);
    const sizes: number[] = [];
    while ((sizes.at(-1) ?? 0) < 150_000) {
      await client.send(get('/log'));
      const { status, body } = await client.response();
      expect(status).toBe(200);
      const lines = Array.from({ length: body.length / 16 }, (_, i) => `${`${i}`.padStart(15)}\n`);
      expect(body.toString()).toBe(lines.join(''));
      sizes.push(body.length);
    }
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
    expect(sizes.filter((size) => size > 0 && size < 65_536).length).toBeGreaterThan(0);
    expect(exchange.errors.getValue()).toBe('');
  });
});

const SYNC = `
  const { staticFiles } = await import(workerData.files);
  const site = staticFiles(workerData.root, { listing: true, precompressed: true });
  const made = ryegate.makeServer('127.0.0.1', 0, site, workerData.settings);
  tell({ handle: made.shutdownHandle, address: made.serverAddress });
  made.serveForeverSync(60);
  await made.serverClose();
  site.close();
`;

describeBackends('under serveForeverSync()', (selector) => {
  const inThread = threadKeeper();

  it.each([true, false])('everything is answered, with sendfile: %s', async (sendfile) => {
    const folder = makeFolder();
    const large = pattern(3_000_000);
    folder.write('small.txt', 'small');
    folder.write('small.txt.gz', 'packed');
    folder.write('large.bin', large);
    folder.write('a/index.html', 'index');
    folder.link('absolute', folder.path('a'));
    folder.link('out', '../..');
    const files = new URL('../../dist/files/index.js', import.meta.url).href;
    const thread = inThread(SYNC, {
      root: folder.root,
      files,
      settings: { selector, sendfile, logRequests: false },
    });
    const { handle, address } = await thread.ready();
    const ask = async (target: string, ...fields: string[]): Promise<[number, Buffer]> => {
      const client = await RawClient.connect(address);
      await client.send(get(target, ...fields));
      const response = await client.response();
      client.destroy();
      return [response.status, response.body];
    };
    const SMALL = Buffer.from('small');
    expect(await ask('/small.txt')).toEqual([200, SMALL]);
    expect(await ask('/small.txt', 'Accept-Encoding: gzip')).toEqual([200, Buffer.from('packed')]);
    for (const fields of [[], ['Range: bytes=5000-2500000']]) {
      const [status, body] = await ask('/large.bin', ...fields);
      const [expected, slice] =
        fields.length === 0 ? [200, large] : [206, large.subarray(5000, 2_500_001)];
      expect([status, body.equals(slice as Buffer)]).toEqual([expected, true]);
    }
    expect(await ask('/absolute/')).toEqual([200, Buffer.from('index')]);
    expect((await ask('/'))[1].toString()).toMatch(/absolute[\s\S]*large\.bin/);
    expect((await ask('/'))[1].toString()).not.toContain('>out');
    expect((await ask('/a'))[0]).toBe(301);
    for (const missing of ['/missing', '/out/', '/small.txt/x']) {
      expect((await ask(missing))[0], missing).toBe(404);
    }
    handle.shutdown();
    await thread.end();
  });
});

describe('with the validator', () => {
  it('the static application keeps the rules of WSGI', async () => {
    const folder = makeFolder();
    folder.write('small', 'small');
    folder.write('large', pattern(100_000));
    const exchange = serve(staticFiles(folder.root, { listing: true }), { validate: true });
    for (const target of ['/small', '/large', '/', '/missing']) {
      for (const fields of [[], ['Range: bytes=0-1,500-600'], ['If-None-Match: *']]) {
        expect((await exchange.ask(get(target, ...fields))).status).toBeLessThan(500);
      }
    }
    expect(text(await exchange.ask(get('/small')))).toBe('small');
    expect(exchange.errors.getValue()).toBe('');
  });
});
