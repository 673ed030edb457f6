import { readSync, writeSync } from 'node:fs';
import { expect, it } from 'vitest';
import { FLUSH_AGAIN, native, TURN_FIRST, UNHARVESTED } from '../../src/native.ts';
import { describeBackends } from '../support/backends.ts';
import { descriptorKeeper } from '../support/descriptors.ts';

describeBackends('the hook of a poller', (name) => {
  const descriptors = descriptorKeeper();

  /** What the hook calls when `flush` answers in this way, one after the other. */
  async function callsFor(answers: readonly (number | undefined)[]): Promise<unknown[]> {
    const poller = new native.Poller(name, new Int32Array(2));
    const { reader, writer } = descriptors.pipe();
    expect(poller.add(reader, 1)).toBe(0);
    const calls: unknown[] = [];
    const left = [...answers];
    let resolve = (): void => {};
    const done = new Promise<void>((settle) => {
      resolve = settle;
    });
    const flush = (): number | undefined => {
      calls.push('flush');
      const answer = left.shift();
      if (left.length === 0) {
        readSync(reader, Buffer.alloc(1));
        resolve();
      }
      return answer;
    };
    const hook = new native.LoopHook(poller, (count) => calls.push(count), flush);
    writeSync(writer, 'x');
    expect(hook.start()).toBe(0);
    await done;
    hook.close();
    poller.close();
    return calls;
  }

  it('calls flush again for as long as it asks for it', async () => {
    expect(await callsFor([FLUSH_AGAIN, FLUSH_AGAIN, 0, undefined])).toEqual([
      ...[1, 'flush', 'flush', 'flush'],
      ...[1, 'flush'],
    ]);
  });

  it('does not harvest before the one turn for which flush has asked so', async () => {
    expect(await callsFor([TURN_FIRST, 0, 0])).toEqual([
      ...[1, 'flush'],
      ...[UNHARVESTED, 'flush'],
      ...[1, 'flush'],
    ]);
  });

  it('does not flush for ever', async () => {
    const always: number[] = Array(40).fill(FLUSH_AGAIN);
    const calls = await callsFor(always);
    expect(calls.indexOf(1, 1)).toBe(33);
  });
});
