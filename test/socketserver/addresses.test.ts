import { once } from 'node:events';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  BaseRequestHandler,
  type ClientAddress,
  formatAddress,
  type ServerAddress,
  TCPServer,
  type TCPServerOptions,
} from '../../src/index.ts';
import { native } from '../../src/native.ts';
import { familyOf } from '../../src/reactor/address.ts';
import { codeOf, errorOf } from '../support/backends.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { clientKeeper, rejectionCode, serverKeeper } from '../support/servers.ts';

const hasIPv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);
if (!hasIPv6) console.warn('skipped: the tests of IPv6 servers, as this machine has no ::1');

class AddressTeller extends BaseRequestHandler {
  override handle(): void {
    this.request.write(Buffer.from(JSON.stringify(this.clientAddress)));
  }
}

const { keep, serve } = serverKeeper();
const clients = clientKeeper();

function open(address: ServerAddress, options: TCPServerOptions = {}): TCPServer {
  return keep(new TCPServer(address, AddressTeller, options));
}

/** The client address that the server sees. */
async function seenFrom(address: ServerAddress): Promise<ClientAddress> {
  const client = await clients.connect(address);
  return JSON.parse(await client.end());
}

describe('the address of a server', () => {
  it.each<[string, unknown]>([
    ['null', null],
    ['undefined', undefined],
    ['a number', 8000],
    ['an empty path', ''],
    ['no port', ['127.0.0.1']],
    ['a port as text', ['127.0.0.1', '8000']],
    ['a negative port', ['127.0.0.1', -1]],
    ['a port that is too high', ['127.0.0.1', 65536]],
    ['half a port', ['127.0.0.1', 80.5]],
    ['no host', [null, 8000]],
    ['an object', { host: '127.0.0.1', port: 8000 }],
  ])('is refused when it is %s', (_, address) => {
    const before = openDescriptors();
    const error = errorOf(() => open(address as ServerAddress)) as Error & { code?: string };
    expect(error).toMatchObject({ name: 'RyegateError', code: 'ERR_RYEGATE_ADDRESS' });
    expect(error.message).toContain('expected [host, port]');
    expect(openDescriptors()).toBe(before);
  });

  it.each([
    ['a name', 'example.org', 'EINVAL', 'never looked up'],
    ['a malformed IP address', '127.0.0.256', 'EINVAL', 'expected an IP address'],
    ['an address of another machine', '192.0.2.1', 'EADDRNOTAVAIL', 'no interface'],
  ])('is refused with advice when the host is %s', (_, host, systemCode, advice) => {
    const error = errorOf(() => open([host, 0]));
    expect(error).toMatchObject({ code: 'ERR_RYEGATE_SYSTEM', systemCode, syscall: 'bind' });
    expect((error as Error).message).toContain(`${host}:0`);
    expect((error as Error).message).toContain(advice);
  });

  it('is refused with advice when the port is taken', () => {
    const address = open(['127.0.0.1', 0]).serverAddress as [string, number];
    const error = errorOf(() => open(address));
    expect(error).toMatchObject({ code: 'ERR_RYEGATE_SYSTEM', systemCode: 'EADDRINUSE' });
    expect((error as Error).message).toContain(formatAddress(address));
    expect((error as Error).message).toContain('another program uses that address');
  });

  it('is the real one once bound, and tells the client address', async () => {
    const server = open(['localhost', 0]);
    const [host, port] = server.serverAddress as [string, number];
    expect(host).toBe('127.0.0.1');
    expect(port).toBeGreaterThan(0);
    serve(server);
    const client = await clients.connect(server.serverAddress);
    expect(JSON.parse(await client.end())).toEqual(['127.0.0.1', client.port]);
  });

  it("means all interfaces when the host is ''", async () => {
    const server = open(['', 0]);
    expect((server.serverAddress as [string, number])[0]).toBe('0.0.0.0');
    serve(server);
    expect((await seenFrom(server.serverAddress))[0]).toBe('127.0.0.1');
  });

  it('decides the family', () => {
    expect(familyOf(['127.0.0.1', 0])).toBe(AF_INET);
    expect(familyOf(['', 0])).toBe(AF_INET);
    expect(familyOf(['::1', 0])).toBe(AF_INET6);
    expect(familyOf('/run/x')).toBe(AF_UNIX);
  });

  it('is written as users write it', () => {
    expect(formatAddress(['127.0.0.1', 80])).toBe('127.0.0.1:80');
    expect(formatAddress(['::1', 80])).toBe('[::1]:80');
    expect(formatAddress('/run/x')).toBe('unix:/run/x');
    expect(formatAddress('\0name')).toBe('unix:@name');
  });
});

