import { describe, expect, it } from 'vitest';
import { checkHeaders } from '../../src/http/headers.ts';
import { type Application, type HeaderList, ServerHandler } from '../../src/index.ts';
import { exchanges, get, get10, request } from '../support/exchange.ts';
import { answeringBy } from '../support/handlers.ts';
import { field, type RawResponse } from '../support/rawclient.ts';

/** Lists with the Content-Length `length`, the same otherwise. */
const LISTS: [title: string, make: (length: string) => HeaderList][] = [
  ['alone', (length) => [['Content-Length', length]]],
  [
    'in lower case',
    (length) => [
      ['x-a', 'content-length'],
      ['content-length', length],
    ],
  ],
  [
    'before others',
    (length) => [
      ['Content-Length', length],
      ['X-A', 'Content-Length'],
    ],
  ],
  [
    'with a Date and a Server',
    (length) => [
      ['Date', 'Thu, 01 Jan 1970 00:00:00 GMT'],
      ['Content-Length', length],
      ['Server', 'mine'],
    ],
  ],
  [
    'with Connection: close',
    (length) => [
      ['Connection', 'close'],
      ['Content-Length', length],
    ],
  ],
];

const MESSAGES: [method: string, message: string][] = [
  ['GET', get()],
  ['HEAD', request('HEAD', '/')],
  ['GET', get('/', 'Connection: close')],
  ['GET', get10()],
  ['GET', get10('/', 'Connection: keep-alive')],
];

const BODIES = ['a', 'bcd', 'x'.repeat(40_000), 'ef', '', 'caf\u00e9', 'ghijklmnopq', 'a'];

function own({ fields }: RawResponse): string[] {
  return fields
    .filter(([name]) => !/^content-length$/i.test(name))
    .map(
      ([name, value]) => `${name}: ${/^Date$/.test(name) && !/1970/.test(value) ? 'now' : value}`,
    );
}

