import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type {
  Application,
  ApplicationResult,
  Environ,
  HeaderList,
  StartResponse,
} from '../../src/index.ts';
import { exchanges, get, get10, PLAIN, post, request } from '../support/exchange.ts';
import { text } from '../support/rawclient.ts';
import { clientKeeper, get as fetchBody, runScript, threadKeeper } from '../support/servers.ts';

const serve = exchanges();

/** Calls `startResponse` as `begin` does, and returns 'x'. */
function begun(begin: (startResponse: (...args: unknown[]) => unknown) => unknown): Application {
  return (_environ, startResponse) => {
    begin(startResponse as (...args: unknown[]) => unknown);
    return 'x';
  };
}

/** What `make` makes, after `startResponse`. */
function answering(
  make: (environ: Environ, startResponse: StartResponse) => unknown,
  status = '200 OK',
  headers: HeaderList = PLAIN,
): Application {
  return (environ, startResponse) => {
    startResponse(status, headers);
    return make(environ, startResponse) as ApplicationResult;
  };
}

/** An application that gets these headers wrong. */
const headed = (headers: unknown, status: unknown = '200 OK'): Application =>
  begun((start) => start(status, headers));

const START_RESPONSE: [title: string, app: Application, rule: string | RegExp][] = [
  ['one argument', begun((start) => start('200 OK')), 'called with 1 arguments'],
  ['four arguments', begun((start) => start('200 OK', PLAIN, null, 0)), 'called with 4 arguments'],
  ['a status that is a number', headed(PLAIN, 200), 'the status is of type number'],
  ['a status of two digits', headed(PLAIN, '20 OK'), 'the status is "20 OK"'],
  ['a status below 100', headed(PLAIN, '099 OK'), 'the status is "099 OK"'],
  ['a status without a space', headed(PLAIN, '200'), 'the status is "200"'],
  ['a status with a line break', headed(PLAIN, '200 OK\r\nX: y'), 'the status is'],
  ['headers that are no array', headed({ 'Content-Type': 'text/plain' }), 'the headers are'],
  ['a header that is a string', headed(['Content-Type: x']), 'is not a [name, value] pair'],
  ['a header of three', headed([['X', 'y', 'z']]), 'is not a [name, value] pair'],
  ['a header name that is a number', headed([[5, 'y']]), 'a header name is of type number'],
  ['a header value that is a number', headed([...PLAIN, ['X', 5]]), 'is of type number'],
  ['a header named Status', headed([...PLAIN, ['status', '200']]), 'is named Status'],
  ['a colon in a header name', headed([...PLAIN, ['X:', 'y']]), 'a header name is "X:"'],
  ['a line break in a header name', headed([...PLAIN, ['X\n', 'y']]), 'a header name is'],
  ['a digit before a header name', headed([...PLAIN, ['1X', 'y']]), 'a header is named "1X"'],
  ['a dot in a header name', headed([...PLAIN, ['X.Y', 'y']]), 'a header is named "X.Y"'],
  ['a hyphen after a header name', headed([...PLAIN, ['X-', 'y']]), 'a header is named "X-"'],
  ['an underscore after a header name', headed([...PLAIN, ['X_', 'y']]), 'is named "X_"'],
  ['a line break in a value', headed([...PLAIN, ['X', 'a\r\nb']]), 'has U+000D at index 1'],
  ['a control character in a value', headed([...PLAIN, ['X', '\u0001']]), 'has U+0001'],
  ['a tab in a value', headed([...PLAIN, ['X', 'a\tb']]), 'header X has a tab'],
  ['a wide character in a value', headed([...PLAIN, ['X', '\u4e16']]), 'has U+4E16'],
  ['a hop-by-hop header', headed([...PLAIN, ['Upgrade', 'h2c']]), "not the application's to set"],
  ['no Content-Type', headed([['X', 'y']]), 'no header is named Content-Type'],
  ['no Content-Type with 302', headed([['Location', '/']], '302 Found'), 'named Content-Type'],
  ['Content-Type with 204', headed(PLAIN, '204 No Content'), 'given with status 204'],
  ['Content-Type with 304', headed(PLAIN, '304 Not Modified'), 'given with status 304'],
  ['an interim status', headed(PLAIN, '103 Early Hints'), 'a number from 200 to 999'],
  ['a bad Content-Length', headed([...PLAIN, ['Content-Length', 'x']]), 'Content-Length is "x"'],
  ['a signed Content-Length', headed([...PLAIN, ['Content-Length', '+1']]), 'is "+1"'],
  [
    'two Content-Lengths',
    headed([...PLAIN, ['Content-Length', '1'], ['content-length', '1']]),
    'Content-Length is given twice',
  ],
  [
    'an error that is none',
    begun((start) => start('500 Failed', PLAIN, 'failed')),
    'the third argument of startResponse() is "failed"',
  ],
  [
    'a second call without an error',
    begun((start) => [start('200 OK', PLAIN), start('200 OK', PLAIN)]),
    'startResponse() was called twice',
  ],
  [
    'a second call with null',
    begun((start) => [start('200 OK', PLAIN), start('200 OK', PLAIN, null)]),
    'startResponse() was called twice',
  ],
];

