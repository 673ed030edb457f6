import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { type Application, HTTPError } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { echo, exchanges, get, PLAIN, post, request } from '../support/exchange.ts';
import { eventually, field, RawClient, text } from '../support/rawclient.ts';
import { gate } from '../support/servers.ts';
import { FOLLOW_UP, witness } from './refusals.ts';

// Classes of vulnerabilities that a request alone does not show, by the ids of their best known.

describeBackends('CVE-2024-49768, CVE-2024-41671: the order of pipelined answers', (selector) => {
  const serve = exchanges();

  it('handlers that finish in reverse order are answered in order', async () => {
    // All but the first would be at work at once if requests overtook one another.
    const releases: (() => void)[] = [];
    const began: string[] = [];
    const app: Application = async (environ, startResponse) => {
      began.push(environ.PATH_INFO);
      const delay = 20 - 2 * Number(environ.PATH_INFO.slice(1));
      const { opened, open } = gate();
      releases.push(open);
      setTimeout(open, Math.max(delay, 0));
      await opened;
      startResponse('200 OK', PLAIN);
      return environ.PATH_INFO;
    };
    const client = await serve(app, { selector }).client();
    const paths = Array.from({ length: 10 }, (_, index) => `/${index}`);
    await client.send(paths.map((path) => get(path)).join(''));
    for (const path of paths) expect(text(await client.response())).toBe(path);
    expect(began).toEqual(paths);
    expect(releases).toHaveLength(10);
  });

  it('an application at work has no second beside it on its connection', async () => {
    let working = 0;
    let most = 0;
    const app: Application = async (_environ, startResponse) => {
      most = Math.max(most, ++working);
      await sleep(1);
      working--;
      startResponse('200 OK', PLAIN);
      return 'x';
    };
    const client = await serve(app, { selector }).client();
    await client.send(get().repeat(10));
    for (let count = 0; count < 10; count++) await client.response();
    expect(most).toBe(1);
  });

  const BROKEN: [title: string, message: string][] = [
    ['a request line', 'GET /bad HTTP/1.1 x\r\nHost: test\r\n\r\n'],
    ['a field', get('/bad', 'Bad Field: x')],
    ['a length', get('/bad', 'Content-Length: +1')],
    ['a transfer coding', get('/bad', 'Transfer-Encoding: x, chunked, y')],
    ['a chunk', request('POST', '/read', ['Transfer-Encoding: chunked'], 'zz\r\n')],
    ['no Host', 'GET /bad HTTP/1.1\r\n\r\n'],
    ['too many fields', get('/bad', ...Array(200).fill('X: y'))],
  ];

  it.each(BROKEN)('%s that is wrong, and a valid request behind it', async (_title, message) => {
    const paths: string[] = [];
    const app: Application = async (environ, startResponse) => {
      paths.push(environ.PATH_INFO);
      await environ['wsgi.input'].read();
      startResponse('200 OK', PLAIN);
      return 'served';
    };
    const client = await serve(app, { selector }).client();
    await client.send(get('/before') + message + FOLLOW_UP);
    expect((await client.response()).status).toBe(200);
    const refused = await client.response();
    expect(refused.status).toBeGreaterThanOrEqual(400);
    expect(field(refused, 'Connection')).toBe('close');
    expect((await client.rest()).length).toBe(0);
    expect(paths).not.toContain('/follow-up');
    expect(paths).not.toContain('/bad');
  });

  it.each(BROKEN)(
    '%s that is wrong, while the request before it works',
    async (_title, message) => {
      const { opened, open } = gate();
      const paths: string[] = [];
      const app: Application = async (environ, startResponse) => {
        paths.push(environ.PATH_INFO);
        if (environ.PATH_INFO === '/before') await opened;
        await environ['wsgi.input'].read();
        startResponse('200 OK', PLAIN);
        return 'served';
      };
      const exchange = serve(app, { selector });
      const client = await exchange.client();
      await exchange.sendApart(client, [get('/before') + message + FOLLOW_UP]);
      await eventually(() => paths.length === 1, 'the application works');
      expect(client.pending.length).toBe(0);
      open();
      expect(text(await client.response())).toBe('served');
      expect((await client.response()).status).toBeGreaterThanOrEqual(400);
      expect((await client.rest()).length).toBe(0);
      expect(paths).not.toContain('/follow-up');
    },
  );
});

