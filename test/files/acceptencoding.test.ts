import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { selectEncoding } from '../../src/files/acceptencoding.ts';

const ALL = ['br', 'zstd', 'gzip'];

describe('selectEncoding of br, zstd and gzip', () => {
  it.each<[string | undefined, string, string]>([
    [undefined, 'identity', 'no field: what every client reads'],
    ['', 'identity', '12.5.3: an empty field wants no coding'],
    ['gzip', 'gzip', 'the one listed'],
    ['gzip, deflate, br, zstd', 'br', 'equal weights: by our order'],
    ['gzip, deflate', 'gzip', 'what there is of the listed'],
    ['deflate, compress', 'identity', '12.5.3: none of the listed'],
    ['gzip;q=1.0, br;q=0.8', 'gzip', '12.4.2: the weight goes first'],
    ['br;q=0.001, gzip;q=0.002', 'gzip', '12.4.2: three digits'],
    ['br;q=0.5, gzip;q=0.50', 'br', '12.4.2: equal weights'],
    ['gzip;q=0', 'identity', '12.4.2: not acceptable'],
    ['gzip;q=0.000, br', 'br', '12.4.2: not acceptable'],
    ['*', 'br', '12.5.3: any that there is'],
    ['gzip;q=1.0, *;q=0.5', 'gzip', '12.5.3: the listed goes before *'],
    ['br;q=0, *', 'zstd', '12.5.3: * is for the others'],
    ['br;q=0.3, *;q=0.7', 'zstd', '12.5.3: * is for the others'],
    ['*;q=0', 'identity', 'nothing is acceptable'],
    ['*;q=0, gzip', 'gzip', '12.5.3: the listed goes before *'],
    ['identity', 'identity', 'only identity'],
    ['identity;q=0', 'identity', 'nothing is acceptable'],
    ['identity;q=0, gzip;q=0.1', 'gzip', '12.5.3'],
    ['identity;q=0.5, gzip;q=0.1', 'identity', '12.5.3: identity has the greater weight'],
    ['identity, gzip', 'gzip', 'equal weights: identity is the last of our order'],
    ['gzip;q=0.5', 'gzip', 'identity not listed: less than anything listed'],
    ['gzip;q=0, identity;q=0', 'identity', 'nothing is acceptable'],
    ['x-gzip', 'gzip', '8.4.1.3: the same as gzip'],
    ['X-GZip;q=0.5, br;q=0.4', 'gzip', '8.4.1.3, 8.4.1: in any case'],
    ['GZIP', 'gzip', '8.4.1: codings are case-insensitive'],
    ['Identity;q=1, gzip;q=0.9', 'identity', '8.4.1: codings are case-insensitive'],
    ['gzip;Q=0.5, br;Q=0.4', 'gzip', '12.4.2: q in any case'],
    ['gzip ; q=0, br\t;\tq=0.5', 'br', '12.4.2: OWS about the semicolon'],
    [' , ,gzip,, ', 'gzip', '5.6.1.2: empty members'],
    ['gzip;q=0., br;q=1.', 'br', '12.4.2: a dot without digits'],
    ['gzip, gzip;q=0', 'identity', 'refused once: not sent'],
    ['gzip;q=0, gzip', 'identity', 'refused once: not sent'],
    ['x-gzip;q=0.9, gzip;q=0.1, br;q=0.5', 'br', 'the least of two weights'],
    ['gzip;q=1.000', 'gzip', '12.4.2: at most 1'],
  ])('%s: %s (%s)', (field, expected) => {
    expect(selectEncoding(field, ALL)).toBe(expected);
  });

  it.each([
    'gzip;q=1.001',
    'gzip;q=2',
    'gzip;q=-1',
    'gzip;q=0.1234',
    'gzip;q=.5',
    'gzip;q=',
    'gzip;q',
    'gzip;',
    'gzip;q=0,5',
    'gzip;q=1e0',
    'gzip; q =1',
    'gzip;q= 1',
    'gzip;q="1"',
    'gzip;level=9',
    'gzip;q=1;level=9',
    'gzip;level=9;q=1',
    'gzip q=1',
    'gzip br',
    'gz ip',
    '"gzip"',
    'gzip\xa0',
    'gzip=1',
    ';q=1',
  ])('ignores the malformed member %s', (member) => {
    expect(selectEncoding(member, ALL)).toBe('identity');
    expect(selectEncoding(`${member}, zstd;q=0.1`, ALL)).toBe('zstd');
    expect(selectEncoding(`zstd;q=0.1, ${member}`, ALL)).toBe('zstd');
  });

  it('has but identity where there is no coding', () => {
    expect(selectEncoding('gzip, *', [])).toBe('identity');
  });
});

describe('selectEncoding of any members', () => {
  const CODINGS = ['br', 'zstd', 'gzip', 'identity', '*', 'deflate'];
  const weight = fc.option(fc.oneof(fc.constant(0), fc.nat(1000)), { nil: undefined });
  const members = fc
    .subarray(CODINGS)
    .chain((codings) => fc.shuffledSubarray(codings, { minLength: codings.length }))
    .chain((codings) =>
      fc.tuple(...codings.map((coding) => fc.tuple(fc.constant(coding), weight))),
    );
  const space = fc.stringMatching(/^[ \t]{0,2}$/);
  const available = fc.shuffledSubarray(ALL);

  it('agrees with the rules of section 12.5.3', () => {
    fc.assert(
      fc.property(members, available, space, (list, ours, ows) => {
        const field = list
          .map(([coding, q]) =>
            q === undefined ? coding : `${coding}${ows};${ows}q=${(q / 1000).toFixed(3)}`,
          )
          .join(`${ows},${ows}`);
        const listed = (name: string) => list.find(([coding]) => coding === name);
        const weigh = (name: string): number => {
          const member = listed(name) ?? listed('*');
          if (member !== undefined) return member[1] ?? 1000;
          // Acceptable by default, less than what is listed (rule 2).
          return name === 'identity' ? 0.5 : 0;
        };
        const weights = [...ours, 'identity'].map((name) => [name, weigh(name)] as const);
        const most = Math.max(...weights.map(([, q]) => q));
        const best = weights.find(([, q]) => q === most && q > 0);
        expect(selectEncoding(field, ours)).toBe(best?.[0] ?? 'identity');
      }),
      { numRuns: 5000 },
    );
  });
});

// What grows with the square of the length would take minutes here.
describe('a megabyte of hostile input', () => {
  const LENGTH = 1_000_000;
  it.each([',', ' ', 'a', 'gzip;', ';q=', 'gzip ', 'gzip;q=0 ', '\t;', 'a,', '*,'])(
    '%j',
    (text) => {
      const field = `${text.repeat(LENGTH / text.length)} x y, zstd`;
      expect(selectEncoding(field, ['zstd'])).toBe('zstd');
    },
  );

  it('spaces where they are allowed', () => {
    const spaces = ' '.repeat(LENGTH);
    expect(selectEncoding(`${spaces}gzip${spaces};${spaces}q=1${spaces}`, ALL)).toBe('gzip');
    expect(selectEncoding(`${spaces}gzip${spaces};${spaces}q=2${spaces}`, ALL)).toBe('identity');
  });
});
