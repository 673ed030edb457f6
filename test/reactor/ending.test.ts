import { once } from 'node:events';
import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.ts';
import { benchMaker, isAtEnd, readAvailable } from '../support/reactors.ts';

const MIB = 1024 * 1024;
const makeBench = benchMaker();

/** What a client sees of the end: `fin`, or the code of its error. */
async function endOf(client: Socket): Promise<string> {
  client.resume();
  const failed = once(client, 'error').then(([error]) => error.code as string);
  return Promise.race([once(client, 'end').then(() => 'fin'), failed]);
}

describeBackends('the end of a connection', (name) => {
  it('end() sends what was written, then FIN', async () => {
    const bench = makeBench(name);
    const { socket, protocol, client } = await bench.connectTCP();
    const received = buffer(client);
    socket.write(Buffer.alloc(3 * MIB, 'a'));
    socket.end();
    expect([socket.closed, protocol.log]).toEqual([false, []]);
    await bench.serve(() => socket.closed);
    expect((await received).equals(Buffer.alloc(3 * MIB, 'a'))).toBe(true);
    expect(protocol.lost).toEqual([null]);
  });

  it('abort() with nothing unread is a FIN', async () => {
    const bench = makeBench(name);
    const { socket, protocol, client } = await bench.connectTCP();
    const end = endOf(client);
    const error = new Error('on purpose');
    socket.abort(error);
    socket.abort(new Error('again'));
    await bench.serve(() => protocol.lost.length > 0);
    expect(protocol.lost).toEqual([error]);
    expect(await end).toBe('fin');
  });

  it('abort() with bytes unread is a RST', async () => {
    const bench = makeBench(name);
    const { socket, protocol, client } = await bench.connectTCP();
    const end = endOf(client);
    socket.pause();
    client.write('nobody reads this');
    await sleep(20);
    socket.abort();
    await bench.serve(() => protocol.lost.length > 0);
    expect(protocol.log).toEqual(['lost']);
    expect(await end).toBe('ECONNRESET');
  });

  it('end() with bytes unread may reset, linger() does not', async () => {
    const bench = makeBench(name);
    const { socket, protocol, client } = await bench.connectTCP();
    const received = buffer(client);
    // Far more than fits on the way, so that the client is sending while it is answered.
    client.end(Buffer.alloc(20 * MIB));
    protocol.onData = () => {
      socket.writeLatin1('answer');
      socket.linger();
    };
    await bench.serve(() => bench.reactor.sockets.size === 0);
    expect(`${await received}`).toBe('answer');
    expect(protocol.log).toEqual(['data', 'lost']);
    expect(protocol.lost).toEqual([null]);
  });

  it('linger() ends when its time is over, though the client stays', async () => {
    const bench = makeBench(name);
    const { socket, protocol, client } = await bench.connectTCP();
    const end = endOf(client);
    const begun = performance.now();
    socket.writeLatin1('answer');
    socket.linger();
    let ended = 0;
    // FIN comes at once: only the closing waits.
    end.then(() => {
      ended = performance.now();
    });
    await bench.serve(() => bench.reactor.sockets.size === 0);
    const closed = performance.now();
    expect(await end).toBe('fin');
    expect(ended).toBeGreaterThan(0);
    expect(closed - ended).toBeGreaterThan(1000);
    expect(closed - begun).toBeGreaterThanOrEqual(2000);
    expect(protocol.log).toEqual(['lost']);
  });

  it('linger() lets a slow client take all, however long after', async () => {
    const bench = makeBench(name);
    const { socket, client } = await bench.connectTCP();
    client.pause();
    socket.write(Buffer.alloc(16 * MIB, 'a'));
    socket.linger();
    const slowly = sleep(2600).then(() => buffer(client));
    client.once('end', () => client.end());
    await bench.serve(() => bench.reactor.sockets.size === 0);
    expect((await slowly).length).toBe(16 * MIB);
  });

  it('linger() sends all to a client that finishes sending meanwhile', async () => {
    const bench = makeBench(name);
    const { socket, client } = await bench.connectTCP();
    client.pause();
    socket.write(Buffer.alloc(16 * MIB, 'a'));
    socket.linger();
    client.write('more');
    client.end();
    const later = sleep(300).then(() => buffer(client));
    await bench.serve(() => bench.reactor.sockets.size === 0);
    expect((await later).length).toBe(16 * MIB);
  });

  it('finish() closes at once, with FIN after the output', async () => {
    const bench = makeBench(name);
    const { socket, protocol, client } = await bench.connectTCP();
    const received = buffer(client);
    protocol.onData = () => {
      socket.writeLatin1('answer');
      socket.finish();
    };
    client.write('request');
    await bench.serve(() => protocol.lost.length > 0);
    expect(bench.reactor.sockets.size).toBe(0);
    expect(protocol.lost).toEqual([null]);
    expect(`${await received}`).toBe('answer');
  });

  it.each([
    ['that is unread, and resets nothing', (client: Socket) => client.write('more'), 'answer'],
    ['that finish() is followed by', () => {}, 'answer'],
  ])('finish() lingers with more %s', async (title, send, answer) => {
    const bench = makeBench(name);
    const { socket, protocol, client } = await bench.connectTCP();
    const received = buffer(client);
    socket.pause();
    bench.step();
    send(client);
    await sleep(20);
    socket.writeLatin1(answer);
    socket.finish();
    if (title.includes('followed')) socket.linger();
    bench.step();
    expect([bench.reactor.sockets.size, protocol.lost]).toEqual([1, [null]]);
    client.end('still more');
    await bench.serve(() => bench.reactor.sockets.size === 0);
    expect(`${await received}`).toBe(answer);
  });

  it('finish() lingers while output is left, all of which arrives', async () => {
    const bench = makeBench(name);
    const { socket, client } = await bench.connectTCP();
    client.pause();
    socket.write(Buffer.alloc(16 * MIB, 'a'));
    socket.finish();
    client.write('more');
    const later = sleep(50).then(() => buffer(client));
    client.once('end', () => client.end());
    await bench.serve(() => bench.reactor.sockets.size === 0);
    expect((await later).length).toBe(16 * MIB);
  });

  it('finish() after a reset just ends', async () => {
    const bench = makeBench(name);
    const { socket, protocol, client } = await bench.connectTCP();
    client.resetAndDestroy();
    await sleep(20);
    socket.finish();
    bench.step();
    await bench.serve(() => bench.reactor.sockets.size === 0);
    expect(protocol.lost).toHaveLength(1);
  });

  it('linger() after the end of the client closes at once', () => {
    const bench = makeBench(name);
    const { socket, protocol, peer } = bench.connect();
    protocol.onEOF = () => {
      socket.writeLatin1('the rest');
      socket.linger();
    };
    bench.closePeer(peer);
    bench.step();
    expect(protocol.log).toEqual(['eof', 'lost']);
    expect(bench.reactor.sockets.size).toBe(0);
  });

  it('answers a client that has finished sending', async () => {
    const bench = makeBench(name);
    const { socket, protocol, client } = await bench.connectTCP();
    const received = buffer(client);
    protocol.onEOF = () => {
      socket.writeLatin1(`you sent ${protocol.received}`);
      socket.end();
    };
    client.end('this');
    await bench.serve(() => socket.closed);
    expect(`${await received}`).toBe('you sent this');
    expect(protocol.log).toEqual(['data', 'eof', 'lost']);
  });

  it('tells of a reset once, with its cause', async () => {
    const bench = makeBench(name);
    const { socket, protocol, client } = await bench.connectTCP();
    client.resetAndDestroy();
    await bench.serve(() => socket.closed);
    bench.step();
    expect(protocol.log).toEqual(['lost']);
    expect(protocol.lost[0]).toMatchObject({
      code: 'ERR_RYEGATE_SYSTEM',
      systemCode: 'ECONNRESET',
    });
  });

  it('tells of a reset while output is queued once, and drops the output', async () => {
    const bench = makeBench(name);
    const { socket, protocol, client } = await bench.connectTCP();
    client.pause();
    socket.write(Buffer.alloc(16 * MIB));
    bench.step();
    expect(socket.buffered).toBeGreaterThan(0);
    client.resetAndDestroy();
    await bench.serve(() => socket.closed);
    bench.step();
    expect(protocol.log).toEqual(['lost']);
    expect(bench.reactor.sockets.size).toBe(0);
  });

  it('closes what is open when the reactor is closed, and tells each once', () => {
    const bench = makeBench(name);
    const connections = Array.from({ length: 5 }, () => bench.connect());
    connections[0]?.socket.abort();
    connections[1]?.socket.end();
    connections[2]?.socket.linger();
    connections[3]?.socket.pause();
    bench.reactor.close();
    bench.reactor.close();
    for (const { protocol, peer } of connections) {
      expect(protocol.lost).toEqual([null]);
      expect(isAtEnd(peer)).toBe(true);
    }
  });
});

