import { expect } from 'vitest';
import { parseHead, RequestHead } from '../../src/http/head.ts';
import { HTTPError } from '../../src/http/httperror.ts';
import { type Limits, resolveLimits } from '../../src/http/limits.ts';

export const LIMITS = resolveLimits();

export interface Outcome {
  consumed: number;
  head: RequestHead;
}

export function parse(text: string, limits: Limits = LIMITS): Outcome {
  const bytes = Buffer.from(text, 'latin1');
  const head = new RequestHead();
  return { consumed: parseHead(bytes, 0, bytes.length, limits, head), head };
}

/** Feeds the text up to each of `ends` in turn, from another place of another buffer each time. */
export function parseInSteps(text: string, ends: Iterable<number>, limits: Limits): Outcome {
  const head = new RequestHead();
  let consumed = 0;
  for (const end of ends) {
    const start = end % 7;
    const bytes = Buffer.from(`${'\n'.repeat(start)}${text.slice(0, end)}\0\0`, 'latin1');
    consumed = parseHead(bytes, start, start + end, limits, head);
    if (consumed !== 0) break;
  }
  return { consumed, head };
}

export function everyEnd(text: string): number[] {
  return Array.from(text, (_, index) => index + 1);
}

export function refusal(run: () => unknown): { status: number; code: string } | null {
  try {
    run();
    return null;
  } catch (error) {
    if (!(error instanceof HTTPError)) throw error;
    return { status: error.status, code: error.code };
  }
}

/** Asserts that the request is refused, the same way byte by byte and at every single split. */
export function expectRefusal(text: string, status: number, limits: Limits = LIMITS): string {
  const whole = refusal(() => parse(text, limits));
  expect(whole, JSON.stringify(text)).toMatchObject({ status });
  expect(refusal(() => parseInSteps(text, everyEnd(text), limits))).toEqual(whole);
  if (text.length < 300) {
    for (const split of everyEnd(text)) {
      expect(refusal(() => parseInSteps(text, [split, text.length], limits))).toEqual(whole);
    }
  }
  return (whole as { code: string }).code;
}

/** A 1.1 request with these field lines after Host. */
export function get(...lines: string[]): string {
  return ['GET / HTTP/1.1', 'Host: a', ...lines, '', ''].join('\r\n');
}

export function fieldsOf(...lines: string[]): string[] {
  return parse(get(...lines)).head.fields.slice(2);
}
