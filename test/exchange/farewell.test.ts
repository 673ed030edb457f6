import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Application, HeaderList } from '../../src/index.ts';
import type { StreamSocket } from '../../src/reactor/streamsocket.ts';
import { describeBackends } from '../support/backends.ts';
import { openDescriptors } from '../support/descriptors.ts';
import {
  type Exchange,
  type ExchangeOptions,
  exchanges,
  get,
  get10,
  PLAIN,
  post,
  TCP,
} from '../support/exchange.ts';
import { programStarter } from '../support/programs.ts';
import { eventually, RawClient, text } from '../support/rawclient.ts';

const CLOSE = 'Connection: close';
/** Asks with a small receive buffer, and reads nothing until it is told to. */
const HESITANT = `
import socket, sys
connection = socket.socket()
connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
connection.connect(('127.0.0.1', int(sys.argv[1])))
connection.sendall(b'GET /some HTTP/1.0\\r\\n\\r\\n')
print('asked', flush=True)
sys.stdin.readline()
received = b''
while piece := connection.recv(65536):
    received += piece
print(len(received.partition(b'\\r\\n\\r\\n')[2]), flush=True)
`;
/** So long that nothing here waits for its end. */
const timeouts = { linger: 60 };
const large = Buffer.alloc(64 * 1024, 'x');
/** Fits into the first window of most. */
const some = Buffer.alloc(12_000, 'x');

const app: Application = async (environ, startResponse) => {
  const { PATH_INFO } = environ;
  const dismissed: HeaderList = PATH_INFO === '/dismissed' ? [['Connection', 'close']] : [];
  startResponse('200 OK', [...PLAIN, ...dismissed]);
  if (PATH_INFO === '/late') await sleep(5);
  return [{ '/large': large, '/some': some }[PATH_INFO] ?? PATH_INFO];
};

function isOpen({ server }: Exchange): boolean {
  return server.reactor.sockets.size > 0;
}

describeBackends('a client that has said that its request is its last', (selector) => {
  const serve = exchanges();
  const start = programStarter();
  const make = (options: ExchangeOptions = {}): Exchange =>
    serve(app, { selector, timeouts, ...options });

  it.each([
    ['by Connection: close', get('/a', CLOSE), '/a'],
    ['by Connection: close, and is answered later', get('/late', CLOSE), '/late'],
    ['by HTTP/1.0', get10('/b'), '/b'],
  ])('%s: its connection is closed at once, though it stays', async (_title, message, body) => {
    const exchange = make();
    const client = await exchange.client();
    await client.send(message);
    expect(text(await client.response())).toBe(body);
    expect(await client.ended()).toBe('fin');
    await eventually(() => !isOpen(exchange), 'the connection is over');
    expect((await client.rest()).length).toBe(0);
  });

  it.each([
    ['that had a body', [post('body', CLOSE)], 1],
    ['that something follows', [`${get('/a', CLOSE)}\r\n`], 1],
    ['that another follows', [get('/a', CLOSE) + get('/never')], 1],
    ['that is not its first', [get('/a') + get('/b', CLOSE)], 2],
    ['whose answer is large', [get('/large', CLOSE)], 1],
    ['that is refused', ['GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n'], 1],
    ['that arrives with its rest later', [get('/late', CLOSE), get('/never')], 1],
    ['that did not say so: the server closes', [get('/dismissed')], 1],
  ])('its connection lingers after a request %s', async (_title, pieces, count) => {
    const exchange = make();
    const client = await exchange.client();
    for (const piece of pieces) await client.send(piece);
    for (let i = 0; i < count; i++)
      expect((await client.response()).body.length).toBeGreaterThan(0);
    expect(await client.ended()).toBe('fin');
    await sleep(20);
    expect(isOpen(exchange)).toBe(true);
    client.halfClose();
    await eventually(() => !isOpen(exchange), 'the connection is over');
  });

  it('counts as connected until it can have all of its answer', async () => {
    const exchange = make({ address: TCP });
    const client = start('python3', ['-c', HESITANT, `${exchange.server.serverPort}`]);
    await client.says(/asked/, 'stdout');
    await eventually(() => isOpen(exchange), 'it is connected');
    await sleep(50);
    expect(isOpen(exchange)).toBe(true);
    client.child.stdin?.end('go on\n');
    await client.says(new RegExp(`^${some.length}$`, 'm'), 'stdout');
    await eventually(() => !isOpen(exchange), 'the connection is over');
  });

  it('lingers after the last of limits.requestsPerConnection', async () => {
    const exchange = make({ limits: { requestsPerConnection: 1 } });
    const client = await exchange.client();
    await client.send(get('/a', CLOSE));
    expect(await client.ended()).toBe('fin');
    await sleep(20);
    expect(isOpen(exchange)).toBe(true);
  });

  it('gets its whole answer although it sends more', async () => {
    const exchange = make({ address: TCP });
    for (let round = 0; round < 20; round++) {
      for (const path of ['/a', '/late', '/large']) {
        const client = await exchange.client();
        client.socket.on('error', () => {});
        client.socket.write(get(path, CLOSE));
        // Before the answer, with it or after it.
        if (round % 4 > 0) await sleep(round % 4);
        client.socket.write(get('/never'));
        expect((await client.response()).body.length).toBe(
          path === '/large' ? large.length : path.length,
        );
        client.destroy();
      }
    }
  });

  it('leaves no descriptor, and gets its own answer though numbers come again', async () => {
    const exchange = make();
    const numbers = new Map<number, StreamSocket>();
    let reused = 0;
    const { reactor } = exchange.server;
    const adopt = reactor.adopt.bind(reactor);
    reactor.adopt = (socket) => {
      if (numbers.has(socket.fd)) reused++;
      numbers.set(socket.fd, socket);
      adopt(socket);
    };
    const kept = await exchange.client();
    const before = openDescriptors();
    const asked = async (round: number, place: number): Promise<void> => {
      const client = await RawClient.connect(exchange.server.serverAddress);
      const path = `/${round}-${place}`;
      // Some are watched before they ask, others are not.
      if (place % 2 === 0) await sleep(1);
      await client.send(get(path, CLOSE));
      expect(text(await client.response())).toBe(path);
      client.destroy();
    };
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 20 }, (_, place) => asked(round, place)));
      await kept.send(get(`/kept${round}`));
      expect(text(await kept.response())).toBe(`/kept${round}`);
    }
    expect(reused).toBeGreaterThan(100);
    await eventually(() => openDescriptors() === before, 'all descriptors are closed');
    expect(reactor.sockets.size).toBe(1);
  });
});
