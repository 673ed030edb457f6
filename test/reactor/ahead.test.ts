import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Prospect } from '../../src/reactor/ahead.ts';
import { EpollSelector } from '../../src/selectors/index.ts';
import { describeBackends } from '../support/backends.ts';
import { type Bench, benchMaker, type Connection, readAvailable } from '../support/reactors.ts';

const makeBench = benchMaker();
const MODES = ['in Node’s loop', 'blocking'] as const;

/** Serves until `done`; a client that is not served in ten seconds fails the test. */
async function serve(mode: string, bench: Bench, done: () => boolean): Promise<void> {
  if (mode !== 'blocking') return bench.serve(done);
  const limit = performance.now() + 10_000;
  while (!done() && performance.now() < limit) bench.step();
  expect(done()).toBe(true);
}

/** From now on the peer sends again as soon as it has been served, `times` times. */
function sendAgain({ protocol, peer }: Connection, times: number): void {
  let left = times;
  protocol.onData = () => {
    if (left-- > 0) writeSync(peer, 'x');
  };
}

function block(milliseconds: number): void {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
}

describe('a prospect', () => {
  it('is good until four failures running, and again after 32 occasions', () => {
    const prospect = new Prospect();
    for (let i = 0; i < 3; i++) prospect.tell(false);
    prospect.tell(true);
    for (let i = 0; i < 3; i++) prospect.tell(false);
    expect(prospect.worth()).toBe(true);
    prospect.tell(false);
    for (let i = 0; i < 32; i++) expect(prospect.worth()).toBe(false);
    expect(prospect.worth()).toBe(true);
    prospect.tell(false);
    expect(prospect.worth()).toBe(false);
  });
});

/** Counts how often it is asked. */
class CountingSelector extends EpollSelector {
  selects = 0;
  override select(timeout?: number | null): ReturnType<EpollSelector['select']> {
    this.selects++;
    return super.select(timeout);
  }
}

/** By the contract alone, so that the reactor calls `select()`. */
function counting(): { selector: CountingSelector; bench: Bench } {
  const selector = new CountingSelector();
  const plain = {
    register: selector.register.bind(selector),
    unregister: selector.unregister.bind(selector),
    modify: selector.modify.bind(selector),
    select: selector.select.bind(selector),
    getKey: selector.getKey.bind(selector),
    getMap: selector.getMap.bind(selector),
    fileno: selector.fileno.bind(selector),
    close: selector.close.bind(selector),
    [Symbol.dispose]: selector[Symbol.dispose].bind(selector),
  };
  return { selector, bench: makeBench(plain) };
}

describe.each(MODES)('a lone client that sends again at once (%s)', (mode) => {
  it('is served in nine turns for each time that the selector is asked', async () => {
    const { selector, bench } = counting();
    const connection = bench.connect();
    sendAgain(connection, 200);
    writeSync(connection.peer, 'x');
    await serve(mode, bench, () => connection.protocol.received.length === 201);
    expect(bench.reactor.turns).toBeGreaterThan(200);
    // A turn that takes a millisecond, on a busy machine, is followed by a harvest.
    expect(selector.selects).toBeLessThan(100);
    expect(connection.protocol.log.every((entry) => entry === 'data')).toBe(true);
  });
});

