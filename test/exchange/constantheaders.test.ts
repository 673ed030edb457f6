import { describe, expect, it } from 'vitest';
import { checkHeaders } from '../../src/http/headers.ts';
import type { Application, HeaderList } from '../../src/index.ts';
import { exchanges, get, get10, request } from '../support/exchange.ts';
import { field } from '../support/rawclient.ts';

const BODY = 'hello';

/** Frozen with all of its pairs. */
function constant(list: HeaderList): HeaderList {
  for (const pair of list) Object.freeze(pair);
  return Object.freeze(list) as HeaderList;
}

const LISTS: [title: string, make: () => HeaderList][] = [
  ['a Content-Length', () => [['Content-Length', '5']]],
  ['none', () => []],
  ['a type alone', () => [['Content-Type', 'text/plain']]],
  [
    'a Date',
    () => [
      ['Date', 'Thu, 01 Jan 1970 00:00:00 GMT'],
      ['Content-Length', '5'],
    ],
  ],
  [
    'a Server',
    () => [
      ['Server', 'mine'],
      ['Content-Length', '5'],
    ],
  ],
  [
    'Connection: close',
    () => [
      ['connection', 'close'],
      ['Content-Length', '5'],
    ],
  ],
  ['a wrong Content-Length', () => [['Content-Length', '5x']]],
  [
    'two of them',
    () => [
      ['Content-Length', '5'],
      ['content-length', '5'],
    ],
  ],
  [
    'repeats, and characters above ASCII',
    () => [
      ['X-A', '1'],
      ['x-a', '\u00e9'],
      ['X-A', ''],
    ],
  ],
];

const CLOSING = ['Connection: close'];
const MESSAGES: [title: string, message: string][] = [
  ['GET', get()],
  ['HEAD', request('HEAD', '/')],
  ['a last request', get('/', ...CLOSING)],
  ['HTTP/1.0', get10()],
  ['HTTP/1.0, kept', get10('/', 'Connection: keep-alive')],
];

describe('a list of headers that is frozen with its pairs', () => {
  const serve = exchanges();

  /** What comes back for `message` sent twice, and a last request, without the time. */
  async function answers(headers: () => HeaderList, status: string, message: string) {
    const app: Application = (environ, startResponse) => {
      if (environ.PATH_INFO === '/last') startResponse('200 OK', [['Connection', 'close']]);
      else startResponse(status, headers());
      return environ.PATH_INFO === '/last' ? '' : [BODY];
    };
    const exchange = serve(app, { validate: false });
    const client = await exchange.client();
    await client.send(message + message + get('/last'));
    const sent = (await client.rest()).toString('latin1');
    return sent.replace(/^Date: .*20\d\d .*$/gm, 'Date: now');
  }

  for (const status of ['200 OK', '404 Not Found', '204 No Content', '304 Not Modified']) {
    it.each(LISTS)(`is answered as a new one is: ${status}, with %s`, async (_title, make) => {
      const frozen = constant(make());
      for (const [title, message] of MESSAGES) {
        const expected = await answers(make, status, message);
        expect(expected, title).toContain('HTTP/1.1 ');
        expect(await answers(() => frozen, status, message), title).toBe(expected);
      }
    });
  }

  it('may be sent with one status after the other', async () => {
    const frozen = constant([['Content-Length', '5']]);
    const app: Application = (environ, startResponse) => {
      startResponse(environ.PATH_INFO.slice(1), frozen);
      return BODY;
    };
    const exchange = serve(app, { validate: false });
    for (const status of ['200 OK', '404 Not Found', '200 Fine', '200 OK']) {
      const response = await exchange.ask(get(`/${encodeURIComponent(status)}`));
      expect(`${response.status} ${response.reason}`).toBe(status);
      expect(field(response, 'Content-Length')).toBe('5');
    }
  });

  it('has the Date and the Server of each response', async () => {
    const frozen = constant([['Content-Length', '5']]);
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', frozen);
      return BODY;
    };
    for (const options of [{}, { serverField: false }, { dateField: false }, {}]) {
      const response = await serve(app, { validate: false, ...options }).ask(get());
      expect(field(response, 'Server') !== undefined).toBe(!('serverField' in options));
      expect(field(response, 'Date') !== undefined).toBe(!('dateField' in options));
    }
  });
});

describe('checkHeaders() of a frozen list', () => {
  it('returns the same copy again', () => {
    const frozen = constant([['X-A', '1']]);
    const checked = checkHeaders(frozen);
    expect(checked).toEqual([['X-A', '1']]);
    expect(checkHeaders(frozen)).toBe(checked);
    expect(checkHeaders(checked)).toBe(checked);
    expect(Object.isFrozen(checked) && Object.isFrozen(checked[0])).toBe(true);
  });

  it.each<[string, (list: HeaderList) => unknown]>([
    ['whose pairs are not', (list) => Object.freeze(list)],
    ['but for one pair', (list) => Object.freeze(list) && Object.freeze(list[1])],
    ['of which the pairs alone are', (list) => list.map((pair) => Object.freeze(pair))],
  ])('looks at one again %s', (_title, freeze) => {
    const list: HeaderList = [
      ['X-A', '1'],
      ['X-B', '2'],
    ];
    freeze(list);
    expect(checkHeaders(list)).toEqual(list);
    const [first] = list;
    if (Object.isFrozen(first)) list[0] = ['X-A', 'a\r\nb'];
    else (first as [string, string])[1] = 'a\r\nb';
    expect(() => checkHeaders(list)).toThrow('U+000D');
  });

  it('refuses a bad one every time', () => {
    const bad = constant([['X-A', 'a\r\nb']]);
    for (let i = 0; i < 3; i++) expect(() => checkHeaders(bad)).toThrow('U+000D');
  });

  it('keeps to what was checked, whatever a getter answers afterwards', () => {
    let asked = 0;
    const pair = ['X-A', ''] as unknown as [string, string];
    Object.defineProperty(pair, 1, { get: () => (asked++ === 0 ? 'good' : 'a\r\nb') });
    const frozen = constant([pair]);
    for (let i = 0; i < 3; i++) expect(checkHeaders(frozen)).toEqual([['X-A', 'good']]);
  });
});
