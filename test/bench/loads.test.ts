import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import {
  type AddressInfo,
  createServer as createRawServer,
  type Server as RawServer,
} from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type CProgram, compile } from '../../bench/harness/compile.ts';
import { idleWarm } from '../../bench/load/idle.ts';
import type { Turn } from '../../bench/load/turns.ts';
import { type Program, programStarter } from '../support/programs.ts';
import { RawClient } from '../support/rawclient.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
const folder = mkdtempSync(join(tmpdir(), 'ryegate-loads-'));
const start = programStarter();
const servers: (Server | RawServer)[] = [];

beforeAll(() => {
  vi.stubEnv('RYEGATE_WERROR', '1');
  for (const name of ['blast', 'floor', 'openloop'] as const) compile(name, folder);
  writeFileSync(join(folder, 'request'), REQUEST);
});

afterEach(() => {
  for (const server of servers.splice(0)) {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  }
});

afterAll(() => rmSync(folder, { recursive: true }));

async function listen<Listener extends Server | RawServer>(server: Listener): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function serve(listener: RequestListener): Promise<number> {
  return listen(createServer({ keepAliveTimeout: 60_000 }, listener));
}

/** Runs a load generator on the request to its end. */
async function run(name: CProgram, options: string, port: number): Promise<Program> {
  const args = [...options.split(' '), `${port}`, join(folder, 'request')];
  const program = start(join(folder, name), args);
  await program.exit;
  return program;
}

/** What a load generator that succeeds prints. */
async function result(
  name: CProgram,
  options: string,
  port: number,
): Promise<Record<string, number>> {
  const program = await run(name, options, port);
  expect(program.stderr).toBe('');
  return JSON.parse(program.stdout);
}

describe('blast', () => {
  test.each([
    ['one connection', '-c 1', 1 + 1],
    ['several connections', '-c 5', 1 + 5],
    ['pipelined, with a last batch that is smaller', '-c 3 -p 16', 1 + 3],
    ['a connection for each request', '-c 4 -x', 100],
  ])('sends exactly as many requests as it is told: %s', async (_, options, connections) => {
    let requests = 0;
    let connected = 0;
    const server = createServer((_request, response) => {
      requests++;
      if (options.includes('-x')) response.setHeader('Connection', 'close');
      response.end('Hello, World!');
    }).on('connection', () => connected++);
    expect(await result('blast', `${options} -n 100`, await listen(server))).toMatchObject({
      requests: 100,
    });
    expect(requests).toBe(100);
    expect(connected).toBe(connections);
  });

  test('finishes and counts what has begun when the time is over', async () => {
    let requests = 0;
    const port = await serve((_request, response) => {
      requests++;
      setTimeout(() => response.end('Hello, World!'), 20);
    });
    const told = await result('blast', '-c 8 -d 0.1', port);
    expect(told.requests).toBe(requests);
    expect(told.seconds).toBeGreaterThanOrEqual(0.1);
  });

  test('varies what it is told to, and nothing else', async () => {
    const hosts: (string | undefined)[] = [];
    const port = await serve((request, response) => {
      hosts.push(request.headers.host);
      response.end('Hello, World!');
    });
    await result('blast', '-c 2 -p 3 -v 127 -n 20', port);
    const numbers = Array.from({ length: 19 }, (_, index) => String(index + 1).padStart(3, '0'));
    // The first request is sent as it is.
    const expected = ['127', ...numbers].map((number) => `${number}.0.0.1`);
    expect(hosts.sort()).toEqual(expected.sort());
  });

  test('understands chunks', async () => {
    const port = await serve((_request, response) => {
      for (let piece = 0; piece < 8; piece++) response.write('x'.repeat(1024));
      response.end();
    });
    expect(await result('blast', '-c 2 -p 4 -n 41', port)).toMatchObject({ requests: 41 });
  });

  test('gives each request a connection where the server does not keep them', async () => {
    const server = createRawServer((socket) => {
      socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\nDate: today\r\n\r\nHello, World!'));
    });
    expect(await result('blast', '-c 3 -n 20', await listen(server))).toMatchObject({
      requests: 20,
    });
  });

  test.each<[string, number, string]>([
    ['another status', 404, 'Hello, World!'],
    ['another size', 200, 'Hello, Worlds!'],
  ])('fails at an answer with %s', async (_, status, body) => {
    let requests = 0;
    const port = await serve((_request, response) => {
      if (++requests === 30) response.writeHead(status).end(body);
      else response.end('Hello, World!');
    });
    const program = await run('blast', '-c 2 -n 100', port);
    expect(program.stderr).toMatch(/instead of the rest of HTTP\/1\.1 200/);
    expect(program.stdout).toBe('');
  });

  test('fails when the first answer is not a 200', async () => {
    const port = await serve((_request, response) => response.writeHead(503).end());
    const { stderr } = await run('blast', '-n 1', port);
    expect(stderr).toMatch(/the answer begins HTTP\/1\.1 503/);
  });
});

