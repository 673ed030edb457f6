import { describe, expect, it } from 'vitest';
import { RyegateError } from '../../src/errors.ts';
import { DEFAULT_LIMITS, type Limits, resolveLimits } from '../../src/http/limits.ts';

function resolveUntyped(limits: unknown): Readonly<Limits> {
  return resolveLimits(limits as Partial<Limits>);
}

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
