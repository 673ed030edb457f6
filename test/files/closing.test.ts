import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type Application,
  type FileLike,
  FileWrapper,
  type HeaderList,
  ServerHandler,
  type StartResponse,
  StringErrorStream,
  WSGIRequestHandler,
} from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { openDescriptors } from '../support/descriptors.ts';
import {
  type Exchange,
  type ExchangeOptions,
  exchanges,
  get,
  get10,
  PLAIN,
  request,
} from '../support/exchange.ts';
import { forgetDescriptors, KINDS, type Kind, type Probe } from '../support/fileprobes.ts';
import { knownBytes, writeKnown } from '../support/knownbytes.ts';
import { eventually, field, type RawClient, type RawResponse } from '../support/rawclient.ts';

/** More than the kernel takes of an answer that nobody reads. */
const HUGE = 16 * 1024 * 1024;
/** More than it takes at once. */
const SIZE = 1024 * 1024;
const SMALL = 10_000;
const VERSION = 5;
const folder = mkdtempSync(join(tmpdir(), 'ryegate-closing-'));
const huge = join(folder, 'huge');
const path = join(folder, 'large');
const small = join(folder, 'small');

beforeAll(() => {
  writeKnown(huge, VERSION, HUGE);
  writeKnown(path, VERSION, SIZE);
  writeKnown(small, VERSION, SMALL);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Situation {
  file?: string;
  message?: string;
  status?: string;
  headers?: HeaderList;
  method?: string;
  options?: ExchangeOptions;
  /** What is done with the file instead of it being returned. */
  respond?(fileLike: FileLike, startResponse: StartResponse): ReturnType<Application>;
  /** What the client does when it has sent its request. */
  leave?(client: RawClient, exchange: Exchange): Promise<void>;
  /** What the client gets. */
  check?(response: RawResponse, client: RawClient): Promise<void> | void;
  /** What is logged; nothing by default. */
  logs?: RegExp;
  /** The file goes on behind what is sent, of which one that is read in blocks makes a note. */
  cut?: boolean;
}

const declared = (length: number): HeaderList => [...PLAIN, ['Content-Length', String(length)]];

function isPart(start: number, end: number): (response: RawResponse) => void {
  return ({ body }) => {
    expect(body.length).toBe(end - start);
    expect(Buffer.compare(body, knownBytes(VERSION, start, end))).toBe(0);
  };
}

function hasNoBody(response: RawResponse): void {
  expect(response.body.length).toBe(0);
}

/** Waits until the kernel takes no more. */
async function stalled(exchange: Exchange): Promise<void> {
  const socket = [...exchange.server.reactor.sockets.values()][0];
  const buffered = (): number => socket?.buffered ?? 0;
  await eventually(() => socket === undefined || buffered() > 0, 'the kernel takes no more');
}

/** What the handlers below write to `wsgi.errors`. */
let ownErrors = new StringErrorStream();

/** Makes requests be run by a handler of one's own. */
function handledBy(handlerClass: typeof ServerHandler): ExchangeOptions {
  class RequestHandler extends WSGIRequestHandler {
    override getStderr(): StringErrorStream {
      return ownErrors;
    }
    override handleOneRequest(): void {
      const { response } = this.httpRequest;
      new handlerClass(this, response, this.getEnviron()).run(this.server.getApp());
    }
  }
  return { handlerClass: RequestHandler };
}

class Iterating extends ServerHandler {
  override sendfile(): boolean {
    return false;
  }
}

/** Sends something else, later. */
class Sending extends ServerHandler {
  override sendfile(): boolean {
    this.sendHeaders(3);
    setTimeout(() => {
      this.write('own');
      this.finishContent();
    }, 10);
    return true;
  }
}

class NoFiles extends ServerHandler {
  override resultIsFile(): boolean {
    return false;
  }
}

class Failing extends ServerHandler {
  override sendfile(): boolean {
    throw new Error('failed here');
  }
}

const SITUATIONS: [title: string, situation: Situation][] = [
  ['a large file', { check: isPart(0, SIZE) }],
  ['a small file', { file: small, check: isPart(0, SMALL) }],
  ['without sendfile', { options: { sendfile: false }, check: isPart(0, SIZE) }],
  ['HTTP/1.0', { message: get10(), check: isPart(0, SIZE) }],
  [
    'HTTP/1.0 kept',
    { file: small, message: get10('/', 'Connection: keep-alive'), check: isPart(0, SMALL) },
  ],
  ['HEAD', { message: request('HEAD', '/'), method: 'HEAD', check: hasNoBody }],
  [
    '204',
    { status: '204 No Content', headers: [], options: { validate: false }, check: hasNoBody },
  ],
  [
    '304',
    { status: '304 Not Modified', headers: [], options: { validate: false }, check: hasNoBody },
  ],
  [
    'a Content-Length that is shorter',
    { cut: true, headers: declared(70_000), check: isPart(0, 70_000) },
  ],
  ['a Content-Length of 0', { cut: true, headers: declared(0), check: hasNoBody }],
  [
    'a Content-Length that is longer',
    { headers: declared(SIZE + 1), logs: /ERR_RYEGATE_RESULT_TOO_SHORT|ERR_RYEGATE_FILE_CHANGED/ },
  ],
  [
    'a bad Content-Length',
    {
      headers: [
        ['Content-Type', 'text/plain'],
        ['Content-Length', '-1'],
      ],
      options: { validate: false },
      check: ({ status }) => expect(status).toBe(500),
      logs: /ERR_RYEGATE_CONTENT_LENGTH/,
    },
  ],
  [
    'no startResponse()',
    {
      options: { validate: false },
      respond: (fileLike) => new FileWrapper(fileLike),
      check: ({ status }) => expect(status).toBe(500),
      logs: /ERR_RYEGATE_NO_START_RESPONSE/,
    },
  ],
  [
    'write() before the file',
    {
      respond: (fileLike, startResponse) => {
        const write = startResponse('200 OK', PLAIN);
        write(Buffer.from('before '));
        write('the file ');
        return new FileWrapper(fileLike);
      },
      check: ({ body }) => {
        expect(body.toString('latin1', 0, 16)).toBe('before the file ');
        expect(Buffer.compare(body.subarray(16), knownBytes(VERSION, 0, SIZE))).toBe(0);
      },
    },
  ],
  [
    'write() before the file, with a Content-Length',
    {
      cut: true,
      respond: (fileLike, startResponse) => {
        startResponse('200 OK', declared(SMALL))('before ');
        return new FileWrapper(fileLike);
      },
      check: ({ body, framing }) => {
        expect(framing).toBe('length');
        expect(body.toString('latin1', 0, 7)).toBe('before ');
        expect(Buffer.compare(body.subarray(7), knownBytes(VERSION, 0, SMALL - 7))).toBe(0);
      },
    },
  ],
  [
    'requests behind it',
    {
      message: get() + get(),
      check: async (response, client) => {
        isPart(0, SIZE)(response);
        isPart(0, SIZE)(await client.response());
      },
    },
  ],
  [
    'an application that takes its time',
    {
      respond: async (fileLike, startResponse) => {
        await sleep(10);
        startResponse('200 OK', PLAIN);
        return new FileWrapper(fileLike);
      },
      check: isPart(0, SIZE),
    },
  ],
  ['no validator()', { options: { validate: false }, check: isPart(0, SIZE) }],
  ['a sendfile() that returns false', { options: handledBy(Iterating), check: isPart(0, SIZE) }],
  ['a resultIsFile() that returns false', { options: handledBy(NoFiles), check: isPart(0, SIZE) }],
  [
    'a sendfile() that sends by itself',
    { options: handledBy(Sending), check: ({ body }) => expect(body.toString()).toBe('own') },
  ],
  [
    'a sendfile() that fails',
    {
      options: handledBy(Failing),
      check: ({ status }) => expect(status).toBe(500),
      logs: /failed here/,
    },
  ],
  [
    'trailers',
    {
      message: get('/', 'TE: trailers'),
      options: { responseTrailers: true },
      check: isPart(0, SIZE),
    },
  ],
  ['the client gone at once', { leave: async (client) => client.reset() }],
  [
    'the client gone while it was receiving',
    {
      file: huge,
      leave: async (client) => {
        await client.received(300_000);
        client.reset();
      },
    },
  ],
  [
    'the client gone while it was stalled',
    {
      file: huge,
      leave: async (client, exchange) => {
        client.socket.pause();
        await stalled(exchange);
        client.reset();
      },
    },
  ],
  [
    'the client gone before the result',
    {
      respond: async (fileLike, startResponse) => {
        await sleep(30);
        startResponse('200 OK', PLAIN);
        return new FileWrapper(fileLike);
      },
      leave: async (client) => client.reset(),
    },
  ],
  [
    'the server closed while it was sent',
    {
      file: huge,
      leave: async (client, exchange) => {
        client.socket.pause();
        await stalled(exchange);
        client.socket.resume();
        const leaving = client.rest().then(() => client.destroy());
        await Promise.all([exchange.server.serverClose(), leaving]);
      },
    },
  ],
  [
    'the write deadline over',
    {
      file: huge,
      options: { timeouts: { write: 0.2 } },
      leave: async (client, exchange) => {
        client.socket.pause();
        await eventually(() => exchange.server.reactor.sockets.size === 0, 'the deadline');
      },
    },
  ],
];

describeBackends('the file of a result is closed exactly once', (selector) => {
  const serve = exchanges();

  /** Runs the situation and waits until it is over. */
  async function run(situation: Situation, kind: Kind): Promise<Probe[]> {
    const { file = path, status = '200 OK', headers = PLAIN } = situation;
    const probes: Probe[] = [];
    const respond = (probe: Probe, startResponse: StartResponse): ReturnType<Application> => {
      probes.push(probe);
      if (situation.respond) return situation.respond(probe.fileLike, startResponse);
      startResponse(status, headers);
      return new FileWrapper(probe.fileLike);
    };
    const app: Application = (_environ, startResponse) => {
      const probe = kind(file);
      if (!(probe instanceof Promise)) return respond(probe, startResponse);
      return probe.then((opened) => respond(opened, startResponse));
    };
    ownErrors = new StringErrorStream();
    const exchange = serve(app, { selector, ...situation.options });
    const client = await exchange.client();
    await client.send(situation.message ?? get());
    if (situation.leave) await situation.leave(client, exchange);
    else if (situation.check) {
      await situation.check(await client.response(situation.method), client);
    } else await client.rest();
    client.destroy();
    await eventually(() => probes.length > 0, 'the application has been asked');
    const closed = (): boolean => probes.every((probe) => probe.closes() > 0);
    await eventually(closed, 'the file is closed');
    await eventually(() => exchange.server.reactor.sockets.size === 0, 'the connection is over');
    await exchange.close();
    // In which a second close would show.
    await sleep(10);
    const log = exchange.errors.getValue() + ownErrors.getValue();
    if (situation.logs) expect(log).toMatch(situation.logs);
    else if (situation.cut) expect(log).toMatch(/^(ERR_RYEGATE_RESULT_TOO_LONG: .*\n)?$/);
    else if (!situation.leave) expect(log).toBe('');
    return probes;
  }

  it.each(
    SITUATIONS.flatMap(([title, situation]) =>
      KINDS.map(([name, kind]) => ({ title, name, situation, kind })),
    ),
  )('$title: $name', async ({ situation, kind }) => {
    const before = openDescriptors();
    const probes = await run(situation, kind);
    for (const probe of probes) expect(probe.closes()).toBe(1);
    for (let i = 0; i < 200 && openDescriptors() > before; i++) await sleep(10);
    expect(openDescriptors()).toBeLessThanOrEqual(before);
    forgetDescriptors();
  });

  it('a HEAD has the fields of the GET', async () => {
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return new FileWrapper(openSync(path, 'r'));
    };
    const exchange = serve(app, { selector });
    const head = await exchange.ask(request('HEAD', '/'), 'HEAD');
    expect(field(head, 'Content-Length')).toBe(String(SIZE));
    expect(head.body.length).toBe(0);
  });
});
