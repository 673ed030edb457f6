import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  BaseRequestHandler,
  makeServer,
  TCPServer,
  type TCPServerOptions,
  WSGIServer,
} from '../../src/index.ts';
import { codeOf } from '../support/backends.ts';
import { openDescriptors } from '../support/descriptors.ts';
import {
  clientKeeper,
  eventually,
  get,
  hello,
  rejectionCode,
  serverKeeper,
} from '../support/servers.ts';

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

  it('refuses to bind twice, and to serve before it listens', async () => {
    const server = open();
    await expect(server.serveForever()).rejects.toMatchObject({
      code: 'ERR_RYEGATE_NOT_LISTENING',
    });
    server.serverBind();
    const fd = server.fileno();
    expect(() => server.serverBind()).toThrow(
      expect.objectContaining({ code: 'ERR_RYEGATE_ALREADY_BOUND' }),
    );
    expect(server.fileno()).toBe(fd);
  });

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
      expect.objectContaining({ code: 'ERR_RYEGATE_NOT_LISTENING' }),
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

describe('settings in seconds', () => {
  const { keep, make, serve } = serverKeeper();
  const clients = clientKeeper();
  /** Longer than a timer of Node's can wait, which would then fire at once. */
  const LONG = 3e6;

  it('closeTimeout = Infinity lets a handler finish', async () => {
    class Patient extends WSGIServer {
      static override closeTimeout = Infinity;
    }
    let begun = false;
    const server = make(
      async (environ, startResponse) => {
        begun = true;
        await sleep(300);
        return hello(environ, startResponse);
      },
      { serverClass: Patient },
    );
    serve(server);
    const answer = get(server.serverAddress, '/slow');
    await eventually(() => begun, 'the handler is at work');
    await server.serverClose();
    expect((await answer).body).toBe('hello /slow');
  });

  it.each([Infinity, LONG])(
    'serveForever(%d) does not call serviceActions() all the time',
    async (poll) => {
      const server = make(hello);
      let calls = 0;
      server.serviceActions = () => {
        calls++;
      };
      serve(server, poll);
      await sleep(300);
      expect(calls).toBeLessThan(5);
    },
  );

  it.each(['head', 'keepAlive'])('a long timeouts.%s does not sweep all the time', async (name) => {
    const server = make(hello, { timeouts: { [name]: LONG } });
    const sweep = vi.spyOn(server.reactor.deadlines, 'sweep');
    serve(server);
    const client = await clients.connect(server.serverAddress);
    client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT');
    await client.until('hello');
    await sleep(300);
    expect(sweep.mock.calls.length).toBeLessThan(5);
    expect(client.socket.destroyed).toBe(false);
  });

  it.each(['head', 'keepAlive'])('timeouts.%s is refused when it is no time', (name) => {
    const before = openDescriptors();
    for (const value of [Number.NaN, -1, '5', 0]) {
      const open = (): WSGIServer =>
        keep(makeServer('127.0.0.1', 0, hello, { timeouts: { [name]: value } }));
      expect(codeOf(open)).toBe('ERR_RYEGATE_TIMEOUT');
    }
    expect(openDescriptors()).toBe(before);
  });
});
