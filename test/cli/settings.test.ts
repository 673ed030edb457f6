import { describe, expect, it } from 'vitest';
import { commandLine } from '../support/commandline.ts';
import { field, RawClient, text } from '../support/rawclient.ts';

const { serving } = commandLine({
  'length.mjs': `export async function app(environ, startResponse) {
    const body = await environ['wsgi.input'].read();
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return String(body.length);
  }`,
  'sync.mjs': `export function app(environ, startResponse) {
    const body = environ['wsgi.input'].readSync();
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return String(body.length);
  }`,
  'stuck.mjs': 'export const app = () => new Promise(() => {});',
});

async function post(url: string, size: number): Promise<[status: number, body: string]> {
  const answer = await fetch(url, { method: 'POST', body: 'x'.repeat(size) });
  return [answer.status, await answer.text()];
}

async function clientOf(url: string): Promise<RawClient> {
  const { hostname, port } = new URL(url);
  return await RawClient.connect([hostname, Number(port)]);
}

describe('--limit', () => {
  it('takes sizes in k', async () => {
    const url = await serving('--limit', 'bodyBytes=2k', 'length.mjs').url();
    expect(await post(url, 2048)).toEqual([200, '2048']);
    expect((await post(url, 2049))[0]).toBe(413);
  });

  it('may be repeated', async () => {
    const program = serving('--limit', 'requestLine=20', '--limit=headerCount=5', '--quiet');
    const url = await program.url();
    const short = await clientOf(url);
    await short.send('GET /234567890 HTTP/1.1\r\nHost: x\r\n\r\n');
    expect((await short.response()).status).toBe(414);
    const many = await clientOf(url);
    await many.send(`GET / HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(5)}\r\n`);
    expect((await many.response()).status).toBe(431);
  });

  it('one connection too many gets 503, and the log a line', async () => {
    const program = serving('--limit', 'connections=1', '--quiet', 'length.mjs');
    const url = await program.url();
    const first = await clientOf(url);
    await first.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    expect((await first.response()).status).toBe(200);
    const second = await clientOf(url);
    const refusal = await second.response();
    expect(refusal.status).toBe(503);
    expect(field(refusal, 'Retry-After')).toBe('1');
    await program.says(/\nryegate: ERR_RYEGATE_TOO_MANY_CONNECTIONS: [^\n]+\n$/);
    first.destroy();
    second.destroy();
  });
});

describe('--timeout', () => {
  it('may be repeated', async () => {
    const args = ['--timeout', 'head=1', '--timeout=handler=0.1', '--quiet', 'stuck.mjs'];
    const program = serving(...args);
    const url = await program.url();
    const slow = await clientOf(url);
    await slow.send('GET / HTTP/1.1\r\n');
    expect((await slow.response()).status).toBe(408);
    const answer = await fetch(url);
    expect(answer.status).toBe(503);
    await answer.text();
  });

  it('keepAlive is what clients are told', async () => {
    const url = await serving('--timeout', 'keepAlive=7', 'length.mjs').url();
    const answer = await fetch(url);
    expect(answer.headers.get('Keep-Alive')).toBe('timeout=7');
    await answer.text();
  });
});

describe('--input-buffering', () => {
  /** The body comes after the head, so that it is not there by chance. */
  async function postInTwo(url: string): Promise<[status: number, body: string]> {
    const client = await clientOf(url);
    const fields = 'Host: x\r\nContent-Length: 4\r\nExpect: 100-continue';
    await client.send(`POST / HTTP/1.1\r\n${fields}\r\n\r\n`);
    const first = await client.response();
    if (first.status !== 100) return [first.status, text(first)];
    await client.send('body');
    const answer = await client.response();
    client.destroy();
    return [answer.status, text(answer)];
  }

  it('buffer: a body can be read synchronously', async () => {
    const url = await serving('--input-buffering', 'buffer', 'sync.mjs').url();
    expect(await postInTwo(url)).toEqual([200, '4']);
  });

  it('stream, the default: it cannot', async () => {
    const program = serving('--quiet', 'sync.mjs');
    expect((await postInTwo(await program.url()))[0]).toBe(500);
    await program.says(
      /it cannot be read synchronously: make the server with inputBuffering: 'buffer'/,
    );
  });
});
