import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Exchange, echo, exchanges, get, request } from '../support/exchange.ts';
import { RawClient, text } from '../support/rawclient.ts';
import { expectRefused, witness } from './refusals.ts';

// The eight things that node:http accepts and must not (seen on Node 20.20): ours refuses them. A
// server of node:http in the same process shows that the message is what it is taken for; where a
// later Node has mended it, that is printed, since the test is about ours.

const host = 'Host: test';

/** Each class with its variants. `status` is what ours answers. */
const ACCEPTED: [title: string, status: number, messages: string[]][] = [
  [
    'duplicate Host',
    400,
    [
      get('/', 'Host: other'),
      get('/', 'Host: test'),
      get('/', 'X: y', 'host: test'),
      get('/', 'Host:'),
    ],
  ],
  [
    'Host with userinfo',
    400,
    ['user@test', 'user:secret@test', '@test', 'test@', 'test:80@evil'].map((value) =>
      get('/').replace(host, `Host: ${value}`),
    ),
  ],
  [
    'Host with path',
    400,
    ['test/path', 'test/', '/', 'test/@evil', 'test?query', 'http://test'].map((value) =>
      get('/').replace(host, `Host: ${value}`),
    ),
  ],
  [
    'Content-Length: 005',
    400,
    ['005', '05', '0000000000000005'].map((value) =>
      request('POST', '/', [`Content-Length: ${value}`], 'abcde'),
    ),
  ],
  [
    'Transfer-Encoding in HTTP/1.0',
    400,
    ['chunked', 'Chunked'].map((value) =>
      request(
        'POST',
        '/',
        [`Transfer-Encoding: ${value}`, 'Connection: keep-alive'],
        '5\r\nabcde\r\n0\r\n\r\n',
      ).replace('HTTP/1.1', 'HTTP/1.0'),
    ),
  ],
  ['an HTTP/0.9 line', 400, ['GET /\r\n\r\n', 'GET /path\r\n\r\n', 'GET /\r\nHost: test\r\n\r\n']],
  [
    '# in the target',
    400,
    [get('/#fragment'), get('/path?a=b#c'), get('/#'), get('http://test/#')],
  ],
];

const serve = exchanges();
let nodes: Server;

beforeAll(async () => {
  nodes = createServer((incoming, response) => {
    incoming.resume().on('end', () => response.end(incoming.headers.content_length ?? 'accepted'));
  });
  nodes.listen(0, '127.0.0.1');
  await once(nodes, 'listening');
});
afterAll(async () => {
  nodes.closeAllConnections();
  nodes.close();
  await once(nodes, 'close');
});

/** The status that node:http answers with, and the body. */
async function asksNode(message: string): Promise<[status: number, body: string]> {
  const { port } = nodes.address() as AddressInfo;
  const client = await RawClient.connect(['127.0.0.1', port]);
  await client.send(message);
  const response = await client.response();
  client.destroy();
  return [response.status, text(response)];
}

async function expectNodeAccepts(message: string): Promise<void> {
  const [status] = await asksNode(message);
  if (status === 200) return;
  console.info(
    `node:http of Node ${process.version} answers ${status}: ${JSON.stringify(message)}`,
  );
}

describe.each(ACCEPTED)('what node:http wrongly accepts: %s', (_title, status, messages) => {
  it.each(messages)('%j', async (message) => {
    await expectNodeAccepts(message);
    const { paths, app } = witness();
    await expectRefused(serve(app), message, status);
    expect(paths).toEqual([]);
  });
});

describe('what node:http wrongly accepts: Content_Length passed through', () => {
  const NAMES = ['Content_Length', 'content_length', 'CONTENT_LENGTH'];

  function withName(name: string): string {
    return request('POST', '/', [`${name}: 50`, 'Content-Length: 5'], 'abcde');
  }

  async function told(exchange: Exchange, message: string): Promise<Record<string, unknown>> {
    return JSON.parse(text(await exchange.ask(message)));
  }

  it.each(NAMES)('%s never reaches the application', async (name) => {
    const { length, headers, body } = await told(serve(echo), withName(name));
    expect({ length, headers, body }).toEqual({
      length: '5',
      headers: [['HTTP_HOST', 'test']],
      body: 'abcde',
    });
    const [status, passed] = await asksNode(withName(name));
    expect(status).toBe(200);
    if (passed !== '50') console.info(`node:http of Node ${process.version} drops ${name}`);
  });

  it('alone it is no length', async () => {
    const { length, body } = await told(serve(echo), get('/', 'Content_Length: 5'));
    expect({ length, body }).toEqual({ length: undefined, body: '' });
  });

  it.each(NAMES)('%s is refused where underscoreHeaders is refuse', async (name) => {
    const { paths, app } = witness();
    const exchange = serve(app, { limits: { underscoreHeaders: 'refuse' } });
    await expectRefused(exchange, withName(name));
    expect(paths).toEqual([]);
  });
});
