import { describe, expect, it } from 'vitest';
import { RyegateError } from '../../src/errors.ts';
import {
  DEFAULT_TIMEOUTS,
  type PartialTimeouts,
  resolveTimeouts,
  TIMEOUTS,
  type TimeoutName,
} from '../../src/http/timeouts.ts';
import { HTTPServer } from '../../src/index.ts';
import { errorOf } from '../support/backends.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { Handler } from '../support/handlers.ts';

const NAMES = Object.keys(TIMEOUTS) as TimeoutName[];

describe('the table of timeouts', () => {
  it.each(NAMES)('%s: a unit, a reason, and a default within its bounds', (name) => {
    const { unit, reason, default: standard, minimum, maximum } = TIMEOUTS[name];
    expect(unit).toBe('seconds');
    expect(reason).toMatch(/^[A-Z].{20,}\.$/);
    expect(minimum).toBeGreaterThan(0);
    expect(standard).toBeGreaterThanOrEqual(minimum);
    expect(standard).toBeLessThanOrEqual(maximum);
    expect(DEFAULT_TIMEOUTS[name]).toBe(standard);
  });

  it('has the defaults that are promised', () => {
    expect(DEFAULT_TIMEOUTS).toEqual({
      head: 60,
      body: 60,
      bodyGrace: 5,
      handler: Infinity,
      write: 60,
      keepAlive: 65,
      linger: 2,
    });
  });
});

describe('resolveTimeouts', () => {
  it('completes with the defaults', () => {
    expect(resolveTimeouts()).toEqual(DEFAULT_TIMEOUTS);
    expect(resolveTimeouts({})).toEqual(DEFAULT_TIMEOUTS);
    expect(resolveTimeouts({ head: undefined })).toEqual(DEFAULT_TIMEOUTS);
    expect(resolveTimeouts({ head: 0.25 })).toEqual({ ...DEFAULT_TIMEOUTS, head: 0.25 });
    expect(resolveTimeouts(DEFAULT_TIMEOUTS)).toEqual(DEFAULT_TIMEOUTS);
  });

  it.each(NAMES)('takes for %s the bounds and what is between them', (name) => {
    const { minimum, maximum } = TIMEOUTS[name];
    for (const value of [minimum, minimum + 0.1, 1e9, maximum]) {
      expect(resolveTimeouts({ [name]: value })[name]).toBe(value);
    }
  });

  it('gives what cannot be changed', () => {
    expect(Object.isFrozen(resolveTimeouts({ head: 1 }))).toBe(true);
    expect(Object.isFrozen(DEFAULT_TIMEOUTS)).toBe(true);
  });

  it('does not take over what changes later', () => {
    const given = { head: 1 };
    const resolved = resolveTimeouts(given);
    given.head = 2;
    expect(resolved.head).toBe(1);
  });

  it.each(NAMES)('refuses for %s what makes no sense, and names it', (name) => {
    const senseless = [0, -1, Number.NaN, -Infinity, '5', null, 5n, true, {}, [5], Symbol('five')];
    for (const value of senseless) {
      const error = errorOf(() => resolveTimeouts({ [name]: value } as PartialTimeouts));
      expect(error).toBeInstanceOf(RyegateError);
      expect(error).toMatchObject({ code: 'ERR_RYEGATE_TIMEOUT' });
      expect((error as Error).message).toContain(name);
      expect((error as Error).message).toContain('Infinity');
    }
  });

  it.each(['keepalive', 'headTimeout', 'constructor', '__proto__', 'toString', ''])(
    'refuses the unknown name %j, and lists those that are known',
    (name) => {
      const given = JSON.parse(`{ ${JSON.stringify(name)}: 5 }`) as PartialTimeouts;
      const error = errorOf(() => resolveTimeouts(given));
      expect(error).toMatchObject({ code: 'ERR_RYEGATE_TIMEOUT' });
      for (const known of NAMES) expect((error as Error).message).toContain(known);
    },
  );

  it.each([5, 'head', null, [], () => {}, true])('refuses %s instead of an object', (given) => {
    const error = errorOf(() => resolveTimeouts(given as unknown as PartialTimeouts));
    expect(error).toMatchObject({ code: 'ERR_RYEGATE_TIMEOUT' });
  });
});

describe('a server', () => {
  const make = (options: object) => () => new HTTPServer(['127.0.0.1', 0], Handler, options);

  it.each<[object, string]>([
    [{ timeouts: { head: 0 } }, 'ERR_RYEGATE_TIMEOUT'],
    [{ timeouts: { heads: 1 } }, 'ERR_RYEGATE_TIMEOUT'],
    [{ limits: { connections: 0 } }, 'ERR_RYEGATE_LIMIT'],
    [{ limits: { keepAlive: 5 } }, 'ERR_RYEGATE_LIMIT'],
    [{ inputBuffering: 'file' }, 'ERR_RYEGATE_OPTION'],
    [{ inputBuffering: true }, 'ERR_RYEGATE_OPTION'],
  ])('made with %o throws, and leaves nothing open', (options, code) => {
    const descriptors = openDescriptors();
    expect(errorOf(make(options))).toMatchObject({ code });
    expect(openDescriptors()).toBe(descriptors);
  });

  it('has its settings where handlers find them', async () => {
    const server = make({ timeouts: { head: 5 }, limits: { headerCount: 7 } })();
    expect(server.httpSettings.timeouts.head).toBe(5);
    expect(server.httpSettings.limits.headerCount).toBe(7);
    await server.serverClose();
  });
});
