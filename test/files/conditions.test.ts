import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  applicableRanges,
  type ConditionalRequest,
  evaluateConditions,
} from '../../src/files/conditions.ts';
import type { Environ } from '../../src/wsgi/types.ts';

const MODIFIED = Date.UTC(1994, 10, 6, 8, 49, 37);
const representation = { etag: '"xy,z"', lastModified: MODIFIED + 999, size: 100 };
const NOW = Date.UTC(2026, 5, 15);

const EQUAL = 'Sun, 06 Nov 1994 08:49:37 GMT';
const OLDER = 'Sun, 06 Nov 1994 08:49:36 GMT';
const NEWER = 'Sun, 06 Nov 1994 08:49:38 GMT';

function evaluate(request: Partial<ConditionalRequest>): 304 | 412 | undefined {
  return evaluateConditions({ REQUEST_METHOD: 'GET', ...request }, representation, NOW);
}

function ranges(request: Partial<ConditionalRequest>, now: number = NOW) {
  const whole = { REQUEST_METHOD: 'GET', HTTP_RANGE: 'bytes=0-9', ...request };
  return applicableRanges(whole, representation, 16, now);
}

const STRONG = [
  ['"xy,z"', true, '8.8.3: a comma is an etagc'],
  ['"a", "xy,z"', true, '13.1.1: any of the list'],
  ['"xy,z","b"', true, '13.1.1: any of the list'],
  ['"a",\t"b" , "xy,z" ,', true, '5.6.1: OWS about commas, an empty member at the end'],
  [',, ,"xy,z"', true, '5.6.1.2: empty members'],
  ['"a","xy,z","b"', true, '5.3: field lines joined'],
  ['*', true, '13.1.1: there is a representation'],
  ['', false, '5.6.1.2: an empty list'],
  [', ,', false, '5.6.1.2: a list of empty members'],
  ['"x"', false, 'another tag'],
  ['"xy"', false, 'a beginning of it'],
  ['"xy,zz"', false, 'it is a beginning of this'],
  ['"XY,Z"', false, '8.8.3: case counts'],
  ['"\xe4", "xy,z"', true, '8.8.3: obs-text is an etagc'],
  ['"\\", "xy,z"', true, '8.8.3: a backslash is no escape'],
  ['"a b", "xy,z"', false, '8.8.3: a space is no etagc'],
  ['"\x7f", "xy,z"', false, '8.8.3: nor is DEL'],
  ['"a"\t"xy,z"', false, '5.6.1: no comma'],
  ['"a""xy,z"', false, '5.6.1: no comma'],
  ['*, "xy,z"', false, '13.1.1: "*" stands alone'],
  ['"xy,z", *', false, '13.1.1: "*" stands alone'],
  ['*, *', false, '13.1.1: "*" stands alone'],
  ['xy,z', false, '8.8.3: no quotes'],
  ['"xy,z', false, '8.8.3: no closing quote'],
  ['"xy,z", "', false, '8.8.3: no closing quote'],
  ['"xy,z", b', false, '8.8.3: a member without quotes'],
  ['w/"a", "xy,z"', false, '8.8.3: W/ is case-sensitive'],
  ['W/ "a", "xy,z"', false, '8.8.3: no space within'],
  ['W/', false, '8.8.3: no opaque-tag'],
] as const;

const WEAK = [
  ['W/"xy,z"', '8.8.3.2: the opaque-tags match'],
  ['W/"a", W/"xy,z"', '8.8.3.2: the opaque-tags match'],
] as const;

