import { describe, expect, it } from 'vitest';
import type { Application, HeaderList } from '../../src/index.ts';
import { codeOf } from '../support/backends.ts';
import { type Exchange, exchanges, get, PLAIN } from '../support/exchange.ts';
import { BREAKS } from './breaks.ts';

// Fault case 23 in trailers: what ends a chunked response can be forged as a head can.

const serve = exchanges();
const asking = get('/', 'TE: trailers', 'Connection: close');

/** Answers `hello` in chunks, and gives the code of what `trailers` are refused with. */
function sending(trailers: () => unknown): { exchange: Exchange; codes: string[] } {
  const codes: string[] = [];
  const app: Application = (environ, startResponse) => {
    startResponse('200 OK', PLAIN);
    const send = environ['ryegate.trailers'];
    codes.push(codeOf(() => send?.(trailers() as HeaderList)));
    return ['hel', 'lo'];
  };
  return { exchange: serve(app, { responseTrailers: true }), codes };
}

async function received(exchange: Exchange): Promise<string> {
  const client = await exchange.client();
  await client.send(asking);
  return (await client.rest()).toString('latin1');
}

/** The trailer section, which has to be the end of the only response. */
async function trailersOf(exchange: Exchange): Promise<string[]> {
  const all = await received(exchange);
  expect(all.split('HTTP/1.1 ')).toHaveLength(2);
  const [, section = ''] = all.split('\r\n0\r\n');
  expect(section.endsWith('\r\n')).toBe(true);
  return section
    .slice(0, -2)
    .split('\r\n')
    .filter((line) => line !== '');
}

it('fault case 23, trailers: what is in order is sent', async () => {
  const { exchange, codes } = sending(() => [
    ['X-Checksum', '1'],
    ['X-More', '2'],
  ]);
  expect(await trailersOf(exchange)).toEqual(['X-Checksum: 1', 'X-More: 2']);
  expect(codes).toEqual(['no error']);
});

const PLACES: [title: string, pair: (text: string) => [string, string]][] = [
  ['a value', (text) => ['X-Good', `a${text}X-Evil: 1`]],
  ['the end of a value', (text) => ['X-Good', `a${text}`]],
  ['a name', (text) => [`X-Good: a${text}X-Evil`, '1']],
  ['the end of a name', (text) => [`X-Evil${text}`, '1']],
];

describe.each(PLACES)('fault case 23, trailers: into %s', (_place, pair) => {
  it.each(BREAKS)('%s: refused, and none is sent', async (_title, text) => {
    const { exchange, codes } = sending(() => [pair(text)]);
    expect(await trailersOf(exchange)).toEqual([]);
    expect(codes).toEqual(['ERR_RYEGATE_HEADER']);
  });
});

it.each([
  'Content-Length',
  'transfer-encoding',
  'HOST',
  'Set-Cookie',
  'Trailer',
  'Authorization',
  'Connection',
])('fault case 23, trailers: %s refused', async (name) => {
  const { exchange, codes } = sending(() => [[name, name === 'Connection' ? 'close' : '5']]);
  expect(await trailersOf(exchange)).toEqual([]);
  expect(codes[0]).toMatch(/^ERR_RYEGATE_(TRAILER|HOP_BY_HOP)$/);
});

describe('fault case 23, trailers: what changes between the check and the use', () => {
  const EVIL = 'a\r\n\r\nHTTP/1.1 200 OK\r\nX-Evil: 1';

  function getter(index: 0 | 1, turn: number, good: string, evil: string): [string, string] {
    let asked = 0;
    const pair: [string, string] = ['X-Good', 'a'];
    const get = (): string => (++asked >= turn ? evil : good);
    Object.defineProperty(pair, index, { get, enumerable: true, configurable: true });
    return pair;
  }

  const turns = [2, 3, 4, 5, 6];
  it.each(turns)('a value, asked for the %i. time', async (turn) => {
    const { exchange } = sending(() => [getter(1, turn, 'a', EVIL)]);
    expect(await received(exchange)).not.toContain('X-Evil');
  });

  it.each(turns)('a name, asked for the %i. time', async (turn) => {
    const { exchange } = sending(() => [getter(0, turn, 'X-Good', `${EVIL}\r\nX`)]);
    expect(await received(exchange)).not.toContain('X-Evil');
  });

  it.each(turns)('a name that becomes one of framing, asked for the %i. time', async (turn) => {
    const { exchange } = sending(() => [getter(0, turn, 'X-Good', 'Content-Length')]);
    expect(await received(exchange)).not.toContain('Content-Length');
  });

  it('a list that is changed afterwards', async () => {
    const list: HeaderList = [['X-Good', 'a']];
    const app: Application = (environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      environ['ryegate.trailers']?.(list);
      (list[0] as string[])[1] = EVIL;
      list.push(['X-Evil', '1']);
      return ['hel', 'lo'];
    };
    const exchange = serve(app, { responseTrailers: true });
    expect(await trailersOf(exchange)).toEqual(['X-Good: a']);
  });
});
