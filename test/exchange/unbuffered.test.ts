import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Application, ServerAddress } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { content, echoSync, withLength } from '../support/bodies.ts';
import { exchanges, get, PLAIN, post, request } from '../support/exchange.ts';
import { eventually, text } from '../support/rawclient.ts';
import { clientKeeper, threadKeeper } from '../support/servers.ts';

const MIB = 1024 * 1024;
/** Where one receive takes as much as was sent at once, unlike on a unix socket. */
const TCP: ServerAddress = ['127.0.0.1', 0];

describeBackends("inputBuffering: 'stream'", (selector) => {
  const serve = exchanges();

  it('has readSync() throw where it would wait, and work where it need not', async () => {
    const app: Application = async (environ, startResponse) => {
      const input = environ['wsgi.input'];
      const codes: unknown[] = [];
      for (const name of ['readSync', 'readlineSync', 'readlinesSync'] as const) {
        try {
          codes.push(input[name]().length);
        } catch (error) {
          codes.push((error as { code?: unknown }).code);
        }
      }
      const body = await input.read();
      startResponse('200 OK', PLAIN);
      return JSON.stringify([codes, body.toString(), input.readSync().length]);
    };
    const exchange = serve(app, { selector });
    const refused = 'ERR_RYEGATE_INPUT_NOT_BUFFERED';
    const client = await exchange.client();
    await exchange.sendApart(client, [post('one\ntwo').slice(0, -3), 'two']);
    const expected = [[refused, refused, refused], 'one\ntwo', 0];
    const answer = JSON.parse(text(await client.response()));
    expect(answer[0]?.[0]).toBe(refused);
    expect(answer).toEqual(expected);
    for (const message of [get(), post('')]) {
      expect(JSON.parse(text(await exchange.ask(message)))).toEqual([[0, 0, 0], '', 0]);
    }
  });

  it('answers an application that does not catch that with 500', async () => {
    const exchange = serve(echoSync, { selector });
    expect((await exchange.ask(post('body').slice(0, -4))).status).toBe(500);
    expect(exchange.errors.getValue()).toContain('ERR_RYEGATE_INPUT_NOT_BUFFERED');
  });

  it('is told of a client that goes away although its body was never read', async () => {
    let aborted = false;
    let begun = false;
    const app: Application = (environ) => {
      begun = true;
      environ['ryegate.signal'].addEventListener('abort', () => {
        aborted = true;
      });
      return new Promise(() => {});
    };
    const exchange = serve(app, { selector, address: TCP });
    const client = await exchange.client();
    // In several receives, the last of which ends it beyond what an input holds.
    await exchange.sendApart(client, [withLength(content(100_000)).subarray(0, 60_000)]);
    await client.send(content(100_000).subarray(0, withLength(content(100_000)).length - 60_000));
    await eventually(() => begun, 'the application is at work');
    await sleep(50);
    client.reset();
    await eventually(() => aborted, 'the signal has fired');
  });

  it('is held back for a body although the input of the one before is read late', async () => {
    const inputs: { readSync(): Buffer; buffered?: number }[] = [];
    let answer = (): void => {};
    const app: Application = async (environ, startResponse) => {
      inputs.push(environ['wsgi.input']);
      if (inputs.length === 2) {
        await new Promise<void>((resolve) => {
          answer = resolve;
        });
      } else {
        // The whole body, which is in memory.
        await eventually(() => (inputs[0] as { buffered?: number }).buffered === 100_000, 'it is');
      }
      startResponse('200 OK', PLAIN);
      return '';
    };
    const exchange = serve(app, { selector, timeouts: { linger: 0.1 } });
    const client = await exchange.client();
    await client.send(withLength(content(100_000)));
    await client.response();
    client.socket.write(withLength(Buffer.alloc(8 * MIB)));
    await eventually(() => (inputs[1]?.buffered ?? 0) > 65_536, 'the second is held back');
    await sleep(50);
    const held = inputs[1]?.buffered;
    inputs[0]?.readSync();
    await sleep(100);
    expect(inputs[1]?.buffered).toBe(held);
    answer();
  });

  it('hears of a client that goes away after a body that was held back is refused', async () => {
    let aborted = false;
    let input: { buffered?: number } = {};
    const app: Application = (environ) => {
      input = environ['wsgi.input'] as { buffered?: number };
      environ['ryegate.signal'].addEventListener('abort', () => {
        aborted = true;
      });
      return new Promise(() => {});
    };
    const exchange = serve(app, { selector, address: TCP });
    const client = await exchange.client();
    const size = 70_000;
    const head = request('POST', '/', ['Transfer-Encoding: chunked'], `${size.toString(16)}\r\n`);
    await exchange.sendApart(client, [head, Buffer.alloc(60_000)]);
    await client.send(Buffer.concat([Buffer.alloc(10_000), Buffer.from('nonsense')]));
    await eventually(() => input.buffered === 0, 'the body is refused');
    client.reset();
    await eventually(() => aborted, 'the signal has fired');
  });

  it('fires the signal for a client that finishes sending after its body was refused', async () => {
    let aborted = false;
    let failed = false;
    const app: Application = async (environ, startResponse) => {
      const signal = environ['ryegate.signal'];
      signal.addEventListener('abort', () => {
        aborted = true;
      });
      await environ['wsgi.input'].read().catch(() => {
        failed = true;
      });
      await eventually(() => aborted, 'the signal has fired');
      startResponse('200 OK', PLAIN);
      return 'all the same';
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(request('POST', '/', ['Transfer-Encoding: chunked'], 'nonsense\r\n'));
    await eventually(() => failed, 'the read has failed');
    expect(aborted).toBe(false);
    client.halfClose();
    expect(text(await client.response())).toBe('all the same');
  });
});

/** Serves in a thread, which it blocks, with what is read at once. */
const SYNC = `
  const app = (environ, startResponse) => {
    const input = environ['wsgi.input'];
    const lines = [input.readlineSync().length, input.readSync().length];
    startResponse('200 OK', []);
    return [JSON.stringify(lines)];
  };
  class Handler extends ryegate.WSGIRequestHandler {
    getStderr() { return { write() {}, writelines() {}, flush() {} }; }
  }
  const { selector, settings } = workerData;
  const options = { selector, handlerClass: Handler, ...settings };
  const made = ryegate.makeServer('127.0.0.1', 0, app, options);
  tell({ handle: made.shutdownHandle, address: made.serverAddress });
  made.serveForeverSync(60);
  await made.serverClose();
`;

describeBackends('a body under serveForeverSync', (selector) => {
  const thread = threadKeeper();
  const clients = clientKeeper();

  it.each(['buffer', 'stream'])('is read when it is buffered (%s)', async (inputBuffering) => {
    const other = thread(SYNC, { selector, settings: { inputBuffering } });
    const { handle, address } = await other.ready();
    for (const size of [10, 600_000]) {
      const client = await clients.connect(address);
      const body = `line\n${'x'.repeat(size)}`;
      client.socket.write(post(body, 'Connection: close').slice(0, -size));
      await sleep(50);
      client.socket.write('x'.repeat(size));
      const answer = await client.end();
      if (inputBuffering === 'buffer') expect(answer).toMatch(new RegExp(`\\[5,${size}\\]$`));
      else expect(answer).toMatch(/^HTTP\/1\.1 500 /);
      client.socket.destroy();
    }
    handle.shutdownSync(20);
    await other.end();
  });
});