describe('a list of entity tags', () => {
  it.each(STRONG)('If-Match: %s is %s (%s)', (list, matches) => {
    expect(evaluate({ HTTP_IF_MATCH: list })).toBe(matches ? undefined : 412);
  });

  it.each(WEAK)('If-Match: %s is false (13.1.1: strong comparison)', (list) => {
    expect(evaluate({ HTTP_IF_MATCH: list })).toBe(412);
  });

  it.each(STRONG)('If-None-Match: %s is the contrary of %s (%s)', (list, matches) => {
    expect(evaluate({ HTTP_IF_NONE_MATCH: list })).toBe(matches ? 304 : undefined);
  });

  it.each(WEAK)('If-None-Match: %s is false (%s)', (list) => {
    expect(evaluate({ HTTP_IF_NONE_MATCH: list })).toBe(304);
  });

  const opaque = fc.constantFrom('"xy,z"', '"xy"', '"z"', '""', '","', '"W/"', '"*"', '"\xff"');
  const tag = fc.record({ weak: fc.boolean(), opaque });
  const comma = fc.stringMatching(/^[ \t]{0,2},[ \t,]{0,3}$/);

  it('is searched member by member', () => {
    const list = fc.array(fc.tuple(tag, comma), { maxLength: 8 });
    fc.assert(
      fc.property(list, fc.boolean(), (members, endsWithComma) => {
        const texts = members.map(([{ weak, opaque }, after], i) => {
          const isLast = i === members.length - 1 && !endsWithComma;
          return `${weak ? 'W/' : ''}${opaque}${isLast ? '' : after}`;
        });
        const text = texts.join('');
        const same = members.filter(([member]) => member.opaque === '"xy,z"');
        const strong = same.some(([member]) => !member.weak);
        expect(evaluate({ HTTP_IF_MATCH: text })).toBe(strong ? undefined : 412);
        const none = same.length === 0;
        expect(evaluate({ HTTP_IF_NONE_MATCH: text })).toBe(none ? undefined : 304);
      }),
      { numRuns: 2000 },
    );
  });

  it('matches nothing when it is malformed anywhere', () => {
    const wellFormed = /^[ \t,]*(?:(?:W\/)?"[!#-~\x80-\xff]*"[ \t]*(?:,[ \t,]*|$))*$/;
    const piece = fc.constantFrom('"xy,z"', '"', 'W/', ',', ' ', 'a', '*', '"b"', ', ', '\t');
    const text = fc.array(piece, { minLength: 1, maxLength: 8 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(text, (list) => {
        fc.pre(list !== '*' && !wellFormed.test(list));
        expect(evaluate({ HTTP_IF_MATCH: list })).toBe(412);
        expect(evaluate({ HTTP_IF_NONE_MATCH: list })).toBeUndefined();
      }),
      { numRuns: 2000 },
    );
  });
});

type Fields = Partial<ConditionalRequest>;

describe('the order of RFC 9110 section 13.2.2', () => {
  it.each<[Fields, 304 | 412 | undefined, string]>([
    [{}, undefined, 'no condition'],
    [{ HTTP_IF_MODIFIED_SINCE: EQUAL }, 304, '13.1.3: earlier or equal is unmodified'],
    [{ HTTP_IF_MODIFIED_SINCE: NEWER }, 304, '13.1.3: earlier or equal is unmodified'],
    [{ HTTP_IF_MODIFIED_SINCE: OLDER }, undefined, '13.1.3: modified later'],
    [{ HTTP_IF_MODIFIED_SINCE: `${EQUAL}, ${EQUAL}` }, undefined, '13.1.3: more than one member'],
    [{ HTTP_IF_MODIFIED_SINCE: 'Sunday, 06-Nov-94 08:49:37 GMT' }, 304, '5.6.7: rfc850-date'],
    [{ HTTP_IF_MODIFIED_SINCE: 'Sun Nov  6 08:49:37 1994' }, 304, '5.6.7: asctime-date'],
    [{ HTTP_IF_UNMODIFIED_SINCE: EQUAL }, undefined, '13.1.4: earlier or equal is true'],
    [{ HTTP_IF_UNMODIFIED_SINCE: NEWER }, undefined, '13.1.4: earlier or equal is true'],
    [{ HTTP_IF_UNMODIFIED_SINCE: OLDER }, 412, '13.1.4: modified later'],
    [{ HTTP_IF_UNMODIFIED_SINCE: '0' }, undefined, '13.1.4: an invalid date is ignored'],
    [{ HTTP_IF_MATCH: '"xy,z"', HTTP_IF_UNMODIFIED_SINCE: OLDER }, undefined, '13.1.4: ignored'],
    [{ HTTP_IF_NONE_MATCH: '"a"', HTTP_IF_MODIFIED_SINCE: EQUAL }, undefined, '13.1.3: ignored'],
    [{ HTTP_IF_NONE_MATCH: 'a', HTTP_IF_MODIFIED_SINCE: EQUAL }, undefined, '13.1.3: ignored'],
    [{ HTTP_IF_MATCH: '"a"', HTTP_IF_NONE_MATCH: '*' }, 412, 'step 1 is before step 3'],
    [{ HTTP_IF_UNMODIFIED_SINCE: OLDER, HTTP_IF_NONE_MATCH: '*' }, 412, 'step 2 before step 3'],
    [{ HTTP_IF_MATCH: '*', HTTP_IF_NONE_MATCH: '*' }, 304, 'step 3 after a true step 1'],
    [{ HTTP_IF_RANGE: '"a"', HTTP_RANGE: 'bytes=0-9' }, undefined, 'If-Range fails nothing'],
  ])('%j: %s (%s)', (fields, status) => {
    expect(evaluate(fields)).toBe(status);
  });

  it.each<[string, Fields, 304 | 412 | undefined, string]>([
    ['PUT', { HTTP_IF_NONE_MATCH: '*' }, 412, 'step 3: another method than GET and HEAD'],
    ['DELETE', { HTTP_IF_MATCH: '"a"' }, 412, 'step 1'],
    ['DELETE', { HTTP_IF_MATCH: '"xy,z"' }, undefined, 'step 1'],
    ['POST', { HTTP_IF_UNMODIFIED_SINCE: OLDER }, 412, 'step 2'],
    ['POST', { HTTP_IF_MODIFIED_SINCE: EQUAL }, undefined, 'step 4: GET and HEAD only'],
    ['get', { HTTP_IF_MODIFIED_SINCE: EQUAL }, undefined, '9.1: methods are case-sensitive'],
    ['OPTIONS', { HTTP_IF_MATCH: '"a"' }, undefined, '13.2.1: selects no representation'],
    ['TRACE', { HTTP_IF_NONE_MATCH: '*' }, undefined, '13.2.1: selects no representation'],
    ['CONNECT', { HTTP_IF_UNMODIFIED_SINCE: OLDER }, undefined, '13.2.1: selects none'],
  ])('%s with %j: %s (%s)', (method, fields, status) => {
    expect(evaluate({ REQUEST_METHOD: method, ...fields })).toBe(status);
  });

  it('takes a WSGI environ, and the clock from the machine', () => {
    const environ: Partial<Environ> = {
      REQUEST_METHOD: 'GET',
      HTTP_IF_MODIFIED_SINCE: EQUAL,
      HTTP_RANGE: 'bytes=0-9',
    };
    expect(evaluateConditions(environ as Environ, representation)).toBe(304);
    expect(applicableRanges(environ as Environ, representation, 16)).toHaveLength(1);
  });

  it('compares whole seconds before 1970 too', () => {
    const old = { ...representation, lastModified: -1500 };
    const request = (date: string) => ({ REQUEST_METHOD: 'GET', HTTP_IF_MODIFIED_SINCE: date });
    expect(evaluateConditions(request('Wed, 31 Dec 1969 23:59:58 GMT'), old, NOW)).toBe(304);
    const earlier = request('Wed, 31 Dec 1969 23:59:57 GMT');
    expect(evaluateConditions(earlier, old, NOW)).toBeUndefined();
  });
});

describe('applicableRanges', () => {
  const honoured = [{ start: 0, end: 10 }];

  it.each<[Fields, string]>([
    [{}, '14.2: Range alone'],
    [{ HTTP_IF_RANGE: '"xy,z"' }, '13.1.5: the very tag'],
    [{ HTTP_IF_RANGE: EQUAL }, '13.1.5: the very date, strong'],
    [{ HTTP_IF_RANGE: 'Sunday, 06-Nov-94 08:49:37 GMT' }, '5.6.7: the same date'],
  ])('honours Range with %j (%s)', (fields) => {
    expect(ranges(fields)).toEqual(honoured);
  });

  it.each<[Fields, string]>([
    [{ HTTP_RANGE: undefined }, 'no Range'],
    [{ REQUEST_METHOD: 'HEAD' }, '14.2: GET only'],
    [{ REQUEST_METHOD: 'POST' }, '14.2: GET only'],
    [{ HTTP_IF_RANGE: 'W/"xy,z"' }, '13.1.5: strong comparison'],
    [{ HTTP_IF_RANGE: '"a"' }, '13.1.5: another tag'],
    [{ HTTP_IF_RANGE: '"a", "xy,z"' }, '13.1.5: no list'],
    [{ HTTP_IF_RANGE: '*' }, '13.1.5: no "*"'],
    [{ HTTP_IF_RANGE: '' }, '13.1.5: neither tag nor date'],
    [{ HTTP_IF_RANGE: NEWER }, '13.1.5: an exact match is asked for'],
    [{ HTTP_IF_RANGE: OLDER }, '13.1.5: an exact match is asked for'],
    [{ HTTP_IF_RANGE: '"xy,z"', HTTP_RANGE: 'bytes=100-' }, '13.2.2, step 5: not applicable'],
    [{ HTTP_IF_RANGE: '"xy,z"', HTTP_RANGE: 'bytes=2-1' }, '14.1.1: invalid'],
  ])('ignores Range with %j (%s)', (fields) => {
    expect(ranges(fields)).toBe('ignored');
  });

  it('says that a range cannot be satisfied where there is no If-Range (15.5.17)', () => {
    expect(ranges({ HTTP_RANGE: 'bytes=100-' })).toBe('unsatisfiable');
  });

  it.each([
    [MODIFIED + 999, 'ignored'],
    [MODIFIED - 5000, 'ignored'],
    [MODIFIED + 1000, honoured],
  ] as const)('at %d takes the date for strong or not (8.8.2.2)', (now, result) => {
    expect(ranges({ HTTP_IF_RANGE: EQUAL }, now)).toEqual(result);
    expect(ranges({ HTTP_IF_RANGE: '"xy,z"' }, now)).toEqual(honoured);
  });
});

// What grows with the square of the length would take minutes here.
describe('a megabyte of hostile input', () => {
  const LENGTH = 1_000_000;
  it.each([
    ['commas', ','],
    ['spaces', ' '],
    ['quotes', '"'],
    ['weak marks', 'W/'],
    ['an open tag', '"', 'a'],
    ['empty tags', '"",'],
    ['tags as long as the right one', '"aaaa",'],
    ['tags with spaces between', '"" \t'],
    ['tags and then a wrong one', '"a" , ', 'x'],
    ['letters', 'S'],
  ])('%s', (_, ...texts) => {
    const list = texts.map((text) => text.repeat(LENGTH / text.length)).join('');
    expect(evaluate({ HTTP_IF_MATCH: list })).toBe(412);
    expect(evaluate({ HTTP_IF_NONE_MATCH: list })).toBeUndefined();
    expect(evaluate({ HTTP_IF_MODIFIED_SINCE: list })).toBeUndefined();
    expect(evaluate({ HTTP_IF_UNMODIFIED_SINCE: list })).toBeUndefined();
    expect(ranges({ HTTP_IF_RANGE: list })).toBe('ignored');
  });
});