const withWrite = (use: (write: (...args: unknown[]) => void) => void): Application =>
  begun((start) => use(start('200 OK', PLAIN) as () => void));

const WRITE: [title: string, app: Application, rule: string | RegExp][] = [
  ['a number', withWrite((write) => write(5)), 'a chunk of the body is a value of type number'],
  ['an array', withWrite((write) => write(['x'])), 'a chunk of the body is a value of type object'],
  ['nothing', withWrite((write) => write()), 'write() was called with 0 arguments'],
  ['two chunks', withWrite((write) => write('a', 'b')), 'write() was called with 2 arguments'],
  [
    'a body with 204',
    (_environ, startResponse) => {
      startResponse('204 No Content', [])('x');
      return [];
    },
    'status 204 was given a body',
  ],
  [
    'within the result',
    (_environ, startResponse) => {
      const write = startResponse('200 OK', PLAIN);
      return (function* () {
        write('late');
        yield 'x';
      })();
    },
    'after the application had returned its result',
  ],
];

const using = (use: (environ: Environ) => unknown): Application =>
  answering(async (environ) => {
    await use(environ);
    return 'x';
  });
// biome-ignore lint/suspicious/noExplicitAny: they misuse it.
const input = (use: (stream: any) => unknown): Application => using((e) => use(e['wsgi.input']));
// biome-ignore lint/suspicious/noExplicitAny: they misuse it.
const errors = (use: (stream: any) => unknown): Application => using((e) => use(e['wsgi.errors']));

const STREAMS: [title: string, app: Application, rule: string | RegExp][] = [
  ['read(1, 2)', input((stream) => stream.read(1, 2)), 'wsgi.input.read() was called with 2'],
  [
    'saveTo() of three',
    input((stream) => stream.saveTo('/', {}, 3)),
    'wsgi.input.saveTo() was called with 3',
  ],
  [
    'readline(1, 2)',
    input((stream) => stream.readline(1, 2)),
    'input.readline() was called with 2',
  ],
  ['readlines(1, 2)', input((stream) => stream.readlines(1, 2)), 'readlines() was called with 2'],
  ['readSync(1, 2)', input((stream) => stream.readSync(1, 2)), 'readSync() was called with 2'],
  ['close() of input', input((stream) => stream.close()), 'wsgi.input.close() was called'],
  ['end() of input', input((stream) => stream.end()), 'wsgi.input.end() was called'],
  ['destroy() of input', input((stream) => stream.destroy()), 'wsgi.input.destroy() was called'],
  ['close() of errors', errors((stream) => stream.close()), 'wsgi.errors.close() was called'],
  ['end() of errors', errors((stream) => stream.end()), 'wsgi.errors.end() was called'],
  ['write(5)', errors((stream) => stream.write(5)), 'wsgi.errors.write() got a value of type numb'],
  ['write()', errors((stream) => stream.write()), 'wsgi.errors.write() got undefined'],
  ['write() of bytes', errors((stream) => stream.write(Buffer.from('x'))), 'write() got a value'],
  ['write() of two', errors((stream) => stream.write('a', 'b')), 'write() was called with 2'],
  ['writelines(5)', errors((stream) => stream.writelines(5)), 'writelines() got a value of type n'],
  ['writelines([5])', errors((stream) => stream.writelines([5])), 'writelines() got a value of ty'],
  ['flush(1)', errors((stream) => stream.flush(1)), 'wsgi.errors.flush() was called with 1'],
];

