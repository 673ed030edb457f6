import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { native } from '../../src/native.ts';
import { EVENT_READ, EVENT_WRITE } from '../../src/selectors/index.ts';
import { codeOf, describeBackends, errorOf, selectorMaker } from '../support/backends.ts';
import { descriptorKeeper } from '../support/descriptors.ts';
import { echo, exchanges, get as getRequest, PLAIN, request } from '../support/exchange.ts';
import { Handler, handlerKeeper } from '../support/handlers.ts';
import { bounded, field, text } from '../support/rawclient.ts';
import { get, hello, serverKeeper } from '../support/servers.ts';
import { expectRefused, onlyResponse, witness } from './refusals.ts';

// The defects 14 to 18 of the Python servers: http.server's, socketserver's, web.py's, selectors'.

const serve = exchanges();

describe("14: http.server body desync ('abcdeGET')", () => {
  const keeper = handlerKeeper();
  const asked: string[] = [];

  /** Reads no body; `logRequest()` is called for every request, known or not. */
  class Unread extends Handler {
    override logRequest(): void {
      asked.push(`${this.command} ${this.path}`);
    }

    doPOST(): void {
      const body = Buffer.from('unread');
      this.sendResponse(200);
      this.sendHeader('Content-Length', String(body.length));
      this.endHeaders();
      this.wfile.write(body);
    }

    doGET(): void {
      this.doPOST();
    }

    doPUT(): void {
      this.sendError(404);
    }
  }

  const last = getRequest('/last', 'Connection: close');
  const BODIES: [title: string, fields: string[], body: string][] = [
    ['of known length', ['Content-Length: 5'], 'abcde'],
    ['in chunks', ['Transfer-Encoding: chunked'], '5\r\nabcde\r\n0\r\n\r\n'],
    [
      'that looks like a request',
      [`Content-Length: ${getRequest('/smuggled').length}`],
      getRequest('/smuggled'),
    ],
    ['that looks like an empty line', ['Content-Length: 4'], '\r\n\r\n'],
  ];

  it.each(BODIES)('an unread body %s: the next request is the next', async (_t, fields, body) => {
    asked.length = 0;
    const client = await keeper.connect(keeper.serve(Unread));
    await client.send(request('POST', '/', fields, body) + last);
    for (let count = 0; count < 2; count++) expect(text(await client.response())).toBe('unread');
    expect((await client.rest()).length).toBe(0);
    expect(asked).toEqual(['POST /', 'GET /last']);
  });

  it.each(BODIES)('%s, that comes after the answer', async (_title, fields, body) => {
    asked.length = 0;
    const client = await keeper.connect(keeper.serve(Unread));
    await client.send(request('POST', '/', fields));
    expect(text(await client.response())).toBe('unread');
    await client.send(body + last);
    expect(text(await client.response())).toBe('unread');
    expect((await client.rest()).length).toBe(0);
    expect(asked).toEqual(['POST /', 'GET /last']);
  });

  it.each([
    ['PUT', 404],
    ['BREW', 501],
  ])('behind an error page (%s) nothing is run', async (method, status) => {
    for (const [, fields, body] of BODIES) {
      asked.length = 0;
      const client = await keeper.connect(keeper.serve(Unread));
      await client.send(request(method, '/', fields, body) + last);
      expect((await client.response()).status).toBe(status);
      expect((await client.rest()).length).toBe(0);
      expect(asked).toEqual([`${method} /`]);
      client.destroy();
    }
  });

  it('a body too large to be drained ends the connection, and is never a request', async () => {
    asked.length = 0;
    const client = await keeper.connect(keeper.serve(Unread));
    const body = getRequest('/smuggled').repeat(4000);
    await client.send(request('POST', '/', [`Content-Length: ${body.length}`], body));
    const response = await client.response();
    expect([response.status, field(response, 'Connection')]).toEqual([200, 'close']);
    expect((await client.rest()).length).toBe(0);
    expect(asked).toEqual(['POST /']);
  });
});