describeBackends('CVE-2026-44456: the body limit when the handler does not read', (selector) => {
  const serve = exchanges();
  const limits = { bodyBytes: 1000 };
  const large = 'x'.repeat(2000);
  const chunked = `7d0\r\n${large}\r\n0\r\n\r\n`;
  const small = Array.from({ length: 200 }, () => 'a\r\nxxxxxxxxxx\r\n').join('');
  const CHUNKED: [title: string, body: string][] = [
    ['one chunk', chunked],
    ['many chunks', `${small}0\r\n\r\n`],
    ['a chunk that is announced only', 'ffffffffff\r\n'],
    ['a chunk without an end', `7d0\r\n${large}`],
  ];
  const head = request('POST', '/', ['Transfer-Encoding: chunked']);

  it('a length over it is refused before the application runs', async () => {
    const { paths, app } = witness();
    const client = await serve(app, { selector, limits }).client();
    await client.send(post(large) + FOLLOW_UP);
    const response = await client.response();
    expect([response.status, field(response, 'Connection')]).toEqual([413, 'close']);
    expect((await client.rest()).length).toBe(0);
    expect(paths).toEqual([]);
  });

  it('a length of exactly it is taken', async () => {
    const { paths, app } = witness();
    const client = await serve(app, { selector, limits }).client();
    await client.send(post('x'.repeat(1000)) + FOLLOW_UP);
    for (let count = 0; count < 2; count++) expect((await client.response()).status).toBe(200);
    expect(paths).toEqual(['/', '/follow-up']);
  });

  it.each(CHUNKED)('%s, when the handler answers at once', async (_title, body) => {
    const { paths, app } = witness();
    const client = await serve(app, { selector, limits }).client();
    await client.send(head + body + FOLLOW_UP);
    expect((await client.response()).status).toBe(200);
    expect((await client.rest()).length).toBe(0);
    expect(paths).toEqual(['/']);
  });

  it.each(CHUNKED)('%s, while the handler works and does not read', async (_title, body) => {
    const { opened, open } = gate();
    const paths: string[] = [];
    const app: Application = async (environ, startResponse) => {
      paths.push(environ.PATH_INFO);
      await opened;
      startResponse('200 OK', PLAIN);
      return 'unread';
    };
    const exchange = serve(app, { selector, limits });
    const client = await exchange.client();
    await exchange.sendApart(client, [head, body + FOLLOW_UP]);
    open();
    const response = await client.response();
    expect([text(response), field(response, 'Connection')]).toEqual(['unread', 'close']);
    expect((await client.rest()).length).toBe(0);
    expect(paths).toEqual(['/']);
  });

  it.each(CHUNKED)('%s, when it is buffered: 413, and nothing runs', async (_title, body) => {
    const { paths, app } = witness();
    const client = await serve(app, { selector, limits, inputBuffering: 'buffer' }).client();
    await client.send(head + body + FOLLOW_UP);
    const response = await client.response();
    expect([response.status, field(response, 'Connection')]).toEqual([413, 'close']);
    expect((await client.rest()).length).toBe(0);
    expect(paths).toEqual([]);
  });

  it.each(CHUNKED)('%s, when the handler reads: 413', async (_title, body) => {
    const client = await serve(echo, { selector, limits }).client();
    await client.send(head + body + FOLLOW_UP);
    expect((await client.response()).status).toBe(413);
    expect((await client.rest()).length).toBe(0);
  });
});

