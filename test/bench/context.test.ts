import { expect, it } from 'vitest';
import { attemptRounds } from '../../bench/harness/context.ts';
import { BenchError } from '../../bench/harness/processes.ts';
import { quietContext } from './quietcontext.ts';

const ENTRANTS = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];

it('rounds begin with another server each time, and are numbered from 0 on', async () => {
  const order: string[] = [];
  const samples = await attemptRounds(
    quietContext(),
    'load',
    ENTRANTS,
    3,
    async ({ name }, round) => {
      order.push(name);
      return `${name}${round}`;
    },
  );
  expect(order.join('')).toBe('abcbcacab');
  expect(samples).toEqual({ a: ['a0', 'a1', 'a2'], b: ['b0', 'b1', 'b2'], c: ['c0', 'c1', 'c2'] });
});

it('a server that fails is left out, asked no more, and noted; the others go on', async () => {
  const shared = quietContext();
  const asked: string[] = [];
  const samples = await attemptRounds(shared, 'load', ENTRANTS, 3, async ({ name }, round) => {
    asked.push(name);
    if (name === 'b' && round === 1) throw new BenchError('it broke down\n');
    return round;
  });
  expect(samples).toEqual({ a: [0, 1, 2], c: [0, 1, 2] });
  expect(asked.filter((name) => name === 'b')).toHaveLength(2);
  expect(shared.failures).toEqual([{ server: 'b', load: 'load', reason: 'it broke down' }]);
});

it("a mistake of the bench's own ends the run", async () => {
  const mistake = async (): Promise<number> => {
    throw new TypeError('a mistake');
  };
  await expect(attemptRounds(quietContext(), 'load', ENTRANTS, 1, mistake)).rejects.toThrow(
    'a mistake',
  );
});
