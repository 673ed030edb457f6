import { expect, it } from 'vitest';
import type { Application, MakeServerOptions } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { echo, exchanges, get, get10, PLAIN, request } from '../support/exchange.ts';
import { field, text } from '../support/rawclient.ts';

const OWN = { Date: 'Thu, 01 Jan 1970 00:00:00 GMT', Server: 'mine' };

const app: Application = (environ, startResponse) => {
  const own = environ.PATH_INFO === '/own' ? Object.entries(OWN) : [];
  startResponse('200 OK', [...PLAIN, ...own]);
  return '';
};

describeBackends('Date and Server', (selector) => {
  const serve = exchanges();

  it.each<[string, MakeServerOptions, string[]]>([
    ['by default', {}, ['Date', 'Server']],
    ['dateField: false', { dateField: false }, ['Server']],
    ['serverField: false', { serverField: false }, ['Date']],
    ['both off', { dateField: false, serverField: false }, []],
  ])('are added to answers and to refusals: %s', async (_title, options, expected) => {
    const exchange = serve(app, { selector, ...options });
    for (const message of [get(), get10(), request('HEAD', '/'), 'broken\r\n\r\n']) {
      const response = await exchange.ask(message, message.startsWith('HEAD') ? 'HEAD' : 'GET');
      const added = ['Date', 'Server'].filter((name) => field(response, name) !== undefined);
      expect(added).toEqual(expected);
    }
    // An application may send its own all the same.
    const response = await exchange.ask(get('/own'));
    expect([field(response, 'Date'), field(response, 'Server')]).toEqual([OWN.Date, OWN.Server]);
  });
});

describeBackends('411', (selector) => {
  const serve = exchanges();
  const http10 = (message: string) => message.replace('HTTP/1.1', 'HTTP/1.0');

  it.each(['POST', 'PUT', 'PATCH'])('answers an HTTP/1.0 %s without a length', async (method) => {
    const exchange = serve(echo, { selector });
    const client = await exchange.client();
    const smuggled = get10('/smuggled', 'Connection: keep-alive');
    await client.send(http10(request(method, '/', ['Connection: keep-alive'])) + smuggled);
    const response = await client.response();
    expect([response.status, response.reason]).toEqual([411, 'Length Required']);
    expect((await client.rest()).toString()).toBe('');
  });

  it.each<[string, string]>([
    ['one with a length', http10(request('POST', '/', ['Content-Length: 4'], 'body'))],
    ['one with a length of 0', http10(request('POST', '/', ['Content-Length: 0']))],
    ['another method', http10(request('DELETE', '/'))],
    ['an HTTP/1.1 POST, which has no body then', request('POST', '/')],
  ])('does not answer %s', async (_title, message) => {
    const exchange = serve(echo, { selector });
    const response = await exchange.ask(message);
    expect(response.status).toBe(200);
    expect(JSON.parse(text(response)).body).toBe(message.endsWith('body') ? 'body' : '');
  });
});
