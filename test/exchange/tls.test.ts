import { once } from 'node:events';
import { connect as connectTLS } from 'node:tls';
import { afterEach, expect, it, vi } from 'vitest';
import { type Application, type RyegateError, WSGIServer } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { type ExchangeOptions, exchanges, get, PLAIN } from '../support/exchange.ts';
import { text } from '../support/rawclient.ts';

/** The beginning of a ClientHello of TLS 1.2. */
const HELLO = Buffer.from([0x16, 0x03, 0x01, 0x00, 0xc8, 0x01, 0x00, 0x00, 0xc4, 0x03, 0x03]);

const monotonic = performance.now.bind(performance);
afterEach(() => {
  vi.restoreAllMocks();
});

class Noting extends WSGIServer {
  readonly notices: RyegateError[] = [];

  override logNotice(notice: RyegateError): void {
    this.notices.push(notice);
  }
}

describeBackends('a client that speaks TLS', (selector) => {
  const serve = exchanges();

  function start(options: ExchangeOptions = {}) {
    const paths: string[] = [];
    const app: Application = (environ, startResponse) => {
      paths.push(environ.PATH_INFO);
      startResponse('200 OK', PLAIN);
      return environ.PATH_INFO;
    };
    const exchange = serve(app, { selector, serverClass: Noting, ...options });
    return { exchange, paths, notices: (exchange.server as Noting).notices };
  }

  it.each([
    ['in one segment', [HELLO]],
    ['in two', [HELLO.subarray(0, 1), HELLO.subarray(1)]],
    ['byte by byte', Array.from(HELLO, (_, at) => HELLO.subarray(at, at + 1))],
    ['with a request behind it', [Buffer.concat([HELLO, Buffer.from(get('/smuggled'))])]],
    ['of SSL 3', [Buffer.from([0x16, 0x03, 0x00, 0x00])]],
  ])('has the connection closed without an answer (%s)', async (_title, pieces) => {
    const { exchange, paths, notices } = start();
    const client = await exchange.client();
    await exchange.sendApart(client, pieces);
    expect((await client.rest()).toString('latin1')).toBe('');
    expect(client.ending).toBe('fin');
    expect(notices.map(({ code }) => code)).toEqual(['ERR_RYEGATE_TLS_ON_PLAIN']);
    expect(paths).toEqual([]);
    expect(text(await exchange.ask(get('/next')))).toBe('/next');
  });

  it('is told of once, however often it tries', async () => {
    const { exchange, notices } = start();
    for (let i = 0; i < 10; i++) {
      const client = await exchange.client();
      await client.send(HELLO);
      await client.ended();
      client.destroy();
    }
    expect(notices).toHaveLength(1);
    expect(notices[0]?.message).toMatch(/TLS.*http:\/\//);
  });

  it('is told of once a minute by the monotonic clock', async () => {
    const { exchange, notices } = start();
    const tellAfter = async (seconds: number): Promise<number> => {
      vi.spyOn(performance, 'now').mockImplementation(() => monotonic() + seconds * 1000);
      const client = await exchange.client();
      await client.send(HELLO);
      await client.ended();
      client.destroy();
      return notices.length;
    };
    expect(await tellAfter(0)).toBe(1);
    expect(await tellAfter(30)).toBe(1);
    expect(await tellAfter(60)).toBe(2);
    expect(await tellAfter(90)).toBe(2);
    expect(await tellAfter(120)).toBe(3);
  });

  it('of node:tls sees the handshake fail at once', async () => {
    const { exchange, notices } = start({ address: ['127.0.0.1', 0] });
    const [host, port] = exchange.server.serverAddress as [string, number];
    const socket = connectTLS({ host, port, rejectUnauthorized: false });
    const [error] = await once(socket, 'error');
    expect(error).toMatchObject({ code: 'ECONNRESET' });
    expect(notices).toHaveLength(1);
  });

  it.each([
    ['another second byte', Buffer.from([0x16, 0x02, 0x01])],
    ['0x16 twice', Buffer.from([0x16, 0x16])],
    ['0x16 and a request', Buffer.from(`\x16${get()}`)],
    ['another first byte', Buffer.from([0x17, 0x03, 0x01])],
    ['a CRLF before it', Buffer.concat([Buffer.from('\r\n'), HELLO])],
    ['a space before it', Buffer.concat([Buffer.from(' '), HELLO])],
  ])('is not taken for one with %s: 400', async (_title, bytes) => {
    const { exchange, notices, paths } = start();
    for (const pieces of [[bytes], [bytes.subarray(0, 1), bytes.subarray(1)]]) {
      const client = await exchange.client();
      await exchange.sendApart(client, pieces);
      expect((await client.response()).status).toBe(400);
      expect((await client.rest()).toString()).toBe('');
    }
    expect([notices, paths]).toEqual([[], []]);
  });

  it.each(['in one segment', 'apart'])('cannot begin after a request: 400 (%s)', async (kind) => {
    const { exchange, notices, paths } = start();
    const client = await exchange.client();
    if (kind === 'apart') await exchange.sendApart(client, [get('/1'), HELLO]);
    else await client.send(Buffer.concat([Buffer.from(get('/1')), HELLO]));
    expect(text(await client.response())).toBe('/1');
    expect((await client.response()).status).toBe(400);
    expect((await client.rest()).toString()).toBe('');
    expect([notices, paths]).toEqual([[], ['/1']]);
  });

  it('that sends one byte has as long as any head', async () => {
    const { exchange, notices } = start();
    const short = serve(() => '', { selector, serverClass: Noting, timeouts: { head: 0.2 } });
    const client = await short.client();
    await client.send(HELLO.subarray(0, 1));
    expect((await client.response()).status).toBe(408);
    expect(notices).toEqual([]);
    expect(exchange.errors.getValue()).toBe('');
  });
});
