import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { DEFAULT_SOCKET_SETTINGS, type SocketSettings } from '../../src/reactor/socketsettings.ts';
import type { StreamSocket } from '../../src/reactor/streamsocket.ts';
import { describeBackends } from '../support/backends.ts';
import { benchMaker, type Connection, isAtEnd, readAvailable } from '../support/reactors.ts';

/** More than the kernel takes. */
const MUCH = Buffer.alloc(4 * 1024 * 1024, 'x');

/** What has become of a connection, as the code of its error. */
function codes({ protocol }: Connection): unknown[] {
  return protocol.lost.map((error) => (error as { code?: string } | null)?.code ?? null);
}

describeBackends('the time that a peer has to take its output', (name) => {
  const makeBench = benchMaker();

  function connect(settings: Partial<SocketSettings>) {
    const bench = makeBench(name);
    const connection = bench.connect();
    connection.socket.attach(connection.protocol, { ...DEFAULT_SOCKET_SETTINGS, ...settings });
    return { bench, connection, ...connection };
  }

  /** Reads what is there every 20 ms, `most` times; ends when the peer's connection does. */
  async function readSteadily(socket: StreamSocket, peer: number, most: number): Promise<number> {
    let total = 0;
    for (let i = 0; i < most && !socket.closed; i++) {
      await sleep(20);
      total += readAvailable(peer).length;
    }
    return total;
  }

  it('ends by ERR_RYEGATE_WRITE_TIMEOUT when it takes nothing, not before', async () => {
    const write = { silence: 0.3, grace: 60, rate: 0 };
    const { bench, connection, socket } = connect({ write });
    const begun = performance.now();
    socket.write(MUCH);
    await bench.serve(() => socket.closed);
    expect(performance.now() - begun).toBeGreaterThanOrEqual(300);
    await bench.serve(() => connection.protocol.lost.length > 0);
    expect(codes(connection)).toEqual(['ERR_RYEGATE_WRITE_TIMEOUT']);
    expect(bench.errors).toEqual([]);
  });

  it('starts anew with every byte that it takes', async () => {
    const write = { silence: 0.4, grace: 60, rate: 0 };
    const { bench, connection, socket, peer } = connect({ write });
    let stop = false;
    const total = 40 * MUCH.length;
    for (let i = 0; i < 40; i++) socket.write(MUCH);
    const reading = readSteadily(socket, peer, 60).then((read) => {
      stop = true;
      return read;
    });
    await bench.serve(() => stop || socket.closed);
    expect(codes(connection)).toEqual([]);
    // It was held back all the time.
    expect(await reading).toBeLessThan(total);
    expect(socket.buffered).toBeGreaterThan(0);
  });

  it('does not run while the kernel takes everything', async () => {
    const write = { silence: 0.2, grace: 0.2, rate: 1e9 };
    const { bench, connection, socket } = connect({ write });
    socket.write(Buffer.alloc(1000));
    const until = performance.now() + 600;
    await bench.serve(() => performance.now() > until);
    expect(bench.reactor.deadlines.next).toBe(Infinity);
    expect(codes(connection)).toEqual([]);
  });

  it('ends with the backlog, and begins with the next', async () => {
    const write = { silence: 0.4, grace: 60, rate: 0 };
    const { bench, connection, socket, peer } = connect({ write });
    socket.write(MUCH);
    const emptying = readSteadily(socket, peer, 500).then(() => {});
    await bench.serve(() => socket.buffered === 0);
    expect(socket.deadline).toBe(Infinity);
    const quiet = performance.now() + 700;
    await bench.serve(() => performance.now() > quiet);
    expect(codes(connection)).toEqual([]);
    socket.abort();
    await emptying;
  });

  it('is also an average, after the grace', async () => {
    const write = { silence: 60, grace: 0.3, rate: 1e12 };
    const { bench, connection, socket, peer } = connect({ write });
    for (let i = 0; i < 40; i++) socket.write(MUCH);
    const begun = performance.now();
    const reading = readSteadily(socket, peer, 300);
    await bench.serve(() => connection.protocol.lost.length > 0);
    expect(performance.now() - begun).toBeGreaterThanOrEqual(300);
    expect(codes(connection)).toEqual(['ERR_RYEGATE_WRITE_TIMEOUT']);
    await reading;
  });

  it('leaves the deadline of the protocol as it is, whichever is first', async () => {
    const write = { silence: 0.8, grace: 60, rate: 0 };
    const { bench, connection, socket, protocol } = connect({ write });
    socket.write(MUCH);
    socket.setDeadline(socket.now + 200);
    await bench.serve(() => protocol.log.includes('deadline'));
    expect(codes(connection)).toEqual([]);
    // Longer than the other: it must not pass once the connection is over.
    socket.setDeadline(socket.now + 60_000);
    await bench.serve(() => protocol.lost.length > 0);
    expect(protocol.log).toEqual(['deadline', 'lost']);
  });

  it('gives the deadline of the protocol back when the backlog has gone', async () => {
    const write = { silence: 0.2, grace: 60, rate: 0 };
    const { bench, socket, protocol, peer } = connect({ write });
    const due = socket.now + 900;
    socket.setDeadline(due);
    socket.write(MUCH);
    const emptying = readSteadily(socket, peer, 100);
    await bench.serve(() => protocol.log.includes('deadline'));
    expect(performance.now()).toBeGreaterThanOrEqual(due);
    expect(protocol.log).toEqual(['deadline']);
    socket.abort();
    await emptying;
  });

  it('is a minute for a connection that nobody looks after any more', () => {
    const { bench, socket } = connect({ write: null });
    socket.write(MUCH);
    bench.step();
    expect(socket.deadline).toBe(Infinity);
    socket.end();
    bench.step();
    expect(socket.deadline - performance.now()).toBeGreaterThan(50_000);
    expect(socket.deadline - performance.now()).toBeLessThanOrEqual(60_000);
  });

  it('counts for a connection that is ending, too', async () => {
    const write = { silence: 0.2, grace: 60, rate: 0 };
    for (const ending of ['end', 'linger'] as const) {
      const { bench, socket } = connect({ write });
      socket.write(MUCH);
      socket[ending]();
      await bench.serve(() => bench.reactor.sockets.size === 0);
      expect(socket.closed).toBe(true);
    }
  });
});