describeBackends('fault cases 16 and 22: a response in the owed body', (selector) => {
  const serve = exchanges();
  const FORGED = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged';

  /** `/short` and `/fails` owe 100 bytes; `/long` has more than the 2 that it declares. */
  const app: Application = (environ, startResponse) => {
    const path = environ.PATH_INFO;
    if (path === '/long') {
      startResponse('200 OK', [...PLAIN, ['Content-Length', '2']]);
      return ['o', `k${FORGED}`, FORGED];
    }
    if (path === '/next') {
      startResponse('200 OK', PLAIN);
      return 'next';
    }
    startResponse('200 OK', [...PLAIN, ['Content-Length', '100']]);
    return owing(path);
  };

  function* owing(path: string): Generator<string> {
    yield 'part';
    if (path === '/fails') throw new Error('fails with 96 bytes owed');
    if (path === '/refuses') throw new HTTPError(404, 'ERR_NOT_FOUND', 'found too late');
  }

  it('longer: cut, and the next response stands behind it', async () => {
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(get('/long') + get('/next') + get('/long', 'Connection: close'));
    expect(text(await client.response())).toBe('ok');
    expect(text(await client.response())).toBe('next');
    expect(text(await client.response())).toBe('ok');
    expect((await client.rest()).length).toBe(0);
    expect(exchange.errors.getValue()).toContain('longer than its Content-Length');
  });

  it.each(['/short', '/fails', '/refuses'])(
    '%s: the connection is broken off, nothing is sent in what is owed',
    async (path) => {
      const exchange = serve(app, { selector });
      const client = await exchange.client();
      await client.send(get('/next') + get(path) + get('/next'));
      await client.ended();
      const sent = client.pending.toString('latin1');
      // What was sent before may be lost by the reset, but nothing may follow.
      const [, owed = ''] = sent.split('Content-Length: 100');
      expect(owed.slice(owed.indexOf('\r\n\r\n') + 4).length).toBeLessThan(5);
      expect(sent.split('HTTP/1.1 ').length - 1).toBeLessThanOrEqual(2);
      expect(exchange.errors.getValue()).not.toBe('');
      expect(text(await exchange.ask(get('/next')))).toBe('next');
    },
  );

  it.each(['/short', '/fails', '/refuses'])('HEAD of %s owes nothing', async (path) => {
    const client = await serve(app, { selector }).client();
    await client.send(request('HEAD', path) + get('/next'));
    expect(field(await client.response('HEAD'), 'Content-Length')).toBe('100');
    expect(text(await client.response())).toBe('next');
  });
});

describeBackends('CVE-2015-0219: header spoofing by underscore', (selector) => {
  const serve = exchanges();
  const SPOOFS = ['X-Auth_User', 'X_Auth-User', 'X_Auth_User', 'x_auth_user', 'X_AUTH_USER'];

  it.each(SPOOFS)('%s never reaches environ', async (name) => {
    const exchange = serve(echo, { selector });
    for (const fields of [
      [`${name}: admin`],
      [`${name}: admin`, 'X-Auth-User: me'],
      ['X-Auth-User: me', `${name}: admin`],
    ]) {
      const { headers } = JSON.parse(text(await exchange.ask(get('/', ...fields))));
      const mine = fields.length === 2 ? [['HTTP_X_AUTH_USER', 'me']] : [];
      expect(headers).toEqual([['HTTP_HOST', 'test'], ...mine]);
    }
  });

  it('nor do fields that stand for other variables of CGI', async () => {
    const app: Application = (environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      const { HTTP_CONTENT_LENGTH, HTTP_CONTENT_TYPE, HTTP_PROXY, REMOTE_USER, HTTPS } = environ;
      return JSON.stringify([HTTP_CONTENT_LENGTH, HTTP_CONTENT_TYPE, REMOTE_USER, HTTPS]).concat(
        environ['wsgi.url_scheme'],
        String(HTTP_PROXY),
      );
    };
    const names = ['Content_Length: 5', 'Content_Type: x', 'Remote_User: admin', 'HTTPS_: on'];
    const response = await serve(app, { selector }).ask(get('/', ...names));
    expect(text(response)).toBe('[null,null,null,null]httpundefined');
  });
});

