import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  type Application,
  BaseHTTPRequestHandler,
  BaseRequestHandler,
  HTTPServer,
  StreamRequestHandler,
  TCPServer,
  UnixStreamServer,
} from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { exchanges, get, PLAIN } from '../support/exchange.ts';
import { RawClient, text } from '../support/rawclient.ts';

describeBackends('what is misused', (selector) => {
  const serve = exchanges();

  const CHANGED: [title: string, chunk: () => Uint8Array][] = [
    [
      'transferred away',
      () => {
        const chunk = new Uint8Array(50_000);
        queueMicrotask(() => structuredClone(chunk, { transfer: [chunk.buffer] }));
        return chunk;
      },
    ],
    [
      'resized',
      () => {
        const resizable = ArrayBuffer as unknown as new (
          size: number,
          options: { maxByteLength: number },
        ) => ArrayBuffer & { resize(size: number): void };
        const buffer = new resizable(50_000, { maxByteLength: 60_000 });
        queueMicrotask(() => buffer.resize(0));
        return new Uint8Array(buffer);
      },
    ],
  ];

  it.each(CHANGED)(
    'a chunk %s before it is sent ends its connection only',
    async (_title, make) => {
      const app: Application = (environ, startResponse) => {
        startResponse('200 OK', PLAIN);
        return environ.PATH_INFO === '/changed' ? make() : 'good';
      };
      const exchange = serve(app, { selector });
      const [bad, good] = [await exchange.client(), await exchange.client()];
      await Promise.all([bad.send(get('/changed')), good.send(get('/good'))]);
      expect(text(await good.response())).toBe('good');
      await bad.ended();
      expect(text(await exchange.ask(get('/again')))).toBe('good');
    },
  );

  it.each([
    ['an ArrayBuffer', new ArrayBuffer(40_000)],
    ['a Uint16Array', new Uint16Array(20_000)],
    ['a number', 5],
    ['an object with a length', { length: -5 }],
  ])('%s given to wfile ends its connection only', async (_title, chunk) => {
    const codes: unknown[] = [];
    class Handler extends StreamRequestHandler {
      override async handle(): Promise<void> {
        const line = await this.rfile.readline();
        await this.wfile.write(`${line}` === 'bad\n' ? (chunk as Uint8Array) : 'good');
      }
    }
    class Server extends TCPServer {
      override handleError(_request: unknown, _address: unknown, error: unknown): void {
        codes.push((error as { code?: unknown }).code);
      }
    }
    const server = new Server(['127.0.0.1', 0], Handler, { selector });
    const serving = server.serveForever();
    const bad = await RawClient.connect(server.serverAddress);
    const good = await RawClient.connect(server.serverAddress);
    await Promise.all([bad.send('bad\n'), good.send('good\n')]);
    expect((await good.rest()).toString()).toBe('good');
    expect((await bad.rest()).length).toBe(0);
    expect(codes).toEqual(['ERR_RYEGATE_CHUNK']);
    good.destroy();
    bad.destroy();
    await server.serverClose();
    await serving;
  });

  it.each([null, undefined, 'text'])(
    '%o thrown by an async doGET after the head',
    async (thrown) => {
      const told: unknown[] = [];
      class Handler extends BaseHTTPRequestHandler {
        async doGET(): Promise<void> {
          this.sendResponse(200);
          this.endHeaders();
          throw thrown;
        }
      }
      class Server extends HTTPServer {
        override handleError(_request: unknown, _address: unknown, error: unknown): void {
          told.push(error);
          throw new Error('and so does this');
        }
        protected override logError(): void {}
      }
      const server = new Server(['127.0.0.1', 0], Handler, { selector });
      const serving = server.serveForever();
      const client = await RawClient.connect(server.serverAddress);
      await client.send(get());
      await client.ended();
      expect(told).toEqual([thrown]);
      client.destroy();
      await server.serverClose();
      await serving;
    },
  );

  it('a signal that is none leaves the server as it was', async () => {
    const { server } = serve(() => 'x', { selector });
    await server.shutdown();
    await expect(
      server.serveForever(0.5, { signal: 5 as unknown as AbortSignal }),
    ).rejects.toMatchObject({ code: 'ERR_RYEGATE_SIGNAL' });
    const serving = server.serveForever();
    await server.serverClose();
    await serving;
  });

  it('a folder changed meanwhile does not keep the socket file from being removed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ryegate-'));
    const before = process.cwd();
    try {
      process.chdir(folder);
      const server = new UnixStreamServer('relative.sock', BaseRequestHandler, { selector });
      process.chdir(before);
      expect(existsSync(join(folder, 'relative.sock'))).toBe(true);
      await server.serverClose();
      expect(existsSync(join(folder, 'relative.sock'))).toBe(false);
    } finally {
      process.chdir(before);
      rmSync(folder, { recursive: true });
    }
  });
});