describeBackends('a protocol that throws', (name) => {
  const failure = new Error('on purpose');
  const fail = () => {
    throw failure;
  };

  it.each(['onData', 'onEOF', 'onDrained', 'onDeadline', 'onClosing'] as const)(
    'in %s loses its connection only',
    async (callback) => {
      const bench = makeBench(name);
      const { socket, protocol, peer } = bench.connect();
      const other = bench.connect();
      other.protocol.onData = (text) => other.socket.writeLatin1(text);
      protocol[callback] = fail;
      if (callback === 'onData') writeSync(peer, 'x');
      if (callback === 'onEOF') bench.closePeer(peer);
      if (callback === 'onDeadline') socket.setDeadline(socket.now);
      if (callback === 'onClosing') socket.serverClosing();
      if (callback === 'onDrained') {
        socket.write(Buffer.alloc(MIB));
        expect(socket.congested).toBe(true);
      }
      const reading = setInterval(() => {
        if (callback === 'onDrained') readAvailable(peer);
      }, 1);
      await bench.serve(() => protocol.lost.length > 0);
      clearInterval(reading);
      expect(bench.errors).toEqual([[failure, socket]]);
      expect(protocol.lost).toEqual([failure]);
      writeSync(other.peer, 'still served');
      bench.step();
      expect(`${readAvailable(other.peer)}`).toBe('still served');
      expect([...bench.reactor.sockets]).toEqual([other.socket]);
    },
  );

  it('in onLost is reported, and the others go on', () => {
    const bench = makeBench(name);
    const { socket, protocol } = bench.connect();
    const other = bench.connect();
    protocol.onLost = fail;
    socket.abort();
    writeSync(other.peer, 'x');
    bench.step();
    expect(bench.errors).toEqual([[failure, null]]);
    expect(protocol.lost).toEqual([null]);
    expect(other.protocol.received).toBe('x');
  });

  it('in a deferred item ends its connection, and the rest is gone on with', () => {
    const bench = makeBench(name);
    const { socket, protocol, peer } = bench.connect();
    let proceeded = 0;
    socket.defer({ proceed: fail });
    socket.defer({
      proceed: () => {
        proceeded += 1;
      },
    });
    writeSync(peer, 'x');
    bench.step();
    expect(bench.errors).toEqual([[failure, socket]]);
    expect([proceeded, protocol.received, socket.closed]).toEqual([1, 'x', true]);
  });
});