describeBackends('a lingering connection', (name) => {
  const makeBench = benchMaker();

  function linger(seconds: number) {
    const bench = makeBench(name);
    const connection = bench.connect();
    const { socket, protocol } = connection;
    socket.attach(protocol, { ...DEFAULT_SOCKET_SETTINGS, linger: seconds });
    socket.write(Buffer.from('the last words'));
    socket.linger();
    return { bench, ...connection, begun: performance.now() };
  }

  it('ends after its time when the peer stays', async () => {
    const { bench, begun, peer } = linger(0.4);
    bench.step();
    expect(readAvailable(peer).toString()).toBe('the last words');
    await bench.serve(() => bench.reactor.sockets.size === 0);
    expect(performance.now() - begun).toBeGreaterThanOrEqual(400);
    expect(isAtEnd(peer)).toBe(true);
  });

  it('ends after its time when the peer sends without end', async () => {
    const { bench, begun, peer } = linger(0.4);
    bench.step();
    readAvailable(peer);
    const sending = setInterval(() => {
      try {
        writeSync(peer, 'and another thing');
      } catch {
        clearInterval(sending);
      }
    }, 10);
    await bench.serve(() => bench.reactor.sockets.size === 0);
    clearInterval(sending);
    expect(performance.now() - begun).toBeGreaterThanOrEqual(400);
    expect(performance.now() - begun).toBeLessThan(5000);
  });

  it('ends at once with the peer', async () => {
    const { bench, begun, peer, protocol } = linger(60);
    bench.step();
    bench.closePeer(peer);
    await bench.serve(() => bench.reactor.sockets.size === 0);
    expect(performance.now() - begun).toBeLessThan(5000);
    expect(protocol.lost).toEqual([null]);
  });

  it('waits for the peer to take its output before its time begins', async () => {
    const bench = makeBench(name);
    const { socket, protocol, peer } = bench.connect();
    socket.attach(protocol, { ...DEFAULT_SOCKET_SETTINGS, linger: 0.2 });
    socket.write(MUCH);
    socket.linger();
    const until = performance.now() + 700;
    await bench.serve(() => performance.now() > until);
    expect(socket.closed).toBe(false);
    let read = 0;
    const reading = setInterval(() => {
      read += readAvailable(peer).length;
    }, 5);
    await bench.serve(() => bench.reactor.sockets.size === 0);
    clearInterval(reading);
    expect(read + readAvailable(peer).length).toBe(MUCH.length);
  });
});
