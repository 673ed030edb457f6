import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { BaseRequestHandler, TCPServer, type TCPServerOptions } from '../../src/index.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { clientKeeper, eventually, rejectionCode, serverKeeper } from '../support/servers.ts';

/** Greets and ends the connection first, so that it lingers in TIME_WAIT at the server's end. */
class Greeter extends BaseRequestHandler {
  override handle(): void {
    this.request.write(Buffer.from('hi'));
  }
}

const ANY: [string, number] = ['127.0.0.1', 0];

describe('settings of a server', () => {
  const { keep, serve } = serverKeeper();
  const clients = clientKeeper();
  const sockets: Socket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  function open(options: TCPServerOptions = {}, address = ANY): TCPServer {
    return keep(new TCPServer(address, Greeter, options));
  }

  it('have defaults', () => {
    expect(open().options).toEqual({
      addressFamily: null,
      requestQueueSize: 1024,
      allowReuseAddress: true,
      allowReusePort: false,
      ipv6Only: false,
      socketMode: null,
      fd: null,
    });
    expect(TCPServer.timeout).toBeNull();
    expect(TCPServer.blockOnClose).toBe(true);
    expect(TCPServer.closeTimeout).toBe(30);
  });

  it('come from the statics of a subclass, which the constructor heeds already', () => {
    class Configured extends TCPServer {
      static override requestQueueSize = 7;
      static override allowReuseAddress = false;
      static override allowReusePort = true;
      static override timeout: number | null = 3;
    }
    const server = keep(new Configured(ANY, Greeter));
    expect(server.options).toMatchObject({
      requestQueueSize: 7,
      allowReuseAddress: false,
      allowReusePort: true,
    });
    expect(server.timeout).toBe(3);
    expect(TCPServer.requestQueueSize).toBe(1024);
  });

  it('are overridden for one server by its options', () => {
    class Configured extends TCPServer {
      static override requestQueueSize = 7;
      static override allowReusePort = true;
    }
    const options = { requestQueueSize: 9, allowReusePort: false };
    expect(keep(new Configured(ANY, Greeter, options)).options).toMatchObject(options);
  });

  /** How many of eight clients the kernel takes while nobody accepts. */
  async function queued(options: TCPServerOptions): Promise<number> {
    const [host, port] = open(options).serverAddress as [string, number];
    let connected = 0;
    for (let i = 0; i < 8; i++) {
      const socket = connect(port, host, () => connected++);
      socket.on('error', () => {});
      sockets.push(socket);
    }
    await sleep(300);
    return connected;
  }

  it('requestQueueSize bounds the clients that wait to be accepted', async () => {
    expect(await queued({ requestQueueSize: 1 })).toBeLessThan(8);
    expect(await queued({})).toBe(8);
  });

  it('allowReuseAddress binds while old connections linger', async () => {
    const first = open();
    serve(first);
    const address = first.serverAddress as [string, number];
    const client = await clients.connect(address);
    expect(await client.end()).toBe('hi');
    await first.serverClose();
    expect(() => open({ allowReuseAddress: false }, address)).toThrow(/EADDRINUSE/);
    const second = open({}, address);
    expect(second.serverAddress).toEqual(address);
  });

  it('allowReusePort shares a port among servers that all allow it', async () => {
    const first = open({ allowReusePort: true });
    const address = first.serverAddress as [string, number];
    const second = open({ allowReusePort: true }, address);
    expect(second.serverAddress).toEqual(address);
    expect(() => open({}, address)).toThrow(/EADDRINUSE/);
    const greeted = new Set<TCPServer>();
    for (const server of [first, second]) {
      server.verifyRequest = () => {
        greeted.add(server);
        return true;
      };
      serve(server);
    }
    // The kernel chooses by the client's port: some 60 choices meet both.
    for (let i = 0; i < 60 && greeted.size < 2; i++) {
      expect(await (await clients.connect(address)).end()).toBe('hi');
    }
    expect(greeted.size).toBe(2);
    await first.serverClose();
    for (let i = 0; i < 10; i++) expect(await (await clients.connect(address)).end()).toBe('hi');
  });
});

describe('bindAndActivate: false', () => {
  const { keep, serve } = serverKeeper();
  const clients = clientKeeper();
  const open = (): TCPServer => keep(new TCPServer(ANY, Greeter, { bindAndActivate: false }));

  it('leaves binding and listening to the caller', async () => {
    const server = open();
    expect(server.fileno()).toBe(-1);
    expect(server.serverAddress).toEqual(ANY);
    server.serverBind();
    const address = server.serverAddress as [string, number];
    expect(address[1]).toBeGreaterThan(0);
    expect(server.fileno()).toBeGreaterThan(2);
    expect(await rejectionCode(clients.connect(address))).toBe('ECONNREFUSED');
    server.serverActivate();
    serve(server);
    expect(await (await clients.connect(address)).end()).toBe('hi');
  });

  it('tells when it is activated without being bound', () => {
    const server = open();
    expect(() => server.serverActivate()).toThrow(
      expect.objectContaining({ code: 'ERR_RYEGATE_SYSTEM', systemCode: 'EBADF' }),
    );
  });

  it('closes what was bound only', async () => {
    const before = openDescriptors();
    const server = open();
    server.serverBind();
    await server.serverClose();
    expect(server.fileno()).toBe(-1);
    await eventually(() => openDescriptors() <= before, 'the descriptors are back');
  });
});
