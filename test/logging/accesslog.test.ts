import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  AccessLog,
  type Application,
  FileWrapper,
  openFile,
  WSGIRequestHandler,
  WSGIServer,
} from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import {
  type Exchange,
  type ExchangeOptions,
  exchanges,
  get,
  PLAIN,
  request,
  TCP,
} from '../support/exchange.ts';
import { type AccessLine, brief, jsonLines, logPlace } from '../support/logs.ts';
import { CHUNK_SIZE, leaveBy, outcomes, post } from '../support/outcomes.ts';
import { eventually } from '../support/rawclient.ts';
import { expectNoUnhandledRejections } from '../support/unhandled.ts';

const serve = exchanges();
const place = logPlace();
const { lines, jsonLog } = jsonLines();
expectNoUnhandledRejections();

const GOOD = 'GET /good 200 4';

/** No other line follows than that of a request that is made. */
async function expectLogged(exchange: Exchange, line: string): Promise<void> {
  await eventually(() => lines.length > 0, `${line} is logged`);
  await exchange.ask(get('/good'));
  await eventually(() => lines.some(({ path }) => path === '/good'), 'the next is logged');
  expect(lines.map(brief)).toEqual([line, GOOD]);
}

/** The sizes of error pages are not what these tests are about. */
function expectStatus(line: string): void {
  expect(
    lines
      .slice(0, 1)
      .map(brief)
      .map((shown) => shown.replace(/ \d+( aborted)?$/, '')),
  ).toEqual([line]);
}

