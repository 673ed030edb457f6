import { writeSync } from 'node:fs';
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

it.each([
  ['before', 0],
  ['after', 1],
])('expires a member whose deadline is set by another that expires %s it', (_title, place) => {
  const { deadlines, scheduled, member, sweep } = makeSweeper();
  const members = [member(), member()] as const;
  const [first, second] = place === 0 ? members : [members[1], members[0]];
  first.expire = () => {
    Member.prototype.expire.call(first);
    deadlines.set(second, first.clock + 400);
  };
  deadlines.set(first, 1000);
  sweep(1000);
  expect(deadlines.next).toBe(1400);
  expect(scheduled.at(-1)).toBe(1400);
  sweep(1400);
  expect([first.expired, second.expired]).toEqual([[1000], [1400]]);
  expect(deadlines.next).toBe(Infinity);
});

it.each([
  ['before', 0, [1000]],
  ['after', 1, [1250]],
])('a deadline that another %s it sets to now passes, once', (_title, place, expired) => {
  const { deadlines, member, sweep } = makeSweeper();
  const members = [member(), member()] as const;
  const [first, second] = place === 0 ? members : [members[1], members[0]];
  first.expire = () => deadlines.set(second, first.clock);
  deadlines.set(first, 1000);
  for (let now = 1000; now < 3000; now += 250) sweep(now);
  expect(second.expired).toEqual(expired);
});

it('does not expire a member that another takes out, or puts off, in the same sweep', () => {
  const { deadlines, member, sweep } = makeSweeper();
  const [first, gone, later] = [member(), member(), member()];
  first.expire = () => {
    deadlines.delete(gone);
    deadlines.set(later, 5000);
  };
  for (const one of [first, gone, later]) deadlines.set(one, 1000);
  sweep(1000);
  expect([gone.expired, later.expired]).toEqual([[], []]);
  expect(deadlines.next).toBe(5000);
});

it('schedules for a deadline that is set between two sweeps, however soon it is', () => {
  const { deadlines, scheduled, member, sweep } = makeSweeper();
  const [first, second] = [member(), member()];
  deadlines.set(first, 9000);
  sweep(1000);
  deadlines.set(second, 1001);
  expect(scheduled.at(-1)).toBe(1001);
  sweep(1001);
  expect(second.expired).toEqual([1001]);
  expect(deadlines.next).toBe(9000);
});

it('takes in a member that is added by another that expires', () => {
  const { deadlines, member, sweep } = makeSweeper();
  const first = member();
  let added: Member | undefined;
  first.expire = () => {
    added = member();
    deadlines.set(added, 2000);
  };
  deadlines.set(first, 1000);
  sweep(1000);
  sweep(2000);
  expect(added?.expired).toEqual([2000]);
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

  it('do not pass for what came in time while another handler blocked', async () => {
    const bench = makeBench(name);
    const blocking = bench.connect();
    const { socket, protocol, peer } = bench.connect();
    protocol.onData = () => socket.setDeadline(socket.now + 60_000);
    socket.setDeadline(socket.now + 100);
    blocking.protocol.onData = () => {
      writeSync(peer, 'in time');
      for (const until = performance.now() + 400; performance.now() < until; );
    };
    writeSync(blocking.peer, 'block');
    const until = performance.now() + 800;
    await bench.serve(() => performance.now() > until);
    expect(protocol.log).toEqual(['data']);
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
