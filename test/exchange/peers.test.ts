import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backends, describeBackends } from '../support/backends.ts';
import { bounded, eventually } from '../support/rawclient.ts';
import { requireTool, runTool } from '../support/tools.ts';

// Programs by others against the command line as a user runs it: dist/ is made by `npm test`.
const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

const APP = `
import { createHash } from 'node:crypto';
async function sum(input, startResponse) {
  const body = await input.read();
  const digest = createHash('sha256').update(body).digest('hex');
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return body.length + ' ' + digest;
}
export function app(environ, startResponse) {
  const input = environ['wsgi.input'];
  switch (environ.PATH_INFO) {
    case '/echo':
      startResponse('200 OK', [['Content-Type', 'application/octet-stream']]);
      return input;
    case '/sum':
      return sum(input, startResponse);
    case '/refuse':
      startResponse('403 Forbidden', [['Content-Type', 'text/plain']]);
      return 'not wanted';
    case '/stream':
      startResponse('200 OK', [['Content-Type', 'text/plain']]);
      return (function* () { for (let i = 0; i < 1000; i++) yield 'line ' + i + '\\n'; })();
    case '/pid':
      startResponse('200 OK', [['Content-Type', 'text/plain']]);
      return String(process.pid);
    default:
      startResponse('200 OK', [['Content-Type', 'text/plain']]);
      return environ.REQUEST_METHOD + ' ' + environ.PATH_INFO;
  }
}
`;

requireTool('curl', '--version');
requireTool('wrk', '-v');
requireTool('python3', '--version');

const folder = mkdtempSync(join(tmpdir(), 'ryegate-peers-'));
writeFileSync(join(folder, 'app.mjs'), APP);
const upload = join(folder, 'upload');
writeFileSync(upload, Buffer.alloc(1024 * 1024, 'one megabyte of upload '));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Program {
  url: string;
  port: string;
  /** What it has said on standard error. */
  said: () => string;
  stop: () => Promise<number | null>;
}

/** `ryegate` in a process of its own. */
async function start(selector: string): Promise<Program> {
  const options = ['--quiet', '--bind', '127.0.0.1:0', '--selector', selector, './app.mjs'];
  const child = spawn(process.execPath, [cli, ...options], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', resolve);
  });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  let port: string | undefined;
  try {
    await eventually(() => said.includes('\n') || child.exitCode !== null, 'the server listens');
    port = /^ryegate: listening on http:\/\/127\.0\.0\.1:(\d+) \(\w+\)\n/.exec(said)?.[1];
    if (port === undefined) throw new Error(`the server said: ${said}`);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    said: () => said.slice(said.indexOf('\n') + 1),
    stop() {
      child.kill('SIGTERM');
      return bounded(exited, 'the end of the server');
    },
  };
}

async function curl(...args: string[]): Promise<string> {
  return (await runTool('curl', '-sS', '--max-time', '20', ...args)).stdout;
}

/** What wrk counted; throws when anything went wrong. */
async function wrk(url: string, seconds: number): Promise<number> {
  const { stdout } = await runTool('wrk', '-t1', '-c64', `-d${seconds}s`, url);
  expect(stdout).not.toContain('Non-2xx');
  expect(stdout).not.toContain('Socket errors');
  return Number(/(\d+) requests in/.exec(stdout)?.[1]);
}

const PYTHON = `
import hashlib, http.client, json, sys
connection = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]), timeout=20)
answers, sockets = [], set()
def ask(*args, **options):
    connection.request(*args, **options)
    sockets.add(connection.sock.getsockname())
    response = connection.getresponse()
    answers.append([response.status, response.version, response.read().decode()])
for i in range(20):
    ask('GET', '/%d' % i)
ask('HEAD', '/head')
ask('POST', '/sum', body=b'x' * 100000)
pieces = [b'piece %d ' % i * 1000 for i in range(50)]
ask('POST', '/sum', body=iter(pieces), headers={'Transfer-Encoding': 'chunked'}, encode_chunked=True)
whole = b''.join(pieces)
expected = '%d %s' % (len(whole), hashlib.sha256(whole).hexdigest())
ask('GET', '/stream')
ask('GET', '/last')
print(json.dumps({'answers': answers, 'connections': len(sockets), 'expected': expected}))
`;

