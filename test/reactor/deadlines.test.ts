import { expect, it } from 'vitest';
import { Deadlines } from '../../src/reactor/deadlines.ts';
import { describeBackends } from '../support/backends.ts';
import { benchMaker } from '../support/reactors.ts';

class Member {
  deadline = Infinity;
  expired: number[] = [];
  clock = 0;

  expire(): void {
    this.expired.push(this.clock);
  }
}

interface Sweeper {
  deadlines: Deadlines;
  scheduled: number[];
  member(): Member;
  sweep(now: number): void;
}

function makeSweeper(): Sweeper {
  const scheduled: number[] = [];
  const deadlines = new Deadlines((when) => scheduled.push(when));
  const members: Member[] = [];
  return {
    deadlines,
    scheduled,
    member: () => {
      const member = new Member();
      deadlines.add(member);
      members.push(member);
      return member;
    },
    sweep: (now) => {
      for (const member of members) member.clock = now;
      deadlines.sweep(now);
    },
  };
}

it('schedules nothing while no deadline is set', () => {
  const { deadlines, scheduled, member } = makeSweeper();
  member();
  expect(scheduled).toEqual([]);
  expect(deadlines.next).toBe(Infinity);
});

it('reschedules for an earlier deadline, not for a later one', () => {
  const { deadlines, scheduled, member } = makeSweeper();
  const [first, second] = [member(), member()];
  deadlines.set(first, 5000);
  deadlines.set(second, 9000);
  deadlines.set(first, 7000);
  expect(scheduled).toEqual([5000]);
  deadlines.set(second, 3000);
  expect(scheduled).toEqual([5000, 3000]);
  expect(deadlines.next).toBe(3000);
});

it('expires once, at the deadline that was set last', () => {
  const { deadlines, member, sweep } = makeSweeper();
  const one = member();
  deadlines.set(one, 1000);
  deadlines.set(one, 2000);
  sweep(1000);
  expect(one.expired).toEqual([]);
  expect(deadlines.next).toBe(2000);
  sweep(2000);
  sweep(3000);
  expect(one.expired).toEqual([2000]);
  expect(deadlines.next).toBe(Infinity);
});

it('takes a deadline back by assignment', () => {
  const { deadlines, member, sweep } = makeSweeper();
  const one = member();
  deadlines.set(one, 1000);
  one.deadline = Infinity;
  sweep(1000);
  expect(one.expired).toEqual([]);
  expect(deadlines.next).toBe(Infinity);
});

it('forgets members that have gone', () => {
  const { deadlines, member, sweep } = makeSweeper();
  const one = member();
  deadlines.set(one, 1000);
  deadlines.delete(one);
  sweep(1000);
  expect(one.expired).toEqual([]);
});

it('sweeps rarely however close the deadlines are', () => {
  const { deadlines, member, sweep } = makeSweeper();
  const members = Array.from({ length: 100 }, () => member());
  members.forEach((one, index) => {
    deadlines.set(one, 1000 + index);
  });
  sweep(1000);
  expect(deadlines.next).toBe(1250);
  sweep(1250);
  expect(members.map((one) => one.expired.length)).toEqual(members.map(() => 1));
});

it('lets a member set its deadline anew while it expires', () => {
  const { deadlines, member, sweep } = makeSweeper();
  const one = member();
  one.expire = () => {
    Member.prototype.expire.call(one);
    deadlines.set(one, one.clock + 1000);
  };
  deadlines.set(one, 1000);
  sweep(1000);
  sweep(1500);
  sweep(2000);
  expect(one.expired).toEqual([1000, 2000]);
});

describeBackends('deadlines of connections', (name) => {
  const makeBench = benchMaker();

  it.each(['in the loop', 'blocking'])('pass once, not early (%s)', async (mode) => {
    const bench = makeBench(name);
    const { socket, protocol } = bench.connect();
    const other = bench.connect();
    const begun = performance.now();
    let passed = 0;
    protocol.onDeadline = () => {
      passed = performance.now() - begun;
    };
    socket.setDeadline(begun + 100);
    if (mode === 'blocking') {
      const done = () => passed > 0;
      bench.reactor.runSync({ pollInterval: Infinity, actions: null, done });
    } else {
      await bench.serve(() => passed > 0);
    }
    expect(passed).toBeGreaterThanOrEqual(100);
    bench.step(20);
    expect(protocol.log).toEqual(['deadline']);
    expect(other.protocol.log).toEqual([]);
    expect(bench.reactor.deadlines.next).toBe(Infinity);
  });

  it('arms no timer without one, and none is left after serving', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout');
    const bench = makeBench(name);
    const { socket } = bench.connect();
    const before = timers().length;
    let during: number[] = [];
    let done = false;
    const serving = bench.reactor.run({ pollInterval: 1, actions: null, done: () => done });
    during = [timers().length];
    socket.setDeadline(socket.now + 60_000);
    during.push(timers().length);
    done = true;
    bench.reactor.waker.wake();
    await serving;
    during.push(timers().length);
    expect(during).toEqual([before, before + 1, before]);
  });
});
