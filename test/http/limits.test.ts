import { describe, expect, it } from 'vitest';
import { RyegateError } from '../../src/errors.ts';
import {
  DEFAULT_LIMITS,
  LIMITS,
  type Limits,
  type NumericLimit,
  resolveLimits,
} from '../../src/http/limits.ts';
import { type PartialTimeouts, resolveTimeouts } from '../../src/http/timeouts.ts';
import { errorOf } from '../support/backends.ts';

function resolveUntyped(limits: unknown): Readonly<Limits> {
  return resolveLimits(limits as Partial<Limits>);
}

const NAMES = Object.keys(LIMITS) as NumericLimit[];

describe('the table of limits', () => {
  it.each(NAMES)('%s: a unit, a reason, and a default within its bounds', (name) => {
    const { unit, reason, default: standard, minimum, maximum } = LIMITS[name];
    expect(unit).toMatch(/^(bytes|bytes per second|fields|requests|connections)$/);
    expect(reason).toMatch(/^[A-Z].{20,}\.$/);
    expect(minimum).toBeGreaterThanOrEqual(0);
    expect(standard).toBeGreaterThanOrEqual(minimum);
    expect(standard).toBeLessThanOrEqual(maximum);
    expect(DEFAULT_LIMITS[name]).toBe(standard);
    expect(Number.isSafeInteger(standard) || standard === Infinity).toBe(true);
  });

  it('knows all of the limits but the one that is no number', () => {
    const known = [...NAMES, 'underscoreHeaders'].sort();
    expect(Object.keys(DEFAULT_LIMITS).sort()).toEqual(known);
  });

  it('has the defaults that are promised', () => {
    expect(DEFAULT_LIMITS).toMatchObject({
      connections: 10_000,
      connectionsPerAddress: Infinity,
      requestsPerConnection: Infinity,
      bufferedBytes: 262_144,
      pipelinedBytes: 65_536,
      bodyMemoryBytes: 524_288,
      bodyRate: 500,
      responseRate: 500,
    });
  });

  it.each(NAMES)('%s: the bounds are taken, what is beyond them is not', (name) => {
    const { minimum, maximum } = LIMITS[name];
    expect(resolveLimits({ [name]: minimum })[name]).toBe(minimum);
    expect(resolveLimits({ [name]: maximum })[name]).toBe(maximum);
    const beyond = [minimum - 1, maximum === Infinity ? -Infinity : maximum + 1, minimum + 0.5];
    for (const value of beyond) {
      const error = errorOf(() => resolveUntyped({ [name]: value }));
      expect(error).toMatchObject({ code: 'ERR_RYEGATE_LIMIT' });
      expect((error as Error).message).toContain(`from ${minimum}`);
      expect((error as Error).message).toContain(String(maximum));
    }
  });
});

describe('resolveLimits', () => {
  it('completes with the defaults', () => {
    expect(resolveLimits()).toEqual(DEFAULT_LIMITS);
    const limits = resolveLimits({ headerCount: 7, underscoreHeaders: 'refuse' });
    expect(limits).toEqual({ ...DEFAULT_LIMITS, headerCount: 7, underscoreHeaders: 'refuse' });
    expect(resolveUntyped({ headerCount: undefined })).toEqual(DEFAULT_LIMITS);
  });

  it('gives defaults that pass its own checks', () => {
    expect(resolveLimits(DEFAULT_LIMITS)).toEqual(DEFAULT_LIMITS);
  });

  it('gives and keeps limits that cannot be changed', () => {
    expect(Object.isFrozen(resolveLimits())).toBe(true);
    expect(Object.isFrozen(DEFAULT_LIMITS)).toBe(true);
  });

  it.each<Record<string, unknown>>([
    { headerBits: 1 },
    { constructor: 1 },
    { toString: 1 },
    { headerCount: 0 },
    { headerCount: -1 },
    { headerCount: 1.5 },
    { headerCount: Number.NaN },
    { headerCount: Number.POSITIVE_INFINITY },
    { headerCount: '100' },
    { headerCount: null },
    { headerCount: 10n },
    { requestLine: 13 },
    { headerBytes: 17 },
    { headerBytes: 2 ** 31 },
    { headerField: 4 },
    { bodyBytes: -1 },
    { bodyBytes: 2 ** 53 },
    { pipelinedPerTurn: 0 },
    { drainBytes: -1 },
    { trailerBytes: 0.1 },
    { chunkExtensionBytes: Symbol('x') },
    { underscoreHeaders: 'keep' },
    { underscoreHeaders: 1 },
  ])('refuses %o', (limits) => {
    let thrown: unknown;
    try {
      resolveUntyped(limits);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(RyegateError);
    expect(thrown).toMatchObject({ code: 'ERR_RYEGATE_LIMIT' });
    expect((thrown as Error).message).toContain(Object.keys(limits)[0]);
  });
});

describe.each([
  ['limits', 'connections', 'ERR_RYEGATE_LIMIT', resolveUntyped],
  [
    'timeouts',
    'head',
    'ERR_RYEGATE_TIMEOUT',
    (given: unknown) => resolveTimeouts(given as PartialTimeouts),
  ],
] as const)('%s', (title, name, code, resolve) => {
  it.each<[shown: string, given: unknown]>([
    ['a Map', new Map()],
    ['a Map of settings', new Map([[name, 1]])],
    ['a Set', new Set()],
    ['an object that inherits them', Object.create({ [name]: 1 })],
    ['an instance', new (class Settings {})()],
    ['a Date', new Date()],
    ['an array', []],
    ['an array of one', [1]],
  ])('are not taken from %s', (_shown, given) => {
    const error = errorOf(() => resolve(given));
    expect(error).toMatchObject({ code });
    expect((error as Error).message).toContain(`an object of ${title}`);
  });

  it('are taken from an object without a prototype', () => {
    const given: unknown = Object.assign(Object.create(null), { [name]: 7 });
    expect(resolve(given)).toMatchObject({ [name]: 7 });
  });

  it('of a long unknown name are refused with the beginning of it', () => {
    const error = errorOf(() => resolve({ [`odd${'x'.repeat(100_000)}`]: 1 }));
    expect(error).toMatchObject({ code });
    expect((error as Error).message).toContain('oddxxx');
    expect((error as Error).message.length).toBeLessThan(2000);
  });
});