const RESULTS: [title: string, app: Application, rule: string | RegExp][] = [
  ...[undefined, null, false, true, 5, {}, () => 'x'].map(
    (result): [string, Application, RegExp] => [
      `the result ${String(result)}`,
      answering(() => result),
      /the application returned (undefined|null|a value of type (boolean|number|object|function))/,
    ],
  ),
  ['a promise of null', answering(async () => null), 'the application returned null'],
  ['an array of a number', answering(() => [5]), 'a chunk of the body is a value of type number'],
  ['an array with a hole', answering(() => new Array(1)), 'a chunk of the body is undefined'],
  ['an array of arrays', answering(() => ['a', ['b']]), 'a chunk of the body is a value of type o'],
  ['a set of numbers', answering(() => new Set([5])), 'a chunk of the body is a value of type num'],
  [
    'an async iterable of null',
    answering(async function* () {
      yield null;
    }),
    'a chunk of the body is null',
  ],
  ['a string without startResponse()', () => 'x', 'without a call of startResponse'],
  ['bytes without startResponse()', () => Buffer.from('x'), 'without a call of startResponse'],
  ['an array without startResponse()', () => ['x'], 'without a call of startResponse'],
  ['an empty array without startResponse()', () => [], 'without a call of startResponse'],
  [
    'a generator that calls startResponse() after its first chunk',
    function* (_environ: Environ, startResponse: StartResponse) {
      yield '';
      startResponse('200 OK', PLAIN);
    } as Application,
    'without a call of startResponse',
  ],
  [
    'an async generator without startResponse()',
    async function* () {} as unknown as Application,
    'without a call of startResponse',
  ],
  ['a string with 204', answering(() => 'x', '204 No', []), 'status 204 was given a body'],
  ['an array with 304', answering(() => ['', 'x'], '304 No', []), 'status 304 was given a body'],
  ['a set with 304', answering(() => new Set(['x']), '304 Hi', []), 'status 304 was given a body'],
];

describe.each([
  ['startResponse()', START_RESPONSE],
  ['write()', WRITE],
  ['the streams', STREAMS],
  ['the result', RESULTS],
])('an application that breaks a rule of %s is answered with 500', (_title, faults) => {
  it.each(faults)('%s', async (_fault, app, rule) => {
    const exchange = serve(app);
    expect((await exchange.ask(get())).status).toBe(500);
    const logged = exchange.errors.getValue();
    expect(logged).toContain("code: 'ERR_RYEGATE_VALIDATION'");
    if (typeof rule === 'string') expect(logged).toContain(rule);
    else expect(logged).toMatch(rule);
  });
});

describe('a result that breaks a rule', () => {
  it('in a later chunk has the connection broken off', async () => {
    const exchange = serve(answering(() => new Set<unknown>(['part', 5])));
    const client = await exchange.client();
    await client.send(get());
    expect((await client.rest()).toString()).toMatch(/\r\n4\r\npart\r\n$/);
    expect(exchange.errors.getValue()).toContain('ERR_RYEGATE_VALIDATION');
  });

  it('is still ended, and closed once', async () => {
    const ends: string[] = [];
    const iterator = {
      next: () => ({ done: false, value: 5 }),
      return: () => ({ done: ends.push('return') > 0, value: undefined }),
    };
    const close = (): unknown => ends.push('close');
    const shapes = [
      { [Symbol.iterator]: () => iterator, close },
      { [Symbol.asyncIterator]: () => iterator, close },
      Object.assign([5], { close }),
    ];
    for (const shape of shapes) {
      expect((await serve(answering(() => shape)).ask(get())).status).toBe(500);
    }
    expect(ends).toEqual(['return', 'close', 'return', 'close', 'close']);
  });
});

const GOOD: [title: string, app: Application][] = [
  ['a string', answering(() => 'hello')],
  ['bytes', answering(() => Uint8Array.of(0, 1, 255))],
  ['an empty array', answering(() => [])],
  ['an array of one', answering(() => ['hello'])],
  ['an array of two', answering(() => ['he', Buffer.from('llo')])],
  ['a set', answering(() => new Set(['he', 'llo']))],
  [
    'a generator that calls startResponse() itself',
    function* (_environ, startResponse) {
      startResponse('202 Accepted', PLAIN);
      yield 'he';
      yield 'llo';
    } as Application,
  ],
  [
    'an async generator',
    answering(async function* () {
      yield 'he';
      await sleep(1);
      yield 'llo';
    }),
  ],
  ['a promise of an array', answering(async () => ['hello'])],
  [
    'write() and an array',
    (_environ, startResponse) => {
      startResponse('200 OK', PLAIN)('he');
      return ['l', 'lo'];
    },
  ],
  [
    'a second call of startResponse() with an error',
    answering((_environ, startResponse) => {
      startResponse('503 Sorry', [['Content-Type', 'text/html']], new Error('why'));
      return ['sorry'];
    }),
  ],
  ['204', answering(() => [], '204 No Content', [])],
  ['304 with an empty chunk', answering(() => [''], '304 Not Modified', [['ETag', '"x"']])],
  [
    'the body of the request',
    answering(async (environ) => {
      const { 'wsgi.input': body } = environ;
      return [await body.read(2), await body.readline(), ...(await body.readlines())];
    }),
  ],
];

