import { describe, expect, it } from 'vitest';
import {
  applicableRanges,
  type ConditionalRequest,
  evaluateConditions,
} from '../../src/files/conditions.ts';
import { contentRange, unsatisfiedContentRange } from '../../src/files/ranges.ts';
import { conditionMatrix, type MatrixCase, type MatrixResource } from './matrix.ts';

const MODIFIED = Date.UTC(2024, 1, 29, 12, 30, 15);
const resource: MatrixResource = {
  etag: '"65e0788f-3e8"',
  lastModified: MODIFIED + 250,
  size: 1000,
  dateIsStrong: true,
};

function requestOf({ method, fields }: MatrixCase): ConditionalRequest {
  const keys = Object.entries(fields).map(([name, value]) => [
    `HTTP_${name.toUpperCase().replaceAll('-', '_')}`,
    value,
  ]);
  return { REQUEST_METHOD: method, ...Object.fromEntries(keys) };
}

/** The status and the Content-Range that the functions lead to. */
function answer(entry: MatrixCase, now: number): [number, string | undefined] {
  const request = requestOf(entry);
  const status = evaluateConditions(request, resource, now);
  if (status !== undefined) return [status, undefined];
  const ranges = applicableRanges(request, resource, 16, now);
  if (ranges === 'ignored') return [200, undefined];
  if (ranges === 'unsatisfiable') return [416, unsatisfiedContentRange(resource.size)];
  const [range, ...more] = ranges;
  if (range === undefined || more.length > 0) throw new Error('one range was expected');
  return [206, contentRange(range, resource.size)];
}

describe.each([
  ['long after', MODIFIED + 3_600_000, true],
  ['in the next second', MODIFIED + 1000, true],
  ['in the same second', MODIFIED + 999, false],
])('the conditional matrix, %s the modification', (_, now, dateIsStrong) => {
  it('is answered as RFC 9110 section 13.2.2 has it', () => {
    const wrong: string[] = [];
    for (const entry of conditionMatrix({ ...resource, dateIsStrong })) {
      const [status, range] = answer(entry, now);
      if (status === entry.status && range === entry.contentRange) continue;
      wrong.push(`${entry.name}: ${status} ${range}, not ${entry.status} ${entry.contentRange}`);
    }
    expect(wrong).toEqual([]);
  });
});

describe('the conditional matrix itself', () => {
  it('has 64,800 different requests, and each step and status decides some', () => {
    const requests = new Set<string>();
    const outcomes = new Set<string>();
    for (const { method, fields, step, status } of conditionMatrix(resource)) {
      requests.add(JSON.stringify([method, fields]));
      outcomes.add(`step ${step}: ${status}`);
    }
    expect(requests.size).toBe(64_800);
    expect([...outcomes].sort()).toEqual([
      'step 1: 412',
      'step 2: 412',
      'step 3: 304',
      'step 4: 304',
      'step 5: 200',
      'step 5: 206',
      'step 6: 200',
      'step 6: 206',
      'step 6: 416',
    ]);
  });
});
