import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Application, InputReader } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { echo, exchanges, get, PLAIN, post, request } from '../support/exchange.ts';
import { eventually, field, type RawClient, text } from '../support/rawclient.ts';

function chunked(pieces: readonly string[], ...fields: string[]): string {
  const body = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('');
  return request('POST', '/', ['Transfer-Encoding: chunked', ...fields], `${body}0\r\n\r\n`);
}

function cut(text: string, size: number): string[] {
  return Array.from({ length: Math.ceil(text.length / size) }, (_, i) =>
    text.slice(i * size, (i + 1) * size),
  );
}

const TEXT = 'first line\nsecond\n\nlast without an end';

/** An application that answers with the JSON of what `read` makes of the body. */
function reading(read: (input: InputReader) => Promise<unknown>): Application {
  return async (environ, startResponse) => {
    const result = await read(environ['wsgi.input']);
    startResponse('200 OK', [['Content-Type', 'application/json']]);
    return JSON.stringify(result);
  };
}

const READERS: [title: string, read: (input: InputReader) => Promise<unknown>, is: unknown][] = [
  ['read()', async (input) => [`${await input.read()}`, `${await input.read()}`], [TEXT, '']],
  [
    'read(size)',
    async (input) => {
      const pieces: string[] = [];
      for (let piece = await input.read(7); piece.length > 0; piece = await input.read(7)) {
        pieces.push(piece.toString());
      }
      return pieces;
    },
    cut(TEXT, 7),
  ],
  [
    'readline()',
    async (input) => {
      const lines: string[] = [];
      for (let line = await input.readline(); line.length > 0; line = await input.readline()) {
        lines.push(line.toString());
      }
      return lines;
    },
    ['first line\n', 'second\n', '\n', 'last without an end'],
  ],
  [
    'readlines()',
    async (input) => (await input.readlines()).map(String),
    ['first line\n', 'second\n', '\n', 'last without an end'],
  ],
  [
    'iteration',
    async (input) => {
      let all = '';
      for await (const chunk of input) all += Buffer.from(chunk).toString();
      return all;
    },
    TEXT,
  ],
  [
    'all in turn',
    async (input) => [
      `${await input.readline(5)}`,
      `${await input.read(1)}`,
      `${await input.readline()}`,
      `${await input.read()}`,
      `${await input.readline()}`,
    ],
    ['first', ' ', 'line\n', TEXT.slice(11), ''],
  ],
];

