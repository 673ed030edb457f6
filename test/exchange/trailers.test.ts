import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Application, Environ, HeaderList } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import {
  type Exchange,
  type ExchangeOptions,
  exchanges,
  get,
  get10,
  PLAIN,
  request,
} from '../support/exchange.ts';
import { field, type RawClient } from '../support/rawclient.ts';

const SUM: HeaderList = [['X-Sum', '42']];

type Sender = (trailers: HeaderList) => void;

function sender(environ: Environ): Sender {
  const send = environ['ryegate.trailers'];
  if (send === undefined) throw new Error('no trailers can be sent');
  return send;
}

/** Sends what comes until the body ends with its last chunk, trailers included. */
async function raw(exchange: Exchange, message: string): Promise<string> {
  const client: RawClient = await exchange.client();
  await client.send(message);
  client.halfClose();
  return (await client.rest()).toString('latin1');
}

/** What follows the head. */
function bodyOf(answer: string): string {
  return answer.slice(answer.indexOf('\r\n\r\n') + 4);
}

const ASKING = get('/', 'TE: trailers', 'Connection: close');

describeBackends('trailers of a response', (selector) => {
  const makeExchange = exchanges();

  function serve(app: Application, options: ExchangeOptions = {}): Exchange {
    return makeExchange(app, { selector, responseTrailers: true, ...options });
  }

  it('set before the head make the body a chunked one, and follow it', async () => {
    const shapes: [string, () => ReturnType<Application>][] = [
      ['a string', () => 'body'],
      ['a list', () => ['body']],
      [
        'a generator',
        () =>
          (function* () {
            yield 'bo';
            yield 'dy';
          })(),
      ],
      ['an empty list', () => []],
    ];
    for (const [title, result] of shapes) {
      const exchange = serve((environ, startResponse) => {
        sender(environ)(SUM);
        startResponse('200 OK', PLAIN);
        return result();
      });
      const answer = await raw(exchange, ASKING);
      expect(answer, title).toContain('\r\nTransfer-Encoding: chunked\r\n');
      expect(answer, title).not.toContain('Content-Length');
      expect(bodyOf(answer), title).toMatch(/0\r\nX-Sum: 42\r\n\r\n$/);
      expect(exchange.errors.getValue()).toBe('');
    }
  });

  it('set while the body is sent follow it', async () => {
    const exchange = serve((environ, startResponse) => {
      const send = sender(environ);
      startResponse('200 OK', PLAIN);
      return (async function* () {
        yield 'body';
        await sleep(5);
        send([['X-Old', '1']]);
        // The last counts.
        send([...SUM, ['Server-Timing', 'db;dur=5']]);
      })();
    });
    const answer = await raw(exchange, ASKING);
    expect(bodyOf(answer)).toBe('4\r\nbody\r\n0\r\nX-Sum: 42\r\nServer-Timing: db;dur=5\r\n\r\n');
  });

  it('leave the connection fit for the next request', async () => {
    const exchange = serve((environ, startResponse) => {
      environ['ryegate.trailers']?.(SUM);
      startResponse('200 OK', PLAIN);
      return environ.PATH_INFO;
    });
    const answer = await raw(exchange, get('/1', 'TE: trailers') + get('/2') + ASKING);
    expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3);
    expect(answer.match(/X-Sum: 42/g)).toHaveLength(2);
    expect(answer).toContain('2\r\n/1\r\n0\r\nX-Sum: 42\r\n\r\nHTTP/1.1 200 OK');
  });

  it.each([
    ['the client does not ask', get('/', 'Connection: close'), true],
    ['the client asks for something else', get('/', 'TE: gzip', 'Connection: close'), true],
    ['the client speaks HTTP/1.0', get10('/', 'TE: trailers'), true],
    ['the server does not allow it', ASKING, false],
  ])('cannot be sent when %s', async (_title, message, responseTrailers) => {
    let there: unknown = true;
    const exchange = serve(
      (environ, startResponse) => {
        there = environ['ryegate.trailers'];
        startResponse('200 OK', PLAIN);
        return 'body';
      },
      { responseTrailers },
    );
    const answer = await raw(exchange, message);
    expect(there).toBeUndefined();
    expect(answer).toContain('Content-Length: 4\r\n');
    expect(bodyOf(answer)).toBe('body');
  });

  it('are off by default', async () => {
    let there: unknown = true;
    const app: Application = (environ, startResponse) => {
      there = environ['ryegate.trailers'];
      startResponse('200 OK', PLAIN);
      return '';
    };
    await raw(makeExchange(app, { selector }), ASKING);
    expect(there).toBeUndefined();
  });

  it.each([
    ['in one line', ['TE: gzip;q=0.5, Trailers']],
    ['in several', ['TE: gzip', 'TE: trailers']],
  ])('are taken by a client that lists codings, %s', async (_title, fields) => {
    const exchange = serve((environ, startResponse) => {
      sender(environ)(SUM);
      startResponse('200 OK', PLAIN);
      return 'body';
    });
    const answer = await raw(exchange, get('/', ...fields, 'Connection: close'));
    expect(bodyOf(answer)).toBe('4\r\nbody\r\n0\r\nX-Sum: 42\r\n\r\n');
  });

  it('are dropped where the framing has no place for them', async () => {
    const exchange = serve((environ, startResponse) => {
      sender(environ)(SUM);
      const [, status = '', length] = environ.PATH_INFO.split('/');
      const type = status.startsWith('200') ? PLAIN : [];
      const size: HeaderList = length === undefined ? [] : [['Content-Length', length]];
      startResponse(status.replace('-', ' '), [...type, ...size]);
      return status.startsWith('200') ? 'body' : '';
    });
    const fields = ['TE: trailers', 'Connection: close'];
    const head = await raw(exchange, request('HEAD', '/200-OK', fields));
    expect(bodyOf(head)).toBe('');
    expect(bodyOf(await raw(exchange, get('/204-No%20Content', ...fields)))).toBe('');
    expect(bodyOf(await raw(exchange, get('/304-Not%20Modified', ...fields)))).toBe('');
    expect(bodyOf(await raw(exchange, get('/200-OK/4', ...fields)))).toBe('body');
    expect(exchange.errors.getValue()).toBe('');
  });

  it.each<[string, unknown, string]>([
    ['a CR and LF in a value', [['X-Sum', '1\r\nX-Admin: 1']], 'ERR_RYEGATE_HEADER'],
    ['a CR and LF in a name', [['X-Sum: 1\r\nX', '1']], 'ERR_RYEGATE_HEADER'],
    ['a low byte that is LF', [['X-Sum', '1\u010aX: 1']], 'ERR_RYEGATE_HEADER'],
    ['a NUL', [['X-Sum', '\0']], 'ERR_RYEGATE_HEADER'],
    ['no list', 'X-Sum: 1', 'ERR_RYEGATE_HEADER'],
    ['a field of the framing', [['Content-Length', '3']], 'ERR_RYEGATE_TRAILER'],
    ['a hop-by-hop field', [['Transfer-Encoding', 'chunked']], 'ERR_RYEGATE_HOP_BY_HOP'],
    ['Connection: close', [['Connection', 'close']], 'ERR_RYEGATE_TRAILER'],
    ['a cookie', [['Set-Cookie', 'a=b']], 'ERR_RYEGATE_TRAILER'],
  ])('with %s are refused, and leave the others as they were', async (_title, bad, code) => {
    let thrown: unknown;
    const exchange = serve((environ, startResponse) => {
      const send = sender(environ);
      startResponse('200 OK', PLAIN);
      send(SUM);
      try {
        send(bad as HeaderList);
      } catch (error) {
        thrown = error;
      }
      return 'body';
    });
    const answer = await raw(exchange, ASKING);
    expect(thrown).toMatchObject({ code });
    expect(bodyOf(answer)).toBe('4\r\nbody\r\n0\r\nX-Sum: 42\r\n\r\n');
  });

  it('that come after the end, or change after they were given, are not sent', async () => {
    let late: unknown;
    const given: HeaderList = [['X-Sum', '42']];
    const exchange = serve((environ, startResponse) => {
      const send = sender(environ);
      send(given);
      (given[0] as string[])[1] = '1\r\nX-Admin: 1';
      setTimeout(() => {
        try {
          send(SUM);
        } catch (error) {
          late = error;
        }
      }, 10);
      startResponse('200 OK', PLAIN);
      return 'body';
    });
    expect(bodyOf(await raw(exchange, ASKING))).toBe('4\r\nbody\r\n0\r\nX-Sum: 42\r\n\r\n');
    await sleep(50);
    expect(late).toMatchObject({ code: 'ERR_RYEGATE_TRAILER' });
  });

  it('do not make the answer of a failed application malformed', async () => {
    const exchange = serve((environ) => {
      sender(environ)(SUM);
      throw new Error('on purpose');
    });
    const client = await exchange.client();
    await client.send(ASKING);
    await client.received(10);
    expect((await client.rest()).toString()).toMatch(/^HTTP\/1\.1 500 /);
  });
});