describe('one process', () => {
  let server: Program;
  let pid: string;
  beforeAll(async () => {
    const [asked = 'auto'] = process.env.RYEGATE_TEST_BACKENDS === undefined ? [] : backends();
    server = await start(asked);
    pid = await curl(`${server.url}/pid`);
  });
  afterAll(async () => {
    expect(await curl(`${server.url}/pid`)).toBe(pid);
    expect(server.said()).toBe('');
    expect(await server.stop()).toBe(0);
  });

  it('serves curl: GET, HEAD, POST, HTTP/1.0', async () => {
    expect(await curl(`${server.url}/a`)).toBe('GET /a');
    expect(await curl('-I', `${server.url}/a`)).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n$/);
    expect(await curl('-d', 'body', `${server.url}/echo`)).toBe('body');
    expect(await curl('--http1.0', `${server.url}/a`)).toBe('GET /a');
    const stream = await curl('--http1.0', `${server.url}/stream`);
    expect(stream.split('\n')).toHaveLength(1001);
    expect(await curl(`${server.url}/stream`)).toBe(stream);
    expect(await curl('-X', 'OPTIONS', '--request-target', '*', server.url)).toBe('OPTIONS ');
  });

  it('serves curl: many requests on one connection', async () => {
    const urls = Array.from({ length: 20 }, (_, i) => `${server.url}/${i}`);
    const answers = await curl('-w', ' %{num_connects}\n', ...urls);
    const lines = answers.trim().split('\n');
    expect(lines).toEqual(urls.map((_, i) => `GET /${i} ${i === 0 ? 1 : 0}`));
  });

  it('serves curl: an upload of 1 MB that waits for 100 Continue', async () => {
    const expecting = ['-H', 'Expect: 100-continue', '--expect100-timeout', '10'];
    const sum = createHash('sha256').update(readFileSync(upload)).digest('hex');
    const sending = [...expecting, '--data-binary', `@${upload}`, `${server.url}/sum`];
    const { stdout, stderr } = await runTool('curl', '-sSv', ...sending);
    expect(stdout).toBe(`1048576 ${sum}`);
    expect(stderr).toContain('< HTTP/1.1 100 Continue');
    const chunked = ['-H', 'Transfer-Encoding: chunked', '-T', upload];
    expect(await curl(...expecting, ...chunked, `${server.url}/sum`)).toBe(`1048576 ${sum}`);
    const refused = ['-w', ' %{http_code}', '--data-binary', `@${upload}`];
    expect(await curl(...expecting, ...refused, `${server.url}/refuse`)).toBe('not wanted 403');
  });

  it("serves Python's http.client: one connection, chunked upload", async () => {
    const { stdout } = await runTool('python3', '-c', PYTHON, server.port);
    const { answers, connections, expected } = JSON.parse(stdout);
    const gets = Array.from({ length: 20 }, (_, i) => [200, 11, `GET /${i}`]);
    expect(answers.slice(0, 20)).toEqual(gets);
    expect(answers[20]).toEqual([200, 11, '']);
    expect(answers[21][2]).toMatch(/^100000 /);
    expect(answers[22]).toEqual([200, 11, expected]);
    expect(answers[23][2].split('\n')).toHaveLength(1001);
    expect(answers[24]).toEqual([200, 11, 'GET /last']);
    expect(connections).toBe(1);
  });

  it("serves Node's fetch: streams both ways", async () => {
    const response = await fetch(`${server.url}/a`);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('GET /a');
    const decoder = new TextDecoder();
    let step = 0;
    let answered = (): void => {};
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        // The next piece goes out when the one before has come back.
        if (step > 0) {
          await new Promise<void>((resolve) => {
            answered = resolve;
          });
        }
        if (step === 5) controller.close();
        else controller.enqueue(Buffer.from(`ping ${step++}`));
      },
    });
    const options = { method: 'POST', body, duplex: 'half' } as RequestInit;
    const echo = await bounded(fetch(`${server.url}/echo`, options), 'the head of the echo');
    const seen: string[] = [];
    for await (const chunk of echo.body as AsyncIterable<Uint8Array>) {
      seen.push(decoder.decode(chunk));
      answered();
    }
    expect(seen).toEqual(['ping 0', 'ping 1', 'ping 2', 'ping 3', 'ping 4']);
    const many = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => (await fetch(`${server.url}/${i}`)).text()),
    );
    expect(many).toEqual(Array.from({ length: 100 }, (_, i) => `GET /${i}`));
  });

  it('serves wrk: 64 connections, 3 s, without an error', async () => {
    expect(await wrk(`${server.url}/wrk`, 3)).toBeGreaterThan(0);
    expect(await curl(`${server.url}/a`)).toBe('GET /a');
  });
});

describeBackends('the command line', (selector) => {
  it('serves curl and wrk', async () => {
    const server = await start(selector);
    try {
      expect(await curl(`${server.url}/a`)).toBe('GET /a');
      expect(await wrk(`${server.url}/wrk`, 1)).toBeGreaterThan(0);
      expect(await wrk(`${server.url}/stream`, 1)).toBeGreaterThan(0);
      expect(await curl(`${server.url}/b`)).toBe('GET /b');
      expect(server.said()).toBe('');
    } finally {
      expect(await server.stop()).toBe(0);
    }
  });
});
