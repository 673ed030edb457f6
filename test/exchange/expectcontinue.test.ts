import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Application } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { echo, exchanges, get, PLAIN, request } from '../support/exchange.ts';
import { text } from '../support/rawclient.ts';

const UNREAD: Application = (environ, startResponse) => {
  startResponse('200 OK', PLAIN);
  return environ.PATH_INFO;
};

describeBackends('Expect: 100-continue', (selector) => {
  const serve = exchanges();
  const EXPECTING = request('POST', '/', ['Expect: 100-Continue', 'Content-Length: 4']);

  it('is met by the first read, once', async () => {
    const app: Application = async (environ, startResponse) => {
      const input = environ['wsgi.input'];
      const body = [await input.read(1), await input.read(1), await input.read()];
      startResponse('200 OK', PLAIN);
      return Buffer.concat(body);
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    for (let i = 0; i < 2; i++) {
      await client.send(EXPECTING);
      const interim = await client.response();
      expect(interim).toMatchObject({ status: 100, reason: 'Continue', fields: [] });
      await exchange.sendApart(client, ['b', 'o', 'dy']);
      expect(text(await client.response())).toBe('body');
    }
    expect(client.pending).toHaveLength(0);
  });

  it('is not met before the body is wanted', async () => {
    let wanted = false;
    const app: Application = async (environ, startResponse) => {
      await sleep(50);
      wanted = true;
      const body = await environ['wsgi.input'].read();
      startResponse('200 OK', PLAIN);
      return body;
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(EXPECTING);
    expect((await client.response()).status).toBe(100);
    expect(wanted).toBe(true);
    await client.send('body');
    expect(text(await client.response())).toBe('body');
  });

  it('is not met when the body is not read: the final answer comes, and the last', async () => {
    const exchange = serve(UNREAD, { selector });
    const client = await exchange.client();
    await client.send(EXPECTING);
    expect((await client.response()).status).toBe(200);
    expect((await client.rest()).toString()).toBe('');
  });

  it('needs no 100 when the body comes at once', async () => {
    const exchange = serve(echo, { selector });
    const client = await exchange.client();
    await client.send(`${EXPECTING}body${get('/next')}`);
    const first = await client.response();
    const answer = first.status === 100 ? await client.response() : first;
    expect(JSON.parse(text(answer))).toMatchObject({ body: 'body' });
    expect(JSON.parse(text(await client.response()))).toMatchObject({ path: '/next' });
  });

  it('is not met on HTTP/1.0', async () => {
    const exchange = serve(echo, { selector });
    const client = await exchange.client();
    await exchange.sendApart(client, [EXPECTING.replace('HTTP/1.1', 'HTTP/1.0'), 'body']);
    const response = await client.response();
    expect(response.status).toBe(200);
    expect(JSON.parse(text(response))).toMatchObject({ body: 'body' });
  });

  it('is not met after the head of the answer', async () => {
    const app: Application = async (environ, startResponse) => {
      const write = startResponse('200 OK', PLAIN);
      write('early');
      const body = await environ['wsgi.input'].read();
      return body;
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(EXPECTING);
    await client.received(1);
    await client.send('body');
    const response = await client.response();
    expect(response.status).toBe(200);
    expect(text(response)).toBe('earlybody');
  });
});
