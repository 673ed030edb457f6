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

/** Control characters, by which a client could forge lines or drive a terminal, are escaped. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
  return text.replace(/[\x00-\x1f\x7f-\x9f\\]/g, (character) => {
    if (character === '\\') return '\\\\';
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}
