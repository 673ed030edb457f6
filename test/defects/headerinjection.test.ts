import { describe, expect, it } from 'vitest';
import {
  type Application,
  type HeaderList,
  Headers,
  HTTPError,
  type StartResponse,
} from '../../src/index.ts';
import { codeOf } from '../support/backends.ts';
import { exchanges, get } from '../support/exchange.ts';
import { Handler, handlerKeeper, type Server } from '../support/handlers.ts';
import { parseResponse, type RawResponse } from '../support/rawclient.ts';
import { BREAKS } from './breaks.ts';
import { onlyResponse } from './refusals.ts';

// Fault case 23: response header injection (CVE-2026-45372, hyper 2017, Node's TOCTOU note 2026).

const FORGED = 'X-Evil: 1';
const SECOND = 'Content-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nX-Evil: 1\r\n\r\n';

type Head = [status: string, name: string, value: string];
/** Where it is put. */
const PLACES: [title: string, code: string, head: (text: string) => Head][] = [
  ['a value', 'HEADER', (text) => ['200 OK', 'X-Good', `a${text}${FORGED}`]],
  ['a value, and a response', 'HEADER', (text) => ['200 OK', 'X-Good', `a${text}${SECOND}`]],
  ['the beginning of a value', 'HEADER', (text) => ['200 OK', 'X-Good', `${text}${FORGED}`]],
  ['the end of a value', 'HEADER', (text) => ['200 OK', 'X-Good', `a${text}`]],
  ['a name', 'HEADER', (text) => ['200 OK', `X-Good: a${text}X-Evil`, '1']],
  ['the beginning of a name', 'HEADER', (text) => ['200 OK', `${text}X-Evil`, '1']],
  ['the end of a name', 'HEADER', (text) => ['200 OK', `X-Evil${text}`, '1']],
  ['the status', 'STATUS', (text) => [`200 OK${text}${FORGED}`, 'X-Good', 'a']],
  ['the status, and a response', 'STATUS', (text) => [`200 OK${text}${SECOND}`, 'X-Good', 'a']],
  ['the end of the status', 'STATUS', (text) => [`200 OK${text}`, 'X-Good', 'a']],
];

const serve = exchanges();
const closing = get('/', 'Connection: close');

/** The one response to a request of the last of its connection. */
async function answer(app: Application, errors: string[]): Promise<RawResponse> {
  const exchange = serve(app, { validate: false });
  const client = await exchange.client();
  await client.send(closing);
  const response = onlyResponse(await client.rest());
  errors.push(exchange.errors.getValue());
  expectNothingForged(response);
  return response;
}

function expectNothingForged(response: RawResponse): void {
  const names = response.fields.map(([name]) => name.toLowerCase());
  expect(names).not.toContain('x-evil');
  expect(names.filter((name) => name === 'content-length')).toHaveLength(1);
  expect(JSON.stringify(response.fields) + response.reason).not.toContain('Evil');
}

/** Ways of an application to give a head. */
const CALLS: [title: string, call: (startResponse: StartResponse, ...head: Head) => void][] = [
  ['startResponse()', (start, status, name, value) => start(status, [[name, value]])],
  [
    'startResponse() with an error',
    (start, status, name, value) => {
      start('200 OK', [['X-First', 'a']]);
      start(status, [[name, value]], new Error('replaces the first'));
    },
  ],
  [
    'startResponse() behind fields that are in order',
    (start, status, name, value) =>
      start(status, [
        ['X-First', 'a'],
        ['X-Next', 'b'],
        [name, value],
      ]),
  ],
];

describe.each(CALLS)('fault case 23 (CVE-2026-45372), through %s', (_call, call) => {
  describe.each(PLACES)('into %s', (_place, code, head) => {
    it.each(BREAKS)('%s: 500', async (_title, text) => {
      const errors: string[] = [];
      const app: Application = (_environ, startResponse) => {
        call(startResponse, ...head(text));
        return 'hello';
      };
      expect((await answer(app, errors)).status).toBe(500);
      expect(errors[0]).toContain(`ERR_RYEGATE_${code}`);
    });
  });
});

it.each(BREAKS)(
  'fault case 23, %s, caught by the application: its first head stands',
  async (_title, text) => {
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', [['X-First', 'a']]);
      for (const [, code, head] of PLACES) {
        const [status, name, value] = head(text);
        const again = (): unknown => startResponse(status, [[name, value]], new Error('again'));
        expect(codeOf(again)).toBe(`ERR_RYEGATE_${code}`);
      }
      return 'hello';
    };
    const response = await answer(app, []);
    expect(response.status).toBe(200);
    expect(response.fields).toContainEqual(['X-First', 'a']);
  },
);