describeBackends('CVE-2024-37890: limits before an upgrade', (selector) => {
  const serve = exchanges();
  const UPGRADE = [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
  ];

  it.each([
    ['a websocket', UPGRADE],
    ['h2c', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk']],
    ['TLS', ['Connection: Upgrade', 'Upgrade: TLS/1.3']],
    ['whatever comes', ['Connection: Upgrade', 'Upgrade: x, y/1', 'Upgrade: z']],
    ['nothing', ['Connection: Upgrade', 'Upgrade:']],
  ])('the wish for %s is ignored: HTTP/1.1 goes on', async (_title, fields) => {
    const client = await serve(echo, { selector }).client();
    await client.send(get('/upgrade', ...fields) + get('/next', 'Connection: close'));
    const response = await client.response();
    expect(response.status).toBe(200);
    expect(field(response, 'Upgrade')).toBeUndefined();
    expect(field(response, 'Connection')).toBe('keep-alive');
    expect(JSON.parse(text(response)).path).toBe('/upgrade');
    expect(JSON.parse(text(await client.response())).path).toBe('/next');
    expect((await client.rest()).length).toBe(0);
  });

  it.each([
    ['too many fields', 431, Array(2000).fill('X: y')],
    ['a field that is too long', 431, [`X: ${'y'.repeat(20_000)}`]],
    ['a head that is too large', 431, Array(90).fill(`X: ${'y'.repeat(1000)}`)],
    ['two keys', 400, ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']],
    ['a body that is too large', 413, ['Content-Length: 2000000000']],
  ])('%s: %i', async (_title, status, fields) => {
    const { paths, app } = witness();
    const client = await serve(app, { selector }).client();
    await client.send(get('/', ...UPGRADE, ...fields) + FOLLOW_UP);
    const response = await client.response();
    expect([response.status, field(response, 'Connection')]).toEqual([status, 'close']);
    expect((await client.rest()).length).toBe(0);
    expect(paths).toEqual([]);
  });
});

describeBackends('CVE-2024-49769: half-open busy loop', (selector) => {
  const serve = exchanges();
  const CLIENTS = 300;

  const LEAVING: [title: string, leave: (client: RawClient) => void][] = [
    ['a reset', (client) => client.reset()],
    [
      'a reset behind half a request',
      (client) => {
        client.socket.write('GET / HTTP/1.1\r\n');
        client.reset();
      },
    ],
    [
      'a reset behind a request',
      (client) => {
        client.socket.write(get());
        client.reset();
      },
    ],
    ['a close', (client) => client.destroy()],
  ];

  it.each(LEAVING)(
    '%s before the first read: nothing is left, and nothing spins',
    async (_t, go) => {
      const { app } = witness();
      const exchange = serve(app, { selector });
      await exchange.ask(get());
      const { reactor, serverAddress } = exchange.server;
      await eventually(() => reactor.sockets.size === 0, 'the first client has gone');
      const before = openDescriptors();
      for (let round = 0; round < CLIENTS / 50; round++) {
        // Connected by the kernel, and gone before the server has its next turn.
        const all = Array.from({ length: 50 }, async () => {
          go(await RawClient.connect(serverAddress));
        });
        await Promise.all(all);
      }
      // It is accepted after all of them.
      expect((await exchange.ask(get())).status).toBe(200);
      await eventually(() => reactor.sockets.size === 0, 'all have gone');
      await eventually(() => openDescriptors() <= before, 'all descriptors are given back');
      const { turns } = reactor;
      await sleep(50);
      expect(reactor.turns - turns).toBeLessThan(5);
      expect(exchange.errors.getValue()).toBe('');
    },
  );
});