describeBackends('beside a lone client that sends again at once', (name) => {
  it.each(MODES)('another is served within nine of its turns (%s)', async (mode) => {
    const bench = makeBench(name);
    const busy = bench.connect();
    const other = bench.connect();
    let since = -1;
    let left = 5000;
    busy.protocol.onData = () => {
      if (other.protocol.received === '' && since >= 0) since++;
      if (busy.protocol.received.length === 50) {
        since = 0;
        writeSync(other.peer, 'me too');
      }
      if (other.protocol.received === '' && left-- > 0) writeSync(busy.peer, 'x');
    };
    writeSync(busy.peer, 'x');
    await serve(mode, bench, () => other.protocol.received === 'me too');
    expect(since).toBeLessThanOrEqual(9);
  });

  it.each(MODES)('another waits for one of its long turns at most (%s)', async (mode) => {
    const bench = makeBench(name);
    const busy = bench.connect();
    const other = bench.connect();
    let since = -1;
    busy.protocol.onData = () => {
      const { length } = busy.protocol.received;
      if (length === 5) writeSync(other.peer, 'me too');
      if (length >= 5 && other.protocol.received === '') since++;
      if (length < 20) writeSync(busy.peer, 'x');
      if (length >= 5) block(3);
    };
    writeSync(busy.peer, 'x');
    await serve(mode, bench, () => other.protocol.received === 'me too');
    expect(since).toBeLessThanOrEqual(1);
  });

  it('a timer runs, and the end of the serving is seen', async () => {
    const bench = makeBench(name);
    const busy = bench.connect();
    let ended = false;
    busy.protocol.onData = () => {
      if (!ended) writeSync(busy.peer, 'x');
    };
    writeSync(busy.peer, 'x');
    const serving = bench.serve(() => ended);
    await sleep(20);
    ended = true;
    await serving;
    expect(busy.protocol.received.length).toBeGreaterThan(1);
  });
});

describeBackends('a lone client', (name) => {
  /** Served so often alone that its next bytes are received without a harvest. */
  async function settled(mode: string, bench: Bench): Promise<Connection> {
    const connection = bench.connect();
    sendAgain(connection, 3);
    writeSync(connection.peer, 'x');
    await serve(mode, bench, () => connection.protocol.received.length === 4);
    return connection;
  }

  it.each(MODES)('that is paused is not received from (%s)', async (mode) => {
    const bench = makeBench(name);
    const { socket, protocol, peer } = await settled(mode, bench);
    protocol.onData = () => {
      writeSync(peer, 'later');
      socket.pause();
    };
    writeSync(peer, 'now');
    await serve(mode, bench, () => protocol.received === 'xxxxnow');
    const { turns } = bench.reactor;
    await serve(mode, bench, () => bench.reactor.turns > turns + 2);
    expect(protocol.received).toBe('xxxxnow');
    socket.resume();
    protocol.onData = () => {};
    await serve(mode, bench, () => protocol.received === 'xxxxnowlater');
  });

  it.each(MODES)('whose number goes to another leaves nothing to it (%s)', async (mode) => {
    const bench = makeBench(name);
    const old = await settled(mode, bench);
    const later: Connection[] = [];
    old.protocol.onData = () => {
      writeSync(old.peer, 'for the old one');
      old.socket.abort();
    };
    old.protocol.onLost = () => {
      later.push(bench.connect());
      writeSync(later[0]?.peer ?? -1, 'for the new one');
    };
    writeSync(old.peer, '!');
    await serve(mode, bench, () => later[0]?.protocol.received === 'for the new one');
    expect([later[0]?.socket.fd, later[0]?.peer]).toContain(old.socket.fd);
    expect(old.protocol.received).toBe('xxxx!');
    expect(old.protocol.lost).toEqual([null]);
  });

  it.each(MODES)('that leaves right after it was served is noticed (%s)', async (mode) => {
    const bench = makeBench(name);
    const { protocol, peer } = await settled(mode, bench);
    protocol.onData = () => bench.closePeer(peer);
    writeSync(peer, '!');
    await serve(mode, bench, () => protocol.log.includes('eof'));
    expect(protocol.received).toBe('xxxx!');
  });

  it('gets every answer when a nextTick callback throws each time', async () => {
    const bench = makeBench(name);
    const connection = await settled('', bench);
    const { socket, protocol, peer } = connection;
    const listeners = process.listeners('uncaughtException');
    const thrown: unknown[] = [];
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => thrown.push(error.message));
    try {
      let left = 20;
      protocol.onData = () => {
        socket.writeLatin1('y');
        process.nextTick(() => {
          throw new Error('in vain');
        });
        if (--left > 0) writeSync(peer, 'x');
      };
      writeSync(peer, 'x');
      await bench.serve(() => left === 0 && socket.buffered === 0);
      expect(`${readAvailable(peer)}`).toBe('y'.repeat(20));
      expect(thrown).toEqual(Array(20).fill('in vain'));
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
  });
});
