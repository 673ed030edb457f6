import { expect, it } from 'vitest';
import type { Application, HeaderList } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { exchanges, get, get10, PLAIN, request } from '../support/exchange.ts';
import { field, type RawResponse, text } from '../support/rawclient.ts';

/** An application with these headers and the result that `make` makes. */
function answering(
  make: () => Awaited<ReturnType<Application>>,
  headers: HeaderList = PLAIN,
  status = '200 OK',
): Application {
  return (_environ, startResponse) => {
    startResponse(status, headers);
    return make();
  };
}

function* two(): Generator<string> {
  yield 'he';
  yield 'llo';
}

async function* twoLater(): AsyncGenerator<string> {
  yield 'he';
  await Promise.resolve();
  yield 'llo';
}

const declared = (length: number): HeaderList => [...PLAIN, ['Content-Length', String(length)]];

const WHOLE: [shape: string, make: () => Awaited<ReturnType<Application>>][] = [
  ['a string', () => 'hello'],
  ['a Buffer', () => Buffer.from('hello')],
  ['a Uint8Array', () => Uint8Array.from(Buffer.from('hello'))],
  ['a list of one string', () => ['hello']],
  ['a list of one Buffer', () => [Buffer.from('hello')]],
];

const PIECES: [shape: string, make: () => Awaited<ReturnType<Application>>][] = [
  ['a list of two', () => ['he', Buffer.from('llo')]],
  ['a generator', two],
  ['an async generator', twoLater],
  ['a set', () => new Set(['he', 'llo'])],
];

const EMPTY: [shape: string, make: () => Awaited<ReturnType<Application>>][] = [
  ['an empty string', () => ''],
  ['an empty Buffer', () => Buffer.alloc(0)],
  ['an empty list', () => []],
  ['a list of empty chunks', () => ['', Buffer.alloc(0)]],
  ['a generator without a chunk', function* (): Generator<string> {}],
  ['an async generator without a chunk', async function* (): AsyncGenerator<string> {}],
];

const length = (response: RawResponse): string | undefined => field(response, 'Content-Length');

describeBackends('the framing of a response', (selector) => {
  const serve = exchanges();

  it.each(WHOLE)('%s: Content-Length is computed', async (_shape, make) => {
    const exchange = serve(answering(make), { selector });
    const client = await exchange.client();
    for (const message of [get(), get10('/', 'Connection: keep-alive'), get()]) {
      await client.send(message);
      const response = await client.response();
      expect(text(response)).toBe('hello');
      expect(length(response)).toBe('5');
      expect(field(response, 'Transfer-Encoding')).toBeUndefined();
    }
  });

  it.each(PIECES)('%s: chunked on 1.1, to the end of the connection on 1.0', async (_s, make) => {
    const exchange = serve(answering(make), { selector });
    const client = await exchange.client();
    await client.send(get() + get());
    for (let i = 0; i < 2; i++) {
      const response = await client.response();
      expect(text(response)).toBe('hello');
      expect(response.chunks).toEqual([2, 3]);
      expect(length(response)).toBeUndefined();
    }
    const old = await exchange.client();
    await old.send(get10('/', 'Connection: keep-alive'));
    const response = await old.response();
    expect(text(response)).toBe('hello');
    expect(response.framing).toBe('close');
    expect(field(response, 'Transfer-Encoding')).toBeUndefined();
    expect(field(response, 'Connection')).not.toBe('keep-alive');
  });

  it.each(PIECES)('%s with a Content-Length is sent by it', async (_shape, make) => {
    const exchange = serve(answering(make, declared(5)), { selector });
    const client = await exchange.client();
    await client.send(get() + get10('/', 'Connection: Keep-Alive') + get());
    for (let i = 0; i < 3; i++) {
      const response = await client.response();
      expect(text(response)).toBe('hello');
      expect(length(response)).toBe('5');
      expect(response.framing).toBe('length');
    }
  });

  it.each(EMPTY)('%s has a Content-Length of 0', async (_shape, make) => {
    const exchange = serve(answering(make), { selector });
    const response = await exchange.ask(get());
    expect(length(response)).toBe('0');
    expect(response.body).toHaveLength(0);
  });

  it('strings are sent as UTF-8 and counted in bytes', async () => {
    const word = 'grüße, 世界 🌾';
    const whole = await serve(
      answering(() => word),
      { selector },
    ).ask(get());
    expect(text(whole)).toBe(word);
    expect(length(whole)).toBe(String(Buffer.byteLength(word)));
    const pieces = await serve(
      answering(() => [word, 'é', word]),
      { selector },
    ).ask(get());
    expect(text(pieces)).toBe(`${word}é${word}`);
    expect(pieces.chunks).toEqual([word, 'é', word].map((piece) => Buffer.byteLength(piece)));
    const sized = answering(() => [word, 'é'], declared(Buffer.byteLength(`${word}é`)));
    expect(text(await serve(sized, { selector }).ask(get()))).toBe(`${word}é`);
  });

  it('a string cut in the middle of a surrogate pair stays well-formed', async () => {
    const exchange = serve(
      answering(() => 'a\ud83cb'),
      { selector },
    );
    const response = await exchange.ask(get());
    expect(text(response)).toBe('a\ufffdb');
    expect(length(response)).toBe('5');
  });
});