describeBackends('the access log of an application', (selector) => {
  const log = (options: ExchangeOptions = {}): Exchange =>
    serve(outcomes, { selector, accessLog: jsonLog(), ...options });

  it.each([
    [get('/good?x=y'), GOOD],
    [request('HEAD', '/good'), 'HEAD /good 200 0'],
    [get('/none'), 'GET /none 304 0'],
    [get('/refused'), 'GET /refused 403 10'],
    // What was written in the turn of the reset has not been sent.
    [get('/after'), 'GET /after 200 0 aborted'],
    [get('/short'), 'GET /short 200 0 aborted'],
    [get('/long'), 'GET /long 200 1'],
    [post(['Content-Length: 4'], 'body'), 'POST /body 200 4'],
  ])('has %j once', async (message, line) => {
    const exchange = log();
    const client = await exchange.client();
    await client.send(message);
    await expectLogged(exchange, line);
  });

  it.each([
    [get('/before'), 'GET /before 500'],
    [post(['Transfer-Encoding: chunked'], 'zz\r\n'), 'POST /body 400'],
    ['GARBAGE\r\n\r\n', 'null null 400'],
    [get('/x', 'Content-Length: +5'), 'GET /x 400'],
    [get('/x', 'Expect: miracles'), 'GET /x 417'],
    [get(`/${'x'.repeat(9000)}`), 'null null 414'],
    [get('/x', `X-Long: ${'x'.repeat(40_000)}`), 'GET /x 431'],
    [get('/x').replace('HTTP/1.1', 'HTTP/2.0'), 'null null 505'],
    [request('POST', '/body', ['Content-Length: 99999999999']), 'POST /body 413'],
  ])('has what is refused: %j', async (message, line) => {
    const exchange = log();
    const client = await exchange.client();
    await client.send(message);
    const answer = await client.response();
    await eventually(() => lines.length > 0, 'it is logged');
    expectStatus(line);
    expect(lines[0]?.bytes).toBe(answer.body.length);
    await exchange.ask(get('/good'));
    expect(lines).toHaveLength(2);
  });

  it.each<[string, ExchangeOptions, string, string]>([
    ['a head', { timeouts: { head: 0.5 } }, 'GET /slow HTTP/1.1\r\n', 'null null 408'],
    [
      'a body',
      { timeouts: { body: 0.1 } },
      post(['Content-Length: 100'], 'part'),
      'POST /body 408',
    ],
    [
      'a body that is buffered',
      { timeouts: { body: 0.1 }, inputBuffering: 'buffer' },
      post(['Content-Length: 100'], 'part'),
      'POST /body 408',
    ],
    ['a handler', { timeouts: { handler: 0.1 } }, get('/waits'), 'GET /waits 503'],
  ])('has %s that does not come in time once', async (_title, options, message, line) => {
    const exchange = log(options);
    const client = await exchange.client();
    await client.send(message);
    await eventually(() => lines.length > 0, 'it is logged');
    await client.ended();
    await exchange.ask(get('/good'));
    expect(lines).toHaveLength(2);
    expectStatus(line);
    // From the head on; the head itself has not come.
    if (!line.startsWith('null')) expect(lines[0]?.seconds).toBeGreaterThan(0.09);
  });

  it('has a handler that is too slow behind its head as broken off', async () => {
    const exchange = log({ timeouts: { handler: 0.1 } });
    const client = await exchange.client();
    await client.send(get('/stalls'));
    await expectLogged(exchange, 'GET /stalls 200 4 aborted');
  });

  it('has a client that takes nothing, and how much it may have got', async () => {
    const exchange = log({ timeouts: { write: 0.3 } });
    const client = await exchange.client();
    client.socket.pause();
    await client.send(get('/endless'));
    await eventually(() => lines.length > 0, 'it is logged');
    expectStatus('GET /endless 200');
    expect(lines[0]).toMatchObject({ aborted: true });
    // What was buffered when it was given up has not been sent.
    expect((lines[0]?.bytes as number) % CHUNK_SIZE).not.toBe(0);
  });

  describe.each([
    ['a reset', 'null 0 aborted', 'null 0 aborted'],
    ['a close', '200 4', '400 '],
  ] as const)('with a client that leaves by %s', (how, ok, bad) => {
    const leave = leaveBy[how];

    it('while the application works', async () => {
      const exchange = log({ address: TCP });
      const client = await exchange.client();
      await exchange.sendApart(client, [get('/waits')]);
      leave(client);
      await expectLogged(exchange, `GET /waits ${ok}`);
    });

    it('while its body is awaited', async () => {
      const exchange = log({ address: TCP });
      const client = await exchange.client();
      await exchange.sendApart(client, [post(['Content-Length: 100'], 'part')]);
      leave(client);
      await eventually(() => lines.length > 0, 'it is logged');
      await exchange.ask(get('/good'));
      expect(lines).toHaveLength(2);
      expect(brief(lines[0] as AccessLine)).toContain(`POST /body ${bad}`);
    });

    it('while its body is buffered', async () => {
      const exchange = log({ address: TCP, inputBuffering: 'buffer' });
      const client = await exchange.client();
      await exchange.sendApart(client, [post(['Content-Length: 100'], 'part')]);
      leave(client);
      await expectLogged(exchange, 'POST /body null 0 aborted');
    });

    it('in the midst of its answer', async () => {
      const exchange = log({ address: TCP });
      const client = await exchange.client();
      await client.send(get('/endless'));
      await client.received(100_000);
      leave(client);
      await eventually(() => lines.length > 0, 'it is logged');
      await exchange.ask(get('/good'));
      expect(lines).toHaveLength(2);
      expect(lines[0]).toMatchObject({ path: '/endless', status: 200, aborted: true });
      expect(lines[0]?.bytes).toBeGreaterThan(90_000);
    });
  });

  it('has what a closing server does not wait for as broken off', async () => {
    class Impatient extends WSGIServer {
      static override closeTimeout = 0.1;
    }
    const exchange = log({ serverClass: Impatient });
    const client = await exchange.client();
    await client.send(get('/stalls'));
    await client.received(4);
    await exchange.server.serverClose();
    expect(lines.map(brief)).toEqual(['GET /stalls 200 4 aborted']);
  });

  it('has what a drain does not wait for as broken off, and nothing that stands behind', async () => {
    const exchange = log();
    for (const path of ['/stalls', '/waits']) {
      const client = await exchange.client();
      await exchange.sendApart(client, [get(path) + get('/good')]);
    }
    expect(await exchange.server.drain({ deadline: 0.1 })).toMatchObject({ aborted: 2 });
    const broken = ['GET /stalls 200 4 aborted', 'GET /waits null 0 aborted'];
    expect(lines.map(brief).sort()).toEqual(broken);
  });

  it('has no request of a client that is reset at once more than once', async () => {
    const exchange = log({ address: TCP });
    for (let i = 0; i < 20; i++) {
      const client = await exchange.client();
      client.send(get(i % 2 === 0 ? `/good?${i}` : `/waits?${i}`)).catch(() => {});
      client.reset();
    }
    await exchange.ask(get('/good?last'));
    await eventually(() => lines.at(-1)?.query === 'last', 'the next is logged');
    const queries = lines.map(({ query }) => query);
    expect(new Set(queries).size).toBe(queries.length);
  });

  it('has each of many requests that come together', async () => {
    const exchange = log();
    const client = await exchange.client();
    await client.send(get('/good').repeat(20));
    for (let i = 0; i < 20; i++) await client.response();
    expect(lines.map(brief)).toEqual(Array(20).fill(GOOD));
  });

  it('has files, with what has gone of them', async () => {
    const path = place.path();
    writeFileSync(path, Buffer.alloc(8 * 1024 * 1024));
    const file: Application = async (_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return new FileWrapper(await openFile(path));
    };
    const exchange = serve(file, { selector, accessLog: jsonLog(), address: TCP });
    const leaving = await exchange.client();
    await leaving.send(get('/'));
    await leaving.received(100_000);
    leaving.socket.pause();
    leaving.reset();
    await eventually(() => lines.length > 0, 'it is logged');
    await exchange.ask(get('/'));
    expect(lines).toMatchObject([{ status: 200, aborted: true }, { bytes: 8 * 1024 * 1024 }]);
    expect(lines[0]?.bytes).toBeGreaterThan(90_000);
    expect(lines[0]?.bytes).toBeLessThan(8 * 1024 * 1024);
    expect(lines[1]).not.toHaveProperty('aborted');
  });

  it('has the time from the head to the end, in which the thread may have been busy', async () => {
    const exchange = log({ inputBuffering: 'buffer' });
    await exchange.ask(get('/slow'));
    const client = await exchange.client();
    await exchange.sendApart(client, [post(['Content-Length: 4'], 'bo')]);
    await sleep(60);
    await client.send('dy');
    await client.response();
    for (let i = 0; i < 3; i++) await exchange.ask(get('/good'));
    const [slow, late, ...quick] = lines.map(({ seconds }) => seconds) as number[];
    expect(slow).toBeGreaterThan(0.049);
    expect(late).toBeGreaterThan(0.055);
    expect(quick).toHaveLength(3);
    expect(Math.min(...quick)).toBeLessThan(0.04);
  });
});

