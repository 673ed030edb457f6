import { once } from 'node:events';
import { readSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { constants } from 'node:os';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { type BatchSlabs, type NativeSocketBatch, native } from '../../src/native.ts';
import { SEND_WORDS as WORDS } from '../../src/reactor/slabs.ts';
import { descriptorKeeper, drain, fill } from '../support/descriptors.ts';

const EINVAL = -constants.errno.EINVAL;
const EAGAIN = -constants.errno.EAGAIN;
const EBADF = -constants.errno.EBADF;
/** The flag of a run that `finish()` or `shutdown()` follows. */
const LAST = 4;

interface Bench extends BatchSlabs {
  batch: NativeSocketBatch;
}

function makeBatch(entries = 4, input = 64 * 1024): Bench {
  const slabs: BatchSlabs = {
    input: new Uint8Array(input),
    output: new Uint8Array(1024),
    receives: new Int32Array(3 * entries),
    sends: new Int32Array(WORDS * entries),
    accepts: new Int32Array(7 * entries),
  };
  return { ...slabs, batch: new native.SocketBatch(slabs) };
}

/** Describes a run that has no file. */
function setRun(sends: Int32Array, run: number, words: number[]): void {
  sends.set([...words, -1], run * WORDS);
}

const descriptors = descriptorKeeper();

function received(fd: number): string {
  const bytes = Buffer.alloc(65_536);
  return bytes.toString('latin1', 0, readSync(fd, bytes));
}

describe('receiveMany', () => {
  it('takes counts beyond its ring as the whole ring, and negative ones as none', () => {
    const { batch, receives } = makeBatch(2);
    receives.set([-1, 0, 0, -1, 0, 0]);
    expect(batch.receiveMany(1000)).toBe(2);
    expect([receives[2], receives[5]]).toEqual([EBADF, EBADF]);
    expect(batch.receiveMany(0)).toBe(0);
    expect(batch.receiveMany(-5)).toBe(0);
  });

  it('tells bytes, the end and failures apart', () => {
    const { batch, input, receives } = makeBatch();
    const [full, fullPeer] = descriptors.socketPair();
    const [empty] = descriptors.socketPair();
    const [ended, endedPeer] = descriptors.socketPair();
    writeSync(fullPeer, 'hello');
    descriptors.close(endedPeer);
    receives.set([full, 9, 9, empty, 9, 9, ended, 9, 9, 999_999, 9, 9]);
    expect(batch.receiveMany(4)).toBe(4);
    const lengths = [2, 5, 8, 11].map((word) => receives[word]);
    expect(lengths).toEqual([5, EAGAIN, 0, EBADF]);
    const offset = receives[1] as number;
    expect(Buffer.from(input).toString('latin1', offset, offset + 5)).toBe('hello');
  });

  it('serves as many as its slab has room for, each in a place of its own', () => {
    const { batch, input, receives } = makeBatch(4, 12 * 1024);
    const pairs = Array.from({ length: 4 }, () => descriptors.socketPair());
    pairs.forEach(([fd, peer], index) => {
      writeSync(peer, Buffer.alloc(5001, 97 + index));
      receives[3 * index] = fd;
    });
    const served = batch.receiveMany(4);
    expect(served).toBe(2);
    for (let i = 0; i < served; i += 1) {
      const [offset, length] = [receives[3 * i + 1] as number, receives[3 * i + 2] as number];
      expect(length).toBe(5001);
      expect(input.subarray(offset, offset + length).every((byte) => byte === 97 + i)).toBe(true);
    }
  });

  it('serves nobody with a slab that is too small', () => {
    const { batch } = makeBatch(2, 100);
    expect(batch.receiveMany(2)).toBe(0);
  });
});

describe('sendMany', () => {
  it('takes counts beyond its ring as the whole ring, and negative ones as none', () => {
    const { batch, sends } = makeBatch(2);
    setRun(sends, 0, [-1, 0, 1, -1, 0, 99]);
    setRun(sends, 1, [-1, 0, 1, -1, 0, 99]);
    batch.sendMany(-1, []);
    expect([sends[5], sends[WORDS + 5]]).toEqual([99, 99]);
    batch.sendMany(1000, []);
    // The second is of the same descriptor as the first, which failed: it is not tried.
    expect([sends[5], sends[WORDS + 5]]).toEqual([EBADF, EAGAIN]);
  });

  it('sends from the slab and then from the external buffer', () => {
    const { batch, output, sends } = makeBatch();
    const [fd, peer] = descriptors.socketPair();
    output.set(Buffer.from('..slab..'));
    setRun(sends, 0, [fd, 2, 4, 1, 3, 0]);
    batch.sendMany(1, [Buffer.from('no'), Buffer.from('---external')]);
    expect(sends[5]).toBe(12);
    expect(received(peer)).toBe('slabexternal');
  });

  it.each([
    ['a negative offset', [-1, 4, -1, 0]],
    ['a negative length', [0, -4, -1, 0]],
    ['an offset beyond the slab', [1025, 0, -1, 0]],
    ['a length beyond the slab', [1000, 25, -1, 0]],
    ['the largest numbers', [2 ** 31 - 1, 2 ** 31 - 1, -1, 0]],
    ['the smallest numbers', [-(2 ** 31), -(2 ** 31), -1, 0]],
    ['an external that is not there', [0, 0, 1, 0]],
    ['the largest external', [0, 0, 2 ** 31 - 1, 0]],
    ['an offset beyond the external', [0, 0, 0, 6]],
    ['a negative offset of the external', [0, 0, 0, -1]],
  ])('refuses %s', (_, words) => {
    const { batch, sends } = makeBatch();
    const [fd, peer] = descriptors.socketPair();
    setRun(sends, 0, [fd, ...words, 99]);
    batch.sendMany(1, [Buffer.from('short')]);
    expect(sends[5]).toBe(EINVAL);
    expect(drain(peer)).toBe(0);
  });

  it('takes an external negative in any way as none', () => {
    const { batch, output, sends } = makeBatch();
    const [fd, peer] = descriptors.socketPair();
    output.set(Buffer.from('text'));
    setRun(sends, 0, [fd, 0, 4, -(2 ** 31), 0, 99]);
    batch.sendMany(1, []);
    expect(sends[5]).toBe(4);
    expect(received(peer)).toBe('text');
  });

  it('does not try a descriptor again after a short send', () => {
    const { batch, output, sends } = makeBatch();
    const [fd, peer] = descriptors.socketPair();
    const [other, otherPeer] = descriptors.socketPair();
    fill(fd);
    output.set(Buffer.from('abc'));
    setRun(sends, 0, [fd, 0, 1, -1, 0, 99]);
    setRun(sends, 1, [other, 1, 1, -1, 0, 99]);
    setRun(sends, 2, [fd, 2, 1, -1, 0, 99]);
    batch.sendMany(3, []);
    expect([sends[5], sends[WORDS + 5], sends[2 * WORDS + 5]]).toEqual([EAGAIN, 1, EAGAIN]);
    expect(received(otherPeer)).toBe('b');
    expect(drain(peer)).toBeGreaterThan(0);
  });

  it('the last bytes of a TCP connection, which may wait for its end, arrive', async () => {
    const { batch, output, sends, accepts } = makeBatch();
    const listener = descriptors.keep(native.socket(native.AF_INET));
    native.bind(listener, native.AF_INET, '127.0.0.1', 0);
    native.listen(listener, 1);
    const [, , port] = native.address(listener, false) as [number, string, number];
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await once(client, 'connect');
    expect(batch.acceptMany(listener, 1)).toBe(1);
    const fd = descriptors.keep(accepts[0] as number);
    await new Promise((resolve) => client.write('unread', resolve));
    output.set(Buffer.from('last'));
    sends.set([fd, 0, 4, -1, 0, 99, -1, 0, 0, 0, LAST]);
    batch.sendMany(1, []);
    expect(sends[5]).toBe(4);
    expect(native.finish(fd)).toBe('unread'.length);
    expect(`${await buffer(client)}`).toBe('last');
    client.destroy();
  });

  it('to a peer that has gone is an error, and no signal', () => {
    const { batch, sends } = makeBatch();
    const [fd, peer] = descriptors.socketPair();
    descriptors.close(peer);
    setRun(sends, 0, [fd, 0, 4, -1, 0, 99]);
    batch.sendMany(1, []);
    expect(sends[5]).toBe(-constants.errno.EPIPE);
  });
});

describe('acceptMany', () => {
  it('refuses what is no listener', () => {
    const { batch } = makeBatch();
    const [fd] = descriptors.socketPair();
    expect(batch.acceptMany(-1, 4)).toBe(EBADF);
    expect(batch.acceptMany(fd, 4)).toBe(EINVAL);
  });

  it('accepts none when asked for none, or for less', () => {
    const { batch } = makeBatch();
    const fd = descriptors.keep(native.socket(native.AF_INET));
    native.bind(fd, native.AF_INET, '127.0.0.1', 0);
    native.listen(fd, 1);
    expect(batch.acceptMany(fd, 0)).toBe(0);
    expect(batch.acceptMany(fd, -1)).toBe(0);
    expect(batch.acceptMany(fd, 1_000_000)).toBe(EAGAIN);
  });
});