describeBackends('trailers of a request', (selector) => {
  const serve = exchanges();

  const seen: Application = async (environ, startResponse) => {
    const input = environ['wsgi.input'];
    const first = await input.read(4);
    const before = input.trailers;
    const rest = await input.read();
    startResponse('200 OK', PLAIN);
    const inEnviron = Object.keys(environ).filter((key) => /SUM|ADMIN/i.test(key));
    return JSON.stringify([`${first}${rest}`, before, input.trailers, inEnviron]);
  };

  function chunked(trailers: string): string {
    const fields = ['Transfer-Encoding: chunked', 'Trailer: X-Sum'];
    return request('POST', '/', fields, `4\r\nbody\r\n2\r\n..\r\n0\r\n${trailers}\r\n`);
  }

  it('are there after the end, apart from the environ', async () => {
    const exchange = serve(seen, { selector });
    const client = await exchange.client();
    const trailers = [
      ['x-sum', '42'],
      ['x-admin', 'yes'],
      ['x-sum', '43'],
    ];
    const message = chunked('X-Sum: 42\r\nX-Admin:  yes \r\nx-SUM: 43\r\n');
    await exchange.sendApart(client, [
      message.slice(0, -50),
      message.slice(-50, -5),
      message.slice(-5),
    ]);
    const [body, before, after, inEnviron] = JSON.parse((await client.response()).body.toString());
    expect([body, before, after, inEnviron]).toEqual(['body..', [], trailers, []]);
    // Those of one request are not those of the next.
    await client.send(chunked('') + request('POST', '/', ['Content-Length: 4'], 'body'));
    expect(JSON.parse((await client.response()).body.toString())[2]).toEqual([]);
    expect(JSON.parse((await client.response()).body.toString())[2]).toEqual([]);
  });

  it('with an underscore in the name are left out, or refused, as in the header', async () => {
    const message = chunked('X_Sum: 1\r\nX-Sum: 2\r\n');
    const dropped = await serve(seen, { selector }).ask(message);
    expect(JSON.parse(dropped.body.toString())[2]).toEqual([['x-sum', '2']]);
    const refusing = serve(seen, { selector, limits: { underscoreHeaders: 'refuse' } });
    expect((await refusing.ask(message)).status).toBe(400);
  });

  it.each(['Content-Length: 4', 'Transfer-Encoding: chunked', 'Host: other', 'Authorization: x'])(
    'that do not belong there are refused: %s',
    async (line) => {
      const exchange = serve(seen, { selector });
      const client = await exchange.client();
      await client.send(chunked(`${line}\r\n`) + get('/smuggled'));
      const response = await client.response();
      expect([response.status, field(response, 'Connection')]).toEqual([400, 'close']);
      expect((await client.rest()).toString()).toBe('');
    },
  );

  it('are none without a body', async () => {
    const exchange = serve(seen, { selector });
    expect(JSON.parse((await exchange.ask(get())).body.toString())).toEqual(['', [], [], []]);
  });
});
