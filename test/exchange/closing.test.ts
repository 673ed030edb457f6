import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Application, ApplicationResult, Chunk, HeaderList } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { type Exchange, exchanges, get, get10, PLAIN, request, TCP } from '../support/exchange.ts';
import { eventually, type RawClient } from '../support/rawclient.ts';

/** A result that counts how it is ended. */
class Probe {
  nexts = 0;
  returns = 0;
  closes = 0;
  /** Whether the iterator came to its end by itself, or threw. */
  over = false;
  readonly #chunks: readonly (Chunk | Error)[];
  readonly #endless: boolean;

  /** An Error among the chunks is thrown. `endless`: the last chunk is repeated. */
  constructor(chunks: readonly (Chunk | Error)[], endless = false) {
    this.#chunks = chunks;
    this.#endless = endless;
  }

  next(): IteratorResult<Chunk> {
    const last = this.#chunks.length - 1;
    const chunk = this.#chunks[this.#endless ? Math.min(this.nexts, last) : this.nexts];
    this.nexts++;
    if (chunk !== undefined && !(chunk instanceof Error)) return { done: false, value: chunk };
    this.over = true;
    if (chunk === undefined) return { done: true, value: undefined };
    throw chunk;
  }

  return(): IteratorResult<Chunk> {
    this.returns++;
    return { done: true, value: undefined };
  }

  close(): void {
    this.closes++;
  }

  expectClosedOnce(): void {
    expect(this.closes).toBe(1);
    expect(this.returns).toBe(this.over ? 0 : 1);
  }
}

type Shape = (probe: Probe) => ApplicationResult;

const SHAPES: [name: string, shape: Shape][] = [
  [
    'iterable',
    (probe) => ({
      [Symbol.iterator]: () => ({ next: () => probe.next(), return: () => probe.return() }),
      close: () => probe.close(),
    }),
  ],
  [
    'iterator',
    (probe) => ({
      [Symbol.iterator]() {
        return this as unknown as Iterator<Chunk>;
      },
      next: () => probe.next(),
      return: () => probe.return(),
      close: () => probe.close(),
    }),
  ],
  [
    'async iterable',
    (probe) => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => probe.next(),
        return: async () => probe.return(),
      }),
      close: async () => probe.close(),
    }),
  ],
];

const MODES: [name: string, wrap: (result: ApplicationResult) => ReturnType<Application>][] = [
  ['', (result) => result],
  ['promise of an ', async (result) => result],
  ['late promise of an ', (result) => sleep(5).then(() => result)],
];

const RESULTS = MODES.flatMap(([mode, wrap]) =>
  SHAPES.map(([name, shape]): [string, (probe: Probe) => ReturnType<Application>] => [
    mode + name,
    (probe) => wrap(shape(probe)),
  ]),
);

interface Situation {
  chunks: readonly (Chunk | Error)[];
  endless?: boolean;
  message?: string;
  status?: string;
  headers?: HeaderList;
  /** The application breaks the contract. */
  faulty?: true;
  /** What the client does when it has sent its request. */
  leave?: (client: RawClient, exchange: Exchange) => Promise<void>;
}

/** Rounds of Node's loop, in which a second close would show. */
async function rounds(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await setImmediate();
}

const big = Buffer.alloc(65_536, 'x');
const failure = new Error('failed');

const declared = (length: number | string): HeaderList => [
  ...PLAIN,
  ['Content-Length', String(length)],
];

const SITUATIONS: [title: string, situation: Situation][] = [
  ['success', { chunks: ['one', 'two'] }],
  ['success on 1.0', { chunks: ['one', 'two'], message: get10() }],
  ['success without a chunk', { chunks: [] }],
  ['failure before the first chunk', { chunks: [failure] }],
  ['failure after an empty chunk', { chunks: ['', failure] }],
  ['failure after a chunk', { chunks: ['one', failure] }],
  ['a chunk of the wrong type', { chunks: [5 as unknown as Chunk], faulty: true }],
  ['a later chunk of the wrong type', { chunks: ['one', {} as Chunk, 'three'], faulty: true }],
  ['no startResponse()', { chunks: ['one', 'two'], status: '', faulty: true }],
  ['HEAD', { chunks: ['one', 'two'], message: request('HEAD', '/') }],
  ['HEAD of what has no end', { chunks: ['x'], endless: true, message: request('HEAD', '/') }],
  ['204', { chunks: ['one', 'two'], status: '204 No Content', faulty: true }],
  ['304', { chunks: [], status: '304 Not Modified', headers: [] }],
  ['longer than declared', { chunks: ['one', 'two'], headers: declared(4) }],
  ['without end, but declared', { chunks: ['x'], endless: true, headers: declared(4) }],
  ['exactly as declared', { chunks: ['one', 'two'], headers: declared(6) }],
  ['shorter than declared', { chunks: ['one', 'two'], headers: declared(7) }],
  ['a bad Content-Length', { chunks: ['one', 'two'], headers: declared('x'), faulty: true }],
  [
    'the client gone while it was congested',
    {
      chunks: [big],
      endless: true,
      leave: async (client, exchange) => {
        client.socket.pause();
        const buffered = (): number =>
          [...exchange.server.reactor.sockets.values()][0]?.buffered ?? 0;
        await eventually(() => buffered() > 65_536, 'the kernel takes no more');
        client.reset();
      },
    },
  ],
  [
    'the client gone while it was receiving',
    {
      chunks: [big],
      endless: true,
      leave: async (client) => {
        await client.received(300_000);
        client.destroy();
      },
    },
  ],
  ['the client gone at once', { chunks: [big], endless: true, leave: async (c) => c.reset() }],
];

