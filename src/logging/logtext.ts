const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function twoDigits(number: number): string {
  return String(number).padStart(2, '0');
}

/** `20/Nov/2026 13:05:09`, local time, as `http.server` logs it. */
export function formatLogTime(time: Date): string {
  const day = `${twoDigits(time.getDate())}/${MONTHS[time.getMonth()]}/${time.getFullYear()}`;
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(twoDigits).join(':');
  return `${day} ${clock}`;
}

/** How far local time is ahead of UTC: `+0530`. */
function formatOffset(time: Date): string {
  const minutes = -time.getTimezoneOffset();
  const ahead = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${twoDigits(Math.floor(ahead / 60))}${twoDigits(ahead % 60)}`;
}

// Rendered once for each second.
let second = Number.NaN;
let common = '';
let iso = '';

/** `time`: milliseconds since 1970. */
function render(time: number): void {
  const wanted = Math.floor(time / 1000);
  if (wanted === second) return;
  second = wanted;
  const date = new Date(wanted * 1000);
  common = `[${formatLogTime(date).replace(' ', ':')} ${formatOffset(date)}]`;
  iso = date.toISOString().slice(0, -4);
}

/** `[20/Nov/2026:13:05:09 +0000]`, local time: that of the common log format. */
export function commonTime(time: number): string {
  render(time);
  return common;
}

/** `2026-11-20T13:05:09.042Z` (ISO 8601). */
export function isoTime(time: number): string {
  render(time);
  return `${iso}${String(time - second * 1000).padStart(3, '0')}Z`;
}

function escaped(character: string): string {
  if (character === '\\') return '\\\\';
  const code = character.charCodeAt(0);
  return code > 0xff
    ? `\\u${code.toString(16).padStart(4, '0')}`
    : `\\x${code.toString(16).padStart(2, '0')}`;
}

/** Control characters, by which a client could forge lines or drive a terminal, are escaped. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
  return text.replace(/[\x00-\x1f\x7f-\x9f\\]/g, escaped);
}

/** What a log, JSON and a terminal can have as it is. To look first takes less than half the time. */
const PLAIN = /^[ !#-[\]-~]*$/;
const WORD = /^[!#-[\]-~]*$/;

/** For a place between double quotes: these are escaped as well, and what is not ASCII. */
export function quotable(text: string): string {
  return PLAIN.test(text) ? text : text.replace(/[^ !#-[\]-~]/g, escaped);
}

/** For a place that a space would end. */
export function word(text: string): string {
  return WORD.test(text) ? text : text.replace(/[^!#-[\]-~]/g, escaped);
}

/** A JSON string in ASCII. */
export function quoteJSON(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  return JSON.stringify(text).replace(
    /[^ -~]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
