import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import type { Application } from '../../src/index.ts';
import { backends, describeBackends } from '../support/backends.ts';
import { echo, exchanges, get, PLAIN, post } from '../support/exchange.ts';
import { bounded, eventually, RawClient, text } from '../support/rawclient.ts';
import { straceIsMissing } from '../support/strace.ts';

const MANY = 1000;

const path: Application = (environ, startResponse) => {
  startResponse('200 OK', PLAIN);
  return [environ.PATH_INFO];
};

function pipelined(count: number): string {
  return Array.from({ length: count }, (_, i) => get(`/${i}`)).join('');
}

async function expectInOrder(client: RawClient, count: number): Promise<void> {
  for (let i = 0; i < count; i++) expect(text(await client.response())).toBe(`/${i}`);
}

/** Makes requests of 1 KiB. */
const PADDING = `X: ${'x'.repeat(980)}`;

/** Sends up to 64 MiB of requests as fast as they are taken. */
class Flood {
  /** Bytes that the kernel has taken. */
  taken = 0;
  #stopped = false;

  constructor(client: RawClient, make: (i: number) => string) {
    void this.#send(client, make);
  }

  async #send(client: RawClient, make: (i: number) => string): Promise<void> {
    for (let i = 0; i < 65_536 && !this.#stopped; ) {
      let piece = '';
      for (let j = 0; j < 64; j++) piece += make(i++);
      await new Promise((resolve) => {
        client.socket.write(piece, resolve);
      });
      this.taken += piece.length;
    }
  }

  stop(): void {
    this.#stopped = true;
  }
}

/** Resolves when `value` has stayed the same for a while. */
async function settled(value: () => number): Promise<void> {
  let last = Number.NaN;
  for (let i = 0; i < 100 && last !== value(); i++) {
    last = value();
    await sleep(200);
  }
}

