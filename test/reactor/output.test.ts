import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.ts';
import { fill } from '../support/descriptors.ts';
import { benchMaker, readAvailable } from '../support/reactors.ts';

const MIB = 1024 * 1024;
const makeBench = benchMaker();

describeBackends('output', (name) => {
  it('sends many small writes of a turn in one call', () => {
    const bench = makeBench(name);
    const { socket, protocol, peer } = bench.connect();
    const pieces = Array.from({ length: 100 }, (_, index) => `piece ${index};`);
    protocol.onData = () => {
      for (const [index, piece] of pieces.entries()) {
        if (index % 3 === 0) socket.writeLatin1(piece);
        else if (index % 3 === 1) socket.write(Buffer.from(piece));
        else
          socket.writeMessage(Buffer.from(piece.slice(0, 3)), -1, piece.slice(3), piece.length - 3);
      }
      expect(socket.buffered).toBe(pieces.join('').length);
    };
    writeSync(peer, 'x');
    bench.step();
    expect(`${readAvailable(peer)}`).toBe(pieces.join(''));
    expect(bench.reactor.output.sends).toBe(1);
    expect(socket.buffered).toBe(0);
  });

  it('keeps the writes of several connections apart and in order', () => {
    const bench = makeBench(name);
    const first = bench.connect();
    const second = bench.connect();
    first.protocol.onData = () => {
      for (let i = 0; i < 1500; i += 1) {
        first.socket.writeLatin1(`a${i} `);
        second.socket.write(Buffer.from(`b${i} `));
      }
    };
    writeSync(first.peer, 'x');
    let [fromFirst, fromSecond] = ['', ''];
    const read = () => {
      fromFirst += readAvailable(first.peer);
      fromSecond += readAvailable(second.peer);
    };
    // More runs than one native call takes, and more messages than the kernel does.
    bench.step();
    for (let turns = 0; turns < 100 && first.socket.buffered + second.socket.buffered > 0; ) {
      read();
      bench.step();
      turns += 1;
    }
    read();
    const expected = (letter: string) =>
      Array.from({ length: 1500 }, (_, index) => `${letter}${index} `).join('');
    expect(fromFirst === expected('a')).toBe(true);
    expect(fromSecond === expected('b')).toBe(true);
  });

  it('sends long answers when who writes them has returned, so that a turn has an end', () => {
    const bench = makeBench(name);
    const { socket, protocol, peer } = bench.connect();
    let sent = 0;
    protocol.onData = () => {
      for (; !socket.congested && sent < 1000; sent++) {
        socket.write(Buffer.alloc(64 * 1024));
        socket.writeLatin1('\r\n');
      }
    };
    writeSync(peer, 'x');
    bench.step();
    expect(sent).toBe(4);
  });

  it('sends long answers in part before the last of a turn is written', () => {
    const bench = makeBench(name);
    const connections = Array.from({ length: 8 }, () => bench.connect());
    const large = Buffer.alloc(64 * 1024, 'x');
    const waiting: number[] = [];
    for (const { socket, protocol } of connections) {
      protocol.onData = () => {
        socket.write(large);
        waiting.push(connections.reduce((sum, one) => sum + one.socket.buffered, 0));
      };
    }
    for (const { peer } of connections) writeSync(peer, 'x');
    bench.step();
    // More than 256 KiB never wait.
    expect(waiting.map((bytes) => bytes / large.length)).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
    for (const { peer } of connections) expect(readAvailable(peer).equals(large)).toBe(true);
  });

  it('sends more in one turn than its slab holds', () => {
    const bench = makeBench(name);
    const connections = Array.from({ length: 50 }, () => bench.connect());
    connections.forEach(({ socket, protocol }, index) => {
      protocol.onData = () => socket.write(Buffer.alloc(30_000, index));
    });
    for (const { peer } of connections) writeSync(peer, 'x');
    bench.step();
    connections.forEach(({ peer }, index) => {
      expect(readAvailable(peer).equals(Buffer.alloc(30_000, index))).toBe(true);
    });
  });

  it('keeps the order over short sends of copied, external, latin1 and joined writes', async () => {
    const bench = makeBench(name);
    const { socket, protocol, peer } = bench.connect();
    const sent = createHash('sha256');
    const sizes = [1, 100_000, 7, 31_999, 32_768, 3, 900_000, 15, 16_384, 1, MIB + 1];
    let total = 0;
    const writeSome = (seed: number) => {
      for (const [index, size] of sizes.entries()) {
        const bytes = Buffer.alloc(size, `${seed}.${index}\xe9`, 'latin1');
        sent.update(bytes);
        total += size;
        const rest = bytes.subarray(1);
        switch ((seed + index) % 4) {
          case 0:
            socket.write(bytes);
            break;
          case 1:
            socket.writeLatin1(bytes.toString('latin1'));
            break;
          case 2:
            socket.writeMessage(bytes.subarray(0, 1), -1, rest, rest.length);
            break;
          default:
            socket.writeMessage(bytes.subarray(0, 1), -1, rest.toString('latin1'), rest.length);
        }
      }
    };
    protocol.onData = () => {
      for (let seed = 0; seed < 5; seed += 1) writeSome(seed);
    };
    writeSync(peer, 'x');
    bench.step();
    expect(socket.buffered).toBeGreaterThan(5 * MIB);
    const received = createHash('sha256');
    let count = 0;
    const reading = setInterval(() => {
      const bytes = readAvailable(peer);
      received.update(bytes);
      count += bytes.length;
      // While the queue empties, more comes to its end.
      if (total < 30 * MIB && bytes.length > 0) writeSome(9);
    }, 1);
    await bench.serve(() => total >= 30 * MIB && count === total);
    clearInterval(reading);
    expect(received.digest('hex')).toBe(sent.digest('hex'));
    expect(socket.buffered).toBe(0);
  });

  it('writes the size of a message in decimal digits', () => {
    const bench = makeBench(name);
    const { socket, protocol, peer } = bench.connect();
    const sizes = [0, 1, 9, 10, 99, 100, 101, 999, 1000, 65_535, 4_294_967_296, 1e15, 2 ** 53 - 1];
    let expected = '';
    protocol.onData = () => {
      for (const size of sizes) {
        socket.writeMessage(Buffer.from('size: '), size, 'caf\xe9', 4);
        expected += `size: ${size}\r\n\r\ncaf\xe9`;
        expect(socket.buffered).toBe(expected.length);
      }
      socket.writeMessage(Buffer.from('large: '), 40_000, Buffer.alloc(40_000, 'x'), 40_000);
      expected += `large: 40000\r\n\r\n${'x'.repeat(40_000)}`;
      expect(socket.buffered).toBe(expected.length);
    };
    writeSync(peer, 'x');
    bench.step();
    expect(readAvailable(peer).toString('latin1')).toBe(expected);
    expect(socket.buffered).toBe(0);
  });

  it('is congested above the high-water mark, and tells once when it has drained', async () => {
    const bench = makeBench(name);
    const { socket, protocol, peer } = bench.connect();
    fill(socket.fd);
    socket.write(Buffer.alloc(200 * 1024));
    expect(socket.congested).toBe(false);
    socket.write(Buffer.alloc(100 * 1024));
    expect(socket.congested).toBe(true);
    expect(protocol.log).toEqual([]);
    let left = 0;
    const reading = setInterval(() => {
      left = socket.buffered;
      readAvailable(peer);
    }, 2);
    await bench.serve(() => protocol.log.length > 0 || left > 300 * 1024);
    expect(protocol.log).toEqual(['drained']);
    expect(socket.buffered).toBeLessThanOrEqual(64 * 1024);
    await bench.serve(() => socket.buffered === 0);
    clearInterval(reading);
    expect(protocol.log).toEqual(['drained']);
    expect(socket.congested).toBe(false);
  });

  it('does not tell of a drain that nobody waits for', async () => {
    const bench = makeBench(name);
    const { socket, protocol, peer } = bench.connect();
    socket.write(Buffer.alloc(2 * MIB));
    const reading = setInterval(() => readAvailable(peer), 1);
    await bench.serve(() => socket.buffered === 0);
    clearInterval(reading);
    expect(protocol.log).toEqual([]);
  });

  it('flushes what is written outside a turn when the job is done, in one call', async () => {
    const bench = makeBench(name);
    const { socket, peer } = bench.connect();
    let early = '';
    let late = '';
    let over = false;
    setTimeout(() => {
      for (let i = 0; i < 10; i += 1) socket.writeLatin1(`${i}`);
      early = `${readAvailable(peer)}`;
      queueMicrotask(() => {
        late = `${readAvailable(peer)}`;
        over = true;
      });
    }, 5);
    await bench.serve(() => over);
    expect([early, late]).toEqual(['', '0123456789']);
    expect(bench.reactor.output.sends).toBe(1);
  });

  it('sends what promises of the turn answer together with the rest of the turn', async () => {
    const bench = makeBench(name);
    const { socket, protocol, peer } = bench.connect();
    protocol.onData = async () => {
      socket.writeLatin1('at once, ');
      await Promise.resolve();
      socket.writeLatin1('after a promise, ');
      process.nextTick(() => socket.writeLatin1('after a tick'));
    };
    writeSync(peer, 'x');
    await bench.serve(() => bench.reactor.output.sends > 0);
    expect(`${readAvailable(peer)}`).toBe('at once, after a promise, after a tick');
    expect(bench.reactor.output.sends).toBe(1);
  });

  it('answers one connection in the turn in which another drains', () => {
    const bench = makeBench(name);
    const slow = bench.connect();
    const other = bench.connect();
    slow.socket.write(Buffer.alloc(MIB, 's'));
    bench.step();
    let fromSlow = readAvailable(slow.peer).length;
    other.protocol.onData = () => other.socket.writeLatin1('answer');
    let turns = 0;
    for (; slow.socket.buffered > 0 && turns < 100; turns += 1) {
      writeSync(other.peer, 'x');
      bench.step();
      const bytes = readAvailable(slow.peer);
      expect(bytes.equals(Buffer.alloc(bytes.length, 's'))).toBe(true);
      fromSlow += bytes.length;
    }
    expect(turns).toBeGreaterThan(1);
    expect(fromSlow).toBe(MIB);
    expect(`${readAvailable(other.peer)}`).toBe('answer'.repeat(turns));
  });

  it('gathers small writes behind queued output into few sends', () => {
    const bench = makeBench(name);
    const { socket, peer } = bench.connect();
    const queued = fill(socket.fd);
    for (let i = 0; i < 10_000; i += 1) socket.write(Buffer.from(`${i % 10}`));
    bench.step();
    readAvailable(peer);
    const before = bench.reactor.output.sends;
    bench.step();
    expect(queued).toBeGreaterThan(0);
    expect(`${readAvailable(peer)}`).toBe('0123456789'.repeat(1000));
    expect(bench.reactor.output.sends - before).toBeLessThan(5);
  });

  it('drops what is written after the end, and empty writes', () => {
    const bench = makeBench(name);
    const { socket, peer } = bench.connect();
    socket.write(Buffer.alloc(0));
    socket.writeLatin1('');
    socket.writeLatin1('answer');
    socket.end();
    socket.writeLatin1('too late');
    socket.write(Buffer.from('too late'));
    bench.step();
    expect(`${readAvailable(peer)}`).toBe('answer');
    expect(bench.reactor.output.sends).toBe(1);
    expect([socket.closed, socket.fileno()]).toEqual([true, -1]);
  });

  it('watches for writing only while something is queued', async () => {
    const bench = makeBench(name);
    const { socket, peer } = bench.connect();
    const { selector } = bench.reactor;
    bench.step();
    expect(selector.getKey(socket.fd).events).toBe(1);
    socket.write(Buffer.alloc(2 * MIB));
    bench.step();
    expect(selector.getKey(socket.fd).events).toBe(3);
    const reading = setInterval(() => readAvailable(peer), 1);
    await bench.serve(() => socket.buffered === 0);
    clearInterval(reading);
    bench.step();
    expect(selector.getKey(socket.fd).events).toBe(1);
  });
});