describe('lists of headers of which the Content-Length is another each time', () => {
  const serve = exchanges();
  let runs = 0;

  for (const status of ['200 OK', '404 Not Found', '304 Not Modified']) {
    it.each(LISTS)(`are answered alike: ${status}, %s`, async (_title, make) => {
      for (const [method, message] of MESSAGES) {
        const run: [string, string] = ['X-Run', String(runs++)];
        let body = '';
        const app: Application = (_environ, startResponse) => {
          startResponse(status, [run, ...make(String(Buffer.byteLength(body)))]);
          return [body];
        };
        const exchange = serve(app, { validate: false });
        const seen: string[][] = [];
        for (const next of BODIES) {
          body = next;
          const response = await exchange.ask(message, method);
          const isBare = method === 'HEAD' || status.startsWith('304');
          expect(`${response.status} ${response.reason}`).toBe(status);
          expect(response.body.toString()).toBe(isBare ? '' : body);
          const lengths = response.fields.filter(([name]) => /^content-length$/i.test(name));
          expect(lengths.map(([, value]) => value)).toEqual([String(Buffer.byteLength(body))]);
          seen.push(own(response));
        }
        for (const fields of seen) expect(fields).toEqual(seen[0]);
      }
    });
  }

  it('have none in an answer that must not have it', async () => {
    let length = 0;
    const app: Application = (_environ, startResponse) => {
      length += 1;
      startResponse('204 No Content', [
        ['X-Run', 'bare'],
        ['Content-Length', String(length)],
      ]);
      return [];
    };
    const exchange = serve(app, { validate: false });
    for (let i = 0; i < 5; i++) {
      const response = await exchange.ask(get());
      expect(response.status).toBe(204);
      expect(field(response, 'X-Run')).toBe('bare');
      expect(field(response, 'Content-Length')).toBeUndefined();
    }
  });

  it('have the length of their own, however late they are sent', async () => {
    const waiting: (() => void)[] = [];
    const app: Application = async (environ, startResponse) => {
      const body = 'x'.repeat(Number(environ.PATH_INFO.slice(1)));
      startResponse('200 OK', [
        ['X-Run', 'late'],
        ['Content-Length', String(body.length)],
      ]);
      if (body.length > 4) {
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
        });
      }
      return body;
    };
    const exchange = serve(app, { validate: false });
    for (const path of ['/1', '/2', '/3']) await exchange.ask(get(path));
    const sizes = [10, 20, 30, 40];
    const answers = sizes.map((size) => exchange.ask(get(`/${size}`)));
    while (waiting.length < sizes.length) await exchange.ask(get('/4'));
    for (const resolve of waiting.reverse()) resolve();
    const bodies = (await Promise.all(answers)).map(({ body }) => body.length);
    expect(bodies).toEqual(sizes);
  });

  it('are held to it', async () => {
    let stated = 0;
    const app: Application = (_environ, startResponse) => {
      stated += 1;
      startResponse('200 OK', [
        ['X-Run', 'held'],
        ['Content-Length', String(stated)],
      ]);
      return 'four';
    };
    const exchange = serve(app, { validate: false });
    for (let i = 1; i <= 6; i++) {
      const client = await exchange.client();
      await client.send(get('/', 'Connection: close'));
      const sent = (await client.rest()).toString('latin1');
      expect(sent).toContain(`Content-Length: ${i}\r\n`);
      expect(sent.slice(sent.indexOf('\r\n\r\n') + 4)).toBe('four'.slice(0, i));
      const code = i < 4 ? 'TOO_LONG' : 'TOO_SHORT';
      if (i !== 4) expect(exchange.errors.getValue()).toContain(code);
    }
  });

  it('may be changed by a handler, for its own response alone', async () => {
    class Adding extends ServerHandler {
      protected override sendHeaders(length: number): void {
        if (this.environ?.PATH_INFO === '/more') {
          for (const pair of this.headers ?? []) if (pair[0] === 'X-Run') pair[1] = 'mine';
          this.headers?.push(['X-More', 'yes']);
        }
        super.sendHeaders(length);
      }
    }
    let body = '';
    const app: Application = (_environ, startResponse) => {
      body += 'x';
      startResponse('200 OK', [
        ['X-Run', 'changed'],
        ['Content-Length', String(body.length)],
      ]);
      return [body];
    };
    const exchange = serve(app, { handlerClass: answeringBy(Adding), validate: false });
    for (const path of ['/', '/more', '/', '/more', '/', '/more', '/']) {
      const response = await exchange.ask(get(path));
      expect(field(response, 'X-Run')).toBe(path === '/' ? 'changed' : 'mine');
      expect(field(response, 'X-More')).toBe(path === '/' ? undefined : 'yes');
      expect(response.body.toString()).toBe(body);
    }
  });

  it('are sent by a handler that passes on what its method is given', async () => {
    class Forwarding extends ServerHandler {
      protected override sendHeaders(...args: [number, (string | Uint8Array | null)?]): void {
        super.sendHeaders(...args);
      }
    }
    const faults: string[] = [];
    class Faults extends answeringBy(Forwarding) {
      override fault(error: Error): void {
        faults.push(error.message);
      }
    }
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', [['X-Run', 'forwarded']]);
      return ['hello'];
    };
    const exchange = serve(app, { handlerClass: Faults, validate: false });
    for (let i = 0; i < 5; i++) {
      expect((await exchange.ask(get())).body.toString()).toBe('hello');
    }
    expect(faults).toEqual([]);
  });

  it.each(['05', '5x', '+5', '', ' 5', '5 ', '-1', '1e3', '99999999999999999999', '5,5'])(
    'are refused with %j',
    async (bad) => {
      let length = '';
      const app: Application = (_environ, startResponse) => {
        startResponse('200 OK', [
          ['X-Run', 'refused'],
          ['Content-Length', length],
        ]);
        return 'a';
      };
      const exchange = serve(app, { validate: false });
      for (const next of ['1', '1', '01', '1', bad, '1', bad, bad]) {
        length = next;
        const { status } = await exchange.ask(get());
        expect(status).toBe(next === '1' ? 200 : 500);
      }
      expect(exchange.errors.getValue()).toContain('ERR_RYEGATE_CONTENT_LENGTH');
    },
  );

  it('are refused with two', async () => {
    let length = 0;
    const app: Application = (_environ, startResponse) => {
      length += 1;
      startResponse('200 OK', [
        ['Content-Length', String(length)],
        ['content-length', '1'],
      ]);
      return 'a';
    };
    const exchange = serve(app, { validate: false });
    for (let i = 0; i < 5; i++) expect((await exchange.ask(get())).status).toBe(500);
  });
});

describe('checkHeaders() of such lists', () => {
  it('keeps to what was checked, whatever a getter answers afterwards', () => {
    const list = (length: string): HeaderList => [
      ['X-Run', 'getter'],
      ['Content-Length', length],
    ];
    for (const length of ['1', '2', '3']) checkHeaders(list(length));
    for (const length of ['4', '5', '6']) {
      let asked = 0;
      const pair = ['Content-Length', ''] as unknown as [string, string];
      Object.defineProperty(pair, 1, { get: () => (asked++ === 0 ? length : 'a\r\nb') });
      expect(checkHeaders([['X-Run', 'getter'], pair])).toEqual(list(length));
    }
  });

  it('does not make it forget others that they are frozen by halves', () => {
    const known = checkHeaders(['1', '2'].map((value) => ['X-Known', value]) as HeaderList);
    const again = (): HeaderList =>
      checkHeaders(['1', '2'].map((value) => ['X-Known', value]) as HeaderList);
    expect(again()).toEqual(known);
    const kept = again();
    for (let length = 1; length <= 20; length++) {
      checkHeaders(
        Object.freeze([
          ['X-Run', 'frozen'],
          ['Content-Length', String(length)],
        ]) as HeaderList,
      );
    }
    expect(again()).toBe(kept);
  });

  it('refuses a length that is no string', () => {
    const list = (length: unknown): HeaderList =>
      [
        ['X-Run', 'number'],
        ['Content-Length', length],
      ] as HeaderList;
    for (const length of ['1', '2', '3']) checkHeaders(list(length));
    for (const length of [4, null, ['5']])
      expect(() => checkHeaders(list(length))).toThrow('string');
  });
});