describeBackends('pipelined requests', (selector) => {
  const serve = exchanges();

  it('1,000 in one write are answered in order with fewer than 100 sends', async () => {
    const exchange = serve(path, { selector });
    const { output } = exchange.server.reactor;
    const client = await exchange.client();
    const before = output.sends;
    await client.send(pipelined(MANY));
    await expectInOrder(client, MANY);
    expect(client.pending).toHaveLength(0);
    expect(output.sends - before).toBeGreaterThan(0);
    expect(output.sends - before).toBeLessThan(100);
  });

  it('are answered in order though later handlers finish first', async () => {
    let running = 0;
    let most = 0;
    const app: Application = async (environ, startResponse) => {
      running++;
      most = Math.max(most, running);
      await sleep(environ.PATH_INFO.endsWith('0') ? 20 : 1);
      running--;
      return path(environ, startResponse);
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(pipelined(40));
    await expectInOrder(client, 40);
    // One connection's requests are answered one at a time: that is what keeps the order.
    expect(most).toBe(1);
  });

  it('mixed with bodies and refused bodies keep their places', async () => {
    const app: Application = (environ, startResponse) =>
      environ.REQUEST_METHOD === 'POST' && environ.HTTP_X_READ === undefined
        ? path(environ, startResponse)
        : echo(environ, startResponse);
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    const unread = post('GET /not-a-request HTTP/1.1\r\nHost: test\r\n\r\n');
    const read = post('body', 'X-Read: 1');
    await client.send([unread, read, get('/third'), unread, get('/last')].join(''));
    expect(text(await client.response())).toBe('/');
    expect(JSON.parse(text(await client.response()))).toMatchObject({ body: 'body' });
    expect(JSON.parse(text(await client.response()))).toMatchObject({ path: '/third' });
    expect(text(await client.response())).toBe('/');
    expect(JSON.parse(text(await client.response()))).toMatchObject({ path: '/last' });
  });

  it('of a client that half-closes are all answered', async () => {
    const exchange = serve(path, { selector });
    const client = await exchange.client();
    await client.send(pipelined(MANY));
    client.halfClose();
    await expectInOrder(client, MANY);
    expect((await client.rest()).toString()).toBe('');
    expect(client.ending).toBe('fin');
  });

  it('of a client that half-closes are all answered by async handlers', async () => {
    const app: Application = async (environ, startResponse) => {
      await sleep(1);
      return path(environ, startResponse);
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(pipelined(50) + get('/part').slice(0, 20));
    client.halfClose();
    await expectInOrder(client, 50);
    expect((await client.rest()).toString()).toBe('');
  });

  it('after Connection: close are not executed', async () => {
    const paths: string[] = [];
    const app: Application = (environ, startResponse) => {
      paths.push(environ.PATH_INFO);
      return path(environ, startResponse);
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(get('/0') + get('/1', 'Connection: x, Close') + get('/2'));
    await expectInOrder(client, 2);
    expect((await client.rest()).toString()).toBe('');
    expect(paths).toEqual(['/0', '/1']);
  });

  it('wait in the kernel while the client takes no answers: memory is bounded', async () => {
    const count = 20_000;
    const body = 'x'.repeat(10_000);
    let served = 0;
    const app: Application = (_environ, startResponse) => {
      served++;
      startResponse('200 OK', PLAIN);
      return body;
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    client.socket.pause();
    client.socket.write(get('/').repeat(count));
    await settled(() => served);
    const [socket] = exchange.server.reactor.sockets.values();
    // Served are as many as fit the kernel's buffers and the server's.
    expect(served).toBeGreaterThan(0);
    expect(served).toBeLessThan(count);
    expect(socket?.buffered).toBeLessThan(512 * 1024);
    client.socket.resume();
    for (let i = 0; i < count; i++) expect((await client.response()).body.length).toBe(10_000);
    expect(served).toBe(count);
  });

  it('wait while the client takes no answers, and are answered after its FIN', async () => {
    const count = 5000;
    const body = 'x'.repeat(10_000);
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return body;
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    client.socket.pause();
    client.socket.write(get('/').repeat(count));
    client.halfClose();
    await settled(() => exchange.server.reactor.turns);
    client.socket.resume();
    for (let i = 0; i < count; i++) expect((await client.response()).body.length).toBe(10_000);
    expect((await client.rest()).toString()).toBe('');
  });

  it('wait in the kernel while earlier ones are answered: memory is bounded', async () => {
    const gates: (() => void)[] = [];
    let gated = true;
    const app: Application = async (environ, startResponse) => {
      await new Promise<void>((resolve) => {
        if (gated) gates.push(resolve);
        else resolve();
      });
      return path(environ, startResponse);
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    const flood = new Flood(client, (i) => get(`/${i}`, PADDING));
    await settled(() => flood.taken);
    const before = flood.taken;
    for (let i = 0; i < 200; i++) {
      await eventually(() => gates.length > 0, 'a request is being answered');
      gates.pop()?.();
      expect(text(await client.response())).toBe(`/${i}`);
    }
    await settled(() => flood.taken);
    // For each that is answered about one more is taken: 1 KiB.
    expect(flood.taken - before).toBeLessThan(2 * 1024 * 1024);
    flood.stop();
    gated = false;
    for (const open of gates) open();
  });

  it('are answered by turns, also behind a head that came in two pieces', async () => {
    const turns = new Set<number>();
    const app: Application = (environ, startResponse) => {
      turns.add(exchange.server.reactor.turns);
      return path(environ, startResponse);
    };
    const exchange = serve(app, { selector, limits: { pipelinedPerTurn: 1 } });
    const requests = pipelined(6);
    const turnsFor = async (pieces: string[]): Promise<number> => {
      const client = await exchange.client();
      turns.clear();
      await exchange.sendApart(client, pieces);
      await expectInOrder(client, 6);
      return turns.size;
    };
    const whole = await turnsFor([requests]);
    expect(whole).toBeGreaterThanOrEqual(5);
    expect(await turnsFor([requests.slice(0, 8), requests.slice(8)])).toBe(whole);
  });

  it('of a flood are held back while each turn serves its share: memory is bounded', async () => {
    const exchange = serve(path, { selector, limits: { pipelinedPerTurn: 1 } });
    const client = await exchange.client();
    const flood = new Flood(client, (i) => get(`/${i}`, PADDING));
    for (let i = 0; i < 2000; i++) expect(text(await client.response())).toBe(`/${i}`);
    // 2 MB were served, the kernel's buffers hold some megabytes, and the server little.
    expect(flood.taken).toBeLessThan(20 * 1024 * 1024);
    flood.stop();
  });
});

// The counter above is the server's own: here the system's word for it.
const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

describe('system calls', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ryegate-strace-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.skipIf(straceIsMissing())('1,000 pipelined requests take fewer than 100 sends', async () => {
    writeFileSync(
      join(folder, 'app.mjs'),
      `export const app = (environ, startResponse) => {
        startResponse('200 OK', [['Content-Type', 'text/plain']]);
        return environ.PATH_INFO;
      };`,
    );
    const trace = join(folder, 'trace');
    const counting = ['-f', '-c', '-e', 'trace=sendto,sendmsg', '-o', trace];
    const selector = backends()[0] as string;
    const serving = ['--quiet', '--bind', '127.0.0.1:0', '--selector', selector, './app.mjs'];
    const child = spawn('strace', [...counting, process.execPath, cli, ...serving], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const exited = new Promise((resolve) => {
      child.once('exit', resolve);
    });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    try {
      await eventually(() => /listening on \S+:\d+/.test(said), 'the server listens');
      const port = Number(/:(\d+) \(/.exec(said)?.[1]);
      const client = await RawClient.connect(['127.0.0.1', port]);
      await client.send(pipelined(MANY));
      await expectInOrder(client, MANY);
      client.destroy();
    } finally {
      // strace passes the signal on only when it is sent to the program it runs.
      const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
      for (const pid of children.trim().split(' ').filter(Boolean)) process.kill(Number(pid));
      await bounded(exited, 'the end of strace');
    }
    // Columns: share, seconds, microseconds a call, calls, errors (may be missing), name.
    let sends = 0;
    for (const line of readFileSync(trace, 'utf8').split('\n')) {
      const columns = line.trim().split(/\s+/);
      if (/^send(to|msg)$/.test(columns.at(-1) ?? '')) sends += Number(columns[3]);
    }
    expect(sends).toBeGreaterThan(0);
    expect(sends).toBeLessThan(100);
  });
});