describe('fault case 23, through sendResponse(), sendHeader() and sendError() of a handler', () => {
  const keeper = handlerKeeper();

  async function asked(server: Server): Promise<RawResponse> {
    const client = await keeper.connect(server);
    await client.send(closing);
    const response = onlyResponse(await client.rest());
    client.destroy();
    expectNothingForged(response);
    return response;
  }

  describe.each(PLACES)('into %s', (_place, code, head) => {
    it.each(BREAKS)('%s: 500', async (_title, text) => {
      const [status, name, value] = head(text);
      class Injecting extends Handler {
        doGET(): void {
          this.sendResponse(200, status.slice(4));
          this.sendHeader(name, value);
          this.endHeaders();
        }
      }
      const server = keeper.serve(Injecting);
      expect((await asked(server)).status).toBe(500);
      expect(server.failures).toMatchObject([{ code: `ERR_RYEGATE_${code}` }]);
    });
  });

  it.each(BREAKS)('%s in the message of sendError() is made harmless', async (_title, text) => {
    class Failing extends Handler {
      doGET(): void {
        this.sendError(404, `not${text}X-Evil: 1`.replace('Evil', 'Mild'), `none${text}`);
      }
    }
    const response = await asked(keeper.serve(Failing));
    expect([response.status, response.reason.startsWith('not')]).toEqual([404, true]);
  });

  it.each([
    ['a text that forges', '200 OK\r\nX-Evil: 1\r\n'],
    ['a number of two digits', 42],
    ['a number of four digits', 1000],
    ['no number', Number.NaN],
    ['a fraction', 200.5],
    ['an object', { toString: () => '200 OK\r\nX-Evil: 1' }],
  ])('a code that is %s: 500', async (_title, code) => {
    class Sending extends Handler {
      doGET(): void {
        this.sendResponse(code as number);
        this.endHeaders();
      }
    }
    class Failing extends Handler {
      doGET(): void {
        this.sendError(code as number);
      }
    }
    for (const handler of [Sending, Failing]) {
      expect((await asked(keeper.serve(handler))).status).toBe(500);
    }
  });
});

describe('fault case 23, through Headers', () => {
  const PUTS: [title: string, put: (headers: Headers, name: string, value: string) => void][] = [
    ['set()', (headers, name, value) => headers.set(name, value)],
    ['setdefault()', (headers, name, value) => headers.setdefault(name, value)],
    ['addHeader()', (headers, name, value) => headers.addHeader(name, value)],
    ['a parameter', (headers, name, value) => headers.addHeader(name, 'a', { of: value })],
    ['the constructor', (_headers, name, value) => new Headers([[name, value]])],
  ];

  describe.each(PUTS)('by %s', (_put, put) => {
    it.each(BREAKS)('%s', (_title, text) => {
      const headers = new Headers([['X-First', 'a']]);
      for (const [, code, head] of PLACES) {
        if (code === 'STATUS') continue;
        const [, name, value] = head(text);
        expect(codeOf(() => put(headers, name, value))).toBe('ERR_RYEGATE_HEADER');
      }
      expect(headers.toString()).toBe('X-First: a\r\n\r\n');
    });
  });

  it.each(BREAKS)('by the name of a parameter: %s', (_title, text) => {
    const headers = new Headers();
    const add = (): void => headers.addHeader('X-Good', 'a', { [`b${text}${FORGED}`]: 'c' });
    expect(codeOf(add)).toBe('ERR_RYEGATE_HEADER');
    expect(headers.length).toBe(0);
  });

  it.each(BREAKS)('by its list, changed behind its back: 500 (%s)', async (_title, text) => {
    const errors: string[] = [];
    const app: Application = (_environ, startResponse) => {
      const list: HeaderList = [];
      const headers = new Headers(list);
      headers.set('X-Good', 'a');
      list.push(['X-Next', `b${text}${FORGED}`]);
      startResponse('200 OK', headers.items());
      return 'hello';
    };
    expect((await answer(app, errors)).status).toBe(500);
    expect(errors[0]).toContain('ERR_RYEGATE_HEADER');
  });
});

describe('fault case 23, by an HTTPError of an application', () => {
  it.each([
    ['a text that forges', '400\r\nX-Evil: 1\r\nX:'],
    ['a text that forges a response', `400 Bad\r\n${SECOND}`],
    ['two digits', 42],
    ['four digits', 4000],
    ['zero', 0],
    ['no number', Number.NaN],
    ['negative', -400],
  ])('whose status is %s: 500', async (_title, status) => {
    for (const late of [false, true]) {
      const app: Application = (): never => {
        throw new HTTPError(status as number, 'ERR_MINE', 'mine');
      };
      const response = await answer(late ? async (...both) => app(...both) : app, []);
      expect(response.status).toBe(500);
    }
  });
});

