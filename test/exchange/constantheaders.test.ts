import { describe, expect, it } from 'vitest';
import { checkHeaders } from '../../src/http/headers.ts';
import { type Application, type HeaderList, ServerHandler } from '../../src/index.ts';
import { exchanges, get, get10, request } from '../support/exchange.ts';
import { answeringBy } from '../support/handlers.ts';
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

describe('a list of headers that has come before', () => {
  const serve = exchanges();
  let runs = 0;

  /** An application that answers with what `make` gives; its lists have never been seen before. */
  function answering(make: () => HeaderList, status: string, body = BODY): Application {
    const run = String(runs++);
    return (_environ, startResponse) => {
      startResponse(status, [['X-Run', run], ...make()]);
      return [body];
    };
  }

  for (const status of ['200 OK', '204 No Content']) {
    it.each(LISTS)(`is answered as the first time: ${status}, with %s`, async (_title, make) => {
      for (const [title, message] of MESSAGES) {
        const exchange = serve(answering(make, status), { validate: false });
        const answers: string[] = [];
        for (let i = 0; i < 4; i++) {
          const client = await exchange.client();
          // Behind it, so that the connection ends.
          await client.send(message + get('/', 'Connection: close'));
          const sent = (await client.rest()).toString('latin1');
          answers.push(sent.replace(/^Date: .*20\d\d .*$/gm, 'Date: now'));
        }
        expect(answers[0], title).toContain('HTTP/1.1 ');
        for (const answer of answers) expect(answer, title).toBe(answers[0]);
      }
    });
  }

  it.each([
    ['another value', [['X-A', '2']]],
    ['another name', [['X-B', '1']]],
    ['the same in another case', [['x-a', '1']]],
    [
      'one more',
      [
        ['X-A', '1'],
        ['X-C', '1'],
      ],
    ],
    ['one fewer', []],
  ] satisfies [string, HeaderList][])('is not taken for one with %s', async (_title, other) => {
    let list: HeaderList = [];
    const exchange = serve(
      answering(() => list, '200 OK'),
      { validate: false },
    );
    for (const expected of [[['X-A', '1']], other, [['X-A', '1']], other] as HeaderList[]) {
      list = expected;
      for (let i = 0; i < 3; i++) {
        const { fields } = await exchange.ask(get());
        expect(fields.filter(([name]) => /^x-[abc]$/i.test(name))).toEqual(expected);
      }
    }
  });

  it('has the Content-Length of each body', async () => {
    let body = '';
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', [['X-Run', 'lengths']]);
      return [body];
    };
    const exchange = serve(app, { validate: false });
    for (const next of ['a', 'a', 'a', 'bc', 'bc', 'bc', 'a', '', '', '']) {
      body = next;
      const response = await exchange.ask(get());
      expect(response.body.toString()).toBe(next);
      expect(field(response, 'Content-Length')).toBe(String(next.length));
    }
  });

  it('may be changed by a handler, for its own response alone', async () => {
    class Adding extends ServerHandler {
      protected override sendHeaders(length: number): void {
        if (this.environ?.PATH_INFO === '/more') this.headers?.push(['X-More', 'yes']);
        for (const pair of this.headers ?? []) if (pair[0] === 'X-Old') pair[0] = 'X-New';
        super.sendHeaders(length);
      }
    }
    const exchange = serve(
      answering(() => [['X-Old', '1']], '200 OK'),
      {
        handlerClass: answeringBy(Adding),
        validate: false,
      },
    );
    for (const path of ['/', '/', '/', '/more', '/', '/more', '/']) {
      const response = await exchange.ask(get(path));
      expect(field(response, 'X-More')).toBe(path === '/' ? undefined : 'yes');
      expect(field(response, 'X-New')).toBe('1');
    }
  });
});

describe('checkHeaders() of a list that has come before', () => {
  it('refuses a bad one every time, between good ones', () => {
    for (let i = 0; i < 4; i++) {
      expect(checkHeaders([['X-Good', 'again']])).toEqual([['X-Good', 'again']]);
      expect(() => checkHeaders([['X-Good', 'again\r\n']])).toThrow('U+000D');
      expect(() => checkHeaders([['X-Good', 1]] as unknown as HeaderList)).toThrow(
        'must be a string',
      );
      expect(() => checkHeaders([['X-Good']] as unknown as HeaderList)).toThrow('pair');
    }
  });

  it('keeps to what was checked, whatever a getter answers afterwards', () => {
    const lying = (): HeaderList => {
      let asked = 0;
      const pair = ['X-Lying', ''] as unknown as [string, string];
      Object.defineProperty(pair, 1, { get: () => (asked++ === 0 ? 'good' : 'a\r\nb') });
      return [pair];
    };
    const answers = Array.from({ length: 6 }, () => {
      try {
        return checkHeaders(lying());
      } catch (error) {
        return (error as Error).message;
      }
    });
    for (const answer of answers) {
      if (typeof answer === 'string') expect(answer).toContain('U+000D');
      else expect(answer).toEqual([['X-Lying', 'good']]);
    }
  });

  it('does not change when the list that was given does', () => {
    const given: HeaderList = [['X-Given', '1']];
    for (let i = 0; i < 3; i++) checkHeaders(given);
    (given[0] as [string, string])[1] = '2';
    expect(checkHeaders(given)).toEqual([['X-Given', '2']]);
    expect(checkHeaders([['X-Given', '1']])).toEqual([['X-Given', '1']]);
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