describeBackends('a result is closed exactly once', (selector) => {
  const serve = exchanges();

  async function run(
    situation: Situation,
    make: (probe: Probe) => ReturnType<Application>,
  ): Promise<{ probe: Probe; exchange: Exchange }> {
    const probe = new Probe(situation.chunks, situation.endless);
    const app: Application = (_environ, startResponse) => {
      const { status = '200 OK', headers = PLAIN } = situation;
      if (status !== '') startResponse(status, headers);
      return make(probe);
    };
    const exchange = serve(app, { selector, validate: situation.faulty !== true });
    const client = await exchange.client();
    await client.send(situation.message ?? get());
    await situation.leave?.(client, exchange);
    await eventually(() => probe.closes > 0, 'the result is closed');
    if (situation.leave === undefined) {
      client.halfClose();
      await client.rest();
    }
    await eventually(() => exchange.server.reactor.sockets.size === 0, 'the connection is over');
    await rounds(5);
    return { probe, exchange };
  }

  it.each(
    SITUATIONS.flatMap(([title, situation]) =>
      RESULTS.map(([name, make]) => ({ title, name, situation, make })),
    ),
  )('$title: $name', async ({ situation, make }) => {
    const { probe } = await run(situation, make);
    probe.expectClosedOnce();
  });

  it.each([
    ['a list', () => ['one', 'two'], {}],
    ['a list of one', () => ['one'], {}],
    ['an empty list', () => [], {}],
    ['a list of one of the wrong type', () => [5], { faulty: true as const }],
    ['a set', () => new Set(['one']), {}],
  ])('%s with close()', async (_title, make, more) => {
    for (const [, wrap] of MODES) {
      const { probe } = await run({ chunks: [], ...more }, (counting) => {
        const result = Object.assign(make() as string[], { close: () => counting.close() });
        return wrap(result);
      });
      expect(probe.closes).toBe(1);
    }
  });

  it('a generator has its finally run', async () => {
    let ends = 0;
    const app: Application = (environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return (function* () {
        try {
          do yield big;
          while (environ.PATH_INFO === '/endless');
        } finally {
          ends++;
        }
      })();
    };
    const exchange = serve(app, { selector });
    const client = await exchange.client();
    await client.send(get('/once'));
    await client.response();
    expect(ends).toBe(1);
    await client.send(get('/endless'));
    await client.received(300_000);
    client.destroy();
    await eventually(() => ends === 2, 'the generator has ended');
    await rounds(5);
    expect(ends).toBe(2);
  });

  it('what close() throws is logged, and the answer stands', async () => {
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return Object.assign(['one', 'two'], {
        close() {
          throw failure;
        },
      });
    };
    const later: Application = (_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return Object.assign(['one', 'two'], { close: () => Promise.reject(failure) });
    };
    for (const either of [app, later]) {
      const exchange = serve(either, { selector });
      const client = await exchange.client();
      await client.send(get() + get());
      for (let i = 0; i < 2; i++) expect((await client.response()).status).toBe(200);
      await eventually(() => exchange.errors.getValue().includes('failed'), 'it is logged');
    }
  });
});

describeBackends('a result that the client does not wait for', (selector) => {
  const serve = exchanges();

  /** Leaves a client whose handler waits at a gate, then opens the gate. */
  async function leaveWaiting(
    make: (gate: Promise<void>, probe: Probe) => ReturnType<Application>,
    leave: (client: RawClient) => void,
  ): Promise<{ probe: Probe; exchange: Exchange }> {
    const probe = new Probe(['one', 'two']);
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    let begun = false;
    const app: Application = (_environ, startResponse) => {
      begun = true;
      startResponse('200 OK', PLAIN);
      return make(gate, probe);
    };
    const exchange = serve(app, { selector, address: TCP });
    const client = await exchange.client();
    await client.send(get());
    await eventually(() => begun, 'the handler is at work');
    leave(client);
    await eventually(() => exchange.server.reactor.sockets.size === 0, 'the connection is over');
    open();
    await rounds(5);
    return { probe, exchange };
  }

  it.each(SHAPES)('is closed when its promise settles afterwards: %s', async (_name, shape) => {
    const { probe, exchange } = await leaveWaiting(
      (gate, counting) => gate.then(() => shape(counting)),
      (client) => client.reset(),
    );
    expect(probe.nexts).toBe(0);
    probe.expectClosedOnce();
    expect(exchange.errors.getValue()).toBe('');
  });

  it('is closed while its next chunk is waited for', async () => {
    const { probe, exchange } = await leaveWaiting(
      (gate, counting) => ({
        [Symbol.asyncIterator]: () => ({
          next: () => gate.then(() => counting.next()),
          return: async () => counting.return(),
        }),
        close: () => counting.close(),
      }),
      (client) => client.reset(),
    );
    expect(probe.closes).toBe(1);
    expect(probe.returns).toBe(1);
    expect(exchange.errors.getValue()).toBe('');
  });

  it('and fails afterwards disturbs nobody', async () => {
    const { exchange } = await leaveWaiting(
      (gate) => gate.then(() => Promise.reject(failure)),
      (client) => client.reset(),
    );
    expect((await exchange.client()).ending).toBeNull();
  });
});