describeBackends('wsgi.input', (selector) => {
  const serve = exchanges();

  it.each(READERS)('%s: by Content-Length, chunked, and in pieces', async (_t, read, expected) => {
    const exchange = serve(reading(read), { selector });
    const client = await exchange.client();
    const whole = chunked([TEXT.slice(0, 3), TEXT.slice(3, 20), TEXT.slice(20)]);
    const messages = [post(TEXT), whole];
    for (const message of messages) {
      await client.send(message);
      expect(JSON.parse(text(await client.response()))).toEqual(expected);
      await exchange.sendApart(client, cut(message, 9));
      expect(JSON.parse(text(await client.response()))).toEqual(expected);
    }
    await client.send(messages.join(''));
    for (const _ of messages) {
      expect(JSON.parse(text(await client.response()))).toEqual(expected);
    }
  });

  it('is empty without a body', async () => {
    const app = reading(async (input) => [`${await input.read()}`, `${await input.readline()}`]);
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    for (const message of [get(), post(''), chunked([])]) {
      await client.send(message);
      expect(JSON.parse(text(await client.response()))).toEqual(['', '']);
    }
  });

  it('has a megabyte pass unchanged', async () => {
    const bytes = Buffer.alloc(1024 * 1024, 'abcdefghijklmnopqrstuvwxyz0');
    const app: Application = async (environ, startResponse) => {
      const body = await environ['wsgi.input'].read();
      startResponse('200 OK', PLAIN);
      return body;
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(post(bytes.toString()));
    expect((await client.response()).body.equals(bytes)).toBe(true);
    await client.send(chunked(cut(bytes.toString(), 5000)));
    expect((await client.response()).body.equals(bytes)).toBe(true);
  });
});

const UNREAD: Application = (environ, startResponse) => {
  startResponse('200 OK', PLAIN);
  return environ.PATH_INFO;
};

const UNREAD_LATER: Application = async (environ, startResponse) => {
  await sleep(5);
  return UNREAD(environ, startResponse);
};

describeBackends('a body that is not read', (selector) => {
  const serve = exchanges();
  const small = 'GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n';

  it.each([
    ['sync', UNREAD],
    ['async', UNREAD_LATER],
  ])('of little size is dropped, and the connection kept (%s)', async (_title, app) => {
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    const messages = [post(small), chunked([small, small]), post('x'.repeat(65_536))];
    for (const message of messages) {
      await client.send(message + get('/next'));
      expect(text(await client.response())).toBe('/');
      expect(text(await client.response())).toBe('/next');
      await exchange.sendApart(client, [message.slice(0, -20), message.slice(-20), get('/next')]);
      expect(text(await client.response())).toBe('/');
      expect(text(await client.response())).toBe('/next');
    }
    expect(client.pending).toHaveLength(0);
  });

  it('read in part is dropped for the rest', async () => {
    const app: Application = async (environ, startResponse) => {
      const part = await environ['wsgi.input'].read(3);
      startResponse('200 OK', PLAIN);
      return part;
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(post(`one${small}`) + chunked(['t', 'woo', small]) + post('3'));
    for (const part of ['one', 'two', '3']) expect(text(await client.response())).toBe(part);
    expect(client.pending).toHaveLength(0);
  });

  it.each([
    ['Content-Length', post('x'.repeat(10_000_000))],
    ['chunked', chunked(Array.from({ length: 100 }, () => 'x'.repeat(100_000)))],
  ])('of 10 MB ends the connection, but the answer arrives (%s)', async (_title, message) => {
    for (const app of [UNREAD, UNREAD_LATER]) {
      const exchange = serve(app, { selector });
      const client = await exchange.client();
      // A client that reads only when all is sent.
      client.socket.pause();
      await client.send(message);
      client.socket.resume();
      expect(text(await client.response())).toBe('/');
      expect((await client.rest()).toString()).toBe('');
      expect(client.ending).toBe('fin');
      client.halfClose();
    }
  });

  it('is not waited for beyond drainBytes', async () => {
    const exchange = serve(UNREAD, { selector, limits: { drainBytes: 10 } });
    const client = await exchange.client();
    await client.send(post('x'.repeat(10)));
    expect(field(await client.response(), 'Connection')).toBe('keep-alive');
    await client.send(post('x'.repeat(11)));
    expect((await client.response()).status).toBe(200);
    expect(await client.ended()).toBe('fin');
  });

  it('fails later reads with ERR_RYEGATE_BODY_GONE', async () => {
    let later: Promise<unknown> = Promise.resolve();
    const app: Application = (environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      later = sleep(10).then(() => environ['wsgi.input'].read());
      later.catch(() => {});
      return 'answered';
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    const [head, body] = [post('x'.repeat(100)).slice(0, -100), 'x'.repeat(100)];
    await client.send(head);
    expect(text(await client.response())).toBe('answered');
    await expect(later).rejects.toMatchObject({ code: 'ERR_RYEGATE_BODY_GONE' });
    await client.send(body + get('/'));
    expect(text(await client.response())).toBe('answered');
  });

  it('holds the client back while the handler waits', async () => {
    let input: (InputReader & { buffered?: number }) | null = null;
    const gate = { open: (): void => {} };
    const app: Application = async (environ, startResponse) => {
      input = environ['wsgi.input'];
      await new Promise<void>((resolve) => {
        gate.open = resolve;
      });
      let size = 0;
      for await (const chunk of environ['wsgi.input']) size += chunk.length;
      startResponse('200 OK', PLAIN);
      return String(size);
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    const size = 64 * 1024 * 1024;
    await client.send(request('POST', '/', [`Content-Length: ${size}`]));
    let taken = 0;
    const piece = Buffer.alloc(65_536);
    const sending = (async () => {
      for (let sent = 0; sent < size; sent += piece.length) {
        await new Promise((resolve) => {
          client.socket.write(piece, resolve);
        });
        taken += piece.length;
      }
    })();
    let last = -1;
    while (last !== taken) {
      last = taken;
      await sleep(200);
    }
    // The kernel's buffers hold some megabytes, the server little over its mark of 64 KiB.
    expect(taken).toBeLessThan(size / 2);
    expect((input as { buffered?: number } | null)?.buffered).toBeGreaterThan(0);
    expect((input as { buffered?: number } | null)?.buffered).toBeLessThan(512 * 1024);
    gate.open();
    expect(text(await client.response())).toBe(String(size));
    await sending;
  });

  it('keeps the connection when little of a large body that nobody reads is missing', async () => {
    let answer = (): void => {};
    const exchange = serve(
      async (environ, startResponse) => {
        if (environ.REQUEST_METHOD === 'POST') {
          await new Promise<void>((resolve) => {
            answer = resolve;
          });
        }
        startResponse('200 OK', PLAIN);
        return 'unread';
      },
      { selector },
    );
    const client = await exchange.client();
    const body = 'x'.repeat(100_000);
    await client.send(request('POST', '/', ['Content-Length: 100000'], body.slice(0, 99_500)));
    await sleep(100);
    answer();
    expect(field(await client.response(), 'Connection')).toBe('keep-alive');
    await client.send(body.slice(99_500));
    await client.send(get());
    expect(text(await client.response())).toBe('unread');
  });
});

describeBackends('a body that breaks off', (selector) => {
  const serve = exchanges();
  const HEAD = request('POST', '/', ['Content-Length: 100']);

  /** An application that notes what its read is refused with. */
  function noting(): { app: Application; refusals: unknown[] } {
    const refusals: unknown[] = [];
    const app: Application = async (environ, startResponse) => {
      try {
        await environ['wsgi.input'].read();
      } catch (error) {
        refusals.push((error as { code?: unknown }).code);
        throw error;
      }
      startResponse('200 OK', PLAIN);
      return 'complete';
    };
    return { app, refusals };
  }

  it.each([
    ['a FIN', (client: RawClient) => client.halfClose()],
    ['a close', (client: RawClient) => client.destroy()],
    ['a reset', (client: RawClient) => client.reset()],
  ])('by %s fails the read with ERR_RYEGATE_CLIENT_GONE', async (_title, leave) => {
    for (const part of [HEAD, `${HEAD}part`, chunked(['part']).slice(0, -3)]) {
      const { app, refusals } = noting();
      const exchange = serve(app, { selector });
      const client = await exchange.client();
      await exchange.sendApart(client, [part]);
      leave(client);
      await eventually(() => refusals.length > 0, 'the read fails');
      expect(refusals).toEqual(['ERR_RYEGATE_CLIENT_GONE']);
      await eventually(() => exchange.server.reactor.sockets.size === 0, 'the connection is over');
      // A client that goes away is no fault to be logged.
      expect(exchange.errors.getValue()).toBe('');
    }
  });

  it('by a FIN is answered with 400, as the client may be reading', async () => {
    const { app } = noting();
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(`${HEAD}part`);
    client.halfClose();
    expect((await client.response()).status).toBe(400);
    expect((await client.rest()).toString()).toBe('');
  });

  it.each([
    ['a bad size', 'zz\r\n', 'BAD_CHUNK'],
    ['no CRLF after a chunk', '2\r\nabc\r\n', 'BAD_CHUNK'],
    ['a bad trailer', '0\r\nX Y: 1\r\n\r\n', 'BAD_TRAILER'],
  ])('by %s is answered with 400 when read, and closed', async (_title, rest, code) => {
    const { app, refusals } = noting();
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    const start = chunked(['good']).slice(0, -5);
    await exchange.sendApart(client, [start, rest + get('/smuggled')]);
    expect((await client.response()).status).toBe(400);
    expect((await client.rest()).toString()).toBe('');
    expect(refusals).toEqual([`ERR_RYEGATE_${code}`]);
  });

  it('by a bad chunk ends the connection when it is not read', async () => {
    const exchange = serve(UNREAD, { selector });
    const client = await exchange.client();
    await client.send(`${chunked(['good']).slice(0, -5)}zz\r\n${get('/smuggled')}`);
    expect(text(await client.response())).toBe('/');
    expect((await client.rest()).toString()).toBe('');
  });

  it('over bodyBytes is answered with 413', async () => {
    const exchange = serve(echo, { selector, limits: { bodyBytes: 10 } });
    expect((await exchange.ask(post('0123456789'))).status).toBe(200);
    expect((await exchange.ask(post('0123456789a'))).status).toBe(413);
    expect((await exchange.ask(chunked(['01234', '56789']))).status).toBe(200);
    expect((await exchange.ask(chunked(['01234', '567890']))).status).toBe(413);
  });
});
