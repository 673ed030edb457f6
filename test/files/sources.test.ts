import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  createReadStream,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type Application,
  type BodyPart,
  type FileLike,
  type FileState,
  FileWrapper,
} from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { descriptorKeeper, openDescriptors } from '../support/descriptors.ts';
import { exchanges, get, get10, PLAIN } from '../support/exchange.ts';
import { knownBytes, writeKnown } from '../support/knownbytes.ts';
import { eventually, field, RawClient, type RawResponse } from '../support/rawclient.ts';
import { threadKeeper } from '../support/servers.ts';

const SIZE = 200_000;
const content = knownBytes(3, 0, SIZE);
const folder = mkdtempSync(join(tmpdir(), 'ryegate-sources-'));
const path = join(folder, 'file');
const fifo = join(folder, 'fifo');

beforeAll(() => {
  writeKnown(path, 3, SIZE);
  execFileSync('mkfifo', [fifo]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const keeper = descriptorKeeper();

/** Serves what `make` gives. */
function application(make: () => FileLike | Promise<FileLike>, headers = PLAIN): Application {
  const respond = (fileLike: FileLike, startResponse: Parameters<Application>[1]): FileWrapper => {
    startResponse('200 OK', headers);
    return new FileWrapper(fileLike);
  };
  return (_environ, startResponse) => {
    const fileLike = make();
    if (!(fileLike instanceof Promise)) return respond(fileLike, startResponse);
    return fileLike.then((settled) => respond(settled, startResponse));
  };
}

/**
 * Serves the file as one of which `state` is told, but `modified` at the `nth` look; returns how
 * often it was looked at.
 */
function telling(
  state: (look: number) => FileState,
  nth = 0,
): { respond: Application; looks: () => number } {
  let looks = 0;
  class Telling extends FileWrapper {
    override parts(): readonly BodyPart[] {
      return [
        {
          fd: this.fileLike as number,
          position: 0,
          count: SIZE,
          state: () => (++looks === nth ? 'modified' : state(looks)),
        },
      ];
    }
  }
  const respond: Application = (_environ, startResponse) => {
    startResponse('200 OK', [...PLAIN, ['Content-Length', String(SIZE)]]);
    return new Telling(openSync(path, 'r'));
  };
  return { respond, looks: () => looks };
}

/** An open file as a class of somebody's own: something with a descriptor. */
function described(): FileLike {
  const fd = openSync(path, 'r');
  return { fd, close: () => closeSync(fd) };
}

function inBlocks(isAsync: boolean): FileLike {
  const fd = openSync(path, 'r');
  const read = (size: number): Buffer => {
    const block = Buffer.alloc(size);
    return block.subarray(0, readSync(fd, block));
  };
  return {
    read: isAsync ? async (size: number) => read(size) : read,
    close: () => closeSync(fd),
  };
}

function* pieces(): Generator<Buffer> {
  for (let at = 0; at < SIZE; at += 7777) yield content.subarray(at, at + 7777);
}

/** Writes to what reads from a FIFO, a piece from time to time. */
function openFIFO(): FileLike {
  const script = `for i in 1 2 3 4 5; do head -c 40000 <&4; sleep 0.02; done >"${fifo}" 4<"${path}"`;
  const writer = spawn('bash', ['-c', script], { stdio: 'inherit', timeout: 10_000 });
  written.push(once(writer, 'close'));
  return openSync(fifo, 'r');
}

const written: Promise<unknown>[] = [];
afterEach(async () => {
  await Promise.all(written.splice(0));
});

/** A pipe that is full of the whole content, or as much of it as fits, which nobody writes to. */
function filledPipe(): FileLike {
  const { reader, writer } = keeper.pipe();
  writeSync(writer, content, 0, 60_000);
  keeper.close(writer);
  // Taken over by the FileWrapper.
  return openSync(`/proc/self/fd/${reader}`, 'r');
}

const SOURCES: [name: string, length: boolean, make: () => FileLike | Promise<FileLike>][] = [
  ['descriptor', true, () => openSync(path, 'r')],
  ['FileHandle', true, () => open(path)],
  ['object with a descriptor', true, described],
  ['descriptor to read and write', true, () => openSync(path, 'r+')],
  ['Readable', false, () => createReadStream(path)],
  ['Readable of others', false, () => Readable.from(pieces())],
  ['FileHandle as a stream', false, async () => (await open(path)).createReadStream()],
  ['generator', false, pieces],
  ['list of pieces', false, () => [...pieces()]],
  ['object to be read in blocks', false, () => inBlocks(false)],
  ['object to be read in blocks later', false, () => inBlocks(true)],
  ['FIFO', false, openFIFO],
];

describe.each([
  ['', {}],
  [' without sendfile', { sendfile: false }],
])('a FileWrapper of a%s', (_title, options) => {
  const serve = exchanges();

  it.each(SOURCES)('%s gives its bytes', async (_name, length, make) => {
    const before = openDescriptors();
    const exchange = serve(application(make), options);
    const response = await exchange.ask(get());
    expect(response.status).toBe(200);
    expect(response.framing).toBe(length ? 'length' : 'chunked');
    expect(Buffer.compare(response.body, content)).toBe(0);
    expect(exchange.errors.getValue()).toBe('');
    await exchange.close();
    await expectDescriptors(before);
  });

  it.each(SOURCES)('%s gives its bytes to HTTP/1.0', async (_name, length, make) => {
    const exchange = serve(application(make), options);
    const response = await exchange.ask(get10());
    expect(response.framing).toBe(length ? 'length' : 'close');
    expect(Buffer.compare(response.body, content)).toBe(0);
  });

  it.each(SOURCES)('%s is cut at a Content-Length', async (_name, _length, make) => {
    const before = openDescriptors();
    const headers: [string, string][] = [...PLAIN, ['Content-Length', '70001']];
    const exchange = serve(application(make, headers), options);
    const client = await exchange.client();
    await client.send(get());
    const response = await client.response();
    expect(response.framing).toBe('length');
    expect(Buffer.compare(response.body, content.subarray(0, 70_001))).toBe(0);
    // Nothing of the rest follows.
    await client.send(get());
    expect((await client.response()).body.length).toBe(70_001);
    client.destroy();
    await exchange.close();
    await expectDescriptors(before);
  });

  it('descriptor begins where it stands', async () => {
    const exchange = serve(
      application(() => {
        const fd = openSync(path, 'r');
        readSync(fd, Buffer.alloc(12_345));
        return fd;
      }),
      options,
    );
    const { body } = await exchange.ask(get());
    expect(Buffer.compare(body, content.subarray(12_345))).toBe(0);
  });

  it.each([SIZE, SIZE + 1])('descriptor at %i gives nothing', async (offset) => {
    const longer = join(folder, 'longer');
    writeKnown(longer, 3, offset);
    const exchange = serve(
      application(() => {
        const fd = openSync(longer, 'r+');
        readSync(fd, Buffer.alloc(offset));
        // What was read is gone: the descriptor stands at the end, or beyond.
        execFileSync('truncate', ['-s', String(SIZE), longer]);
        return fd;
      }),
      options,
    );
    const response = await exchange.ask(get());
    expect(field(response, 'Content-Length') ?? '0').toBe('0');
    expect(response.body.length).toBe(0);
  });

  // A write sets a file's time before its size, so that a look may come between the two.
  it.each([1, 2])('file that is being appended to at look %i gives its bytes', async (nth) => {
    const { respond, looks } = telling((look) => (look < nth ? 'same' : 'grown'), nth);
    const exchange = serve(respond, options);
    const client = await exchange.client();
    await client.send(get() + get());
    for (let i = 0; i < 2; i++) {
      expect(Buffer.compare((await client.response()).body, content)).toBe(0);
    }
    expect(looks()).toBeGreaterThan(nth);
    expect(exchange.errors.getValue()).toBe('');
    client.destroy();
  });

  it('file that stays modified resets the connection', async () => {
    const exchange = serve(telling(() => 'modified').respond, options);
    const client = await exchange.client();
    await client.send(get());
    // A unix socket knows no reset.
    const unix = typeof exchange.server.serverAddress === 'string';
    expect(await client.ended()).toBe(unix ? 'fin' : 'reset');
    await eventually(() => /FILE_CHANGED/.test(exchange.errors.getValue()), 'the log');
  });

  it('file that stays modified closes when the client has gone', async () => {
    const before = openDescriptors();
    const { respond, looks } = telling(() => 'modified');
    const exchange = serve(respond, options);
    const client = await exchange.client();
    await client.send(get());
    await eventually(() => looks() > 0, 'the first look');
    client.reset();
    await exchange.close();
    await expectDescriptors(before);
  });

  it('file that was deleted gives its bytes', async () => {
    const gone = join(folder, 'gone');
    const exchange = serve(
      application(() => {
        writeKnown(gone, 3, SIZE);
        const fd = openSync(gone, 'r');
        unlinkSync(gone);
        return fd;
      }),
      options,
    );
    const { body } = await exchange.ask(get());
    expect(Buffer.compare(body, content)).toBe(0);
  });

  it('pipe gives what is in it', async () => {
    const exchange = serve(application(filledPipe), options);
    const response = await exchange.ask(get());
    expect(response.framing).toBe('chunked');
    expect(Buffer.compare(response.body, content.subarray(0, 60_000))).toBe(0);
  });

  it.each(['/proc/self/environ', '/proc/version', '/sys/kernel/notes'])(
    'file of unknown size gives its bytes: %s',
    async (name) => {
      const exchange = serve(
        application(() => openSync(name, 'r')),
        options,
      );
      const { status, body } = await exchange.ask(get());
      expect(status).toBe(200);
      expect(body.length).toBeGreaterThan(0);
      expect(Buffer.compare(body, readFileSync(name))).toBe(0);
      expect(exchange.errors.getValue()).toBe('');
    },
  );

  it('device without end is cut at a Content-Length', async () => {
    const headers: [string, string][] = [...PLAIN, ['Content-Length', '100000']];
    const exchange = serve(
      application(() => openSync('/dev/zero', 'r'), headers),
      options,
    );
    const client = await exchange.client();
    for (let request = 0; request < 3; request++) {
      await client.send(get());
      expect(Buffer.compare((await client.response()).body, Buffer.alloc(100_000))).toBe(0);
    }
  });

  it('device without end stops when the client has gone', async () => {
    const before = openDescriptors();
    const exchange = serve(
      application(() => openSync('/dev/zero', 'r')),
      options,
    );
    const client = await exchange.client();
    await client.send(get());
    await client.received(1_000_000);
    client.destroy();
    await eventually(() => exchange.server.reactor.sockets.size === 0, 'the connection is over');
    await exchange.close();
    await expectDescriptors(before);
  });

  const REFUSED: [name: string, make: () => FileLike][] = [
    ['descriptor that is only written to', () => openSync(path, 'a')],
    ['folder', () => openSync(folder, 'r')],
    ['descriptor that is closed', closedDescriptor],
    ['descriptor below zero', () => -1],
    ['number with a fraction', () => 3.5],
    ['path', () => path as unknown as FileLike],
    ['null', () => null as unknown as FileLike],
    ['empty object', () => ({}) as unknown as FileLike],
  ];

  it.each(REFUSED)('%s is a clear error', async (_name, make) => {
    const before = openDescriptors();
    const exchange = serve(application(make), options);
    const response = await exchange.ask(get());
    expect(response.status).toBe(500);
    expect(exchange.errors.getValue()).toMatch(/ERR_RYEGATE_FILE\b/);
    await exchange.close();
    await expectDescriptors(before);
  });

  it('socket gives what comes', async () => {
    const source = createServer((socket) => {
      socket.end(content);
    }).listen(0, '127.0.0.1');
    await once(source, 'listening');
    const { port } = source.address() as { port: number };
    const exchange = serve(
      application(() => connect(port, '127.0.0.1')),
      options,
    );
    const { body } = await exchange.ask(get());
    expect(Buffer.compare(body, content)).toBe(0);
    source.close();
  });

  it('slow source does not keep others waiting', async () => {
    const slow: Application = async (environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      if (environ.PATH_INFO === '/other') return 'other';
      return new FileWrapper(
        (async function* () {
          yield 'one';
          await sleep(300);
          yield 'two';
        })(),
      );
    };
    const exchange = serve(slow, options);
    const client = await exchange.client();
    await client.send(get('/slow'));
    await client.received(1);
    expect((await exchange.ask(get('/other'))).body.toString()).toBe('other');
    expect(client.pending.toString()).not.toContain('two');
    expect((await client.response()).body.toString()).toBe('onetwo');
  });
});

describeBackends('a FileWrapper where no promise settles', (selector) => {
  const thread = threadKeeper();
  const SERVE = `
    const { closeSync, createReadStream, openSync, readSync } = await import('node:fs');
    const { path, selector } = workerData;
    const blocks = () => {
      const fd = openSync(path, 'r');
      const read = (size) => {
        const block = Buffer.alloc(size);
        return block.subarray(0, readSync(fd, block));
      };
      return { read, close: () => closeSync(fd) };
    };
    const pages = {
      '/descriptor': () => openSync(path, 'r'),
      '/blocks': blocks,
      '/generator': () => (function* () { yield 'one'; yield 'two'; })(),
      '/proc': () => openSync('/proc/version', 'r'),
      '/later': () => createReadStream(path),
      '/promises': () => ({ read: async () => Buffer.from('never') }),
    };
    class Handler extends ryegate.WSGIRequestHandler {
      getStderr() { return { write: tell, writelines() {}, flush() {} }; }
      logRequest() {}
    }
    const app = (environ, startResponse) => {
      startResponse('200 OK', [['Content-Type', 'text/plain']]);
      return new ryegate.FileWrapper(pages[environ.PATH_INFO]());
    };
    const made = ryegate.makeServer('127.0.0.1', 0, ryegate.validator(app), {
      selector,
      handlerClass: Handler,
    });
    tell({ handle: made.shutdownHandle, address: made.serverAddress });
    made.serveForeverSync(60);
    await made.serverClose();
  `;

  it('gives what can be read at once, and refuses the rest', async () => {
    const other = thread(SERVE, { path, selector });
    const { handle, address } = await other.ready();
    const client = await RawClient.connect(address);
    const ask = async (target: string): Promise<RawResponse> => {
      await client.send(get(target));
      return await client.response();
    };
    for (const target of ['/descriptor', '/blocks']) {
      expect(Buffer.compare((await ask(target)).body, content), target).toBe(0);
    }
    expect((await ask('/generator')).body.toString()).toBe('onetwo');
    expect((await ask('/proc')).body.toString()).toBe(readFileSync('/proc/version', 'utf8'));
    for (const target of ['/later', '/promises']) {
      expect((await ask(target)).status, target).toBe(500);
      expect(await other.next()).toMatch(/ERR_RYEGATE_ASYNC/);
    }
    client.destroy();
    handle.shutdownSync(20);
    await other.end();
  });
});

/** The number of one that nobody has. */
function closedDescriptor(): number {
  const fd = openSync('/dev/null', 'r');
  closeSync(fd);
  expect(() => fstatSync(fd)).toThrow('EBADF');
  return fd;
}

/** Closing may take a moment where it is done by the thread pool. */
async function expectDescriptors(before: number): Promise<void> {
  for (let i = 0; i < 200 && openDescriptors() > before; i++) await sleep(10);
  expect(openDescriptors()).toBe(before);
}
