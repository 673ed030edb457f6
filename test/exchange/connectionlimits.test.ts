import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { HTTPConnection } from '../../src/http/connection.ts';
import { Admission } from '../../src/httpserver/admission.ts';
import {
  type Application,
  type RyegateError,
  type ServerAddress,
  type StreamSocket,
  WSGIRequestHandler,
  WSGIServer,
} from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { type ExchangeOptions, exchanges, get, PLAIN, request } from '../support/exchange.ts';
import { eventually, field, RawClient, type RawResponse, text } from '../support/rawclient.ts';

const folder = mkdtempSync(joinPath(tmpdir(), 'ryegate-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const app: Application = (environ, startResponse) => {
  startResponse('200 OK', PLAIN);
  return environ.PATH_INFO;
};

/** A server that keeps what it is told instead of logging it. */
class Noting extends WSGIServer {
  readonly notices: RyegateError[] = [];
  readonly failures: unknown[] = [];

  override logNotice(notice: RyegateError): void {
    this.notices.push(notice);
  }

  override handleError(_request: unknown, _address: unknown, error: unknown): void {
    this.failures.push(error);
  }
}

/** How many connections are served: those that are turned away have another protocol. */
function served(server: WSGIServer): number {
  const protocols = [...server.reactor.sockets].map(({ protocol }) => protocol);
  return protocols.filter((protocol) => protocol instanceof HTTPConnection).length;
}

describeBackends('a limit of connections', (selector) => {
  const serve = exchanges();
  const clients: RawClient[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.reset();
  });

  function start(limits: ExchangeOptions['limits'], options: ExchangeOptions = {}) {
    const settings = { selector, limits, serverClass: Noting, ...options };
    const exchange = serve(app, settings);
    return { server: exchange.server as Noting };
  }

  async function join(address: ServerAddress): Promise<RawClient> {
    const client = await RawClient.connect(address);
    clients.push(client);
    return client;
  }

  async function ask(client: RawClient, path = '/'): Promise<RawResponse> {
    await client.send(get(path));
    return client.response();
  }

  /** Turned away without having asked for anything. */
  async function expectRefused(client: RawClient): Promise<void> {
    const response = await client.response();
    expect(response).toMatchObject({ status: 503, framing: 'length' });
    expect(field(response, 'Retry-After')).toMatch(/^[1-9][0-9]*$/);
    expect(field(response, 'Connection')).toBe('close');
    expect((await client.rest()).toString()).toBe('');
    expect(client.ending).toBe('fin');
  }

  it.each(['TCP', 'unix'])('serves so many, and answers the next with 503 (%s)', async (kind) => {
    const address: ServerAddress =
      kind === 'unix' ? `${folder}/${selector}.sock` : ['127.0.0.1', 0];
    const { server } = start({ connections: 3 }, { address });
    const admitted = await Promise.all([1, 2, 3].map(() => join(server.serverAddress)));
    for (const client of admitted) expect((await ask(client)).status).toBe(200);
    for (let i = 0; i < 3; i++) await expectRefused(await join(server.serverAddress));
    for (const client of admitted)
      expect(field(await ask(client), 'Connection')).toBe('keep-alive');
    // After one has left, one other is served.
    admitted.pop()?.destroy();
    await eventually(() => served(server) === 2, 'one has left');
    expect((await ask(await join(server.serverAddress))).status).toBe(200);
    await expectRefused(await join(server.serverAddress));
    expect(server.failures).toEqual([]);
  });

  it('is exact when many come at once', async () => {
    const { server } = start({ connections: 20 });
    const all = await Promise.all(Array.from({ length: 60 }, () => join(server.serverAddress)));
    const answers = await Promise.all(all.map((client) => ask(client)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(20);
    expect(answers.filter(({ status }) => status === 503)).toHaveLength(40);
  });

  it('is told once, however many are turned away', async () => {
    const { server } = start({ connections: 1 });
    await ask(await join(server.serverAddress));
    for (let i = 0; i < 5; i++) await expectRefused(await join(server.serverAddress));
    expect(server.notices.map(({ code }) => code)).toEqual(['ERR_RYEGATE_TOO_MANY_CONNECTIONS']);
  });

  it('is not taken up by those that are turned away, whether they stay or flood', async () => {
    const { server } = start({ connections: 1 }, { timeouts: { linger: 60 } });
    const first = await join(server.serverAddress);
    await ask(first);
    const flood = get('/flood').repeat(200);
    for (let i = 0; i < 20; i++) {
      const refused = await join(server.serverAddress);
      expect((await refused.response()).status).toBe(503);
      // They neither close nor are they read from.
      if (i % 2 === 0) refused.socket.write(flood);
    }
    first.destroy();
    await eventually(() => served(server) === 0, 'the first has left');
    expect((await ask(await join(server.serverAddress))).status).toBe(200);
  });

  it.each([
    ['a close', (client: RawClient) => client.destroy()],
    ['a reset', (client: RawClient) => client.reset()],
    ['a FIN', (client: RawClient) => client.halfClose()],
  ])('has room again after %s', async (_title, leave) => {
    const { server } = start({ connections: 1 });
    for (let i = 0; i < 3; i++) {
      const client = await join(server.serverAddress);
      expect((await ask(client)).status).toBe(200);
      leave(client);
      await eventually(() => server.reactor.sockets.size === 0, 'it has left');
    }
  });

  it('counts those that have asked for nothing, and those that are refused later', async () => {
    const { server } = start({ connections: 2 });
    const silent = await join(server.serverAddress);
    const broken = await join(server.serverAddress);
    await expectRefused(await join(server.serverAddress));
    await broken.send('broken\r\n\r\n');
    expect((await broken.response()).status).toBe(400);
    broken.destroy();
    await eventually(() => server.reactor.sockets.size === 1, 'it has left');
    expect((await ask(await join(server.serverAddress))).status).toBe(200);
    expect((await ask(silent)).status).toBe(200);
  });

  it('works for handleRequest(), again and again', async () => {
    const server = new Noting(['127.0.0.1', 0], WSGIRequestHandler, {
      selector,
      limits: { connections: 1, connectionsPerAddress: 1 },
    });
    server.setApp(app);
    try {
      for (let i = 0; i < 3; i++) {
        const handled = server.handleRequest();
        const client = await join(server.serverAddress);
        const response = await ask(client, `/${i}`);
        expect([response.status, text(response)]).toEqual([200, `/${i}`]);
        client.destroy();
        await handled;
        await closedAll(server);
      }
      expect(server.notices).toEqual([]);
    } finally {
      await server.serverClose();
    }
  });

  it('does not count those that verifyRequest() or a handler refuses', async () => {
    let refusing = true;
    class Picky extends Noting {
      override verifyRequest(): boolean {
        return !refusing;
      }
    }
    class Failing extends WSGIRequestHandler {
      override setup(): void {
        if (refusing) throw new Error('no handler');
      }

      override logMessage(): void {}
    }
    for (const options of [{ serverClass: Picky }, { handlerClass: Failing }]) {
      refusing = true;
      const { server } = start({ connections: 1, connectionsPerAddress: 1 }, options);
      for (let i = 0; i < 5; i++) {
        const client = await join(server.serverAddress);
        expect((await client.rest()).toString()).toBe('');
        client.destroy();
        await eventually(() => server.reactor.sockets.size === 0, 'it has left');
      }
      refusing = false;
      expect((await ask(await join(server.serverAddress))).status).toBe(200);
      await expectRefused(await join(server.serverAddress));
    }
  });

  it('holds for a server that overrides processRequest(), at once or later', async () => {
    for (const wait of [false, true]) {
      class Own extends Noting {
        override processRequest(client: StreamSocket, address: ServerAddress): void {
          if (wait) setTimeout(() => super.processRequest(client, address), 10);
          else super.processRequest(client, address);
        }
      }
      const { server } = start({ connections: 2 }, { serverClass: Own });
      for (let i = 0; i < 2; i++) {
        expect((await ask(await join(server.serverAddress))).status).toBe(200);
      }
      await expectRefused(await join(server.serverAddress));
    }
  });
});

async function closedAll(server: WSGIServer): Promise<void> {
  for (let i = 0; i < 5 && server.reactor.sockets.size > 0; i++) {
    server.timeout = 0.05;
    await server.handleRequest();
  }
  server.timeout = null;
}

describeBackends('a limit of connections from one address', (selector) => {
  const address: ServerAddress = ['127.0.0.1', 0];
  const serve = exchanges();
  const clients: RawClient[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.reset();
  });

  async function from(server: WSGIServer, localAddress: string): Promise<RawClient> {
    const [, port] = server.serverAddress as [string, number];
    const socket = connect({ host: '127.0.0.1', port, localAddress, allowHalfOpen: true });
    const client = new RawClient(socket);
    clients.push(client);
    await client.send(get());
    return client;
  }

  const status = async (client: RawClient) => (await client.response()).status;

  it('is that of each address for itself', async () => {
    const limits = { connectionsPerAddress: 2 };
    const { server } = serve(app, { selector, limits, serverClass: Noting, address });
    const mine = [await from(server, '127.0.0.1'), await from(server, '127.0.0.1')];
    for (const client of mine) expect(await status(client)).toBe(200);
    expect(await status(await from(server, '127.0.0.1'))).toBe(503);
    expect(await status(await from(server, '127.0.0.2'))).toBe(200);
    expect(await status(await from(server, '127.0.0.2'))).toBe(200);
    expect(await status(await from(server, '127.0.0.2'))).toBe(503);
    mine[0]?.destroy();
    await eventually(() => served(server) === 3, 'one has left');
    expect(await status(await from(server, '127.0.0.2'))).toBe(503);
    expect(await status(await from(server, '127.0.0.1'))).toBe(200);
    expect(await status(await from(server, '127.0.0.1'))).toBe(503);
  });

  it('works beside that of all connections, which leaves its count alone', async () => {
    const limits = { connections: 2, connectionsPerAddress: 2 };
    const { server } = serve(app, { selector, limits, serverClass: Noting, address });
    const mine = await from(server, '127.0.0.1');
    expect(await status(mine)).toBe(200);
    expect(await status(await from(server, '127.0.0.2'))).toBe(200);
    for (let i = 0; i < 4; i++) expect(await status(await from(server, '127.0.0.1'))).toBe(503);
    mine.destroy();
    await eventually(() => served(server) === 1, 'one has left');
    expect(await status(await from(server, '127.0.0.1'))).toBe(200);
  });

  it('is none on a unix socket, whose clients have no addresses', async () => {
    const exchange = serve(app, {
      selector,
      limits: { connectionsPerAddress: 1 },
      address: `${folder}/address-${selector}.sock`,
    });
    const all = await Promise.all([1, 2, 3].map(() => exchange.client()));
    for (const client of all) {
      await client.send(get());
      expect(await status(client)).toBe(200);
    }
  });
});

describe('one address', () => {
  /** Whether a second client is turned away as the first has taken all there is for its address. */
  function areOne(first: string, second: string): boolean {
    const admission = new Admission({ connections: Infinity, connectionsPerAddress: 1 });
    const [one, other] = [first, second].map(
      (host, fd) => ({ fd, clientAddress: [host, 1] }) as unknown as StreamSocket,
    ) as [StreamSocket, StreamSocket];
    expect(admission.admit(one)).toBe(true);
    const both = !admission.admit(other);
    if (both) {
      admission.leave(one);
      expect(admission.admit(other)).toBe(true);
    }
    return both;
  }

  it.each([
    ['2001:db8::1', '2001:db8:0:0:ffff::1'],
    ['2001:db8::1', '2001:db8::'],
    ['2001:db8:0:1::1', '2001:db8:0:1:ffff:ffff:ffff:ffff'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::'],
    ['1:2:3:4::', '1:2:3:4:5:6:7:8'],
    ['1:0:0:4::8', '1::4:0:0:0:8'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::FFFF:1.2.3.4', '1.2.3.4'],
    ['::1', '::1'],
    ['::1', '::2'],
    ['::', '::1'],
  ])('is %s, and %s', (first, second) => {
    expect(areOne(first, second)).toBe(true);
    expect(areOne(second, first)).toBe(true);
  });

  it.each([
    ['2001:db8::1', '2001:db8:0:1::1'],
    ['2001:db8::1', '2001:db9::1'],
    ['1::4:0:0:0:8', '1::8'],
    ['::ffff:1.2.3.4', '::ffff:1.2.3.5'],
    ['::ffff:1.2.3.4', '::1'],
    ['1.2.3.4', '1.2.3.5'],
    ['::1', '127.0.0.1'],
    ['1::', '::1'],
  ])('is not %s and %s', (first, second) => {
    expect(areOne(first, second)).toBe(false);
    expect(areOne(second, first)).toBe(false);
  });
});

describeBackends('a limit of requests on one connection', (selector) => {
  const serve = exchanges();

  it('has the last answer say close, and nothing after it run', async () => {
    const paths: string[] = [];
    const noting: Application = (environ, startResponse) => {
      paths.push(environ.PATH_INFO);
      return app(environ, startResponse);
    };
    const exchange = serve(noting, { selector, limits: { requestsPerConnection: 3 } });
    for (const together of [false, true]) {
      paths.length = 0;
      const client = await exchange.client();
      const messages = ['/1', '/2', '/3', '/4'].map((path) => get(path));
      if (together) await client.send(messages.join(''));
      for (const [index, message] of messages.slice(0, 3).entries()) {
        if (!together) await client.send(message);
        const response = await client.response();
        expect(text(response)).toBe(`/${index + 1}`);
        expect(field(response, 'Connection')).toBe(index === 2 ? 'close' : 'keep-alive');
      }
      if (!together) client.socket.write(messages[3] as string);
      expect((await client.rest()).toString()).toBe('');
      expect(client.ending).toBe('fin');
      expect(paths).toEqual(['/1', '/2', '/3']);
    }
  });

  it('may be one; a body that is not read counts for nothing', async () => {
    const exchange = serve(app, { selector, limits: { requestsPerConnection: 1 } });
    const client = await exchange.client();
    await client.send(request('POST', '/', ['Content-Length: 4'], 'body') + get('/2'));
    expect(field(await client.response(), 'Connection')).toBe('close');
    expect((await client.rest()).toString()).toBe('');
  });
});
