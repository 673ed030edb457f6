import { writeSync } from 'node:fs';
import { expect, it } from 'vitest';
import { EVENT_READ } from '../../src/selectors/index.ts';
import { codeOf, describeBackends, selectorMaker } from '../support/backends.ts';
import { descriptorKeeper } from '../support/descriptors.ts';

function secondsOf(action: () => void): number {
  const start = process.hrtime.bigint();
  action();
  return Number(process.hrtime.bigint() - start) / 1e9;
}

describeBackends('timeout', (name) => {
  const makeSelector = selectorMaker(name);
  const descriptors = descriptorKeeper();

  it.each([0.0001, 0.001, 0.0015, 0.0101, 0.05])('never ends early: %d s', (timeout) => {
    const selector = makeSelector();
    selector.register(descriptors.pipe().reader, EVENT_READ);
    let ready: unknown[] = ['not selected'];
    const elapsed = secondsOf(() => {
      ready = selector.select(timeout);
    });
    expect(ready).toEqual([]);
    expect(elapsed).toBeGreaterThanOrEqual(timeout);
  });

  it('waits with nothing registered', () => {
    const selector = makeSelector();
    expect(secondsOf(() => selector.select(0.05))).toBeGreaterThanOrEqual(0.05);
  });

  it('waits after the last descriptor was unregistered', () => {
    const selector = makeSelector();
    const { reader, writer } = descriptors.pipe();
    writeSync(writer, 'x');
    selector.register(reader, EVENT_READ);
    selector.unregister(reader);
    let ready: unknown[] = ['not selected'];
    const elapsed = secondsOf(() => {
      ready = selector.select(0.03);
    });
    expect(ready).toEqual([]);
    expect(elapsed).toBeGreaterThanOrEqual(0.03);
  });

  it.each([0, -0, -0.001, -1, -1e9, Number.NEGATIVE_INFINITY])('polls with %d', (timeout) => {
    const selector = makeSelector();
    const { reader, writer } = descriptors.pipe();
    const key = selector.register(reader, EVENT_READ);
    expect(selector.select(timeout)).toEqual([]);
    writeSync(writer, 'x');
    expect(selector.select(timeout)).toEqual([[key, EVENT_READ]]);
  });

  it.each([null, undefined, 60, 1e12, Number.POSITIVE_INFINITY])(
    'does not wait for %s when something is ready',
    (timeout) => {
      const selector = makeSelector();
      const { reader, writer } = descriptors.pipe();
      const key = selector.register(reader, EVENT_READ);
      writeSync(writer, 'x');
      expect(selector.select(timeout)).toEqual([[key, EVENT_READ]]);
    },
  );

  it('refuses NaN', () => {
    const selector = makeSelector();
    expect(codeOf(() => selector.select(Number.NaN))).toBe('ERR_RYEGATE_TIMEOUT');
  });
});