describe('blast with servers in turns', () => {
  async function inTurns(options: string, ...servers: string[]): Promise<Turn[][]> {
    const args = [...options.split(' '), ...servers, join(folder, 'request')];
    const program = start(join(folder, 'blast'), args);
    await program.exit;
    expect(program.stderr).toBe('');
    return JSON.parse(program.stdout);
  }

  function sum(turns: Turn[] | undefined, what: keyof Turn): number {
    return (turns ?? []).reduce((total, turn) => total + turn[what], 0);
  }

  test('has each turn between two of the first, and leaves none out', async () => {
    const order: string[] = [];
    const counts: Record<string, number> = { first: 0, second: 0 };
    const listening = (name: string): Promise<number> =>
      serve((_request, response) => {
        counts[name] = (counts[name] ?? 0) + 1;
        if (order.at(-1) !== name) order.push(name);
        // Answers of two sizes, each of which has to be learned.
        response.end(name);
      });
    const ports = [await listening('first'), await listening('second')];
    const servers = ports.map((port) => `${port}:30:${process.pid}`);
    const [first, second] = await inTurns('-c 4 -t 3', ...servers);
    // Both were asked once before the first turn.
    const turns = Array.from({ length: 3 }, () => ['first', 'second']).flat();
    expect(order).toEqual(['first', 'second', ...turns, 'first']);
    expect([first?.length, second?.length]).toEqual([4, 3]);
    expect(sum(first, 'requests')).toBe((counts.first as number) - 1);
    expect(sum(second, 'requests')).toBe((counts.second as number) - 1);
    for (const turn of [...(first as Turn[]), ...(second as Turn[])]) {
      expect(turn.seconds).toBeGreaterThanOrEqual(0.03);
      expect(turn.server).toBeGreaterThan(0);
      expect(turn.load).toBeGreaterThan(0);
    }
  });

  test('counts what a server does after its turn', async () => {
    let isPlanned = false;
    const burn = (): void => {
      isPlanned = false;
      const { user } = process.cpuUsage();
      while (process.cpuUsage().user - user < 40_000);
    };
    const port = await serve((_request, response) => {
      // In the other's turn, which is long enough for it.
      if (!isPlanned) setTimeout(burn, 60);
      isPlanned = true;
      response.end('Hello, World!');
    });
    const hello = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
    const other = await startFloor(hello);
    const idle = `${other.port}:200:${other.pid}`;
    const [, own] = await inTurns('-c 2 -t 3', idle, `${port}:20:${process.pid}`);
    expect(sum(own, 'server')).toBeGreaterThan(2 * 40_000);
  });

  test.each<[string, string[], RegExp]>([
    ['without a process', ['1:20'], /^blast: 1:20: expected PORT, or with -t PORT:MILLI/],
    ['without a length', ['1'], /^blast: 1: expected PORT, or with -t PORT:MILLISECONDS/],
    ['whose process has ended', ['1:20:4194304'], /^blast: the clock of process 4194304: /],
  ])('does not take a server %s', async (_, servers, message) => {
    const program = start(join(folder, 'blast'), ['-t', '1', ...servers, join(folder, 'request')]);
    await program.exit;
    expect(program.stderr).toMatch(message);
  });
});

