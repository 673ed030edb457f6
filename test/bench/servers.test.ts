import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { measureLatencies } from '../../bench/harness/latencies.ts';
import { makeTestFolder } from '../../bench/harness/testfiles.ts';
import { PATHS, type Route } from '../../bench/harness/workload.ts';
import { startFloor } from '../../bench/servers/floor.ts';
import {
  choosePeers,
  type Peer,
  peers,
  type RunningServer,
  withServers,
} from '../../bench/servers/index.ts';
import { root } from '../support/programs.ts';
import { RawClient } from '../support/rawclient.ts';
import { requireDist } from '../support/servers.ts';
import { quietContext } from './quietcontext.ts';

const folder = makeTestFolder(['4k']);
const file = folder.files[0] as (typeof folder.files)[number];

interface Answer {
  status: number;
  type: string | null;
  body: Buffer;
  response: Response;
}

async function ask({ origin }: RunningServer, path: string, init?: RequestInit): Promise<Answer> {
  const signal = AbortSignal.timeout(10_000);
  const response = await fetch(origin + path, { signal, ...init });
  const body = Buffer.from(await response.arrayBuffer());
  return { status: response.status, type: response.headers.get('content-type'), body, response };
}

async function expectHello(server: RunningServer, path: string): Promise<void> {
  const { response, ...answer } = await ask(server, path);
  const body = Buffer.from('Hello, World!');
  expect(answer).toEqual({ status: 200, type: 'text/plain', body });
  expect(response.headers.get('content-length')).toBe('13');
}

async function expectEcho(server: RunningServer, body: Buffer<ArrayBuffer>): Promise<void> {
  const { response, ...answer } = await ask(server, PATHS.echo, { method: 'POST', body });
  expect(answer).toEqual({ status: 200, type: 'application/octet-stream', body });
  expect(response.headers.get('content-length')).toBe(String(body.length));
}

const checks: Readonly<Record<Route, (server: RunningServer) => Promise<void>>> = {
  hello: (server) => expectHello(server, PATHS.hello),
  promise: (server) => expectHello(server, PATHS.promise),
  timer: (server) => expectHello(server, PATHS.timer),
  echo: async (server) => {
    await expectEcho(server, randomBytes(1024));
    await expectEcho(server, randomBytes(64 * 1024));
  },
  chunked: async (server) => {
    const { response, ...answer } = await ask(server, PATHS.chunked);
    const body = Buffer.alloc(8 * 1024, 'x');
    expect(answer).toEqual({ status: 200, type: 'text/plain', body });
    expect(response.headers.get('transfer-encoding')).toBe('chunked');
  },
  file: async (server) => {
    const { response, ...answer } = await ask(server, file.path);
    expect(answer).toMatchObject({ status: 200, type: 'application/octet-stream' });
    expect(response.headers.get('content-length')).toBe(String(file.bytes));
    const own = await crypto.subtle.digest('SHA-256', Uint8Array.from(answer.body));
    expect(Buffer.from(own).toString('hex')).toBe(file.sha256);
  },
};

/** Those that can run here; says of the others why they are left out. */
function present(): Peer[] {
  return peers.filter((peer) => {
    const missing = peer.missing();
    if (missing !== null) console.log(`SKIPPED ${peer.name}: ${missing}`);
    return missing === null;
  });
}

beforeAll(() => {
  requireDist();
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', join(root, 'bench')]);
  expect(status, String(stdout)).toBe(0);
});

describe.concurrent('answers its routes', () => {
  it.each(present())('$name', async (peer) => {
    const server = await peer.start(folder.root);
    try {
      for (const route of peer.routes) await checks[route](server);
      expect(peer.version()).toMatch(/\d\.\d/);
    } finally {
      await server.stop();
    }
  });
});

it.each([false, true])('the floor answers what it is told to; close: %s', async (close) => {
  const request = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const answer = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!');
  const workload = { name: '', title: '', route: 'hello', connections: 1, pipelined: 1 } as const;
  const server = await startFloor(answer, { ...workload, request, close, varied: null });
  try {
    const client = await RawClient.connect(['127.0.0.1', server.port]);
    await client.send(close ? request : Buffer.concat([request, request]));
    const expected = close ? [answer] : [answer, answer];
    if (!close) await client.received(2 * answer.length);
    if (!close) client.halfClose();
    expect(await client.rest()).toEqual(Buffer.concat(expected));
  } finally {
    await server.stop();
  }
});

it('no two servers have one name', () => {
  const names = peers.map(({ name }) => name);
  expect(names).toEqual([...new Set(names)]);
});

it('latency is measured of the floor too, at shares of what a server can do', async () => {
  const context = quietContext('--rounds', '1', '--seconds', '1');
  const latencies = await withServers(choosePeers(['node']), '', (servers) =>
    measureLatencies(context, servers),
  );
  expect(context.failures).toEqual([]);
  expect(latencies.map(({ share, of }) => [share, of])).toEqual([
    [0.1, 'node'],
    [0.5, 'node'],
  ]);
  for (const { samples } of latencies) {
    expect(Object.keys(samples)).toEqual(['floor', 'node']);
    expect(Object.values(samples).map((own) => own.length)).toEqual([1, 1]);
  }
}, 60_000);