describe('fileno', () => {
  it('is the listening descriptor, close-on-exec and non-blocking, until the server closes', async () => {
    const { readFileSync } = await import('node:fs');
    const server = open(['127.0.0.1', 0]);
    const fd = server.fileno();
    expect(fd).toBeGreaterThan(2);
    const flags = /flags:\s+([0-7]+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    // O_CLOEXEC and O_NONBLOCK as Linux shows them.
    expect(Number.parseInt(flags ?? '', 8) & 0o2004000).toBe(0o2004000);
    await server.serverClose();
    expect(server.fileno()).toBe(-1);
    expect(native.isOpen(fd)).toBe(false);
  });
});

describe.skipIf(!hasIPv6)('an IPv6 server', () => {
  it('serves on ::1', async () => {
    const server = open(['::1', 0]);
    expect((server.serverAddress as [string, number])[0]).toBe('::1');
    serve(server);
    const client = await clients.connect(server.serverAddress);
    expect(JSON.parse(await client.end())).toEqual(['::1', client.port]);
  });

  it('takes IPv4 clients too, unless ipv6Only', async () => {
    const both = open(['::', 0]);
    serve(both);
    const [, port] = both.serverAddress as [string, number];
    expect((await seenFrom(['127.0.0.1', port]))[0]).toBe('::ffff:127.0.0.1');
    expect((await seenFrom(['::1', port]))[0]).toBe('::1');
    const only = open(['::', 0], { ipv6Only: true });
    serve(only);
    const [, onlyPort] = only.serverAddress as [string, number];
    expect(await rejectionCode(clients.connect(['127.0.0.1', onlyPort]))).toBe('ECONNREFUSED');
    expect((await seenFrom(['::1', onlyPort]))[0]).toBe('::1');
  });

  it("comes of the class's addressFamily where the address does not tell", async () => {
    class IPv6Server extends TCPServer {
      static override addressFamily: number | null = AF_INET6;
    }
    const server = keep(new IPv6Server(['', 0], AddressTeller));
    expect((server.serverAddress as [string, number])[0]).toBe('::');
    serve(server);
    expect((await seenFrom(server.serverAddress))[0]).toBe('::1');
    expect(codeOf(() => keep(new IPv6Server(['127.0.0.1', 0], AddressTeller)))).toBe(
      'ERR_RYEGATE_SYSTEM',
    );
  });

  it('refuses a scope that no interface has', () => {
    expect(errorOf(() => open(['fe80::1%nosuchinterface', 0]))).toMatchObject({
      systemCode: 'EINVAL',
    });
  });
});

describe('an inherited descriptor', () => {
  /** A listening socket that is nobody's. */
  function listening(): { fd: number; address: ServerAddress } {
    const fd = native.socket(AF_INET);
    expect(native.bind(fd, AF_INET, '127.0.0.1', 0)).toBe(0);
    expect(native.listen(fd, 16)).toBe(0);
    const [, host, port] = native.address(fd, false) as [number, string, number];
    return { fd, address: [host, port] };
  }

  it('is served, with the address that it has, and closed in the end', async () => {
    const { fd, address } = listening();
    const early = clients.connect(address);
    const server = open(['ignored', 1], { fd });
    expect(server.fileno()).toBe(fd);
    expect(server.serverAddress).toEqual(address);
    serve(server);
    expect(await (await early).end()).toContain('127.0.0.1');
    expect((await seenFrom(address))[0]).toBe('127.0.0.1');
    await server.serverClose();
    expect(native.isOpen(fd)).toBe(false);
  });

  it('is refused, and left open, when it is no listening socket', () => {
    const fd = native.socket(AF_INET);
    try {
      const error = errorOf(() => open(['', 0], { fd }));
      expect(error).toMatchObject({ code: 'ERR_RYEGATE_SYSTEM' });
      expect((error as Error).message).toContain(`descriptor ${fd} is no listening stream socket`);
      expect(native.isOpen(fd)).toBe(true);
    } finally {
      native.close(fd);
    }
  });

  it('is refused when it is no socket, or closed', () => {
    for (const fd of [0, 19_999]) {
      expect(codeOf(() => open(['', 0], { fd }))).toBe('ERR_RYEGATE_SYSTEM');
    }
  });

  it('is refused when it is a datagram or a connected socket', async () => {
    const other = createServer((socket) => socket.on('error', () => {}));
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    const pair = native.socketPair() as [number, number];
    try {
      expect(codeOf(() => open(['', 0], { fd: pair[0] }))).toBe('ERR_RYEGATE_SYSTEM');
      expect(native.isOpen(pair[0])).toBe(true);
    } finally {
      for (const fd of pair) native.close(fd);
      other.close();
    }
  });
});
