import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { makeServer, validator, type WSGIServer } from '../../src/index.ts';
import { main, type Program, programStarter, root, validating } from '../support/programs.ts';
import { childrenOf, isAlive, until } from '../support/supervised.ts';

const start = programStarter();

/** With its application validated, if it has one. */
function run(name: string): Program {
  return start(process.execPath, [...validating, join(root, 'examples', name)]);
}

/** Sends `bytes` and finishes, as `nc -N` does; returns what comes back. */
async function converse(port: number, bytes: Buffer | string, from = '127.0.0.1'): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, localAddress: from });
  socket.end(bytes);
  return await text(socket);
}

/** What an example says on standard output, and that it ends as it should. */
async function endsCleanly(program: Program, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  expect(await program.stop(signal)).toEqual([0, null]);
}

/** Every file of the folder, with the test that runs it below; the folders are for service.mjs. */
it('are all tested here', () => {
  expect(readdirSync(join(root, 'examples')).sort()).toEqual([
    'demo.js',
    'docker',
    'download.mjs',
    'echo-server.js',
    'embedded.js',
    'kubernetes',
    'selector-pipe.js',
    'serverprocess.mjs',
    'serverthread.mjs',
    'service-actions.js',
    'service.mjs',
    'staticsite.mjs',
    'systemd',
    'typescript-app.ts',
    'upload.mjs',
    'verify-request.js',
    'wsgi-hello.js',
  ]);
});

it('serverthread.mjs drains a server in another thread, and awaits what it tells', async () => {
  const program = run('serverthread.mjs');
  expect(await program.exit).toEqual([0, null]);
  const lines = program.stdout.trimEnd().split('\n');
  expect(lines.slice(-5)).toEqual([
    'drained: 0 open',
    'answer 1',
    'answer 2',
    'answer 3',
    'drained: 3 finished, 0 aborted',
  ]);
  expect(program.stderr).toBe('');
});

it('serverprocess.mjs does the same with a child process, by a signal', async () => {
  const program = run('serverprocess.mjs');
  expect(await program.exit).toEqual([0, null]);
  expect(program.stdout).toBe(
    'answer 1\nanswer 2\nanswer 3\ndrained: 3 finished, 0 aborted\nexit status 0\n',
  );
  expect(program.stderr).toBe('');
});

it('serverprocess.mjs leaves no server behind when it is killed', async () => {
  const program = run('serverprocess.mjs');
  const { pid } = program.child;
  let child: number | undefined;
  await until(() => {
    [child] = childrenOf(pid as number).alive;
    return child !== undefined;
  }, 'it has started its server');
  await program.stop('SIGKILL');
  await until(() => !isAlive(child as number), 'the server has ended');
});

describe.each(['SIGINT', 'SIGTERM'] as const)('every server of the examples, on %s,', (signal) => {
  it.each([
    'demo.js',
    'download.mjs',
    'echo-server.js',
    'embedded.js',
    'service-actions.js',
    'service.mjs',
    'staticsite.mjs',
    'upload.mjs',
    'verify-request.js',
    'wsgi-hello.js',
  ])('ends cleanly: %s', async (name) => {
    const program = run(name);
    await program.says(/127\.0\.0\.1:\d+/, 'stdout');
    await endsCleanly(program, signal);
    expect(program.stderr).toBe('');
  });
});

describe('wsgi-hello.js', () => {
  it('greets', async () => {
    const program = run('wsgi-hello.js');
    const response = await fetch(`${await program.url('stdout')}/there`);
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(await response.text()).toBe('Hello from /there\n');
  });

  it('is an application for the command line', async () => {
    const args = [...validating, main, '--bind', '127.0.0.1:0', 'examples/wsgi-hello.js'];
    const program = start(process.execPath, args, { cwd: root });
    expect(await (await fetch(`${await program.url()}/x`)).text()).toBe('Hello from /x\n');
    expect(program.stdout).toBe('');
  });
});

describe('demo.js', () => {
  it('shows the sorted environ and logs the request', async () => {
    const program = run('demo.js');
    const response = await fetch(`${await program.url('stdout')}/x?y=1`);
    const lines = (await response.text()).split('\n');
    expect(lines.slice(0, 2)).toEqual(['Hello world!', '']);
    expect(lines).toContain("QUERY_STRING = 'y=1'");
    await program.says(/"GET \/x\?y=1 HTTP\/1\.1" 200 \d+\n/);
  });
});

describe('echo-server.js', () => {
  it('sends back what it gets, to many clients at once', async () => {
    const program = run('echo-server.js');
    const [, port] = await program.says(/127\.0\.0\.1:(\d+)\n/, 'stdout');
    const messages = Array.from({ length: 20 }, (_, index) => `client ${index}\n`.repeat(10_000));
    const echoes = await Promise.all(messages.map((message) => converse(Number(port), message)));
    expect(echoes).toEqual(messages);
  });
});

describe('embedded.js', () => {
  it('answers while its timer ticks', async () => {
    const program = run('embedded.js');
    const url = await program.url('stdout');
    const responses = await Promise.all([fetch(url), fetch(url), fetch(url)]);
    for (const response of responses) {
      const { ticksMeanwhile } = (await response.json()) as { ticksMeanwhile: number };
      expect(ticksMeanwhile).toBeGreaterThan(0);
    }
  });
});

