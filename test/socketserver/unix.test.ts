import { execFile } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  AF_INET,
  AF_UNIX,
  BaseRequestHandler,
  TCPServer,
  UnixStreamServer,
  WSGIRequestHandler,
  WSGIServer,
} from '../../src/index.ts';
import { native } from '../../src/native.ts';
import { describeBackends, errorOf } from '../support/backends.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { clientKeeper, hello, serverKeeper } from '../support/servers.ts';

const run = promisify(execFile);

class Greeter extends BaseRequestHandler {
  override handle(): void {
    this.request.write(Buffer.from(`hi ${JSON.stringify(this.clientAddress)}`));
  }
}

describeBackends('a unix socket', (selector) => {
  const { keep, serve } = serverKeeper();
  const clients = clientKeeper();
  let folder = '';
  let path = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ryegate-unix-'));
    path = join(folder, 'socket');
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  function open(address = path, socketMode: number | null = null): UnixStreamServer {
    return keep(new UnixStreamServer(address, Greeter, { selector, socketMode }));
  }

  async function greeting(address = path): Promise<string> {
    return (await clients.connect(address)).end();
  }

  /** A socket file that nobody listens on, as a server leaves it that is killed. */
  function leaveStale(): void {
    const fd = native.socket(AF_UNIX);
    expect(native.bindPath(fd, path, -1)).toBe(0);
    native.close(fd);
    expect(lstatSync(path).isSocket()).toBe(true);
  }

  it('is served; its clients have no address', async () => {
    const server = open();
    expect(server.serverAddress).toBe(path);
    serve(server);
    expect(await greeting()).toBe('hi ""');
  });

  it('is what TCPServer makes of a path, too', async () => {
    const server = keep(new TCPServer(path, Greeter, { selector }));
    serve(server);
    expect(await greeting()).toBe('hi ""');
  });

  it('has its file removed when the server closes', async () => {
    const server = open();
    expect(lstatSync(path).isSocket()).toBe(true);
    await server.serverClose();
    expect(existsSync(path)).toBe(false);
  });

  it('has its file left alone when another took its place', async () => {
    const server = open();
    renameSync(path, join(folder, 'moved'));
    const successor = open();
    await server.serverClose();
    serve(successor);
    expect(await greeting()).toBe('hi ""');
  });

  it('closes when its file, or the folder, is gone already', async () => {
    const server = open();
    rmSync(folder, { recursive: true });
    await server.serverClose();
    expect(server.fileno()).toBe(-1);
  });

  it.each([0o600, 0o660, 0o666, 0o777])('has the mode %o', (mode) => {
    open(path, mode);
    expect(statSync(path).mode & 0o777).toBe(mode);
  });

  it('has the mode of the umask when none is asked for', () => {
    const umask = process.umask();
    open();
    expect(statSync(path).mode & 0o777).toBe(0o777 & ~umask);
  });

  it('replaces a file that a killed server left behind', async () => {
    leaveStale();
    const server = open();
    serve(server);
    expect(await greeting()).toBe('hi ""');
    await server.serverClose();
    expect(existsSync(path)).toBe(false);
  });

  it('is refused where a server is alive, which is not disturbed', async () => {
    const server = open();
    serve(server);
    const error = errorOf(() => open());
    expect(error).toMatchObject({ code: 'ERR_RYEGATE_SYSTEM', systemCode: 'EADDRINUSE' });
    expect((error as Error).message).toContain(`unix:${path}`);
    expect(await greeting()).toBe('hi ""');
  });

  it('is refused where another file is, which is not touched', () => {
    writeFileSync(path, 'precious');
    expect(errorOf(() => open())).toMatchObject({ systemCode: 'EADDRINUSE' });
    expect(readFileSync(path, 'utf8')).toBe('precious');
  });

  it('is refused where a symbolic link is, which is not touched', () => {
    const stale = path;
    leaveStale();
    const link = join(folder, 'link');
    symlinkSync(stale, link);
    expect(errorOf(() => open(link))).toMatchObject({ systemCode: 'EADDRINUSE' });
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(lstatSync(stale).isSocket()).toBe(true);
  });

  it('is refused with advice when the folder is missing or the path is too long', () => {
    const missing = errorOf(() => open(join(folder, 'no', 'socket'))) as Error;
    expect(missing).toMatchObject({ systemCode: 'ENOENT' });
    expect(missing.message).toContain('the folder of the socket does not exist');
    const long = errorOf(() => open(join(folder, 'x'.repeat(120)))) as Error;
    expect(long).toMatchObject({ systemCode: 'ENAMETOOLONG' });
    expect(long.message).toContain('too long for a unix socket');
  });

  it('is refused when the address is none of its family', () => {
    const unix = (): unknown => new UnixStreamServer(['127.0.0.1', 0], Greeter, { selector });
    const inet = (): unknown => new TCPServer(path, Greeter, { selector, addressFamily: AF_INET });
    const before = openDescriptors();
    expect(errorOf(unix)).toMatchObject({ code: 'ERR_RYEGATE_ADDRESS' });
    expect((errorOf(unix) as Error).message).toContain('expected the path of a unix socket');
    expect(errorOf(inet)).toMatchObject({ code: 'ERR_RYEGATE_ADDRESS' });
    expect((errorOf(inet) as Error).message).toContain('expected [host, port]');
    expect(openDescriptors()).toBe(before);
  });

  it('may have an abstract name, which leaves no file', async () => {
    const name = `ryegate-test-${process.pid}-${selector}`;
    const make = (): WSGIServer => {
      const server = new WSGIServer(`\0${name}`, WSGIRequestHandler, { selector });
      server.setApp(hello);
      return keep(server);
    };
    const server = make();
    expect(server.serverAddress).toBe(`\0${name}`);
    serve(server);
    // Node pads such a name with NULs to its full length, which is another name.
    const curl = ['-s', '--max-time', '10', '--abstract-unix-socket', name, 'http://localhost/x'];
    expect((await run('curl', curl)).stdout).toBe('hello /x');
    const error = errorOf(make) as Error;
    expect(error).toMatchObject({ systemCode: 'EADDRINUSE' });
    expect(error.message).toContain(`unix:@${name}`);
    await server.serverClose();
    await make().serverClose();
  });

  it('may be inherited; its file then is not ours to remove', async () => {
    const fd = native.socket(AF_UNIX);
    expect(native.bindPath(fd, path, -1)).toBe(0);
    expect(native.listen(fd, 16)).toBe(0);
    const server = keep(new TCPServer(['', 0], Greeter, { selector, fd }));
    expect(server.serverAddress).toBe(path);
    serve(server);
    expect(await greeting()).toBe('hi ""');
    await server.serverClose();
    expect(existsSync(path)).toBe(true);
  });
});
