import { RyegateError } from '../errors.ts';
import { parseDecimal } from './grammar.ts';
import type { HeaderList } from './headers.ts';

/** What a response has to know of the fields that it is given. */
export interface GivenFields {
  /** The Content-Length, or -1. */
  length: number;
  date: boolean;
  server: boolean;
  /** One of these. */
  own: boolean;
  /** `Connection: close`, the only one that an application may send. */
  close: boolean;
}

/**
 * Reads the fields that decide about framing and connection, and those that are not repeated.
 *
 * @throws RyegateError `ERR_RYEGATE_CONTENT_LENGTH`
 */
export function scanFields(headers: HeaderList): GivenFields {
  const given: GivenFields = { length: -1, date: false, server: false, own: false, close: false };
  for (const [name, value] of headers) {
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === 'date') given.date = true;
        break;
      case 6:
        if (name.toLowerCase() === 'server') given.server = true;
        break;
      case 10:
        if (name.toLowerCase() === 'connection') given.close = true;
        break;
      case 14:
        if (name.toLowerCase() !== 'content-length') break;
        if (given.length >= 0) throw contentLengthError('is given twice');
        given.length = parseLength(value);
        if (given.length < 0) throw contentLengthError(`is ${JSON.stringify(value)}`);
        break;
    }
  }
  given.own = given.date || given.server;
  return given;
}

/** The value of a Content-Length, -1 for none. */
export function parseLength(value: unknown): number {
  return typeof value !== 'string' || /^0./.test(value) ? -1 : parseDecimal(value);
}

/**
 * The status line and the fields, without Connection, which the response writes itself; `bare`:
 * without Content-Length, too.
 */
export function renderHead(status: string, headers: HeaderList, bare: boolean): string {
  let head = `HTTP/1.1 ${status}\r\n`;
  for (const [name, value] of headers) {
    if (name.length === 10 && name.toLowerCase() === 'connection') continue;
    if (bare && name.toLowerCase() === 'content-length') continue;
    head += `${name}: ${value}\r\n`;
  }
  return head;
}

function contentLengthError(problem: string): RyegateError {
  return new RyegateError(
    'ERR_RYEGATE_CONTENT_LENGTH',
    `the Content-Length of the response ${problem}: expected one whole number of bytes`,
  );
}
