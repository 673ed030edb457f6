import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Application, type RyegateError, WSGIServer } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { chunked, content, echoSync, withLength } from '../support/bodies.ts';
import {
  type Exchange,
  type ExchangeOptions,
  exchanges,
  get,
  get10,
  PLAIN,
  post,
  request,
} from '../support/exchange.ts';
import { eventually, field, type RawClient, text } from '../support/rawclient.ts';

const LIMIT = 10_000;
const MIB = 1024 * 1024;

// Temporary files are made here, so that none is taken for one of another test's.
const before = process.env.TMPDIR;
const folder = mkdtempSync(join(tmpdir(), 'ryegate-buffering-'));
beforeAll(() => {
  process.env.TMPDIR = folder;
});
afterAll(() => {
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
  rmSync(folder, { recursive: true });
});

/** Files of the folder that this process has open; they have no names. */
function openFiles(): number {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  const files = links.filter((path) => path.startsWith(`${folder}/`));
  expect(files.every((path) => path.endsWith(' (deleted)'))).toBe(true);
  return files.length;
}

async function expectNoFiles(): Promise<void> {
  await eventually(() => openFiles() === 0, 'no temporary file is open');
  // The folder of a unix socket may be there, too.
  expect(readdirSync(folder).filter((name) => !name.startsWith('ryegate-test-'))).toEqual([]);
}

class Noting extends WSGIServer {
  readonly notices: RyegateError[] = [];

  override logNotice(notice: RyegateError): void {
    this.notices.push(notice);
  }
}

