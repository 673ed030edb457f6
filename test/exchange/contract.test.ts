import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Application, Environ, StartResponse } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { exchanges, get, get10, PLAIN, request, TCP } from '../support/exchange.ts';
import { eventually, field, text } from '../support/rawclient.ts';
import { gate } from '../support/servers.ts';

const failure = new Error('the application failed');

/** `make` runs after `startResponse('200 OK')`. */
function started(
  make: (environ: Environ, startResponse: StartResponse) => Awaited<ReturnType<Application>>,
): Application {
  return (environ, startResponse) => {
    startResponse('200 OK', PLAIN);
    return make(environ, startResponse);
  };
}

describeBackends('an application that fails before the head', (selector) => {
  const serve = exchanges();

  const FAILING: [title: string, app: Application][] = [
    [
      'throws',
      () => {
        throw failure;
      },
    ],
    [
      'rejects',
      async () => {
        await sleep(1);
        throw failure;
      },
    ],
    [
      'throws after startResponse()',
      started(() => {
        throw failure;
      }),
    ],
    [
      'throws in a generator',
      // biome-ignore lint/correctness/useYield: it fails before.
      started(function* () {
        throw failure;
      }),
    ],
    [
      'throws in an async generator',
      // biome-ignore lint/correctness/useYield: it fails before.
      started(async function* () {
        await sleep(1);
        throw failure;
      }),
    ],
    [
      'throws after an empty chunk',
      started(function* () {
        yield '';
        throw failure;
      }),
    ],
    [
      'throws in making the iterator',
      started(() => ({
        [Symbol.iterator]() {
          throw failure;
        },
      })),
    ],
  ];

  it.each(FAILING)(
    'and %s: 500, logged with its stack, and the server goes on',
    async (_t, app) => {
      const exchange = serve(app, { selector });
      const client = await exchange.client();
      for (let i = 0; i < 2; i++) {
        await client.send(get());
        const response = await client.response();
        expect(response.status).toBe(500);
        expect(field(response, 'Content-Type')).toBe('text/plain; charset=utf-8');
        expect(text(response)).not.toContain('the application failed');
      }
      const logged = exchange.errors.getValue();
      expect(logged).toContain('the application failed');
      expect(logged).toMatch(/\n\s+at .*contract\.test\.ts/);
    },
  );

  it.each([undefined, null, 'a string', 42])('and throws %s: 500', async (thrown) => {
    const exchange = serve(
      () => {
        throw thrown;
      },
      { selector },
    );
    expect((await exchange.ask(get())).status).toBe(500);
    const later = serve(() => Promise.reject(thrown), { selector });
    expect((await later.ask(get())).status).toBe(500);
  });

  it('answers HEAD without a body', async () => {
    const exchange = serve(() => Promise.reject(failure), { selector });
    const client = await exchange.client();
    await client.send(request('HEAD', '/'));
    expect((await client.response('HEAD')).status).toBe(500);
    await client.send(get());
    expect((await client.response()).status).toBe(500);
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a number', 5],
    ['a boolean', true],
    ['an object', { body: 'x' }],
    ['a function', () => 'x'],
  ])('by a result that is %s: 500', async (_title, result) => {
    const app = started(() => result as unknown as string);
    const exchange = serve(app, { selector, validate: false });
    expect((await exchange.ask(get())).status).toBe(500);
    expect(exchange.errors.getValue()).toContain('ERR_RYEGATE_RESULT');
    const later: Application = async (environ, startResponse) => app(environ, startResponse);
    expect((await serve(later, { selector, validate: false }).ask(get())).status).toBe(500);
  });

  it.each([
    ['a list of a number', () => [5]],
    ['a list of null', () => [null]],
    ['a list of two with a list', () => [['x'], 'y']],
    [
      'a generator of objects',
      function* () {
        yield {};
      },
    ],
    [
      'an async generator of numbers',
      async function* () {
        yield 5;
      },
    ],
  ])('by a chunk of the wrong type, %s: 500', async (_title, make) => {
    const exchange = serve(
      started(() => make() as Iterable<string>),
      { selector, validate: false },
    );
    expect((await exchange.ask(get())).status).toBe(500);
    expect(exchange.errors.getValue()).toContain('ERR_RYEGATE_CHUNK');
  });

  it.each([
    ['a string', () => 'x'],
    ['an empty list', () => []],
    ['a list of one', () => ['x']],
    ['a list of two', () => ['x', 'y']],
  ])('to call startResponse(), with %s: 500', async (_title, make) => {
    const exchange = serve(make, { selector, validate: false });
    expect((await exchange.ask(get())).status).toBe(500);
    expect(exchange.errors.getValue()).toContain('ERR_RYEGATE_NO_START_RESPONSE');
  });
});