describeBackends('the version and the connection', (selector) => {
  const serve = exchanges();
  const hello = answering(() => 'hello');

  it('1.1 is sent to clients of both versions', async () => {
    // The parser of the tests takes no other version.
    const exchange = serve(hello, { selector });
    expect((await exchange.ask(get())).status).toBe(200);
    expect((await exchange.ask(get10())).status).toBe(200);
  });

  it.each([
    ['1.1', get(), 'keep-alive'],
    ['1.1 with close', get('/', 'Connection: close'), 'close'],
    ['1.1 with close among others', get('/', 'Connection: TE, Close'), 'close'],
    ['1.1 with close in a second field', get('/', 'Connection: te', 'Connection: close'), 'close'],
    ['1.0', get10(), 'close'],
    ['1.0 with keep-alive', get10('/', 'Connection: x, Keep-Alive'), 'keep-alive'],
    ['1.0 with both', get10('/', 'Connection: keep-alive, close'), 'close'],
  ])('%s', async (_title, message, expected) => {
    const exchange = serve(hello, { selector, timeouts: { keepAlive: 65 } });
    const client = await exchange.client();
    await client.send(message);
    const response = await client.response();
    expect(text(response)).toBe('hello');
    expect(field(response, 'Connection')).toBe(expected);
    if (expected === 'keep-alive') {
      expect(field(response, 'Keep-Alive')).toBe('timeout=65');
      await client.send(message);
      expect(text(await client.response())).toBe('hello');
    } else {
      expect(field(response, 'Keep-Alive')).toBeUndefined();
      expect((await client.rest()).toString()).toBe('');
    }
  });

  it('an application may close with Connection: close', async () => {
    const exchange = serve(
      answering(() => 'bye', [...PLAIN, ['connection', 'Close']]),
      { selector },
    );
    const client = await exchange.client();
    await client.send(get() + get());
    const response = await client.response();
    expect(text(response)).toBe('bye');
    expect(field(response, 'Connection')).toBe('close');
    expect((await client.rest()).toString()).toBe('');
  });

  it('an idle connection is closed after timeouts.keepAlive', async () => {
    const exchange = serve(hello, { selector, timeouts: { keepAlive: 1 } });
    const client = await exchange.client();
    await client.send(get());
    expect(field(await client.response(), 'Keep-Alive')).toBe('timeout=1');
    const since = performance.now();
    expect(await client.ended()).toBe('fin');
    expect(performance.now() - since).toBeGreaterThan(900);
    client.halfClose();
  });

  it('Date and Server are added, and kept when the application gives them', async () => {
    const added = await serve(hello, { selector }).ask(get());
    expect(Date.parse(field(added, 'Date') ?? '')).toBeGreaterThan(Date.now() - 10_000);
    expect(field(added, 'Server')).toMatch(/^ryegate\/\d/);
    const given = answering(
      () => 'x',
      [...PLAIN, ['DATE', 'Sun, 06 Nov 1994 08:49:37 GMT'], ['server', 'mine']],
    );
    const kept = await serve(given, { selector }).ask(get());
    expect(field(kept, 'Date')).toBe('Sun, 06 Nov 1994 08:49:37 GMT');
    expect(field(kept, 'Server')).toBe('mine');
  });

  it('headers are sent as given: order, case, repeats, Latin-1', async () => {
    const headers: HeaderList = [
      ['x-B', 'one'],
      ['Set-Cookie', 'a=1'],
      ['Set-Cookie', 'b=2'],
      ['X-A', 'caf\u00e9\t(\u00ff)'],
      ['X-Empty', ''],
    ];
    const exchange = serve(
      answering(() => 'x', headers, '200 Tr\u00e8s bien'),
      // The validator refuses the tab, which HTTP allows.
      { selector, validate: false },
    );
    const response = await exchange.ask(get());
    expect(response.reason).toBe('Tr\u00e8s bien');
    expect(response.fields.slice(0, 5)).toEqual(headers);
  });
});