describe('service-actions.js', () => {
  it('reports by the poll interval without any request, and counts those that come', async () => {
    const program = run('service-actions.js');
    const url = await program.url('stdout');
    await program.says(/since the last report: 0\n/, 'stdout');
    for (let i = 0; i < 3; i += 1) expect((await fetch(url)).status).toBe(200);
    const sum = (): number =>
      [...program.stdout.matchAll(/report: (\d+)\n/g)].reduce((all, [, n]) => all + Number(n), 0);
    await expect.poll(sum, { timeout: 10_000 }).toBe(3);
  });
});

describe('verify-request.js', () => {
  it('serves a client that is admitted and hangs up on another', async () => {
    const program = run('verify-request.js');
    const { port } = new URL(await program.url('stdout'));
    const request = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    expect(await converse(Number(port), request)).toMatch(
      /^HTTP\/1\.1 200 [\s\S]*welcome, 127\.0\.0\.1/,
    );
    expect(await converse(Number(port), '', '127.0.0.2')).toBe('');
    expect(await converse(Number(port), request)).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('staticsite.mjs', () => {
  it('has assets for ever, pages that are asked for again, and an application behind', async () => {
    const program = run('staticsite.mjs');
    const url = await program.url('stdout');
    const page = await fetch(`${url}/`);
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('cache-control')).toBe('max-age=0');
    const [, style] = /href="(\/assets\/site\.\w{8}\.css)"/.exec(await page.text()) ?? [];

    const headers = { 'If-None-Match': page.headers.get('etag') as string };
    expect((await fetch(`${url}/`, { headers })).status).toBe(304);

    const asset = await fetch(`${url}${style}`, { headers: { 'Accept-Encoding': 'br' } });
    expect(asset.headers.get('cache-control')).toBe('max-age=31536000, immutable');
    expect(asset.headers.get('content-encoding')).toBe('br');
    expect(await asset.text()).toMatch(/^(body \{.*\}\n){9}$/);

    expect(await (await fetch(`${url}/time`)).text()).toMatch(/^\d{4}-\d\d-\d\dT.*Z\n$/);
    const missing = await fetch(`${url}/assets/site.css`);
    expect([missing.status, await missing.text()]).toEqual([404, 'There is nothing here.\n']);
    await endsCleanly(program);
  });
});

describe('download.mjs', () => {
  it('sends the file to who has the link, by the name that it has', async () => {
    const program = run('download.mjs');
    const [, link = ''] = await program.says(/(http:\S+)\n/, 'stdout');
    const response = await fetch(link);
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(response.headers.get('content-length')).toBe('900000');
    expect(response.headers.get('content-disposition')).toBe(
      `attachment; filename="Ums_tze _2026_.csv"; filename*=UTF-8''Ums%C3%A4tze%20%222026%22.csv`,
    );
    expect(await response.text()).toBe('day,sold\n'.repeat(100_000));
    await endsCleanly(program);
  });

  it('refuses everybody else', async () => {
    const program = run('download.mjs');
    const [, link = ''] = await program.says(/(http:\S+)\n/, 'stdout');
    const expires = Number(new URL(link).searchParams.get('expires'));
    const others = [
      link.replace(/token=.*/, ''),
      link.replace(/token=./, (start) => (start.endsWith('A') ? 'token=B' : 'token=A')),
      link.replace(String(expires), String(expires + 1)),
      link.replace('/sales', '/other'),
    ];
    for (const other of others) expect((await fetch(other)).status, other).toBe(403);
    await endsCleanly(program);
  });
});

describe('upload.mjs', () => {
  it.each([100, 5_000_000])('stores %i bytes, and has them to be downloaded', async (size) => {
    const program = run('upload.mjs');
    const url = await program.url('stdout');
    const body = Buffer.alloc(size, 'what was sent');
    const stored = await fetch(url, { method: 'PUT', body });
    expect(stored.status).toBe(201);
    const location = stored.headers.get('location');
    expect(await stored.json()).toEqual({ name: location?.replace('/files/', ''), size });

    const download = await fetch(`${url}${location}`);
    expect(download.headers.get('content-disposition')).toBe('attachment');
    expect(Buffer.from(await download.arrayBuffer()).equals(body)).toBe(true);
    expect((await fetch(url)).status).toBe(404);
    await endsCleanly(program);
  });
});

describe('selector-pipe.js', () => {
  it('waits for the pipe', async () => {
    const program = run('selector-pipe.js');
    expect(await program.exit).toEqual([0, null]);
    expect(program.stdout).toBe('ready before the write: 0\nthe reading end has: some bytes\n');
  });
});

describe('typescript-app.ts', () => {
  let server: WSGIServer | undefined;

  afterEach(async () => {
    await server?.serverClose();
    server = undefined;
  });

  it('is an application', async () => {
    const { app } = await import('../../examples/typescript-app.ts');
    server = makeServer('127.0.0.1', 0, validator(app));
    const serving = server.serveForever();
    const response = await fetch(`http://127.0.0.1:${server.serverPort}/?name=Rye`);
    expect(await response.text()).toBe('Hello, Rye!\n');
    await server.shutdown();
    await serving;
  });

  it('is loaded by the command line where Node can; elsewhere it says what can', async () => {
    const args = [...validating, main, '--bind', '127.0.0.1:0', 'examples/typescript-app.ts'];
    const program = start(process.execPath, args, { cwd: root });
    if (Reflect.get(process.features, 'typescript')) {
      const response = await fetch(`${await program.url()}/?name=Rye`);
      expect(await response.text()).toBe('Hello, Rye!\n');
      return;
    }
    expect(await program.exit).toEqual([1, null]);
    expect(program.stderr).toMatch(/^ryegate: .*cannot load TypeScript.*22\.18 or newer.*\n$/);
  });
});