describe('an application that keeps to the contract', () => {
  it.each(GOOD)('is the same on the wire: %s', async (_title, app) => {
    const plain = serve(app, { validate: false });
    const validated = serve(app);
    const body = post('one\ntwo\nthree', 'Content-Type: text/plain');
    for (const message of [get(), get10(), request('HEAD', '/'), body]) {
      const method = message.slice(0, message.indexOf(' '));
      const [expected, response] = await Promise.all([
        plain.ask(message, method),
        validated.ask(message, method),
      ]);
      const of = ({ fields, ...rest }: typeof response): object => ({
        ...rest,
        fields: fields.map(([name, value]) => (name === 'Date' ? name : `${name}: ${value}`)),
      });
      expect(of(response)).toEqual(of(expected));
    }
    expect(validated.errors.getValue()).toBe('');
  });

  it('gets OPTIONS of *, and a path that is empty but for its SCRIPT_NAME', async () => {
    const exchange = serve(answering((environ) => `[${environ.PATH_INFO}]`));
    expect(text(await exchange.ask(request('OPTIONS', '*')))).toBe('[]');
    expect(text(await exchange.ask(get('http://example.org')))).toBe('[/]');
  });
});

describe('a synchronous application', () => {
  const thread = threadKeeper();
  const clients = clientKeeper();

  it('stays so, under serveForeverSync()', async () => {
    const served = thread(`
      const app = ryegate.validator((environ, startResponse) => {
        const write = startResponse('200 OK', [['Content-Type', 'text/plain']]);
        switch (environ.PATH_INFO) {
          case '/string': return 'hello';
          case '/array': return ['he', 'llo'];
          case '/generator': return (function* () { yield 'he'; yield 'llo'; })();
          case '/write': write('he'); return ['llo'];
          default: return [environ['wsgi.input'].readSync()];
        }
      });
      const server = ryegate.makeServer('127.0.0.1', 0, app, { inputBuffering: 'buffer' });
      tell({ handle: server.shutdownHandle, address: server.serverAddress });
      server.serveForeverSync();
      await server.serverClose();
    `);
    const { handle, address } = await served.ready();
    for (const path of ['/string', '/array', '/generator', '/write']) {
      expect(await fetchBody(address, path)).toMatchObject({ status: 200, body: 'hello' });
    }
    const client = await clients.connect(address);
    client.socket.write(post('hello', 'Connection: close'));
    expect(await client.end()).toMatch(/\r\n\r\nhello$/);
    handle.shutdownSync();
    await served.end();
  });
});

it('a server that never closes a result is warned of it, once', async () => {
  const printed = await runScript(`
    import { setImmediate } from 'node:timers/promises';
    import { setFlagsFromString } from 'node:v8';
    import { runInNewContext } from 'node:vm';
    const { util, validator } = await import(process.argv[1]);
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc');
    let warnings = [];
    process.removeAllListeners('warning');
    process.on('warning', ({ name, code, message }) => warnings.push([name, code, message]));
    const run = () => {
      const environ = {};
      util.setupTestingDefaults(environ);
      return validator((_, startResponse) => {
        startResponse('200 OK', [['Content-Type', 'text/plain']]);
        return new Set(['x']);
      })(environ, () => () => {});
    };
    const collect = async (until) => {
      for (let i = 0; i < 100 && !until(); i++) {
        await setImmediate();
        gc();
      }
    };
    run().close();
    let rounds = 0;
    await collect(() => rounds++ === 10);
    const closed = warnings.length;
    run();
    run();
    await collect(() => warnings.length > 0);
    rounds = 0;
    await collect(() => rounds++ === 10);
    console.log(JSON.stringify({ closed, warnings }));
  `);
  const warning = ['WSGIWarning', 'RYEGATE_WSGI', expect.stringContaining('garbage collected')];
  expect(JSON.parse(printed)).toEqual({ closed: 0, warnings: [warning] });
});