it('fields of the response and keys of the environ, of an application', async () => {
  const texts: string[] = [];
  const output = { write: (text: string) => texts.push(text) };
  const format = '%({Content-Type}o)s %({X-A}o)s %({PATH_INFO}e)s %({wsgi.url_scheme}e)s';
  const answer: Application = (environ, startResponse) => {
    startResponse('200 OK', [
      ['Content-Type', 'text/plain'],
      ['X-A', '1'],
    ]);
    if (environ.PATH_INFO === '/fails') throw new Error('on purpose');
    return 'ok';
  };
  const exchange = serve(answer, { accessLog: new AccessLog({ format, output }) });
  for (const path of ['/a', '/b', '/b', '/b', '/fails']) await exchange.ask(get(path));
  await exchange.ask('GARBAGE\r\n\r\n');
  expect(texts).toEqual([
    ...['/a', '/b', '/b', '/b'].map((path) => `text/plain 1 ${path} http\n`),
    'text/plain; charset=utf-8 - /fails http\n',
    'text/html; charset=utf-8 - - -\n',
  ]);
});

it('a WSGI handler class of ones own is logged as any', async () => {
  class Own extends WSGIRequestHandler {
    override parseRequest(): boolean {
      if (this.path !== '/private') return true;
      this.sendError(403);
      return false;
    }
  }
  const exchange = serve(outcomes, { handlerClass: Own, accessLog: jsonLog() });
  await exchange.ask(get('/private'));
  await exchange.ask(get('/good'));
  expect(lines.map(({ path, status }) => `${path} ${status}`)).toEqual([
    '/private 403',
    '/good 200',
  ]);
});
