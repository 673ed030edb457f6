import { STATUS_CODES } from 'node:http';
import { describe, expect, it } from 'vitest';
import { bodyForbidden, REASONS, reasonPhrase } from '../../src/http/status.ts';

/** Where Node still has the phrases before RFC 9110, or codes that were never registered. */
const RENAMED = new Set(['413', '418', '422', '509']);

describe('status', () => {
  it('agrees with the phrases of Node, except for the renamed ones', () => {
    const known = Object.entries(STATUS_CODES).filter(([code]) => !RENAMED.has(code));
    for (const [code, phrase] of known)
      expect(`${code} ${REASONS[Number(code)]}`).toBe(`${code} ${phrase}`);
    expect(Object.keys(REASONS)).toHaveLength(known.length + 2);
  });

  it('has the phrases of RFC 9110 where they changed', () => {
    expect(reasonPhrase(413)).toBe('Content Too Large');
    expect(reasonPhrase(422)).toBe('Unprocessable Content');
    expect(REASONS[418]).toBeUndefined();
  });

  it.each([99, 299, 418, 600, Number.NaN])('calls %d unknown', (code) => {
    expect(reasonPhrase(code)).toBe('Unknown');
  });

  it('forbids a body for 204 and 304 only', () => {
    const forbidden = Object.keys(REASONS).map(Number).filter(bodyForbidden);
    expect(forbidden).toEqual([204, 304]);
  });
});
