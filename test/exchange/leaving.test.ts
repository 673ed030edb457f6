import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Application } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { chunked, content } from '../support/bodies.ts';
import { untilNoConnections } from '../support/deadlines.ts';
import {
  type Exchange,
  type ExchangeOptions,
  exchanges,
  get,
  PLAIN,
  request,
  TCP,
} from '../support/exchange.ts';
import { eventually, type RawClient, text } from '../support/rawclient.ts';

type Make = (size: number) => string | Buffer;

/** More than the server keeps of a request. What is on the wire behind it, a FIN too, is there. */
const UNREAD = 150_000;
/** More than the kernel takes in addition, so that an end waits at the client's, but for a reset. */
const MORE = 300_000;

function upload(size: number): Buffer {
  const head = request('POST', '/', [`Content-Length: ${size}`]);
  return Buffer.concat([Buffer.from(head), content(size)]);
}

const BEHIND: [title: string, make: Make][] = [
  ['an unread body', upload],
  ['the part of an unread body', (size) => upload(size + 100_000).subarray(0, size)],
  ['an unread chunked body', (size) => chunked(content(size), 20_000)],
  [
    'pipelined requests',
    (size) => get('/first') + get('/next').repeat(Math.floor(size / get('/next').length)),
  ],
];

/** At once, as each takes a second. */
async function behindEach(check: (make: Make) => Promise<void>): Promise<void> {
  const failures: string[] = [];
  const checking = BEHIND.map(([title, make]) =>
    check(make).catch((error) => failures.push(`${title}: ${error}`)),
  );
  await Promise.all(checking);
  expect(failures).toEqual([]);
}

describeBackends('a client that leaves behind what is not received', (selector) => {
  const serve = exchanges();

  /** A handler that waits for the signal, and what it has seen. */
  function waiting() {
    const seen: string[] = [];
    const app: Application = async (environ, startResponse) => {
      const signal = environ['ryegate.signal'];
      seen.push(environ.PATH_INFO);
      if (environ.PATH_INFO !== '/next') {
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        seen.push('aborted');
      }
      startResponse('200 OK', PLAIN);
      return 'to whoever still reads';
    };
    return { app, seen };
  }

  /** A client whose message is on the wire, while the handler is at work. */
  async function begin(message: string | Buffer, options: ExchangeOptions = {}) {
    const { app, seen } = waiting();
    const exchange: Exchange = serve(app, { selector, ...options });
    const client: RawClient = await exchange.client();
    await client.send(message);
    await eventually(() => seen.length === 1, 'the handler is at work');
    return { exchange, client, seen };
  }

  it('is noticed by its FIN', () =>
    behindEach(async (make) => {
      const { exchange, client, seen } = await begin(make(UNREAD));
      client.halfClose();
      await eventually(() => seen[1] === 'aborted', 'the signal has fired');
      // It may still read.
      expect(text(await client.response())).toBe('to whoever still reads');
      client.destroy();
      await untilNoConnections(exchange);
      expect(exchange.errors.getValue()).toBe('');
    }));

  it('is noticed by its reset', () =>
    behindEach(async (make) => {
      const { exchange, client, seen } = await begin(make(MORE), { address: TCP });
      client.reset();
      await untilNoConnections(exchange);
      await eventually(() => seen[1] === 'aborted', 'the signal has fired');
      expect(seen).toHaveLength(2);
      expect(exchange.errors.getValue()).toBe('');
    }));

  it('is noticed when it closes', () =>
    behindEach(async (make) => {
      const { exchange, client, seen } = await begin(make(UNREAD));
      client.destroy();
      await eventually(() => seen[1] === 'aborted', 'the signal has fired');
      await untilNoConnections(exchange);
      expect(exchange.errors.getValue()).toBe('');
    }));

  it('is noticed although its handler never ends', async () => {
    const app: Application = () => new Promise(() => {});
    const exchange = serve(app, { selector, address: TCP });
    const client = await exchange.client();
    await client.send(upload(MORE));
    client.reset();
    await untilNoConnections(exchange);
  });

  it('is told once, and gets its answer, when its whole body is there', async () => {
    const body = content(UNREAD);
    let aborts = 0;
    const app: Application = async (environ, startResponse) => {
      const signal = environ['ryegate.signal'];
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => {
          aborts++;
          resolve();
        });
      });
      const read = await environ['wsgi.input'].read();
      startResponse('200 OK', PLAIN);
      return read.equals(body) ? 'all of it' : `${read.length} bytes`;
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(upload(UNREAD));
    client.halfClose();
    expect(text(await client.response())).toBe('all of it');
    expect((await client.rest()).toString()).toBe('');
    expect(client.ending).toBe('fin');
    expect(aborts).toBe(1);
    await untilNoConnections(exchange);
  });

  it('gets its answer when it has half-closed behind a large body that is read late', async () => {
    const body = content(MORE);
    const app: Application = async (environ, startResponse) => {
      await sleep(1200);
      const read = await environ['wsgi.input'].read();
      startResponse('200 OK', PLAIN);
      return read.equals(body) ? 'all of it' : `${read.length} bytes`;
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    client.socket.write(upload(MORE));
    client.halfClose();
    expect(text(await client.response())).toBe('all of it');
    expect((await client.rest()).toString()).toBe('');
    expect(client.ending).toBe('fin');
    expect(exchange.errors.getValue()).toBe('');
  });
});
