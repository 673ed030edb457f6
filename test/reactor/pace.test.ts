import { expect, it } from 'vitest';
import { Pace, type PaceRules } from '../../src/reactor/pace.ts';

/** The rules count in seconds, the clock in milliseconds. */
const BEGIN = 1000;

function pace(rules: Partial<PaceRules>): Pace {
  return new Pace({ silence: Infinity, grace: 5, rate: 0, ...rules }, BEGIN);
}

it('is late after a silence, counted from the last byte', () => {
  const one = pace({ silence: 10 });
  expect(one.deadline).toBe(11_000);
  one.progress(4000, 1);
  expect(one.deadline).toBe(14_000);
  one.progress(13_999, 1);
  expect(one.deadline).toBe(23_999);
});

it('is never late without a silence and a rate', () => {
  const one = pace({});
  expect(one.deadline).toBe(Infinity);
  one.progress(1e12, 1);
  expect(one.deadline).toBe(Infinity);
});

it('lets the rate count only after the grace', () => {
  const one = pace({ rate: 100 });
  expect(one.deadline).toBe(6000);
  one.progress(2000, 499);
  expect(one.deadline).toBe(6000);
  one.progress(2000, 1);
  expect(one.deadline).toBe(6000);
  one.progress(2000, 100);
  expect(one.deadline).toBe(7000);
});

it('has the silence and the rate work alone, whichever is first', () => {
  const one = pace({ silence: 10, rate: 100 });
  expect(one.deadline).toBe(6000);
  one.progress(2000, 1_000_000);
  expect(one.deadline).toBe(12_000);
});

it.each([
  ['at the rate', 100, false],
  ['just below', 99, true],
  ['above', 101, false],
])('%s, a steady peer is late: %s bytes a second, %s', (_title, bytes, late) => {
  const one = pace({ silence: 10, rate: 100 });
  let wasLate = false;
  for (let second = 1; second <= 200 && !wasLate; second++) {
    const now = BEGIN + second * 1000;
    one.progress(now, bytes);
    // At the very moment, it has been as fast as it has to be.
    wasLate = one.deadline < now;
  }
  expect(wasLate).toBe(late);
});

it('does not count the time that somebody else is waited for', () => {
  const one = pace({ silence: 10, rate: 100 });
  one.progress(3000, 100);
  one.pause(4000);
  expect(one.deadline).toBe(Infinity);
  one.resume(104_000);
  // Three of the five seconds of grace have been used; the silence begins anew.
  expect(one.deadline).toBe(106_000);
  one.progress(104_000, 100_000);
  expect(one.deadline).toBe(114_000);
});

it('counts from the first of several pauses, to the first of several resumes', () => {
  const one = pace({ rate: 100 });
  one.resume(2000);
  expect(one.deadline).toBe(6000);
  one.pause(2000);
  one.pause(3000);
  one.resume(4000);
  one.resume(5000);
  expect(one.deadline).toBe(8000);
});

it('credits bytes that come while somebody else is waited for', () => {
  const one = pace({ silence: 10, rate: 100 });
  one.pause(2000);
  one.progress(3000, 1000);
  expect(one.deadline).toBe(Infinity);
  one.resume(4000);
  one.progress(4000, 0);
  expect(one.deadline).toBe(BEGIN + 2000 + 10_000);
});

it('has a quick beginning pay for no more than a silence', () => {
  const one = pace({ silence: 60, rate: 100 });
  one.progress(2000, 1_000_000_000);
  let now = 2000;
  while (one.deadline >= now + 59_000) {
    now += 59_000;
    one.progress(now, 1);
  }
  // A byte a minute is not a hundred a second.
  expect(now).toBeLessThan(3 * 60_000);
  expect(one.deadline).toBeLessThan(now + 59_000);
});