/** The floor, for requests as above. */
async function startFloor(
  answer: string,
  ...options: string[]
): Promise<{ port: number; pid: number }> {
  const file = join(folder, 'answer');
  writeFileSync(file, answer);
  const size = `${REQUEST.length}`;
  const args = ['--answer', file, '--request-size', size, ...options];
  const program = start(join(folder, 'floor'), args);
  const [, port] = await program.says(/listening on (\d+)/, 'stdout');
  return { port: Number(port), pid: program.child.pid as number };
}

describe('openloop', () => {
  test('charges a server that stalls for all who would have come meanwhile', async () => {
    let requests = 0;
    const port = await serve((_request, response) => {
      requests++;
      // Two times 100 ms of 1000: one request in five is due meanwhile, on 4 connections.
      if (requests % 400 === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
      response.end('Hello, World!');
    });
    const told = await result('openloop', '-c 4 -r 1000 -w 0.1 -d 1', port);
    expect(told.requests).toBe(1000);
    expect(requests + (told.late as number)).toBe(1 + 1100);
    expect(told.p99).toBeGreaterThan(80_000);
    expect(told.p999).toBeGreaterThanOrEqual(told.p99 as number);
    expect(told.max).toBeGreaterThanOrEqual(told.p999 as number);
  });

  test('says how many requests have found no connection by the end', async () => {
    const port = await serve((_request, response) => {
      setTimeout(() => response.end('Hello, World!'), 50);
    });
    const told = await result('openloop', '-c 2 -r 1000 -d 0.2', port);
    // Two connections with an answer each 50 ms at best.
    expect(told.late).toBeGreaterThanOrEqual(200 - 2 * 5);
    expect(told.requests).toBe(200);
    expect(told.max).toBeGreaterThan(150_000);
  });
});

describe('floor', () => {
  async function open({ port }: { port: number }): Promise<RawClient> {
    return await RawClient.connect(['127.0.0.1', port]);
  }

  test('answers as many pipelined requests as have come whole', async () => {
    const hello = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
    const client = await open(await startFloor(hello));
    await client.send(REQUEST.repeat(3) + REQUEST.slice(0, 7));
    for (let i = 0; i < 3; i++) expect((await client.response()).body.toString()).toBe('hello');
    expect(client.pending.length).toBe(0);
    await client.send(REQUEST.slice(7) + REQUEST);
    for (let i = 0; i < 2; i++) expect((await client.response()).body.toString()).toBe('hello');
    client.reset();
  });

  test('sends a long answer whole, however slowly it is read', async () => {
    const body = Buffer.alloc(5_000_000, '0123456789').toString();
    const floor = await startFloor(`HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n${body}`);
    const client = await open(floor);
    await client.send(REQUEST.repeat(3));
    for (let i = 0; i < 3; i++) {
      expect((await client.response()).body.toString() === body).toBe(true);
    }
    client.reset();
  });

  test('closes after the answer when it is told to', async () => {
    const client = await open(await startFloor('HTTP/1.1 200 OK\r\n\r\nhello', '--close'));
    await client.send(REQUEST);
    expect((await client.response()).body.toString()).toBe('hello');
    expect(client.ending).toBe('fin');
  });
});

test('idle tells of connections that the server closes', async () => {
  const port = await serve((request, response) => {
    response.end('Hello, World!');
    setTimeout(() => request.socket.end(), 200);
  });
  const running = { origin: `http://127.0.0.1:${port}`, port, pids: [process.pid] };
  const told = await idleWarm({
    server: { ...running, stop: async () => {} },
    connections: 100,
    seconds: 0.1,
  });
  expect(told).toMatchObject({ closedAfter: 100, closedAtEnd: 100 });
  expect(told.after).toBeGreaterThan(1024 ** 2);
});
