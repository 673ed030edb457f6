import { describe, expect, it } from 'vitest';
import { currentHTTPDate, httpDate } from '../../src/http/date.ts';

describe('httpDate', () => {
  it.each([
    [784_111_777_000, 'Sun, 06 Nov 1994 08:49:37 GMT'],
    [784_111_777_999, 'Sun, 06 Nov 1994 08:49:37 GMT'],
    [0, 'Thu, 01 Jan 1970 00:00:00 GMT'],
    [-1000, 'Wed, 31 Dec 1969 23:59:59 GMT'],
    [951_782_400_000, 'Tue, 29 Feb 2000 00:00:00 GMT'],
  ])('writes %d as an IMF-fixdate', (milliseconds, expected) => {
    expect(httpDate(milliseconds)).toBe(expected);
  });
});

describe('currentHTTPDate', () => {
  it('changes with the second, forth and back', () => {
    expect(currentHTTPDate(784_111_777)).toBe('Sun, 06 Nov 1994 08:49:37 GMT');
    expect(currentHTTPDate(784_111_777.999)).toBe('Sun, 06 Nov 1994 08:49:37 GMT');
    expect(currentHTTPDate(784_111_778)).toBe('Sun, 06 Nov 1994 08:49:38 GMT');
    expect(currentHTTPDate(784_111_776)).toBe('Sun, 06 Nov 1994 08:49:36 GMT');
  });

  it('is now by default', () => {
    const before = Math.floor(Date.now() / 1000) * 1000;
    const date = Date.parse(currentHTTPDate());
    expect(date).toBeGreaterThanOrEqual(before);
    expect(date).toBeLessThanOrEqual(Date.now());
  });
});
