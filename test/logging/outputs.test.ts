import { renameSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { AccessLog, type Application, LogFile } from '../../src/index.ts';
import { exchanges, get, PLAIN } from '../support/exchange.ts';
import { Handler, handlerKeeper } from '../support/handlers.ts';
import { accessEntry, logPlace } from '../support/logs.ts';
import { eventually } from '../support/rawclient.ts';
import { get as ask, clientKeeper, threadKeeper } from '../support/servers.ts';
import { expectNoUnhandledRejections } from '../support/unhandled.ts';

const serve = exchanges();
const keeper = handlerKeeper();
const place = logPlace();
expectNoUnhandledRejections();

const app: Application = (_environ, startResponse) => {
  startResponse('200 OK', PLAIN);
  return 'good';
};

describe('the output', () => {
  const entry = accessEntry();
  const calls: unknown[][] = [];
  const info = (...args: unknown[]): number => calls.push(args);
  beforeEach(() => {
    calls.length = 0;
  });

  it('like console gets messages', () => {
    new AccessLog({ format: 'json', output: { info } }).log(entry);
    new AccessLog({ format: '%(m)s', output: { info } }).log(entry);
    const [[json], text] = calls as [[string], unknown];
    expect(JSON.parse(json)).toMatchObject({ client: '192.0.2.7', status: 200 });
    expect([json.endsWith('}'), text]).toEqual([true, ['GET']]);
  });

  it('like pino gets objects, but for a format of text', () => {
    const output = { info, child: () => output, write: () => expect.unreachable() };
    new AccessLog({ format: 'json', output }).log(entry);
    new AccessLog({ format: '%(m)s', output }).log(entry);
    expect(calls).toEqual([[expect.objectContaining({ status: 200, bytes: 13 })], ['GET']]);
  });

  it.each([null, undefined, 'access.log', {}, { write: true }])('%s is refused', (output) => {
    const make = (): AccessLog => new AccessLog({ output: output as never });
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_RYEGATE_OPTION' }));
  });

  it('an option that does not exist, and what is no AccessLog, are refused', () => {
    const options = { output: { info }, formt: 'json' };
    const refusal = expect.objectContaining({ code: 'ERR_RYEGATE_OPTION' });
    expect(() => new AccessLog(options)).toThrow(refusal);
    expect(() => keeper.serve(Handler, { accessLog: { log() {} } as never })).toThrow(refusal);
  });

  it('that throws, or rejects, is told to handleError(), and the client has its answer', async () => {
    const failure = new Error('no log today');
    for (const fail of [
      () => {
        throw failure;
      },
      async () => {
        throw failure;
      },
    ]) {
      const accessLog = new AccessLog({ output: { info: fail } });
      class Hello extends Handler {
        doGET(): void {
          this.sendResponse(200);
          this.endHeaders();
        }
      }
      const server = keeper.serve(Hello, { accessLog });
      expect((await keeper.ask(server, get('/'))).status).toBe(200);
      await eventually(() => server.failures.length > 0, 'it is told');
      expect(server.failures).toEqual([failure]);
    }
  });
});

describe('a log file', () => {
  it('is rotated under load without a line lost or doubled', async () => {
    const path = place.path();
    const file = place.keep(new LogFile(path));
    const accessLog = new AccessLog({ format: '%(q)s %(s)s', output: file });
    const exchange = serve(app, { accessLog, validate: false });
    const clients = await Promise.all(Array.from({ length: 8 }, () => exchange.client()));
    let rotations = 0;
    const rotating = setInterval(() => {
      renameSync(path, `${path}.${rotations++}`);
      file.reopen();
    }, 7);
    await Promise.all(
      clients.map(async (client, index) => {
        for (let i = 0; i < 100; i++) {
          await client.send([0, 1, 2, 3, 4].map((n) => get(`/good?${index}.${i}.${n}`)).join(''));
          for (let n = 0; n < 5; n++) await client.response();
        }
      }),
    );
    clearInterval(rotating);
    await file.close();
    const files = [...Array(rotations).keys()].map((n) => `${path}.${n}`);
    const logged = [...files, path]
      .map((name) => place.read(name))
      .join('')
      .split('\n');
    expect(rotations).toBeGreaterThan(3);
    expect(logged).toHaveLength(4001);
    expect(new Set(logged).size).toBe(4001);
    for (const client of clients.keys()) {
      const own = logged.filter((line) => line.startsWith(`${client}.`));
      const asked = [...Array(500).keys()].map(
        (n) => `${client}.${Math.floor(n / 5)}.${n % 5} 200`,
      );
      expect(own).toEqual(asked);
    }
  });

  it('on a full disk: the service goes on', async () => {
    const file = place.keep(new LogFile('/dev/full'));
    const exchange = serve(app, { accessLog: new AccessLog({ output: file }) });
    for (let i = 0; i < 20; i++) {
      expect((await exchange.ask(get('/good'))).status).toBe(200);
      await file.flush();
    }
    expect(file.dropped).toBe(19);
  });
});

describe('where the thread is blocked', () => {
  const startThread = threadKeeper();
  const clients = clientKeeper();

  it('lines are in the file all the same, and errors too', async () => {
    const paths = { access: place.path(), error: place.path() };
    const other = startThread(
      `
      const { access, error } = workerData;
      const app = (environ, startResponse) => {
        environ['wsgi.errors'].write('from the application\\n');
        startResponse('200 OK', [['Content-Type', 'text/plain']]);
        return ['hello'];
      };
      const accessLog = new ryegate.AccessLog({
        format: '%(m)s %(s)s',
        output: new ryegate.LogFile(access),
      });
      const errorLog = new ryegate.LogFile(error);
      const made = ryegate.makeServer('127.0.0.1', 0, app, { accessLog, errorLog });
      tell({ handle: made.shutdownHandle, address: made.serverAddress });
      made.serveForeverSync(60);
      tell('ended');
      await made.serverClose();
      process.exit();
      `,
      paths,
    );
    const { handle, address } = await other.ready();
    const agent = clients.agent();
    for (let i = 1; i <= 3; i++) {
      expect((await ask(address, '/', agent)).body).toBe('hello');
      const isWritten = (): boolean => place.read(paths.access) === 'GET 200\n'.repeat(i);
      await eventually(isWritten, 'the line is written');
      expect(place.read(paths.error)).toBe('from the application\n'.repeat(i));
    }
    handle.shutdownSync(20);
    expect(await other.next()).toBe('ended');
    await other.end();
  });
});
