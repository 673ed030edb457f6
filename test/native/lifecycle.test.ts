import { writeSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { native } from '../../src/native.ts';
import { scriptRunner } from '../support/addonscripts.ts';
import { backends, describeBackends } from '../support/backends.ts';
import { descriptorKeeper, openDescriptors } from '../support/descriptors.ts';

const EBADF = -constants.errno.EBADF;
const run = scriptRunner();

describeBackends('a closed poller', (name) => {
  it('refuses everything, and may be closed again', () => {
    const before = openDescriptors();
    const poller = new native.Poller(name, new Int32Array(2));
    poller.close();
    poller.close();
    expect(openDescriptors()).toBe(before);
    expect(poller.add(0, 1)).toBe(EBADF);
    expect(poller.modify(0, 1)).toBe(EBADF);
    expect(poller.remove(0)).toBe(EBADF);
    expect(poller.wait(0)).toBe(EBADF);
    expect(poller.fileno()).toBe(-1);
  });

  it('cannot be closed under a hook', () => {
    const poller = new native.Poller(name, new Int32Array(2));
    const hook = new native.LoopHook(
      poller,
      () => {},
      () => {},
    );
    expect(() => poller.close()).toThrow('LoopHook must be closed first');
    hook.close();
    poller.close();
  });
});

describeBackends('a poller with a ring for one', (name) => {
  const descriptors = descriptorKeeper();

  it('finds one at a time, and each in turn once the others are silent', () => {
    const ring = new Int32Array(2);
    const poller = new native.Poller(name, ring);
    const pipes = [descriptors.pipe(), descriptors.pipe(), descriptors.pipe()];
    for (const { reader, writer } of pipes) {
      expect(poller.add(reader, 1)).toBe(0);
      writeSync(writer, 'x');
    }
    const found = new Set<number>();
    for (let i = 0; i < 3; i += 1) {
      expect(poller.wait(0)).toBe(1);
      expect(ring[1]).toBe(1);
      found.add(ring[0] as number);
      poller.remove(ring[0] as number);
    }
    expect(found).toEqual(new Set(pipes.map(({ reader }) => reader)));
    expect(poller.wait(0)).toBe(0);
    poller.close();
  });

  it('takes a ring of odd length as one of one less', () => {
    const ring = new Int32Array(3).fill(77);
    const poller = new native.Poller(name, ring);
    for (const { reader, writer } of [descriptors.pipe(), descriptors.pipe()]) {
      poller.add(reader, 1);
      writeSync(writer, 'x');
    }
    expect(poller.wait(0)).toBe(1);
    expect(ring[2]).toBe(77);
    poller.close();
  });
});

describe('a waker', () => {
  it('is woken any number of times, and drained at once', () => {
    const waker = new native.Waker();
    const poller = new native.Poller('poll', new Int32Array(2));
    poller.add(waker.fileno(), 1);
    expect(poller.wait(0)).toBe(0);
    for (let i = 0; i < 1000; i += 1) waker.wake();
    expect(poller.wait(0)).toBe(1);
    waker.drain();
    expect(poller.wait(0)).toBe(0);
    poller.close();
    waker.close();
  });

  it('does nothing once closed', () => {
    const before = openDescriptors();
    const waker = new native.Waker();
    waker.close();
    waker.close();
    waker.wake();
    waker.drain();
    expect(waker.fileno()).toBe(-1);
    expect(openDescriptors()).toBe(before);
  });

  it('is not signalled by a control block after it was detached or closed', () => {
    const control = new Int32Array(new SharedArrayBuffer(16));
    const waker = new native.Waker();
    native.controlAttach(control, waker);
    expect(native.controlRequest(control, 1)).toBeGreaterThan(0);
    waker.drain();
    native.controlDetach(control);
    native.controlDetach(control);
    expect(native.controlRequest(control, 1)).toBe(0);
    const poller = new native.Poller('poll', new Int32Array(2));
    poller.add(waker.fileno(), 1);
    expect(poller.wait(0)).toBe(0);
    poller.close();
    waker.close();
    native.controlAttach(control, waker);
    expect(native.controlRequest(control, 1)).toBeGreaterThan(0);
    native.controlDetach(control);
  });
});

describeBackends('a loop hook', (name) => {
  const descriptors = descriptorKeeper();

  it('runs turns while started, and none after stop() or close()', async () => {
    const ring = new Int32Array(8);
    const poller = new native.Poller(name, ring);
    const { reader, writer } = descriptors.pipe();
    poller.add(reader, 1);
    let turns = 0;
    let flushes = 0;
    const hook = new native.LoopHook(
      poller,
      (count) => {
        turns += 1;
        expect(count).toBe(1);
        hook.stop();
      },
      () => {
        flushes += 1;
      },
    );
    writeSync(writer, 'x');
    await sleep(30);
    expect(turns).toBe(0);
    expect([hook.start(), hook.start()]).toEqual([0, 0]);
    await sleep(30);
    expect([turns, flushes]).toEqual([1, 1]);
    hook.start();
    await sleep(30);
    expect([turns, flushes]).toEqual([2, 2]);
    hook.start();
    hook.close();
    hook.close();
    hook.stop();
    expect(hook.start()).toBe(EBADF);
    await sleep(30);
    expect(turns).toBe(2);
    poller.close();
  });

  it('is woken by a change of the set, also from its own turn', async () => {
    const poller = new native.Poller(name, new Int32Array(8));
    const first = descriptors.pipe();
    const second = descriptors.pipe();
    writeSync(first.writer, 'x');
    writeSync(second.writer, 'x');
    const counts: number[] = [];
    const hook = new native.LoopHook(
      poller,
      (count) => {
        counts.push(count);
        if (counts.length === 1) {
          poller.remove(first.reader);
          poller.add(second.reader, 1);
        } else {
          hook.stop();
        }
      },
      () => {},
    );
    hook.start();
    await sleep(20);
    expect(counts).toEqual([]);
    poller.add(first.reader, 1);
    await sleep(50);
    expect(counts).toEqual([1, 1]);
    hook.close();
    poller.close();
  });

  it('may be closed in its own turn, and its poller with it', async () => {
    const poller = new native.Poller(name, new Int32Array(8));
    const { reader, writer } = descriptors.pipe();
    poller.add(reader, 1);
    writeSync(writer, 'x');
    let flushes = 0;
    const hook = new native.LoopHook(
      poller,
      () => {
        hook.close();
        poller.close();
      },
      () => {
        flushes += 1;
      },
    );
    hook.start();
    await sleep(50);
    expect(flushes).toBe(0);
    expect(poller.wait(0)).toBe(EBADF);
  });

  it('left open does not hold up the end of the process', async () => {
    const source = `
      const poller = new native.Poller('${name}', new Int32Array(8));
      const [reader, writer] = native.pipe();
      poller.add(reader, 1);
      const hook = new native.LoopHook(poller, () => console.log('turn'), () => {});
      hook.start();
      setTimeout(() => process.exit(7), 50);
    `;
    expect(await run(source)).toBe('7');
  });

  it('keeps itself and its poller while libuv uses them', async () => {
    const source = `
      const [reader, writer] = native.pipe();
      let turns = 0;
      (() => {
        const poller = new native.Poller('${name}', new Int32Array(8));
        poller.add(reader, 1);
        const turn = () => {
          turns += 1;
          require('node:fs').readSync(reader, Buffer.alloc(1));
        };
        new native.LoopHook(poller, turn, () => {}).start();
      })();
      let rounds = 0;
      const writing = setInterval(() => {
        gc();
        require('node:fs').writeSync(writer, 'x');
        if (++rounds < 20) return;
        clearInterval(writing);
        setTimeout(() => { console.log(turns > 10); process.exit(0); }, 20);
      }, 5);
    `;
    expect(await run(source)).toBe('0 true');
  });
});

it('objects without references are collected, and their descriptors closed', async () => {
  const source = `
    const { readdirSync } = require('node:fs');
    const count = () => readdirSync('/proc/self/fd').length;
    const make = () => {
      for (let i = 0; i < 50; i += 1) {
        for (const name of ${JSON.stringify(backends())}) new native.Poller(name, new Int32Array(2));
        new native.Waker();
      }
    };
    const before = count();
    make();
    const most = count();
    gc();
    setTimeout(() => { gc(); console.log(most > before + 50, count() <= before + 1); }, 50);
  `;
  expect(await run(source)).toBe('0 true true');
});
