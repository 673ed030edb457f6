import { afterEach, describe, expect, it, vi } from 'vitest';
import { BaseRequestHandler, StreamRequestHandler, TCPServer } from '../../src/index.ts';
import { clientKeeper, gate, serverKeeper, threadKeeper } from '../support/servers.ts';

describe('the default handleError', () => {
  const { keep, serve } = serverKeeper();
  const clients = clientKeeper();

  afterEach(() => {
    vi.restoreAllMocks();
  });

  it.each([
    ['an error', new TypeError('went wrong'), 'TypeError: went wrong\n    at '],
    ['an error with a cause', new Error('a', { cause: new Error('inner') }), 'inner'],
    ['a string', 'only text', "'only text'"],
    ['undefined', undefined, 'undefined'],
  ])('writes %s with the client to standard error', async (_, thrown, expected) => {
    const written: string[] = [];
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      written.push(String(text));
      return true;
    });
    class Handler extends BaseRequestHandler {
      override handle(): void {
        throw thrown;
      }
    }
    const server = keep(new TCPServer(['127.0.0.1', 0], Handler));
    serve(server);
    const client = await clients.connect(server.serverAddress);
    await client.end();
    const text = written.join('');
    const line = '-'.repeat(40);
    const where = `Exception occurred during processing of request from 127.0.0.1:`;
    expect(text).toContain(`${line}\n${where}${client.port}\n`);
    expect(text).toContain(expected);
    expect(text.endsWith(`\n${line}\n`)).toBe(true);
  });
});

describe('handlers under serveForeverSync', () => {
  const clients = clientKeeper();
  const thread = threadKeeper();
  const script = (handler: string) => `
    const errors = [];
    class Server extends ryegate.TCPServer {
      handleError(request, clientAddress, error) { errors.push(error.code ?? error.message); }
    }
    class Handler extends ryegate.BaseRequestHandler { ${handler} }
    const server = new Server(['127.0.0.1', 0], Handler);
    tell({ handle: server.shutdownHandle, address: server.serverAddress });
    server.serveForeverSync(60);
    tell(errors);
    await server.serverClose();
  `;

  it('serve when they are synchronous', async () => {
    const other = thread(script(`handle() { this.request.write(Buffer.from('answer')); }`));
    const { handle, address } = await other.ready();
    expect(await (await clients.connect(address)).end()).toBe('answer');
    await handle.shutdown();
    expect(await other.next()).toEqual([]);
    await other.end();
  });

  it('are refused, and the client let go, when handle() is async', async () => {
    const other = thread(script(`async handle() { this.request.write(Buffer.from('half')); }`));
    const { handle, address } = await other.ready();
    expect(await (await clients.connect(address)).end()).toBe('half');
    await handle.shutdown();
    expect(await other.next()).toEqual(['ERR_RYEGATE_ASYNC']);
    await other.end();
  });
});

describe('an async handler', () => {
  const { keep, serve } = serverKeeper();
  const clients = clientKeeper();

  it('is waited for through its promise, however late', async () => {
    const finish = gate();
    class Patient extends StreamRequestHandler {
      override async handle(): Promise<void> {
        await finish.opened;
        await this.wfile.write('late');
      }
    }
    const server = keep(new TCPServer(['127.0.0.1', 0], Patient));
    serve(server);
    const client = await clients.connect(server.serverAddress);
    setTimeout(finish.open, 50);
    expect(await client.end()).toBe('late');
  });
});
