import { types } from 'node:util';
import { parseDecimal } from '../../http/grammar.ts';
import { checkHeaders, checkStatus } from '../../http/headers.ts';
import { bodyForbidden } from '../../http/status.ts';
import type { Chunk, HeaderList, StartResponse, WriteFunction } from '../types.ts';
import { shown, violation } from './violation.ts';

/** How far the response to one request has come, and what its body may consist of. */
export class ResponseRecord {
  /** The status code; 0 until `startResponse()` was called. */
  code = 0;
  /** Whether the application has returned its result. */
  returned = false;

  checkStarted(): void {
    if (this.code !== 0) return;
    throw violation(
      'a result was begun, or was complete, without a call of startResponse(status, headers): ' +
        'call it before the first chunk',
    );
  }

  checkChunk(chunk: unknown): asserts chunk is Chunk {
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) {
      throw violation(
        `a chunk of the body is ${shown(chunk)}: expected strings and Uint8Arrays (Buffers) only`,
      );
    }
    this.checkStarted();
    if (chunk.length > 0 && bodyForbidden(this.code)) {
      throw violation(
        `a response of status ${this.code} was given a body, which it cannot have: give an empty ` +
          'array, or another status',
      );
    }
  }
}

/** `startResponse` with its calls, and those of its `write()`, checked. */
export function checkedStartResponse(
  startResponse: StartResponse,
  record: ResponseRecord,
): StartResponse {
  return (...args) => {
    if (args.length < 2 || args.length > 3) {
      throw violation(
        `startResponse() was called with ${args.length} arguments: expected (status, headers) or ` +
          '(status, headers, error)',
      );
    }
    const [status, headers, error] = args;
    checkHead(status, headers);
    checkError(error);
    if (record.code !== 0 && (error === undefined || error === null)) {
      throw violation(
        'startResponse() was called twice: a second call has to pass the error it is made for',
      );
    }
    const write = startResponse(...args);
    if (typeof write !== 'function') {
      throw violation(
        `startResponse() of the server gave ${shown(write)}: it has to give the function write()`,
      );
    }
    record.code = parseDecimal(status, 3);
    return checkedWrite(write, record);
  };
}

function checkedWrite(write: WriteFunction, record: ResponseRecord): WriteFunction {
  return (...args) => {
    if (args.length !== 1) {
      throw violation(`write() was called with ${args.length} arguments: it takes one chunk`);
    }
    if (record.returned) {
      throw violation(
        'write() was called after the application had returned its result, which it has to ' +
          'precede (PEP 3333): yield the chunk instead',
      );
    }
    record.checkChunk(args[0]);
    write(args[0]);
  };
}

function checkError(error: unknown): void {
  if (error === undefined || error === null) return;
  // Errors of another realm are no instances of this one's.
  if (error instanceof Error || types.isNativeError(error)) return;
  throw violation(
    `the third argument of startResponse() is ${shown(error)}: expected the Error that the ` +
      'response is about, or none',
  );
}

function checkHead(status: string, headers: HeaderList): void {
  try {
    checkStatus(status);
    checkHeaders(headers);
  } catch (error) {
    throw violation((error as Error).message, { cause: error });
  }
  const counts = { 'content-type': 0, 'content-length': 0 };
  for (const [name, value] of headers) {
    checkName(name);
    checkValue(name, value);
    const folded = name.toLowerCase();
    if (folded === 'content-type' || folded === 'content-length') counts[folded] += 1;
    if (folded === 'content-length' && parseDecimal(value) < 0) {
      throw violation(`Content-Length is ${shown(value)}: expected a whole number of bytes`);
    }
  }
  if (counts['content-length'] > 1) {
    throw violation('Content-Length is given twice: give it once, or not at all');
  }
  checkContentType(parseDecimal(status, 3), counts['content-type']);
}

function checkName(name: string): void {
  if (name.toLowerCase() === 'status') {
    throw violation(
      'a header is named Status, which is how CGI gives the status: it is the first argument of ' +
        'startResponse()',
    );
  }
  if (!/^[A-Za-z](?:[A-Za-z0-9_-]*[A-Za-z0-9])?$/.test(name)) {
    throw violation(
      `a header is named ${shown(name)}: expected a letter first, then letters, digits, - and _, ` +
        'and neither - nor _ last',
    );
  }
}

/** The tab is the only control character that HTTP allows and PEP 3333 does not. */
function checkValue(name: string, value: string): void {
  if (!value.includes('\t')) return;
  throw violation(
    `the value of header ${name} has a tab: PEP 3333 allows no control characters; use a space`,
  );
}

function checkContentType(code: number, count: number): void {
  const forbidden = bodyForbidden(code);
  if (forbidden && count > 0) {
    throw violation(
      `Content-Type is given with status ${code}, which has no body: leave the header out`,
    );
  }
  if (!forbidden && count === 0) {
    throw violation(
      'no header is named Content-Type: add one, such as ' +
        "['Content-Type', 'text/plain; charset=utf-8']",
    );
  }
}
