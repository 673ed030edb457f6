import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHTTPDate } from '../../src/files/httpdate.ts';

const NOW = Date.UTC(2026, 5, 15, 12);
const EXAMPLE = Date.UTC(1994, 10, 6, 8, 49, 37);

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

/** The three forms of RFC 9110 section 5.6.7, put together from the parts of a date. */
function threeForms(time: number): [fixdate: string, rfc850: string, asctime: string] {
  const date = new Date(time);
  const two = (number: number): string => String(number).padStart(2, '0');
  const name = DAYS[date.getUTCDay()] as string;
  const short = name.slice(0, 3);
  const month = MONTHS[date.getUTCMonth()];
  const day = date.getUTCDate();
  const year = date.getUTCFullYear();
  const clock = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':');
  return [
    `${short}, ${two(day)} ${month} ${year} ${clock} GMT`,
    `${name}, ${two(day)}-${month}-${two(year % 100)} ${clock} GMT`,
    `${short} ${month} ${String(day).padStart(2, ' ')} ${clock} ${year}`,
  ];
}

const seconds = (from: number, to: number): fc.Arbitrary<number> =>
  fc.integer({ min: from / 1000, max: to / 1000 }).map((second) => second * 1000);

describe('parseHTTPDate', () => {
  it.each([
    ['Sun, 06 Nov 1994 08:49:37 GMT', EXAMPLE, 'IMF-fixdate'],
    ['Sunday, 06-Nov-94 08:49:37 GMT', EXAMPLE, 'rfc850-date'],
    ['Sun Nov  6 08:49:37 1994', EXAMPLE, 'asctime-date'],
    ['Sun Nov 06 08:49:37 1994', EXAMPLE, 'date3 may have two digits'],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0, '1970 itself'],
    ['Wed, 31 Dec 1969 23:59:59 GMT', -1000, 'before 1970'],
    ['Tue, 29 Feb 2000 00:00:00 GMT', 951_782_400_000, 'a leap day'],
    ['Sat, 31 Dec 2016 23:59:60 GMT', 1_483_228_800_000, 'a leap second'],
    ['Fri, 31 Dec 9999 23:59:59 GMT', 253_402_300_799_000, 'the last of four digits'],
  ])('takes %j', (text, time) => {
    expect(parseHTTPDate(text, NOW)).toBe(time);
  });

  it.each([
    ['', 'empty'],
    ['0', 'a number'],
    ['1994-11-06T08:49:37Z', 'ISO 8601'],
    ['Sun, 06 Nov 1994 08:49:37 UTC', 'only GMT'],
    ['Sun, 06 Nov 1994 08:49:37 +0000', 'only GMT'],
    ['Sun, 06 Nov 1994 08:49:37', 'no zone'],
    ['sun, 06 nov 1994 08:49:37 gmt', 'case-sensitive'],
    ['SUN, 06 NOV 1994 08:49:37 GMT', 'case-sensitive'],
    ['Sun, 6 Nov 1994 08:49:37 GMT', 'day = 2DIGIT'],
    ['Sun,  6 Nov 1994 08:49:37 GMT', 'day = 2DIGIT'],
    ['Sun, 06  Nov 1994 8:49:37 GMT', 'hour = 2DIGIT'],
    ['Sun, 06 Nov 94 08:49:37 GMT', 'year = 4DIGIT'],
    ['Sun, 06 Nov 1994 08:49 GMT', 'no second'],
    ['Sun, 06-Nov-1994 08:49:37 GMT', 'a mixture'],
    ['Mon, 06 Nov 1994 08:49:37 GMT', 'it was a Sunday'],
    ['Thu, 30 Feb 2023 00:00:00 GMT', 'no such day'],
    ['Wed, 29 Feb 2023 00:00:00 GMT', 'no leap year'],
    ['Sun, 00 Nov 1994 08:49:37 GMT', 'no such day'],
    ['Sun, 06 Nov 1994 24:00:00 GMT', 'hours end at 23'],
    ['Sun, 06 Nov 1994 08:60:37 GMT', 'minutes end at 59'],
    ['Sun, 06 Nov 1994 08:49:60 GMT', 'leap seconds end a day'],
    ['Sun, 06 Nov 1994 23:59:61 GMT', 'seconds end at 60'],
    ['Sun, 06 Nov 1994 08:49:37 GMT ', 'a space behind'],
    [' Sun, 06 Nov 1994 08:49:37 GMT', 'a space in front'],
    ['Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT', 'two members'],
    ['Sun, 06-Nov-94 08:49:37 GMT', 'rfc850 has the whole name'],
    ['Sunday, 06-Nov-1994 08:49:37 GMT', 'rfc850 has two digits'],
    ['Sunday, 06 Nov 94 08:49:37 GMT', 'rfc850 has hyphens'],
    ['Monday, 06-Nov-94 08:49:37 GMT', 'it was a Sunday'],
    ['Sun Nov 6 08:49:37 1994', 'date3 has two places'],
    ['Sun Nov  6 08:49:37 94', 'year = 4DIGIT'],
    ['Mon Nov  6 08:49:37 1994', 'it was a Sunday'],
    ['Sun Nov  0 08:49:37 1994', 'no such day'],
  ])('refuses %j: %s', (text) => {
    expect(parseHTTPDate(text, NOW)).toBeNaN();
  });

  it('reads the three forms of any second', () => {
    fc.assert(
      fc.property(seconds(Date.UTC(1900, 0), Date.UTC(9999, 11, 31)), (time) => {
        const [fixdate, , asctime] = threeForms(time);
        expect(parseHTTPDate(fixdate, NOW)).toBe(time);
        expect(parseHTTPDate(asctime, NOW)).toBe(time);
      }),
    );
  });

  it('puts two digits of a year within 50 years ahead of now, to the second', () => {
    const clocks = seconds(Date.UTC(1990, 0), Date.UTC(2190, 0));
    fc.assert(
      fc.property(clocks, fc.nat(3_153_000_000), (now, ago) => {
        const limit = new Date(now);
        limit.setUTCFullYear(limit.getUTCFullYear() + 50);
        const time = limit.getTime() - ago * 1000;
        const [, rfc850] = threeForms(time);
        expect(parseHTTPDate(rfc850, now)).toBe(time);
      }),
    );
  });

  it.each([
    ['Monday, 15-Jun-76 12:00:00 GMT', Date.UTC(2076, 5, 15, 12), 'exactly 50 years ahead'],
    ['Tuesday, 15-Jun-76 12:00:01 GMT', Date.UTC(1976, 5, 15, 12, 0, 1), 'a second more'],
    ['Friday, 31-Dec-76 12:00:00 GMT', Date.UTC(1976, 11, 31, 12), 'later in that year'],
    ['Saturday, 01-Jan-77 00:00:00 GMT', Date.UTC(1977, 0), 'the year after'],
    ['Tuesday, 01-Jan-75 00:00:00 GMT', Date.UTC(2075, 0), 'the year before'],
  ])('reads %s in the middle of 2026: %s', (text, time) => {
    expect(parseHTTPDate(text, NOW)).toBe(time);
  });

  it('takes no text but one of the three forms of what it makes of it', () => {
    const dates = seconds(Date.UTC(1977, 0), Date.UTC(2076, 0));
    const character = fc.constantFrom(...'0123456789 ,:-GMTSunNovJadayW\t\x80');
    const edit = fc.record({ form: fc.nat(2), at: fc.double({ min: 0, max: 0.999, noNaN: true }) });
    fc.assert(
      fc.property(dates, edit, character, fc.nat(2), (time, { form, at }, text, cut) => {
        const original = threeForms(time)[form] as string;
        const i = Math.floor(at * (original.length + 1));
        const edited = original.slice(0, i) + text + original.slice(i + cut);
        const result = parseHTTPDate(edited, NOW);
        // A leap second is another name of the second after it.
        if (Number.isNaN(result) || edited.includes('23:59:60')) return;
        const zeroed = edited.replace(/^(\w{3} \w{3} )0/, '$1 ');
        expect(threeForms(result)).toContain(zeroed);
      }),
      { numRuns: 20_000 },
    );
  });

  it('looks at no text of a length that no form has', () => {
    for (const character of [' ', '0', 'S', ',']) {
      expect(parseHTTPDate(character.repeat(32_768), NOW)).toBeNaN();
    }
  });
});