describeBackends('an application that fails after the head', (selector) => {
  const serve = exchanges();

  const FAILING: [title: string, app: Application][] = [
    [
      'in a generator',
      started(function* () {
        yield 'part';
        throw failure;
      }),
    ],
    [
      'in an async generator',
      started(async function* () {
        yield 'part';
        await sleep(1);
        throw failure;
      }),
    ],
    [
      'after write()',
      (_environ, startResponse) => {
        startResponse('200 OK', PLAIN)('part');
        throw failure;
      },
    ],
    [
      'after write() and a wait',
      async (_environ, startResponse) => {
        startResponse('200 OK', PLAIN)('part');
        await sleep(1);
        throw failure;
      },
    ],
  ];

  it.each(FAILING)('%s: the connection breaks off without an end', async (_title, app) => {
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(get() + get('/next'));
    const all = (await client.rest()).toString();
    expect(all.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(all).toMatch(/\r\n4\r\npart\r\n$/);
    // Once: neither the end of the answer nor that of the connection is a fault of its own.
    const told = exchange.errors.getValue().match(/the application failed/g);
    expect(told).toHaveLength(1);
    expect((await exchange.client()).ending).toBeNull();
  });

  it('with a chunk of the wrong type: the connection breaks off without an end', async () => {
    const app = started(() => ['part', failure as unknown as string]);
    const exchange = serve(app, { selector, validate: false });
    const client = await exchange.client();
    await client.send(get() + get('/next'));
    const all = (await client.rest()).toString();
    expect(all.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(all).toMatch(/\r\n4\r\npart\r\n$/);
    expect(exchange.errors.getValue().match(/code: 'ERR_RYEGATE_CHUNK/g)).toHaveLength(1);
  });
});

describeBackends('an application that fails after the head, to an HTTP/1.0 client', (selector) => {
  const serve = exchanges();

  it('has the connection reset, as its end would mark the end of the body', async () => {
    // A client in Node takes a reset for an end when it comes together with the bytes before it.
    const received = gate();
    const app = started(async function* () {
      yield 'part';
      await received.opened;
      throw failure;
    });
    const client = await serve(app, { selector, address: TCP }).client();
    await client.send(get10());
    await eventually(() => client.pending.toString().endsWith('part'), 'the part has come');
    received.open();
    expect(await client.ended()).toBe('reset');
    expect(client.pending.toString()).toMatch(/\r\n\r\npart$/);
  });
});

describeBackends('startResponse()', (selector) => {
  const serve = exchanges();

  it('called twice throws, and what was first stays', async () => {
    const app: Application = (_environ, startResponse) => {
      startResponse('201 Created', [['X-First', '1']]);
      try {
        startResponse('202 Accepted', [['X-Second', '1']]);
      } catch (error) {
        return (error as { code: string }).code;
      }
      return 'no error';
    };
    const response = await serve(app, { selector, validate: false }).ask(get());
    expect(response.status).toBe(201);
    expect(field(response, 'X-First')).toBe('1');
    expect(field(response, 'X-Second')).toBeUndefined();
    expect(text(response)).toBe('ERR_RYEGATE_HEADERS_SET');
  });

  it('called twice and not caught: 500', async () => {
    const app = started((_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return 'x';
    });
    const exchange = serve(app, { selector, validate: false });
    expect((await exchange.ask(get())).status).toBe(500);
    expect(exchange.errors.getValue()).toContain('ERR_RYEGATE_HEADERS_SET');
  });

  it('with an error replaces a head that has not been sent', async () => {
    const app = started((_environ, startResponse) => {
      startResponse('503 Service Unavailable', [['Content-Type', 'text/html']], failure);
      return 'sorry';
    });
    const response = await serve(app, { selector }).ask(get());
    expect(response.status).toBe(503);
    const types = response.fields.filter(([name]) => name === 'Content-Type');
    expect(types).toEqual([['Content-Type', 'text/html']]);
    expect(text(response)).toBe('sorry');
  });

  it('with an error throws it when the head has been sent', async () => {
    let thrown: unknown;
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', PLAIN)('part');
      try {
        startResponse('500 Late', PLAIN, failure);
      } catch (error) {
        thrown = error;
        throw error;
      }
      return 'x';
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(get());
    expect((await client.rest()).toString()).toMatch(/^HTTP\/1\.1 200[\s\S]*\r\n4\r\npart\r\n$/);
    expect(thrown).toBe(failure);
    expect(exchange.errors.getValue()).toContain('the application failed');
  });

  it('may be called by a generator before its first chunk', async () => {
    const app: Application = (_environ, startResponse) =>
      (function* () {
        startResponse('202 Accepted', PLAIN);
        yield 'later';
      })();
    const response = await serve(app, { selector }).ask(get());
    expect(response.status).toBe(202);
    expect(text(response)).toBe('later');
  });

  it('the head waits for the first chunk that is not empty', async () => {
    const app = started(function* (_environ, startResponse) {
      yield '';
      yield Buffer.alloc(0);
      startResponse('404 Not Found', PLAIN, failure);
      yield '';
      yield 'gone';
    });
    const response = await serve(app, { selector }).ask(get());
    expect(response.status).toBe(404);
    expect(response.chunks).toEqual([4]);
  });

  it('returns write(), which sends before the result', async () => {
    const app: Application = async (_environ, startResponse) => {
      const write = startResponse('200 OK', PLAIN);
      write('one ');
      write('');
      await sleep(1);
      write(Buffer.from('two '));
      return ['three ', 'four'];
    };
    const exchange = serve(app, { selector });
    const response = await exchange.ask(get());
    expect(text(response)).toBe('one two three four');
    expect(response.chunks).toEqual([4, 4, 6, 4]);
    const old = await exchange.ask(get10());
    expect(text(old)).toBe('one two three four');
    expect(old.framing).toBe('close');
  });

  it('write() alone is enough, and keeps to a Content-Length', async () => {
    const app: Application = (environ, startResponse) => {
      const write = startResponse('200 OK', [...PLAIN, ['Content-Length', '3']]);
      write(environ.PATH_INFO === '/long' ? 'abcdef' : 'abc');
      return [];
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(get() + get('/long') + get());
    for (let i = 0; i < 3; i++) expect(text(await client.response())).toBe('abc');
    expect(exchange.errors.getValue().match(/longer than/g)).toHaveLength(1);
  });

  it.each([5, null, undefined, {}, ['x']])('write(%j) throws', async (chunk) => {
    const app: Application = (_environ, startResponse) => {
      const write = startResponse('200 OK', PLAIN);
      try {
        write(chunk as string);
      } catch (error) {
        return (error as { code: string }).code;
      }
      return 'no error';
    };
    const exchange = serve(app, { selector, validate: false });
    expect(text(await exchange.ask(get()))).toBe('ERR_RYEGATE_CHUNK');
  });

  it('write() after the end of the response does nothing', async () => {
    let write: (chunk: string) => void = () => {};
    const app: Application = (_environ, startResponse) => {
      write = startResponse('200 OK', PLAIN);
      return 'whole';
    };
    const exchange = serve(app, { selector, validate: false });
    const client = await exchange.client();
    await client.send(get());
    expect(text(await client.response())).toBe('whole');
    write('late');
    await client.send(get());
    expect(text(await client.response())).toBe('whole');
    expect(client.pending).toHaveLength(0);
  });
});
