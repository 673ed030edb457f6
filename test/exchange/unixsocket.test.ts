import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { Application } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { echo, exchanges, get, PLAIN, post } from '../support/exchange.ts';
import { eventually, text } from '../support/rawclient.ts';
import { requireTool, runTool } from '../support/tools.ts';

requireTool('curl', '--version');

const folder = mkdtempSync(join(tmpdir(), 'ryegate-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describeBackends('a unix socket', (selector) => {
  const serve = exchanges();

  it('serves requests as a TCP socket does', async () => {
    const exchange = serve(echo, { selector, address: join(folder, `echo-${selector}.sock`) });
    const client = await exchange.client();
    await client.send(get('/a') + post('body') + get('/b'));
    expect(JSON.parse(text(await client.response()))).toMatchObject({ path: '/a' });
    expect(JSON.parse(text(await client.response()))).toMatchObject({ body: 'body' });
    expect(JSON.parse(text(await client.response()))).toMatchObject({ path: '/b' });
    client.halfClose();
    expect((await client.rest()).toString()).toBe('');
  });

  // Node 20 cannot connect to abstract names.
  it('of an abstract name is reached by curl', async () => {
    const name = `ryegate-${process.pid}-${selector}`;
    const exchange = serve(echo, { selector, address: `\0${name}` });
    const url = ['--abstract-unix-socket', name, 'http://test/a?b'];
    const { stdout } = await runTool('curl', '-sS', '--max-time', '10', ...url);
    expect(JSON.parse(stdout)).toMatchObject({ path: '/a', query: 'b' });
    expect(exchange.server.serverAddress).toBe(`\0${name}`);
  });

  it('gives the environ no address of the client, and a server that has a name', async () => {
    const app: Application = (environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      const { REMOTE_ADDR, REMOTE_PORT, SERVER_NAME, SERVER_PORT } = environ;
      return JSON.stringify({ REMOTE_ADDR, REMOTE_PORT, SERVER_NAME, SERVER_PORT });
    };
    const exchange = serve(app, { selector, address: join(folder, `environ-${selector}.sock`) });
    expect(JSON.parse(text(await exchange.ask(get())))).toEqual({
      REMOTE_ADDR: '',
      REMOTE_PORT: '',
      SERVER_NAME: 'localhost',
      SERVER_PORT: '0',
    });
  });

  it('takes 10 MB at the pace of the client', async () => {
    const bytes = Buffer.alloc(10 * 1024 * 1024, 'unix socket ');
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return bytes;
    };
    const exchange = serve(app, { selector, address: join(folder, `big-${selector}.sock`) });
    const client = await exchange.client();
    client.socket.pause();
    await client.send(get());
    const buffered = (): number => [...exchange.server.reactor.sockets.values()][0]?.buffered ?? 0;
    await eventually(() => buffered() > 0, 'the kernel takes no more');
    client.socket.resume();
    expect((await client.response()).body.equals(bytes)).toBe(true);
  });

  it('tells the handler, once it sends, that the client has gone', async () => {
    let signal: AbortSignal | undefined;
    const app: Application = async (environ, startResponse) => {
      signal = environ['ryegate.signal'];
      startResponse('200 OK', PLAIN);
      for (let i = 0; i < 20 && !signal.aborted; i++) {
        await new Promise((resolve) => {
          setTimeout(resolve, 5);
        });
      }
      return (function* () {
        for (;;) yield Buffer.alloc(65_536);
      })();
    };
    const exchange = serve(app, { selector, address: join(folder, `gone-${selector}.sock`) });
    const client = await exchange.client();
    await client.send(get());
    await eventually(() => signal !== undefined, 'the handler is at work');
    client.destroy();
    await eventually(() => signal?.aborted === true, 'the signal has fired');
  });
});
