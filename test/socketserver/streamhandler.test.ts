import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import {
  type ClientAddress,
  type RequestHandlerClass,
  StreamRequestHandler,
  type StreamSocket,
  TCPServer,
} from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { clientKeeper, eventually, gate, rejectionCode, serverKeeper } from '../support/servers.ts';
import { expectNoUnhandledRejections } from '../support/unhandled.ts';

const CHUNK = 64 * 1024;
const CHUNKS = 512;
/** Where the socket is congested (256 KiB) and one chunk more. */
const MOST_BUFFERED = 5 * CHUNK;

class Echo extends StreamRequestHandler {
  override async handle(): Promise<void> {
    for await (const chunk of this.rfile) await this.wfile.write(chunk);
  }
}

class ReportingServer extends TCPServer {
  errors: { code?: string; message?: string }[] = [];

  override handleError(_request: StreamSocket, _address: ClientAddress, error: unknown): void {
    this.errors.push(error as Error);
  }
}

describeBackends('a stream handler', (selector) => {
  const { keep, serve } = serverKeeper();
  const clients = clientKeeper();
  expectNoUnhandledRejections();

  function start(handler: RequestHandlerClass): ReportingServer {
    const server = keep(new ReportingServer(['127.0.0.1', 0], handler, { selector }));
    serve(server);
    return server;
  }

  it('reads sizes, lines, chunks and the end from rfile', async () => {
    const read: string[] = [];
    class Reader extends StreamRequestHandler {
      override async handle(): Promise<void> {
        read.push(String(await this.rfile.read(3)));
        read.push(String(await this.rfile.readline()));
        read.push(String(await this.rfile.readline(2)));
        const [line] = await this.rfile.readlines(1);
        read.push(String(line));
        let rest = '';
        for await (const chunk of this.rfile) rest += chunk;
        read.push(rest, String(await this.rfile.read()));
        await this.wfile.write('done');
      }
    }
    const client = await clients.connect(start(Reader).serverAddress);
    for (const piece of ['ab', 'cde', 'f\nlo', 'ng line\nline\nre', 'st']) {
      client.socket.write(piece);
      await sleep(5);
    }
    client.socket.end();
    expect(await client.end()).toBe('done');
    expect(read).toEqual(['abc', 'def\n', 'lo', 'ng line\n', 'line\nrest', '']);
  });

  it('writes bytes, text as UTF-8 and lines to wfile', async () => {
    class Writer extends StreamRequestHandler {
      override async handle(): Promise<void> {
        await this.wfile.write(Buffer.from('bytes '));
        await this.wfile.write('größer ');
        await this.wfile.writelines(['a\n', Buffer.from('b\n')]);
        await this.wfile.flush();
      }
    }
    const client = await clients.connect(start(Writer).serverAddress);
    const received = Buffer.from(await client.end(), 'latin1').toString();
    expect(received).toBe('bytes größer a\nb\n');
  });

  it('writes synchronously, when it does not read', async () => {
    class Writer extends StreamRequestHandler {
      override handle(): void {
        for (let i = 0; i < 100; i++) this.wfile.write('x'.repeat(CHUNK));
      }
    }
    const client = await clients.connect(start(Writer).serverAddress);
    expect((await client.end()).length).toBe(100 * CHUNK);
  });

  it('keeps to the pace of a slow reader', async () => {
    let most = 0;
    let written = 0;
    class Source extends StreamRequestHandler {
      override async handle(): Promise<void> {
        for (let i = 0; i < CHUNKS; i++) {
          await this.wfile.write(Buffer.alloc(CHUNK, i % 251));
          written++;
          most = Math.max(most, this.request.buffered);
        }
      }
    }
    const client = await clients.connect(start(Source).serverAddress);
    let received = 0;
    let sum = 0;
    client.socket.removeAllListeners('data').pause();
    await sleep(200);
    // The kernel's buffers, and the handler's, are full.
    const stopped = written;
    expect(stopped).toBeLessThan(CHUNKS);
    await sleep(100);
    expect(written).toBe(stopped);
    client.socket.on('data', (text) => {
      for (let i = 0; i < text.length; i += 4096) sum = (sum + String(text).charCodeAt(i)) % 65521;
      received += text.length;
    });
    client.socket.resume();
    await client.end();
    expect(received).toBe(CHUNKS * CHUNK);
    expect(sum).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(MOST_BUFFERED);
  });

  it('holds back a client that sends faster than it reads', async () => {
    const go = gate();
    let buffered = 0;
    let total = 0;
    class Sink extends StreamRequestHandler {
      override async handle(): Promise<void> {
        await go.opened;
        buffered = this.rfile.buffered;
        for await (const chunk of this.rfile) total += chunk.length;
      }
    }
    const client = await clients.connect(start(Sink).serverAddress);
    client.socket.write(Buffer.alloc(CHUNKS * CHUNK));
    client.socket.end();
    await sleep(200);
    go.open();
    await client.end();
    expect(total).toBe(CHUNKS * CHUNK);
    expect(buffered).toBeGreaterThan(0);
    // The high-water mark and one receive more, of the slab's size at most.
    expect(buffered).toBeLessThanOrEqual(64 * 1024 + 1024 * 1024);
  });

  it('is told of a client that has gone while it writes', async () => {
    class Endless extends StreamRequestHandler {
      override async handle(): Promise<void> {
        for (;;) await this.wfile.write(Buffer.alloc(CHUNK));
      }
    }
    const server = start(Endless);
    const client = await clients.connect(server.serverAddress);
    await client.until('\0');
    client.socket.resetAndDestroy();
    await eventually(() => server.errors.length > 0, 'the handler is told');
    expect(server.errors).toEqual([expect.objectContaining({ code: 'ERR_RYEGATE_CLIENT_GONE' })]);
    await eventually(() => server.reactor.sockets.size === 0, 'the connection is gone');
  });

  it('is told of a client that has gone while it waits to write', async () => {
    class Endless extends StreamRequestHandler {
      override async handle(): Promise<void> {
        for (;;) await this.wfile.write(Buffer.alloc(CHUNK));
      }
    }
    const server = start(Endless);
    const client = await clients.connect(server.serverAddress);
    client.socket.pause();
    await sleep(100);
    client.socket.resetAndDestroy();
    await eventually(() => server.errors.length > 0, 'the handler is told');
    expect(server.errors).toEqual([expect.objectContaining({ code: 'ERR_RYEGATE_CLIENT_GONE' })]);
  });

  it('may ignore that a client has gone', async () => {
    let codes: string[] = [];
    class Careless extends StreamRequestHandler {
      override async handle(): Promise<void> {
        await this.rfile.read().catch(() => {});
        for (let i = 0; i < 10; i++) this.wfile.write('x'.repeat(CHUNK));
        await sleep(20);
        this.wfile.write('ignored');
        this.wfile.flush();
        codes = [
          await rejectionCode(this.wfile.write('x')),
          await rejectionCode(this.wfile.flush()),
        ];
      }
    }
    const server = start(Careless);
    const client = await clients.connect(server.serverAddress);
    client.socket.resetAndDestroy();
    await eventually(() => codes.length > 0, 'the handler has ended');
    expect(codes).toEqual(Array(2).fill('ERR_RYEGATE_CLIENT_GONE'));
    expect(server.errors).toEqual([]);
  });

  it('is told of a client that has gone while it reads', async () => {
    class Reader extends StreamRequestHandler {
      override async handle(): Promise<void> {
        await this.rfile.readline();
      }
    }
    const server = start(Reader);
    const client = await clients.connect(server.serverAddress);
    client.socket.write('half a line');
    await sleep(20);
    client.socket.resetAndDestroy();
    await eventually(() => server.errors.length > 0, 'the handler is told');
    expect(server.errors).toEqual([
      expect.objectContaining({ code: 'ERR_RYEGATE_SYSTEM', systemCode: 'ECONNRESET' }),
    ]);
  });

  it('gives the client what is written after it has half-closed', async () => {
    class AfterEnd extends StreamRequestHandler {
      override async handle(): Promise<void> {
        const all = await this.rfile.read();
        await sleep(30);
        for (let i = 0; i < 40; i++) await this.wfile.write('x'.repeat(CHUNK));
        await this.wfile.write(`got ${all.length}`);
      }
    }
    const client = await clients.connect(start(AfterEnd).serverAddress);
    client.socket.end('all of it');
    const received = await client.end();
    expect(received.length).toBe(40 * CHUNK + 5);
    expect(received.endsWith('got 9')).toBe(true);
  });

  it('sends what it wrote before it ended, though the client still sends', async () => {
    class Brief extends StreamRequestHandler {
      override async handle(): Promise<void> {
        await this.rfile.read(1);
        await this.wfile.write('enough');
      }
    }
    const client = await clients.connect(start(Brief).serverAddress);
    client.socket.write(Buffer.alloc(4 * 1024 * 1024));
    expect(await client.end()).toBe('enough');
  });

  it('200 clients are echoed at once', async () => {
    const server = start(Echo);
    const payload = (i: number): string => `client ${i}: ${'x'.repeat(i * 100)}\n`;
    const visits = Array.from({ length: 200 }, async (_, i) => {
      const client = await clients.connect(server.serverAddress);
      for (let round = 0; round < 3; round++) client.socket.write(payload(i));
      client.socket.end();
      return (await client.end()) === payload(i).repeat(3);
    });
    expect(await Promise.all(visits)).toEqual(Array(200).fill(true));
    await eventually(() => server.reactor.sockets.size === 0, 'all connections are gone');
    expect(server.errors).toEqual([]);
  });

  it('a read that waits longer than the timeout fails, and the client is let go', async () => {
    class Hasty extends Echo {
      static override timeout = 0.3;
    }
    const server = start(Hasty);
    const begun = performance.now();
    const client = await clients.connect(server.serverAddress);
    for (const word of ['one ', 'two ', 'three ']) {
      client.socket.write(word);
      await sleep(150);
    }
    expect(client.received()).toBe('one two three ');
    expect(await client.end()).toBe('one two three ');
    expect(performance.now() - begun).toBeGreaterThanOrEqual(590);
    expect(server.errors).toEqual([expect.objectContaining({ code: 'ERR_RYEGATE_TIMEOUT' })]);
    expect(server.errors[0]?.message).toContain('0.3 seconds');
  });

  it('a timeout does not count while nobody reads', async () => {
    class Thinker extends StreamRequestHandler {
      static override timeout = 0.1;

      override async handle(): Promise<void> {
        const first = await this.rfile.readline();
        await sleep(500);
        await this.wfile.write(`${first}${await this.rfile.readline()}`);
      }
    }
    const server = start(Thinker);
    const client = await clients.connect(server.serverAddress);
    client.socket.write('a\nb\n');
    expect(await client.end()).toBe('a\nb\n');
    expect(server.errors).toEqual([]);
  });

  it('a timeout counts anew for each of several reads that wait', async () => {
    const read: string[] = [];
    class Queued extends StreamRequestHandler {
      static override timeout = 0.8;

      override async handle(): Promise<void> {
        const reads = [this.rfile.read(1), this.rfile.read(1), this.rfile.read(1)];
        for (const bytes of reads) read.push(String(await bytes));
      }
    }
    const server = start(Queued);
    const client = await clients.connect(server.serverAddress);
    for (const letter of ['a', 'b']) {
      await sleep(550);
      client.socket.write(letter);
    }
    await eventually(() => read.length === 2, 'two reads are answered');
    const waiting = performance.now();
    await client.end();
    expect(performance.now() - waiting).toBeGreaterThan(600);
    expect(read).toEqual(['a', 'b']);
    expect(server.errors).toEqual([expect.objectContaining({ code: 'ERR_RYEGATE_TIMEOUT' })]);
  });

  it('finds the request under its other name', async () => {
    const seen: boolean[] = [];
    class Handler extends StreamRequestHandler {
      override handle(): void {
        seen.push(this.connection === this.request);
      }
    }
    await (await clients.connect(start(Handler).serverAddress)).end();
    expect(seen).toEqual([true]);
  });
});
