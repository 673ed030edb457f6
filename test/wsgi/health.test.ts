import { request } from 'node:http';
import { describe, expect, it } from 'vitest';
import {
  type Application,
  type HealthOptions,
  healthChecks,
  type WSGIServer,
} from '../../src/index.ts';
import {
  clientKeeper,
  eventually,
  gate,
  get,
  hello,
  rejectionCode,
  runScript,
  serverKeeper,
} from '../support/servers.ts';

const servers = serverKeeper();
const clients = clientKeeper();

/** A server of `hello` with health checks. */
function serving(options?: HealthOptions): WSGIServer {
  const server = servers.make(healthChecks(hello, options));
  servers.serve(server);
  return server;
}

/** Asks such a server. */
function served(options?: HealthOptions): (path: string) => ReturnType<typeof get> {
  const server = serving(options);
  return (path) => get(server.serverAddress, path);
}

/** Until so many probes wait for their checks. */
function waiting(server: WSGIServer, probes: number): Promise<void> {
  return eventually(() => server.stats().connections.responding === probes, 'the probes wait');
}

/** Status and body. */
async function probe(options: HealthOptions, path = '/readyz'): Promise<[number, string]> {
  const { status, body } = await served(options)(path);
  return [status, body];
}

it.each(['/healthz', '/readyz', '/healthz?full=1', '/%72eadyz'])(
  '%s: all is well',
  async (path) => {
    const { status, headers, body } = await served()(path);
    expect([status, body]).toEqual([200, 'ok\n']);
    expect(headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(headers['cache-control']).toBe('no-store');
    expect(headers['content-length']).toBe('3');
  },
);

it('HEAD gets the fields alone', async () => {
  const server = servers.make(healthChecks(hello, { server: { draining: true } }));
  servers.serve(server);
  const client = await clients.connect(server.serverAddress);
  client.socket.write('HEAD /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  const text = await client.end();
  expect(text).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/);
  expect(text).toContain('Content-Length: 9\r\n');
  expect(text).toMatch(/\r\n\r\n$/);
});

describe('everything else goes to the application', () => {
  it.each(['/', '/healthz/', '/healthzx', '/readyz/x', '/x/healthz', '/HEALTHZ'])(
    '%s',
    async (path) => {
      expect((await served()(path)).body).toBe(`hello ${path}`);
    },
  );

  it('POST of a path that is ours, with the body unread', async () => {
    const echo: Application = async (environ, startResponse) => {
      startResponse('200 OK', [['Content-Type', 'text/plain']]);
      return await environ['wsgi.input'].read();
    };
    const server = servers.make(healthChecks(echo));
    servers.serve(server);
    const body = await new Promise<string>((resolve, reject) => {
      const { serverPort: port } = server;
      const sent = request({ host: '127.0.0.1', port, path: '/healthz', method: 'POST' });
      sent.on('response', (response) => {
        response.setEncoding('utf8').on('data', resolve);
      });
      sent.on('error', reject).end('what was sent');
    });
    expect(body).toBe('what was sent');
  });

  it('the environ and its arguments as they are, and its result', () => {
    const seen: unknown[] = [];
    const result: string[] = [];
    const app: Application = (...args) => {
      seen.push(...args);
      return result;
    };
    const environ = { REQUEST_METHOD: 'GET', PATH_INFO: '/healthz', SCRIPT_NAME: '/below' };
    const startResponse = (): never => {
      throw new Error('not called');
    };
    const args = [environ, startResponse] as unknown as Parameters<Application>;
    expect(healthChecks(app)(...args)).toBe(result);
    expect(seen[0]).toBe(environ);
    expect(seen[1]).toBe(startResponse);
  });

  it.each([true, false, undefined])('usesSignal = %j counts on', (usesSignal) => {
    const app = Object.assign((...args: Parameters<Application>) => hello(...args), { usesSignal });
    expect(healthChecks(app).usesSignal).toBe(usesSignal);
  });
});

it('other paths, and none', async () => {
  const ask = served({ live: '/live', ready: null });
  expect((await ask('/live')).body).toBe('ok\n');
  expect((await ask('/healthz')).body).toBe('hello /healthz');
  expect((await ask('/readyz')).body).toBe('hello /readyz');
});

it('is not ready from the time on that the server drains, and lives on', async () => {
  const server = { draining: false };
  let asked = 0;
  const ask = served({ server, checks: { counted: () => ++asked > 0 } });
  expect((await ask('/readyz')).status).toBe(200);
  server.draining = true;
  const { status, body, headers } = await ask('/readyz');
  expect([status, body]).toEqual([503, 'draining\n']);
  expect(headers['cache-control']).toBe('no-store');
  expect((await ask('/healthz')).status).toBe(200);
  expect((await ask('/')).status).toBe(200);
  expect(asked).toBe(1);
});

describe('checks', () => {
  it('all have to say yes', async () => {
    const checks = { here: () => true, there: async () => true };
    expect(await probe({ checks })).toEqual([200, 'ok\n']);
  });

  it.each<[string, () => boolean | Promise<boolean>]>([
    ['says no', () => false],
    ['says no later', async () => false],
    [
      'throws',
      () => {
        throw new Error('the password of the database is 1234');
      },
    ],
    ['is rejected', () => Promise.reject(new Error('the password of the database is 1234'))],
    ['says nothing', () => undefined as unknown as boolean],
  ])('one that %s is named, without a word of why', async (_, check) => {
    const checks = { fine: () => true, database: check, alsoFine: async () => true };
    expect(await probe({ checks })).toEqual([503, 'database\n']);
  });

  it('do not count for liveness', async () => {
    expect(await probe({ checks: { database: () => false } }, '/healthz')).toEqual([200, 'ok\n']);
  });

  it('that hang count as a no when their time is up', async () => {
    const checks = { stuck: () => new Promise<boolean>(() => {}), fine: async () => true };
    expect(await probe({ checks, checkTimeout: 0.05 })).toEqual([503, 'stuck\n']);
  });

  it('are shared by the probes that come meanwhile, and run again afterwards', async () => {
    let asked = 0;
    const { opened, open } = gate();
    const check = async (): Promise<boolean> => {
      asked++;
      await opened;
      return true;
    };
    const server = serving({ checks: { check } });
    const ask = (): ReturnType<typeof get> => get(server.serverAddress, '/readyz');
    const answers = [ask(), ask(), ask()];
    await waiting(server, 3);
    open();
    for (const { status } of await Promise.all(answers)) expect(status).toBe(200);
    expect(asked).toBe(1);
    expect((await ask()).status).toBe(200);
    expect(asked).toBe(2);
  });

  it('that say yes while the server begins to drain do not make it ready', async () => {
    const state = { draining: false };
    const { opened, open } = gate();
    const server = serving({ server: state, checks: { slow: () => opened.then(() => true) } });
    const answered = get(server.serverAddress, '/readyz');
    await waiting(server, 1);
    state.draining = true;
    open();
    expect((await answered).body).toBe('draining\n');
  });

  it('that are synchronous work under serveForeverSync()', async () => {
    const said = await runScript(`
      import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
      import { once } from 'node:events';
      const worker = new Worker(
        'import(process.argv[2]).then(({ makeServer, healthChecks, demoApp }) => {' +
        'let well = true;' +
        'const app = healthChecks(demoApp, { checks: { turns: () => (well = !well) } });' +
        'const server = makeServer("127.0.0.1", 0, app, { logRequests: false });' +
        'const { parentPort } = process.getBuiltinModule("node:worker_threads");' +
        'parentPort.postMessage([server.serverPort, server.shutdownHandle]);' +
        'server.serveForeverSync(); server.serverClose(); })',
        { eval: true, execArgv: [], argv: [process.argv[1]] },
      );
      const [[port, handle]] = await once(worker, 'message');
      const statuses = [];
      for (const path of ['readyz', 'readyz', 'healthz']) {
        statuses.push((await fetch('http://127.0.0.1:' + port + '/' + path)).status);
      }
      const { ShutdownHandle } = await import(process.argv[1]);
      await ShutdownHandle.from(handle).shutdown();
      console.log(statuses.join());`);
    expect(said).toBe('503,200,200\n');
  });
});

describe('refuses', () => {
  it.each<[string, unknown]>([
    ['live', 'healthz'],
    ['live', ''],
    ['ready', 5],
    ['ready', '/ready?all'],
    ['ready', '/healthz'],
    ['checkTimeout', '5'],
    ['checkTimeout', 0],
    ['checkTimeout', Number.NaN],
    ['checks.database', { checks: { database: true } }],
    ['redy', '/readyz'],
  ])('the option %s: %j', async (name, value) => {
    const options = name.startsWith('checks.') ? value : { [name]: value };
    const making = async (): Promise<Application> => healthChecks(hello, options as HealthOptions);
    expect(await rejectionCode(making())).toBe('ERR_RYEGATE_OPTION');
    await expect(making()).rejects.toThrow(name);
  });

  it('what is no application', () => {
    const error = expect.objectContaining({ code: 'ERR_RYEGATE_APPLICATION' });
    expect(() => healthChecks({} as Application)).toThrow(error);
  });
});