describe('15: socketserver poisoned flag after a second shutdown()', () => {
  const { make, serve: begin } = serverKeeper();
  const served = { status: 200, body: 'hello /' };

  it('shutdown() twice after a serving: the next one serves', async () => {
    const server = make(hello);
    for (let round = 0; round < 3; round++) {
      const serving = begin(server);
      expect(await get(server.serverAddress)).toMatchObject(served);
      await server.shutdown();
      await serving;
      await server.shutdown();
      await server.shutdown();
    }
    const serving = begin(server);
    expect(await get(server.serverAddress)).toMatchObject(served);
    await server.shutdown();
    await serving;
  });

  it('many at once, during a serving and after it', async () => {
    const server = make(hello);
    const serving = begin(server);
    const all = Array.from({ length: 10 }, () => server.shutdown());
    await Promise.all([...all, serving]);
    await Promise.all(Array.from({ length: 10 }, () => server.shutdown()));
    begin(server);
    expect(await get(server.serverAddress)).toMatchObject(served);
  });

  it('before the first serving', async () => {
    const server = make(hello);
    await server.shutdown();
    await server.shutdown();
    begin(server);
    expect(await get(server.serverAddress)).toMatchObject(served);
  });

  it('after handleRequest(), and handleRequest() after it', async () => {
    const server = make(hello);
    for (let round = 0; round < 2; round++) {
      const handling = server.handleRequest();
      expect(await get(server.serverAddress)).toMatchObject(served);
      await handling;
      await server.shutdown();
      await server.shutdown();
    }
    begin(server);
    expect(await get(server.serverAddress)).toMatchObject(served);
  });

  it('by the handle that other threads use, twice after a serving', async () => {
    const server = make(hello);
    const serving = begin(server);
    await server.shutdownHandle.shutdown();
    await serving;
    await server.shutdownHandle.shutdown();
    begin(server);
    expect(await get(server.serverAddress)).toMatchObject(served);
  });
});

describe('16: http.server 0.9-style error bodies for HTTP/1.1 clients', () => {
  const keeper = handlerKeeper();
  const host = '\r\nHost: test\r\n\r\n';
  // What http.server answers without a status line, and what is like it.
  const REFUSED: [line: string, status: number][] = [
    [`GET / HTTP/2.0${host}`, 505],
    [`GET / HTTP/3.0${host}`, 505],
    [`GET / HTTP/0.9${host}`, 505],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
    [`GET / HTTP/1${host}`, 400],
    [`GET / HTTP/1.1.1${host}`, 400],
    [`GET / HTTP/x.y${host}`, 400],
    [`GET / HTTP/11.1${host}`, 400],
    [`GET / HTTP/-1.1${host}`, 400],
    [`GET / http/1.1${host}`, 400],
    [`GET / FTP/1.1${host}`, 400],
    [`GET / HTTP/1.1 more${host}`, 400],
    [`GET /${host}`, 400],
    ['GET /\r\n', 400],
    [`GET${host}`, 400],
    [`POST /${host}`, 400],
    [` GET / HTTP/1.1${host}`, 400],
    [`GET /${'x'.repeat(9000)} HTTP/1.1${host}`, 414],
    [`\x00\x01\x02${host}`, 400],
  ];

  it.each(REFUSED)('%j', async (line, status) => {
    const { paths, app } = witness();
    const response = await expectRefused(serve(app), line, status);
    expect(field(response, 'Content-Length')).toBe(String(response.body.length));
    expect(paths).toEqual([]);
  });

  it.each(REFUSED)('%j to a handler of http.server', async (line, status) => {
    const client = await keeper.connect(keeper.serve(Handler));
    await client.send(line);
    const response = onlyResponse(await client.rest());
    expect(response.status).toBe(status);
    expect(response.framing).toBe('length');
  });
});

// web.py answers 500 for a session cookie that it does not know. There are no sessions here, so what
// stands for it is what sessions are found by: no Cookie, however broken, makes a 500, loses the
// request, or reaches the application changed.
describe('17: web.py session 500s', () => {
  const ID = 'webpy_session_id';
  const COOKIES = [
    `${ID}=unknown`,
    `${ID}=0123456789abcdef0123456789abcdef01234567`,
    `${ID}=../../../etc/passwd`,
    `${ID}=`,
    `${ID}`,
    `=${ID}`,
    `${ID}=a=b=c`,
    `${ID}="unfinished`,
    `${ID}=\\"`,
    `${ID}=%00%0d%0a`,
    `${ID}=a; ${ID}=b`,
    `$Version=1; ${ID}=a`,
    '',
    ';',
    ';;;===;;;',
    ', , ,',
    'a b\tc',
    '\xff\xfe\x80',
    '__proto__=x; constructor=y',
    `${ID}=${'x'.repeat(16_000)}`,
  ];

  it.each(COOKIES)('Cookie: %j', async (cookie) => {
    const exchange = serve(echo);
    const client = await exchange.client();
    await client.send(getRequest('/', `Cookie: ${cookie}`) + getRequest('/next'));
    const response = await client.response();
    expect(response.status).toBe(200);
    expect(JSON.parse(text(response)).headers).toContainEqual(['HTTP_COOKIE', cookie]);
    expect(JSON.parse(text(await client.response())).path).toBe('/next');
    expect(exchange.errors.getValue()).toBe('');
  });

  it('several are joined as one would have been sent', async () => {
    const response = await serve(echo).ask(getRequest('/', 'Cookie: a=1', 'cookie: ', 'Cookie: b'));
    expect(JSON.parse(text(response)).headers).toContainEqual(['HTTP_COOKIE', 'a=1; ; b']);
  });

  it.each(['a=\0', 'a=\x7f', 'a=\x01', 'a\n=b'])('Cookie: %j is refused: 400', async (cookie) => {
    const { paths, app } = witness();
    await expectRefused(serve(app), getRequest('/', `Cookie: ${cookie}`));
    expect(paths).toEqual([]);
  });
});