describeBackends('responses without a body', (selector) => {
  const serve = exchanges();

  it.each([...WHOLE, ...PIECES, ...EMPTY])('HEAD of %s: the headers of GET', async (_s, make) => {
    const exchange = serve(answering(make), { selector });
    const client = await exchange.client();
    await client.send(get() + request('HEAD', '/') + get());
    const full = await client.response();
    const head = await client.response('HEAD');
    expect(head.fields.filter(([name]) => name !== 'Date')).toEqual(
      full.fields.filter(([name]) => name !== 'Date'),
    );
    expect(await client.response()).toMatchObject({ status: 200 });
    expect(client.pending).toHaveLength(0);
  });

  it('HEAD keeps a Content-Length that the application gives', async () => {
    const exchange = serve(
      answering(() => [], declared(123)),
      { selector },
    );
    const client = await exchange.client();
    await client.send(request('HEAD', '/'));
    expect(length(await client.response('HEAD'))).toBe('123');
    await client.send(request('HEAD', '/'));
    expect(length(await client.response('HEAD'))).toBe('123');
    expect(exchange.errors.getValue()).toBe('');
  });

  it('HEAD on 1.0 keeps the connection when asked to', async () => {
    const exchange = serve(answering(two), { selector });
    const client = await exchange.client();
    for (let i = 0; i < 2; i++) {
      await client.send(get10('/', 'Connection: keep-alive').replace('GET', 'HEAD'));
      const response = await client.response('HEAD');
      expect(field(response, 'Transfer-Encoding')).toBeUndefined();
      expect(field(response, 'Connection')).toBe('keep-alive');
    }
  });

  it.each(['204 No Content', '304 Not Modified'])('%s', async (status) => {
    for (const [, make] of [...WHOLE, ...PIECES, ...EMPTY]) {
      const exchange = serve(answering(make, [], status), { selector, validate: false });
      const client = await exchange.client();
      await client.send(get() + get());
      for (let i = 0; i < 2; i++) {
        const response = await client.response();
        expect(response.status).toBe(Number(status.slice(0, 3)));
        expect(length(response)).toBeUndefined();
        expect(field(response, 'Transfer-Encoding')).toBeUndefined();
        expect(field(response, 'Connection')).toBe('keep-alive');
      }
      expect(client.pending).toHaveLength(0);
      client.destroy();
    }
  });

  it('204 loses a Content-Length, 304 keeps it', async () => {
    const headers: HeaderList = [['Content-Length', '5']];
    const none = await serve(
      answering(() => 'hello', headers, '204 No'),
      { selector, validate: false },
    ).ask(get());
    expect(length(none)).toBeUndefined();
    const same = await serve(
      answering(() => [], headers, '304 No'),
      { selector },
    ).ask(get());
    expect(length(same)).toBe('5');
  });

  it('1xx, behind which the client would go on waiting, is an error of the application', async () => {
    const exchange = serve(
      answering(() => [], [], '103 Early Hints'),
      { selector, validate: false },
    );
    expect((await exchange.ask(get())).status).toBe(500);
    expect(exchange.errors.getValue()).toContain('ERR_RYEGATE_STATUS');
  });
});

describeBackends('a result that does not fit its Content-Length', (selector) => {
  const serve = exchanges();

  const LONGER: [shape: string, make: () => Awaited<ReturnType<Application>>][] = [
    ['a string', () => 'hello world'],
    ['a list', () => ['hel', 'lo world', 'and more']],
    ['a list that fits first', () => ['hello', ' world']],
    [
      'a generator that does not end',
      function* (): Generator<string> {
        for (;;) yield 'hello';
      },
    ],
    [
      'an async generator',
      async function* (): AsyncGenerator<Buffer> {
        yield Buffer.from('hel');
        yield Buffer.from('lo world');
      },
    ],
  ];

  it.each(LONGER)('%s that is longer is cut and logged', async (_shape, make) => {
    const exchange = serve(answering(make, declared(5)), { selector });
    const client = await exchange.client();
    await client.send(get() + get());
    for (let i = 0; i < 2; i++) expect(text(await client.response())).toBe('hello');
    expect(client.pending).toHaveLength(0);
    expect(exchange.errors.getValue()).toMatch(/longer than its Content-Length of 5 bytes/);
    expect(exchange.errors.getValue().match(/longer/g)).toHaveLength(2);
  });

  const SHORTER: [shape: string, make: () => Awaited<ReturnType<Application>>][] = [
    ['a string', () => 'hello'],
    ['nothing', () => []],
    ['a generator', two],
    ['an async generator', twoLater],
  ];

  it.each(SHORTER)('%s that is shorter aborts the connection, logged', async (_shape, make) => {
    const exchange = serve(answering(make, declared(6)), { selector });
    const client = await exchange.client();
    await client.send(get() + get());
    const all = (await client.rest()).toString();
    expect(all.match(/HTTP\/1\.1/g)).toHaveLength(1);
    const body = all.slice(all.indexOf('\r\n\r\n') + 4);
    expect('hello'.startsWith(body)).toBe(true);
    expect(exchange.errors.getValue()).toMatch(/of the 6 bytes/);
  });

  it.each(['+5', '-1', '5, 5', 'five', '', '5.0', '0x5', '9007199254740993'])(
    'a Content-Length of %j is refused',
    async (value) => {
      const app = answering(() => 'hello', [['Content-Length', value]]);
      const exchange = serve(app, { selector, validate: false });
      expect((await exchange.ask(get())).status).toBe(500);
      expect(exchange.errors.getValue()).toMatch(/ERR_RYEGATE_CONTENT_LENGTH/);
    },
  );

  it('two Content-Lengths are refused', async () => {
    const headers: HeaderList = [
      ['Content-Length', '5'],
      ['content-length', '5'],
    ];
    const exchange = serve(
      answering(() => 'hello', headers),
      { selector, validate: false },
    );
    expect((await exchange.ask(get())).status).toBe(500);
    expect(exchange.errors.getValue()).toMatch(/ERR_RYEGATE_CONTENT_LENGTH/);
  });
});