describeBackends("inputBuffering: 'buffer'", (selector) => {
  const makeExchange = exchanges();

  function serve(app: Application, options: ExchangeOptions = {}): Exchange {
    return makeExchange(app, {
      selector,
      inputBuffering: 'buffer',
      serverClass: Noting,
      ...options,
      limits: { bodyMemoryBytes: LIMIT, ...options.limits },
    });
  }

  it('runs the application when the whole body is there', async () => {
    let runs = 0;
    const exchange = serve((environ, startResponse) => {
      runs++;
      return echoSync(environ, startResponse);
    });
    const client = await exchange.client();
    const message = post('x'.repeat(100));
    await exchange.sendApart(client, [message.slice(0, -100), 'x', 'x'.repeat(98)]);
    expect(runs).toBe(0);
    await client.send('x');
    expect(text(await client.response())).toBe('x'.repeat(100));
    expect(runs).toBe(1);
  });

  it.each([0, 1, LIMIT - 1, LIMIT, LIMIT + 1, 5 * MIB])(
    'passes a body of %i bytes unchanged, by length and chunked',
    async (size) => {
      const body = content(size);
      const exchange = serve(echoSync);
      const client = await exchange.client();
      const messages = [withLength(body), chunked(body, size > MIB ? 65_536 : 700)];
      for (const message of messages) {
        await client.send(message);
        const response = await client.response();
        expect(response.body.equals(body)).toBe(true);
        expect(field(response, 'Connection')).toBe('keep-alive');
      }
      // Pipelined, with something behind each.
      await client.send(Buffer.concat(messages.flatMap((one) => [one, Buffer.from(get())])));
      for (const expected of [body, Buffer.alloc(0), body, Buffer.alloc(0)]) {
        expect((await client.response()).body.equals(expected)).toBe(true);
      }
      await expectNoFiles();
    },
  );

  it('is read in any mix, at once and by promises', async () => {
    const app: Application = async (environ, startResponse) => {
      const input = environ['wsgi.input'];
      const parts = [
        input.readSync(5),
        await input.read(5),
        input.readlineSync(),
        await input.readline(),
        ...input.readlinesSync(3000),
        ...(await input.readlines(3000)),
        await input.read(20_000),
      ];
      for await (const chunk of input) parts.push(Buffer.from(chunk));
      startResponse('200 OK', PLAIN);
      return Buffer.concat([...parts, input.readSync(), await input.read()]);
    };
    const exchange = serve(app);
    for (const size of [20, LIMIT, 200_000]) {
      const body = content(size);
      expect((await exchange.ask(withLength(body))).body.equals(body)).toBe(true);
    }
    await expectNoFiles();
  });

  it('keeps in memory what fits, and the rest in a file without a name', async () => {
    let files = -1;
    const exchange = serve((environ, startResponse) => {
      files = openFiles();
      return echoSync(environ, startResponse);
    });
    await exchange.ask(withLength(content(LIMIT)));
    expect(files).toBe(0);
    await exchange.ask(withLength(content(LIMIT + 1)));
    expect(files).toBe(1);
    await expectNoFiles();
  });

  it('answers a request without a body at once, also on HTTP/1.0', async () => {
    const exchange = serve(echoSync);
    for (const message of [get(), post(''), get10(), chunked(Buffer.alloc(0), 1)]) {
      const response = await exchange.ask(message);
      expect([response.status, response.body.length]).toEqual([200, 0]);
    }
  });

  it('meets Expect: 100-continue at once, before anything is run', async () => {
    let runs = 0;
    const exchange = serve((environ, startResponse) => {
      runs++;
      return echoSync(environ, startResponse);
    });
    const client = await exchange.client();
    for (let round = 0; round < 2; round++) {
      await client.send(request('POST', '/', ['Expect: 100-continue', 'Content-Length: 4']));
      expect((await client.response()).status).toBe(100);
      expect(runs).toBe(round);
      await client.send('body');
      expect(text(await client.response())).toBe('body');
    }
  });

  it.each<[string, Application]>([
    [
      'does not read',
      (_environ, startResponse) => {
        startResponse('200 OK', PLAIN);
        return 'unread';
      },
    ],
    [
      'reads a part',
      (environ, startResponse) => {
        startResponse('200 OK', PLAIN);
        return `unread${environ['wsgi.input'].readSync(0)}${environ['wsgi.input'].readSync(LIMIT + 1).length === 0}`.slice(
          0,
          6,
        );
      },
    ],
    [
      'throws',
      () => {
        throw new Error('on purpose');
      },
    ],
  ])('gives the file back when the application %s, and keeps the connection', async (kind, app) => {
    const exchange = serve(app);
    const client = await exchange.client();
    for (let i = 0; i < 3; i++) {
      await client.send(withLength(content(MIB)));
      const response = await client.response();
      expect(response.status).toBe(kind === 'throws' ? 500 : 200);
      await eventually(() => openFiles() === 0, 'the file is closed');
    }
    await expectNoFiles();
  });

  it('fails reads that come when the answer is complete', async () => {
    const codes: unknown[] = [];
    const app: Application = (environ, startResponse) => {
      const input = environ['wsgi.input'];
      setTimeout(() => {
        try {
          input.readSync();
        } catch (error) {
          codes.push((error as { code?: unknown }).code);
        }
        input.read().catch((error) => codes.push(error.code));
      }, 20);
      startResponse('200 OK', PLAIN);
      return '';
    };
    await serve(app).ask(withLength(content(MIB)));
    await eventually(() => codes.length === 2, 'both have failed');
    expect(codes).toEqual(['ERR_RYEGATE_BODY_GONE', 'ERR_RYEGATE_BODY_GONE']);
    await expectNoFiles();
  });

  it.each<[string, (client: RawClient) => void]>([
    ['a FIN', (client) => client.halfClose()],
    ['a close', (client) => client.destroy()],
    ['a reset', (client) => client.reset()],
  ])('runs nothing, and leaves nothing, after %s in the middle', async (_title, leave) => {
    let runs = 0;
    const exchange = serve((environ, startResponse) => {
      runs++;
      return echoSync(environ, startResponse);
    });
    const client = await exchange.client();
    await client.send(withLength(content(MIB)).subarray(0, MIB / 2));
    await eventually(() => openFiles() === 1, 'the file is there');
    leave(client);
    await eventually(() => exchange.server.reactor.sockets.size === 0, 'the connection is over');
    expect([runs, exchange.errors.getValue()]).toEqual([0, '']);
    await expectNoFiles();
  });

  it('leaves nothing when the client goes away while the application is at work', async () => {
    let reading: Promise<unknown> = Promise.resolve();
    let begun = false;
    const app: Application = async (environ, startResponse) => {
      const signal = environ['ryegate.signal'];
      begun = true;
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve());
      });
      reading = environ['wsgi.input'].read();
      reading.catch(() => {});
      startResponse('200 OK', PLAIN);
      return '';
    };
    // A unix socket knows no reset: the client would just have finished sending.
    const exchange = serve(app, { address: ['127.0.0.1', 0] });
    const client = await exchange.client();
    await client.send(withLength(content(MIB)));
    await eventually(() => begun, 'the application is at work');
    client.reset();
    await expectNoFiles();
    await expect(reading).rejects.toMatchObject({ code: 'ERR_RYEGATE_CLIENT_GONE' });
  });

  it('answers a body that is too large with 413, and leaves nothing', async () => {
    let runs = 0;
    const app: Application = () => {
      runs++;
      return '';
    };
    const exchange = serve(app, { limits: { bodyBytes: 100_000 } });
    for (const message of [withLength(content(100_001)), chunked(content(200_000), 5000)]) {
      const client = await exchange.client();
      client.socket.write(message);
      client.socket.write(get());
      const response = await client.response();
      expect([response.status, field(response, 'Connection')]).toEqual([413, 'close']);
      expect((await client.rest()).toString()).toBe('');
      await expectNoFiles();
    }
    expect(runs).toBe(0);
  });

  it('answers a broken chunk with 400, and leaves nothing', async () => {
    const exchange = serve(echoSync);
    const client = await exchange.client();
    const message = chunked(content(MIB), 1000).subarray(0, 500_000);
    client.socket.write(Buffer.concat([message, Buffer.from('nonsense'.repeat(300))]));
    expect((await client.response()).status).toBe(400);
    expect(await client.ended()).toBeDefined();
    await expectNoFiles();
  });

  it('leaves nothing when the body is too late, or the server is closed', async () => {
    const exchange = serve(echoSync, { timeouts: { body: 0.3 } });
    const client = await exchange.client();
    await client.send(withLength(content(MIB)).subarray(0, MIB / 2));
    await eventually(() => openFiles() === 1, 'the file is there');
    expect((await client.response()).status).toBe(408);
    await expectNoFiles();

    class Hasty extends Noting {
      static override blockOnClose = false;
    }
    const other = serve(echoSync, { serverClass: Hasty });
    await (await other.client()).send(withLength(content(MIB)).subarray(0, MIB / 2));
    await eventually(() => openFiles() === 1, 'the file is there');
    await other.server.serverClose();
    await expectNoFiles();
  });

  it('lets a body that arrives finish when the server closes', async () => {
    const exchange = serve(echoSync);
    const client = await exchange.client();
    const body = content(MIB);
    await client.send(withLength(body).subarray(0, -10));
    await eventually(() => openFiles() === 1, 'the file is there');
    const closing = exchange.server.serverClose();
    await sleep(50);
    await client.send(body.subarray(-10));
    const response = await client.response();
    expect(response.body.equals(body)).toBe(true);
    expect(field(response, 'Connection')).toBe('close');
    client.halfClose();
    await closing;
    await expectNoFiles();
  });

  it('gives trailers at the end of the body, from memory and from a file', async () => {
    const app: Application = (environ, startResponse) => {
      const input = environ['wsgi.input'];
      const size = input.readSync().length;
      startResponse('200 OK', PLAIN);
      return JSON.stringify([size, input.trailers, 'HTTP_X_SUM' in environ]);
    };
    const exchange = serve(app);
    for (const size of [10, 20_000]) {
      const message = chunked(content(size), 999).toString('latin1').slice(0, -2);
      const response = await exchange.ask(`${message}X-Sum: 1\r\n\r\n`);
      expect(JSON.parse(text(response))).toEqual([size, [['x-sum', '1']], false]);
    }
  });

  it('goes on although the folder for temporary files is missing: 503, told once', async () => {
    const exchange = serve(echoSync);
    process.env.TMPDIR = join(folder, 'missing');
    try {
      for (let i = 0; i < 2; i++) {
        const client = await exchange.client();
        client.socket.write(withLength(content(MIB)));
        client.socket.write(get());
        const response = await client.response();
        expect([response.status, field(response, 'Connection')]).toEqual([503, 'close']);
        expect((await client.rest()).toString()).toBe('');
        const small = content(LIMIT);
        expect((await exchange.ask(withLength(small))).body.equals(small)).toBe(true);
      }
    } finally {
      process.env.TMPDIR = folder;
    }
    const { notices } = exchange.server as Noting;
    expect(notices.map(({ code }) => code)).toEqual(['ERR_RYEGATE_BODY_BUFFER']);
    expect(notices[0]?.cause).toMatchObject({ code: 'ENOENT' });
    const body = content(MIB);
    expect((await exchange.ask(withLength(body))).body.equals(body)).toBe(true);
    await expectNoFiles();
  });

  it.each(['buffer', 'stream'] as const)(
    'takes a large body that came behind a slow request (%s)',
    async (inputBuffering) => {
      const app: Application = async (environ, startResponse) => {
        if (environ.REQUEST_METHOD === 'GET') await sleep(200);
        const body = await environ['wsgi.input'].read();
        startResponse('200 OK', PLAIN);
        return body;
      };
      for (const size of [70_000, 200_000, 2 * MIB]) {
        const exchange = serve(app, { inputBuffering });
        const client = await exchange.client();
        const body = content(size);
        // More waits than is kept while a request is answered, so that reading stops.
        client.socket.write(get());
        client.socket.write(withLength(body));
        client.socket.write(get());
        for (const expected of [Buffer.alloc(0), body, Buffer.alloc(0)]) {
          expect((await client.response()).body.equals(expected)).toBe(true);
        }
      }
    },
  );
});
