import { httpDate } from '../http/date.ts';

const IMF_FIXDATE_LENGTH = 29;
const ASCTIME_LENGTH = 24;
const LONGEST = 'Wednesday, 06-Nov-94 08:49:37 GMT'.length;

const RFC850 =
  /^(Sun|Mon|Tues|Wednes|Thurs|Fri|Satur)day, (\d\d)-([A-Z][a-z]{2})-(\d\d) (\d\d:\d\d:\d\d) GMT$/;
const ASCTIME = /^([A-Z][a-z]{2}) ([A-Z][a-z]{2}) ([ \d]\d) (\d\d:\d\d:\d\d) (\d{4})$/;

const LEAP_SECOND = ' 23:59:60 GMT';

/**
 * The time of an HTTP-date in any of its three forms (RFC 9110 section 5.6.7), in milliseconds
 * since 1970; NaN for any other text. A day that does not exist or has another name is refused
 * (RFC 5322 section 3.3), and so is a year before 100.
 *
 * `now`, in milliseconds: the two-digit year of an rfc850-date lies at most 50 years ahead of it.
 */
export function parseHTTPDate(text: string, now: number): number {
  if (text.length === IMF_FIXDATE_LENGTH) return parseFixdate(text);
  if (text.length === ASCTIME_LENGTH) return parseAsctime(text);
  return text.length <= LONGEST ? parseRFC850(text, now) : Number.NaN;
}

/** `Date.parse` takes much more than this form, so what it made of the text is written again. */
function parseFixdate(text: string): number {
  const leap = text.endsWith(LEAP_SECOND);
  const plain = leap ? text.replace(':60 ', ':59 ') : text;
  const time = Date.parse(plain);
  if (httpDate(time) !== plain) return Number.NaN;
  return leap ? time + 1000 : time;
}

function parseAsctime(text: string): number {
  const parts = ASCTIME.exec(text);
  if (parts === null) return Number.NaN;
  const [, weekday, month, day, time, year] = parts as unknown as string[];
  return parseFixdate(`${weekday}, ${day?.replace(' ', '0')} ${month} ${year} ${time} GMT`);
}

function parseRFC850(text: string, now: number): number {
  const parts = RFC850.exec(text);
  if (parts === null) return Number.NaN;
  const [, weekday, day, month, digits, time] = parts as unknown as string[];
  const limit = new Date(now);
  limit.setUTCFullYear(limit.getUTCFullYear() + 50);
  const latest = limit.getUTCFullYear();
  let year = latest - ((latest - Number(digits)) % 100);
  if (Date.parse(`${day} ${month} ${year} ${time} GMT`) > limit.getTime()) year -= 100;
  return parseFixdate(`${weekday?.slice(0, 3)}, ${day} ${month} ${year} ${time} GMT`);
}