describeBackends("18: selectors' three different answers to a closed fd", (selector) => {
  const makeSelector = selectorMaker(selector);
  const descriptors = descriptorKeeper();
  const BOTH = EVENT_READ | EVENT_WRITE;

  /** A descriptor that nothing has open. */
  function closedDescriptor(): number {
    const { reader } = descriptors.pipe();
    descriptors.close(reader);
    expect(native.isOpen(reader)).toBe(false);
    return reader;
  }

  it('register() of a closed one: EBADF', () => {
    const tested = makeSelector();
    const closed = closedDescriptor();
    for (const events of [EVENT_READ, EVENT_WRITE, BOTH]) {
      expect(errorOf(() => tested.register(closed, events))).toMatchObject({ systemCode: 'EBADF' });
    }
    expect(tested.getMap()?.size).toBe(0);
    expect(tested.select(0)).toEqual([]);
  });

  it('modify() of one closed meanwhile: EBADF', () => {
    const tested = makeSelector();
    const [near] = descriptors.socketPair();
    tested.register(near, EVENT_READ);
    descriptors.close(near);
    expect(errorOf(() => tested.modify(near, BOTH))).toMatchObject({ systemCode: 'EBADF' });
    expect(tested.getMap()?.size).toBe(0);
  });

  it('register() of a file object that has been closed: ERR_RYEGATE_INVALID_FD', () => {
    const tested = makeSelector();
    for (const fd of [-1, Number.NaN, undefined as unknown as number]) {
      const code = codeOf(() => tested.register({ fileno: () => fd }, EVENT_READ));
      expect(code).toBe('ERR_RYEGATE_INVALID_FD');
    }
  });

  // Of the answers of epoll, poll and select this is the one that all of them can give.
  it('select() with one closed meanwhile: it is not reported, and the others are', () => {
    const tested = makeSelector();
    const gone = descriptors.pipe().reader;
    const [near] = descriptors.socketPair();
    tested.register(gone, EVENT_READ);
    const key = tested.register(near, EVENT_WRITE);
    descriptors.close(gone);
    for (let count = 0; count < 3; count++) expect(tested.select(0)).toEqual([[key, EVENT_WRITE]]);
  });

  it('unregister() of one closed meanwhile gives its key, and the others go on', () => {
    const tested = makeSelector();
    const gone = descriptors.pipe().reader;
    const [near] = descriptors.socketPair();
    tested.register(gone, EVENT_READ, 'gone');
    const key = tested.register(near, EVENT_WRITE, 'near');
    descriptors.close(gone);
    expect(tested.unregister(gone).data).toBe('gone');
    expect(tested.select(0)).toEqual([[key, EVENT_WRITE]]);
  });

  it('a server whose connection is closed by somebody else drops it, and serves on', async () => {
    const exchange = serve(() => 'x', { selector });
    exchange.server.setApp((environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return environ.PATH_INFO;
    });
    const victim = await exchange.client();
    await victim.send(getRequest('/victim'));
    expect(text(await victim.response())).toBe('/victim');
    const [first] = [...exchange.server.reactor.sockets];
    if (first === undefined) throw new Error('the server has no connection');
    const other = await exchange.client();
    native.close(first.fd);
    for (let count = 0; count < 3; count++) {
      await other.send(getRequest(`/${count}`));
      expect(text(await other.response())).toBe(`/${count}`);
    }
    expect(text(await exchange.ask(getRequest('/new')))).toBe('/new');
    // Under poll and select the system keeps it open until the wait for it has ended.
    await victim.ended();
    // And it does not spin.
    await sleep(20);
    const { turns } = exchange.server.reactor;
    await sleep(50);
    expect(exchange.server.reactor.turns - turns).toBeLessThan(5);
    await bounded(exchange.server.shutdown(), 'the end of the serving');
  });
});