describe('fault case 23 (time of check, time of use): what changes between the check and the use', () => {
  const EVIL = `a\r\n${FORGED}`;

  /** What is good when it is first asked for, and what forges from the `turn`-th time on. */
  function changing(turn: number, good = 'a'): () => string {
    let asked = 0;
    return () => (++asked >= turn ? EVIL : good);
  }

  function getter(value: () => string, index: 0 | 1): [string, string] {
    const pair: [string, string] = ['X-Good', 'a'];
    Object.defineProperty(pair, index, { get: value, enumerable: true, configurable: true });
    return pair;
  }

  /** An array that passes for `good` the first `times` it is gone through. */
  class Turning extends Array<[string, string]> {
    passes = 0;
    override *[Symbol.iterator](): ArrayIterator<[string, string]> {
      yield this.passes++ === 0 ? ['X-Good', 'a'] : ['X-Good', EVIL];
    }
  }

  class Mapping extends Array<[string, string]> {
    override map(): never[] {
      return [['X-Good', EVIL]] as unknown as never[];
    }
  }

  class Species extends Array<[string, string]> {
    static override get [Symbol.species](): ArrayConstructor {
      return class extends Array {
        override [Symbol.iterator](): ArrayIterator<unknown> {
          return [['X-Good', EVIL]].values();
        }
      } as unknown as ArrayConstructor;
    }
  }

  function proxied(turn: number): [string, string] {
    const value = changing(turn);
    return new Proxy<[string, string]>(['X-Good', 'a'], {
      get: (pair, key) => (key === '1' ? value() : Reflect.get(pair, key)),
    });
  }

  const turns = [1, 2, 3, 4, 5];
  const CHANGING: [title: string, headers: () => unknown][] = [
    ...turns.flatMap((turn): [string, () => unknown][] => [
      [`a getter of the value (${turn})`, () => [getter(changing(turn), 1)]],
      [`a getter of the name (${turn})`, () => [getter(changing(turn, 'X-Good'), 0)]],
      [`a proxy of the pair (${turn})`, () => [proxied(turn)]],
      [
        `a value whose toString() changes (${turn})`,
        () => [['X-Good', { toString: changing(turn), length: 1 }]],
      ],
      [
        `a name whose toString() changes (${turn})`,
        () => [[{ toString: changing(turn), length: 1 }, 'a']],
      ],
      [`a String object (${turn})`, () => [['X-Good', new String(EVIL)]]],
      [`a value that is a list (${turn})`, () => [['X-Good', ['a', EVIL]]]],
    ]),
    ['a list whose iterator changes', () => Turning.of(['X-Good', 'a'])],
    ['a list whose map() forges', () => Mapping.of(['X-Good', 'a'])],
    ['a list whose species forges', () => Species.of(['X-Good', 'a'])],
    ['a pair whose iterator forges', () => [forgingPair()]],
    ['a Map', () => new Map([['X-Good', EVIL]])],
    ['an iterable', () => [['X-Good', EVIL]].values()],
    ['an object', () => ({ 'X-Good': EVIL })],
  ];

  function forgingPair(): unknown {
    const forged = ['X-Good', EVIL];
    return Object.assign(['X-Good', 'a'], { [Symbol.iterator]: () => forged.values() });
  }

  it.each(CHANGING)('%s: nothing is forged', async (_title, headers) => {
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', headers() as HeaderList);
      return 'hello';
    };
    const exchange = serve(app, { validate: false });
    const client = await exchange.client();
    await client.send(closing);
    const response = onlyResponse(await client.rest());
    expectNothingForged(response);
    // What was checked, if anything was, is what was sent.
    const good = response.fields.filter(([name]) => name === 'X-Good');
    if (response.status === 200) expect(good.map(([, value]) => value)).toEqual(['a']);
    else expect(exchange.errors.getValue()).toContain('ERR_RYEGATE_HEADER');
  });

  it.each(CHANGING)('%s, behind a good head, with an error', async (_title, headers) => {
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', [['X-First', 'a']]);
      startResponse('200 OK', headers() as HeaderList, new Error('again'));
      return 'hello';
    };
    expectNothingForged(await answer(app, []));
  });

  it('a status that is no string, though its text changes: 500', async () => {
    const errors: string[] = [];
    const status = { toString: changing(2), length: 6 } as unknown as string;
    const app: Application = (_environ, startResponse) => {
      startResponse(status, []);
      return 'hello';
    };
    expect((await answer(app, errors)).status).toBe(500);
    expect(errors[0]).toContain('ERR_RYEGATE_STATUS');
  });

  it('a list that is changed after startResponse(), and while the result is made', async () => {
    const list: HeaderList = [['X-Good', 'a']];
    const spoil = (): void => {
      (list[0] as string[])[1] = EVIL;
      list.push(['X-Next', EVIL], ['X-Evil', '1']);
    };
    const app = function* (_environ: unknown, startResponse: StartResponse): Generator<string> {
      startResponse('200 OK', list);
      spoil();
      yield 'hello';
      spoil();
    } as unknown as Application;
    const exchange = serve(app, { validate: false });
    const client = await exchange.client();
    await client.send(closing);
    const parsed = parseResponse(await client.rest(), 'GET', true);
    expect(parsed?.response.status).toBe(200);
    expect(parsed?.response.fields).toContainEqual(['X-Good', 'a']);
    expect(JSON.stringify(parsed?.response.fields)).not.toContain('Evil');
  });
});
