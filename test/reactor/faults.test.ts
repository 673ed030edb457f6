import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { describeBackends } from '../support/backends.ts';
import { type Program, programStarter } from '../support/programs.ts';
import { field, RawClient, text } from '../support/rawclient.ts';

const script = fileURLToPath(new URL('../support/faultserver.mjs', import.meta.url));

interface Stats {
  turns: number;
  sockets: number;
  descriptors: number;
}

const start = programStarter();
/** Descriptors: enough for Node to load the package, whose modules it opens together. */
const LIMIT = 256;
const clients: RawClient[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
});

/** A serving child process. */
class FaultServer {
  readonly program: Program;
  readonly port: number;

  constructor(program: Program, port: number) {
    this.program = program;
    this.port = port;
  }

  static async start(selector: string, limit = 4096): Promise<FaultServer> {
    const command = `ulimit -n ${limit}; exec "$0" "$@"`;
    const args = ['-c', command, process.execPath, script, selector];
    const program = start('bash', args, { env: process.env });
    return new FaultServer(program, Number(new URL(await program.url('stdout')).port));
  }

  async client(): Promise<RawClient> {
    const client = await RawClient.connect(['127.0.0.1', this.port]);
    clients.push(client);
    return client;
  }
}

async function ask(client: RawClient, path: string): Promise<string> {
  await client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  return text(await client.response());
}

async function stats(client: RawClient): Promise<Stats> {
  return JSON.parse(await ask(client, '/stats'));
}

/** Turns in a second in which nothing is asked. */
async function idleTurns(client: RawClient): Promise<number> {
  await sleep(150);
  const before = await stats(client);
  await sleep(1000);
  const after = await stats(client);
  return after.turns - before.turns;
}

describeBackends('faults', (selector) => {
  it('out of descriptors it waits without spinning, serves who is there, and recovers', async () => {
    const server = await FaultServer.start(selector, LIMIT);
    const old = await server.client();
    const all: RawClient[] = [];
    for (let i = 0; i < LIMIT + 16; i += 1) all.push(await server.client());
    await sleep(100);
    const turns = await idleTurns(old);
    expect(turns).toBeLessThan(50);
    expect((await stats(old)).sockets).toBeLessThan(LIMIT);
    expect(server.program.stderr).toContain('EMFILE');
    // Who could not be served in time was told so.
    const ended = all.filter((client) => client.ending !== null);
    const refusals = await Promise.all(ended.map((client) => client.response()));
    expect(refusals.length).toBeGreaterThan(0);
    for (const refusal of refusals) {
      expect([refusal.status, field(refusal, 'Retry-After')]).toEqual([503, '1']);
    }
    for (const client of all) client.destroy();
    const next = await Promise.all(Array.from({ length: 20 }, () => server.client()));
    expect(await Promise.all(next.map((client) => ask(client, '/')))).toEqual(
      next.map(() => 'hello'),
    );
    expect(await idleTurns(old)).toBeLessThan(5);
    expect((await stats(old)).sockets).toBe(21);
    // Told once, not every time.
    expect(server.program.stderr.match(/EMFILE/g)?.length).toBeLessThan(5);
  });

  it('bears 2,000 clients that reset right after they connect', async () => {
    const server = await FaultServer.start(selector);
    const client = await server.client();
    const before = await stats(client);
    for (let round = 0; round < 20; round += 1) {
      await Promise.all(Array.from({ length: 100 }, () => resetAtOnce(server.port)));
    }
    await sleep(100);
    const after = await stats(client);
    expect([after.sockets, after.descriptors]).toEqual([before.sockets, before.descriptors]);
    expect(await idleTurns(client)).toBeLessThan(5);
    expect(await ask(client, '/')).toBe('hello');
    expect(server.program.stderr).toBe('');
  });

  it('survives that somebody else closes the descriptor of a connection', async () => {
    const server = await FaultServer.start(selector);
    const victim = await server.client();
    const other = await server.client();
    expect(await ask(victim, '/')).toBe('hello');
    expect(await ask(other, `/close?${victim.socket.localPort}`)).toBe('closed');
    await victim.ended();
    expect(await idleTurns(other)).toBeLessThan(5);
    // The next ones get the number of the one that was closed.
    const next = [await server.client(), await server.client(), await server.client()];
    for (const client of [...next, other, ...next]) expect(await ask(client, '/')).toBe('hello');
    expect((await stats(other)).sockets).toBe(4);
    expect(await idleTurns(other)).toBeLessThan(5);
    for (const client of next) client.destroy();
    await sleep(100);
    expect((await stats(other)).sockets).toBe(1);
  });

  it('survives that the descriptor is closed while an answer is on its way', async () => {
    const server = await FaultServer.start(selector);
    const victim = await server.client();
    const other = await server.client();
    victim.socket.pause();
    await victim.send('GET /endless HTTP/1.1\r\nHost: x\r\n\r\n');
    await sleep(100);
    await ask(other, `/close?${victim.socket.localPort}`);
    const next = await server.client();
    expect(await ask(next, '/')).toBe('hello');
    expect(await ask(other, '/')).toBe('hello');
    expect(await idleTurns(other)).toBeLessThan(5);
  });

  it(`with descriptors beyond 1023 in use it ${
    selector === 'select' ? 'refuses further clients' : 'goes on'
  }`, async () => {
    const server = await FaultServer.start(selector);
    const old = await server.client();
    expect(await ask(old, '/open?1100')).toBe('opened');
    for (let i = 0; i < 10; i += 1) {
      const client = await server.client();
      if (selector === 'select') expect((await client.response()).status).toBe(503);
      else expect(await ask(client, '/')).toBe('hello');
      client.destroy();
    }
    expect(await idleTurns(old)).toBeLessThan(5);
    // Refused silently, they would be looked for in vain; told each time, they would fill the log.
    if (selector === 'select') {
      expect(server.program.stderr).toMatch(/^ryegate: ERR_RYEGATE_TOO_MANY_CONNECTIONS: .*\n$/);
    } else expect(server.program.stderr).toBe('');
    expect(await ask(old, '/release')).toBe('released');
    expect(await ask(await server.client(), '/')).toBe('hello');
    expect((await stats(old)).sockets).toBe(2);
  });
});

async function resetAtOnce(port: number): Promise<void> {
  const socket: Socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.resetAndDestroy();
}
