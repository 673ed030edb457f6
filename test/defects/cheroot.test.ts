import { describe, expect, it } from 'vitest';
import type { Application, HeaderList } from '../../src/index.ts';
import { echo, exchanges, get, get10, PLAIN, post, request } from '../support/exchange.ts';
import { field, type RawResponse, text } from '../support/rawclient.ts';
import { expectRefused, witness } from './refusals.ts';

// The defects 1 to 9 of the Python servers, which are CherryPy's server's.

const serve = exchanges();

function chunked(chunks: readonly string[], trailers = '', target = '/'): string {
  const pieces = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`);
  return request(
    'POST',
    target,
    ['Transfer-Encoding: chunked'],
    `${pieces.join('')}0\r\n${trailers}\r\n`,
  );
}

/** The body line by line, as JSON; more lines than a test has are an endless loop. */
const lines: Application = async (environ, startResponse) => {
  const limit = environ.QUERY_STRING === '' ? undefined : Number(environ.QUERY_STRING);
  const read: string[] = [];
  for (let count = 0; count < 100; count++) {
    const line = await environ['wsgi.input'].readline(limit);
    if (line.length === 0) break;
    read.push(String(line));
  }
  startResponse('200 OK', PLAIN);
  return JSON.stringify(read);
};

describe('1: cheroot ChunkedRFile.readline infinite loop', () => {
  const CASES: [title: string, chunks: string[], limit: string, expected: string[]][] = [
    ['a newline within a chunk', ['one\ntwo'], '', ['one\n', 'two']],
    ['a newline at the end of a chunk', ['one\n', 'two\n'], '', ['one\n', 'two\n']],
    ['several newlines in a chunk', ['a\n\n\nb\n'], '', ['a\n', '\n', '\n', 'b\n']],
    ['a line over three chunks', ['on', 'e', '\ntwo'], '', ['one\n', 'two']],
    ['a newline as a chunk of its own', ['one', '\n', 'two'], '', ['one\n', 'two']],
    ['no newline at all', ['one', 'two'], '', ['onetwo']],
    ['no body', [], '', []],
    ['a limit below the line', ['one\ntwo'], '?2', ['on', 'e\n', 'tw', 'o']],
    ['a limit of exactly the line', ['one\ntwo'], '?4', ['one\n', 'two']],
    ['a limit above the line', ['one\n', 'two'], '?9', ['one\n', 'two']],
  ];

  it.each(CASES)('%s', async (_title, chunks, limit, expected) => {
    const exchange = serve(lines);
    const response = await exchange.ask(chunked(chunks, '', `/${limit}`));
    expect(JSON.parse(text(response))).toEqual(expected);
    const body = chunks.join('');
    const known = request('POST', `/${limit}`, [`Content-Length: ${body.length}`], body);
    expect(JSON.parse(text(await exchange.ask(known)))).toEqual(expected);
  });

  it('readlines() and iteration of a chunked body come to their end, too', async () => {
    const app: Application = async (environ, startResponse) => {
      const input = environ['wsgi.input'];
      const read =
        environ.PATH_INFO === '/lines' ? (await input.readlines()).map(String) : ([] as string[]);
      for await (const chunk of input) read.push(String(chunk));
      startResponse('200 OK', PLAIN);
      return read.join('|');
    };
    const exchange = serve(app);
    const body = ['one\ntw', 'o\nthree'];
    expect(text(await exchange.ask(chunked(body, '', '/lines')))).toBe('one\n|two\n|three');
    const iterated = text(await exchange.ask(chunked(body, '', '/chunks')));
    expect(iterated.replaceAll('|', '')).toBe('one\ntwo\nthree');
  });
});

describe('2: cheroot DropUnderscoreHeaderReader always TypeError', () => {
  it.each([
    ['alone', ['X_Role: admin'], []],
    ['before its twin', ['X_Role: admin', 'X-Role: user'], [['HTTP_X_ROLE', 'user']]],
    ['behind its twin', ['X-Role: user', 'X_Role: admin'], [['HTTP_X_ROLE', 'user']]],
    ['at the beginning', ['_Role: admin'], []],
    ['at the end', ['Role_: admin'], []],
    ['only', ['_: admin'], []],
    ['in the name of a known field', ['Accept_Language: en', 'If_Match: x'], []],
  ])('an underscore %s is dropped, the request served', async (_title, fields, expected) => {
    const response = await serve(echo).ask(get('/', ...fields));
    expect(response.status).toBe(200);
    const { headers } = JSON.parse(text(response));
    expect(headers).toEqual([['HTTP_HOST', 'test'], ...expected]);
  });

  it('fields without an underscore are as they were', async () => {
    const exchange = serve(echo, { limits: { underscoreHeaders: 'refuse' } });
    const response = await exchange.ask(get('/', 'X-Role: user_name'));
    expect(JSON.parse(text(response)).headers).toContainEqual(['HTTP_X_ROLE', 'user_name']);
  });

  it('is refused where the server is told to', async () => {
    const { paths, app } = witness();
    const exchange = serve(app, { limits: { underscoreHeaders: 'refuse' } });
    await expectRefused(exchange, get('/', 'X_Role: admin'));
    expect(paths).toEqual([]);
  });
});

/** What is too long looks like a response, as that of an attacker would. */
const FORGED = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged';

/** Answers `/long` with more than it declares, and everything else in order. */
function tooLong(make: (write: (chunk: string) => void) => Iterable<string>): Application {
  return (environ, startResponse) => {
    if (environ.PATH_INFO !== '/long') {
      startResponse('200 OK', PLAIN);
      return 'next';
    }
    const write = startResponse('200 OK', [...PLAIN, ['Content-Length', '2']]);
    return make(write);
  };
}

async function expectCut(app: Application): Promise<void> {
  const exchange = serve(app);
  const client = await exchange.client();
  await client.send(get('/long') + get('/next', 'Connection: close'));
  const first = await client.response();
  expect([first.status, text(first)]).toEqual([200, 'ok']);
  expect(text(await client.response())).toBe('next');
  expect((await client.rest()).length).toBe(0);
  expect(exchange.errors.getValue().match(/longer than its Content-Length/g)).toHaveLength(1);
}

describe('3: cheroot over-length single chunk -> two responses on one connection', () => {
  const SHAPES: [title: string, app: Application][] = [
    ['a list of one', tooLong(() => [`ok${FORGED}`])],
    ['a string', tooLong(() => `ok${FORGED}` as unknown as Iterable<string>)],
    [
      'a generator',
      tooLong(function* () {
        yield `ok${FORGED}`;
      }),
    ],
    [
      'write()',
      tooLong((write) => {
        write(`ok${FORGED}`);
        return [];
      }),
    ],
  ];
  it.each(SHAPES)('%s is cut, and logged once', async (_title, app) => {
    await expectCut(app);
  });
});

describe('4: cheroot over-length across chunks unnoticed', () => {
  const SHAPES: [title: string, app: Application][] = [
    ['a chunk that fits, and one too many', tooLong(() => ['ok', FORGED])],
    ['chunks of one byte', tooLong(() => [...`ok${FORGED}`])],
    ['a chunk over the edge', tooLong(() => ['o', `k${FORGED}`, FORGED])],
    [
      'write(), then the result',
      tooLong((write) => {
        write('o');
        return ['k', FORGED];
      }),
    ],
  ];
  it.each(SHAPES)('%s: cut, and logged once', async (_title, app) => {
    await expectCut(app);
  });
});

describe('5: cheroot HEAD body sent on kept connection', () => {
  const SHAPES: [title: string, headers: HeaderList, make: () => Iterable<string> | string][] = [
    ['a string', PLAIN, () => 'body'],
    ['a list of one', PLAIN, () => ['body']],
    ['several chunks', PLAIN, () => ['bo', 'dy']],
    [
      'a generator',
      PLAIN,
      function* () {
        yield 'bo';
        yield 'dy';
      },
    ],
    ['a declared length', [...PLAIN, ['Content-Length', '4']], () => ['bo', 'dy']],
  ];

  it.each(SHAPES)('%s: the head, and then the next response', async (_title, headers, make) => {
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', headers);
      return make();
    };
    const client = await serve(app).client();
    await client.send(request('HEAD', '/') + get('/', 'Connection: close'));
    const head = await client.response('HEAD');
    expect([head.status, head.body.length]).toEqual([200, 0]);
    expect(text(await client.response())).toBe('body');
    expect((await client.rest()).length).toBe(0);
  });

  it('what write() is given', async () => {
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', PLAIN)('body');
      return [];
    };
    const client = await serve(app).client();
    await client.send(request('HEAD', '/') + get('/', 'Connection: close'));
    await client.response('HEAD');
    expect(text(await client.response())).toBe('body');
  });
});

describe('6: cheroot no-start_response -> empty reply', () => {
  const SHAPES: [title: string, app: Application][] = [
    ['a string', () => 'hello'],
    ['an empty string', () => ''],
    ['a list', () => ['hel', 'lo']],
    ['an empty list', () => []],
    [
      'a generator',
      function* () {
        yield 'hello';
      } as Application,
    ],
    ['an async application', async () => 'hello'],
    [
      'an async generator',
      async function* () {
        yield 'hello';
      } as unknown as Application,
    ],
    ['nothing', () => undefined as never],
  ];

  it.each(SHAPES)('%s: 500, and the next request is served', async (_title, app) => {
    const whole: Application = (environ, startResponse) => {
      if (environ.PATH_INFO === '/bad') return app(environ, startResponse);
      startResponse('200 OK', PLAIN);
      return 'good';
    };
    const exchange = serve(whole, { validate: false });
    const client = await exchange.client();
    await client.send(get('/bad') + get('/good'));
    const response = await client.response();
    expect(response.status).toBe(500);
    expect(response.body.length).toBeGreaterThan(0);
    expect(text(await client.response())).toBe('good');
    expect(exchange.errors.getValue()).toMatch(/ERR_RYEGATE_(NO_START_RESPONSE|RESULT)/);
  });
});

describe('7: cheroot case-sensitive Connection tokens', () => {
  const CLOSING = ['close', 'Close', 'CLOSE', 'TE, close', 'close, TE', 'x,\tClOsE ,y', ',close'];

  async function answer(message: string): Promise<{ response: RawResponse; kept: boolean }> {
    const { paths, app } = witness();
    const client = await serve(app).client();
    await client.send(message + get('/second', 'Connection: close'));
    const response = await client.response();
    const rest = await client.rest();
    expect(rest.length > 0).toBe(paths.length === 2);
    return { response, kept: rest.length > 0 };
  }

  it.each(CLOSING)('1.1 with %j closes', async (value) => {
    const { response, kept } = await answer(get('/', `Connection: ${value}`));
    expect(kept).toBe(false);
    expect(field(response, 'Connection')).toBe('close');
  });

  it('1.1 with close in the second of two fields closes', async () => {
    expect((await answer(get('/', 'Connection: TE', 'Connection: Close'))).kept).toBe(false);
  });

  it.each(['closed', 'clos', 'close-not', 'keep-alive', 'Keep-Alive', 'TE', ''])(
    '1.1 with %j is kept',
    async (value) => {
      expect((await answer(get('/', `Connection: ${value}`))).kept).toBe(true);
    },
  );

  it.each(['keep-alive', 'Keep-Alive', 'KEEP-ALIVE', 'TE, keep-alive', ' Keep-ALIVE ,TE'])(
    '1.0 with %j is kept, and told so',
    async (value) => {
      const { response, kept } = await answer(get10('/', `Connection: ${value}`));
      expect(kept).toBe(true);
      expect(field(response, 'Connection')).toBe('keep-alive');
    },
  );

  it.each(['', 'keep-alive, close', 'Keep-Alived', 'TE'])('1.0 with %j closes', async (value) => {
    expect((await answer(get10('/', `Connection: ${value}`))).kept).toBe(false);
  });
});

describe('8: cheroot Content-Length +5 / -1 / duplicate', () => {
  const LENGTHS: string[][] = [
    ['+5'],
    ['-1'],
    ['-0'],
    ['0x5'],
    ['1_0'],
    ['5.0'],
    ['5e0'],
    ['5, 5'],
    ['5,6'],
    ['\xb2'],
    [''],
    ['five'],
    ['9007199254740992'],
    ['18446744073709551621'],
    ['5', '5'],
    ['5', '6'],
    ['6', '5'],
    ['0', '5'],
  ];

  it.each(LENGTHS.map((values) => [values]))('%j', async (values) => {
    const { paths, app } = witness();
    const fields = values.map((value) => `Content-Length: ${value}`);
    await expectRefused(serve(app), request('POST', '/', fields, 'abcde'));
    expect(paths).toEqual([]);
  });

  it.each(['Content-Length : 5', 'Content-Length\t: 5', ' Content-Length: 5'])(
    '%j',
    async (line) => {
      const { paths, app } = witness();
      await expectRefused(serve(app), request('POST', '/', [line], 'abcde'));
      expect(paths).toEqual([]);
    },
  );

  it('a length in order is taken', async () => {
    expect(JSON.parse(text(await serve(echo).ask(post('abcde')))).body).toBe('abcde');
  });
});

describe('9: cheroot chunked body/trailers not drained', () => {
  const BODIES: [title: string, message: string][] = [
    ['a body', chunked(['hello'])],
    ['an empty body', chunked([])],
    ['a body of many chunks', chunked([...'abcdefghij'])],
    ['a body that looks like a request', chunked([get('/smuggled')])],
    ['trailers', chunked(['hello'], 'X-Checksum: 1\r\nX-More: 2\r\n')],
    ['a trailer that looks like a field of framing', chunked(['x'], 'X-Content-Length: 50\r\n')],
  ];

  it.each(BODIES)('%s that is not read', async (_title, message) => {
    const { paths, app } = witness();
    const client = await serve(app).client();
    await client.send(message + get('/next') + get('/last', 'Connection: close'));
    for (let count = 0; count < 3; count++) expect((await client.response()).status).toBe(200);
    expect((await client.rest()).length).toBe(0);
    expect(paths).toEqual(['/', '/next', '/last']);
  });

  it('in two segments, split at every place', async () => {
    const { paths, app } = witness();
    const exchange = serve(app);
    const client = await exchange.client();
    const message = chunked(['hello', 'world'], 'X-Checksum: 1\r\n') + get('/next');
    for (let at = 1; at < message.length; at++) {
      await exchange.sendApart(client, [message.slice(0, at), message.slice(at)]);
      expect((await client.response()).status).toBe(200);
      expect((await client.response()).status).toBe(200);
    }
    expect(paths).toHaveLength(2 * (message.length - 1));
    expect(new Set(paths)).toEqual(new Set(['/', '/next']));
  });

  it('read in part', async () => {
    const app: Application = async (environ, startResponse) => {
      const part = await environ['wsgi.input'].read(3);
      startResponse('200 OK', PLAIN);
      return `${environ.PATH_INFO} ${part}`;
    };
    const client = await serve(app).client();
    await client.send(chunked(['hello', get('/smuggled')], 'X-Checksum: 1\r\n') + get('/next'));
    expect(text(await client.response())).toBe('/ hel');
    expect(text(await client.response())).toBe('/next ');
  });

  it('a body that is malformed behind the answer ends the connection', async () => {
    const { paths, app } = witness();
    const client = await serve(app).client();
    await client.send(chunked(['hello']).replace('0\r\n\r\n', 'zz\r\n\r\n') + get('/next'));
    expect((await client.response()).status).toBe(200);
    expect((await client.rest()).length).toBe(0);
    expect(paths).toEqual(['/']);
  });
});
