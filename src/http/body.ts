import {
  EXTENSION_DONE,
  EXTENSION_REFUSED,
  EXTENSION_START,
  nextExtensionState,
} from './chunkextension.ts';
import { bodyTooLarge, isHidden, refusedByte } from './fieldrules.ts';
import {
  COLON,
  CR,
  HEX_VALUE,
  isFieldValue,
  LF,
  latin1,
  NOT_HEX,
  TCHAR,
  trimOWS,
} from './grammar.ts';
import { HTTPError } from './httperror.ts';
import type { Limits } from './limits.ts';
import { isForbiddenTrailer } from './trailers.ts';

/** Where body bytes go. They are only lent: copy what is kept beyond the call. */
export interface BodySink {
  bodyData(bytes: Buffer, start: number, end: number): void;
}

/** Takes the body of one request out of a stream of bytes. */
export interface BodyReader {
  /** Whether the whole body has been taken; the byte after it starts the next request. */
  readonly done: boolean;
  /**
   * Reads from `start..end`, hands the body's bytes to `sink` and returns how many bytes it took:
   * all of them unless the body ends before.
   *
   * @throws HTTPError when the framing is broken; the reader is of no use then.
   */
  feed(bytes: Buffer, start: number, end: number, sink: BodySink): number;
}

/** A body of known length in bytes (RFC 9112 section 6.2). */
export class LengthReader implements BodyReader {
  #remaining: number;

  constructor(length: number) {
    this.#remaining = length;
  }

  get done(): boolean {
    return this.#remaining === 0;
  }

  /** Bytes that have not been taken. */
  get remaining(): number {
    return this.#remaining;
  }

  feed(bytes: Buffer, start: number, end: number, sink: BodySink): number {
    const taken = Math.min(this.#remaining, end - start);
    this.#remaining -= taken;
    if (taken > 0) sink.bodyData(bytes, start, start + taken);
    return taken;
  }
}

/** The digits of the largest size, 2^53 - 1, and two leading zeros. */
const MOST_SIZE_DIGITS = 16;

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILER_START = 6;
const TRAILER_NAME = 7;
const TRAILER_VALUE = 8;
const TRAILER_LF = 9;
const LAST_LF = 10;
const DONE = 11;

/**
 * A chunked body (RFC 9112 section 7.1) in any split, in time linear in its bytes and without
 * holding data back. Sizes are 1 to 16 hexadecimal digits up to 2^53 - 1; lines end with CRLF.
 *
 * `feed` throws HTTPError with the code `ERR_RYEGATE_BAD_CHUNK`,
 * `ERR_RYEGATE_CHUNK_EXTENSIONS_TOO_LARGE`, `ERR_RYEGATE_BAD_TRAILER` (400),
 * `ERR_RYEGATE_BODY_TOO_LARGE` (413; before the chunk that would be too much) or
 * `ERR_RYEGATE_TRAILERS_TOO_LARGE` (431).
 */
export class ChunkedReader implements BodyReader {
  /** Trailer fields: lower-case name, value, name, value ...; complete once `done`. */
  readonly trailers: string[] = [];
  readonly #limits: Limits;
  #state = SIZE;
  #digits = 0;
  /** The size while it is read, then what remains of the chunk. */
  #remaining = 0;
  #total = 0;
  #extensionState = EXTENSION_START;
  #extensionBytes = 0;
  #trailerBytes = 0;
  #trailerName = '';
  #trailerValue = '';

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get done(): boolean {
    return this.#state === DONE;
  }

  feed(bytes: Buffer, start: number, end: number, sink: BodySink): number {
    let i = start;
    while (i < end && this.#state !== DONE) {
      if (this.#state === SIZE) i = this.#readSize(bytes, i, end);
      else if (this.#state === DATA) i = this.#readData(bytes, i, end, sink);
      else if (this.#state === EXTENSION) i = this.#readExtension(bytes, i, end);
      else if (this.#state < TRAILER_START) this.#readLineEnd(bytes[i++] as number);
      else i = this.#readTrailer(bytes, i, end);
    }
    return i - start;
  }

  #readSize(bytes: Buffer, start: number, end: number): number {
    let i = start;
    let size = this.#remaining;
    let digits = this.#digits;
    while (i < end) {
      const value = HEX_VALUE[bytes[i] as number] as number;
      if (value === NOT_HEX) break;
      size = size * 16 + value;
      if (++digits > MOST_SIZE_DIGITS || size > Number.MAX_SAFE_INTEGER) throw badChunk('size');
      i++;
    }
    this.#remaining = size;
    this.#digits = digits;
    if (i === end) return i;
    if (digits === 0) throw badChunk('size');
    if (size > this.#limits.bodyBytes - this.#total) throw bodyTooLarge();
    this.#total += size;
    this.#digits = 0;
    this.#extensionState = EXTENSION_START;
    this.#state = EXTENSION;
    return i;
  }

  /** From the end of the size to the CR, most often at once. */
  #readExtension(bytes: Buffer, start: number, end: number): number {
    let state = this.#extensionState;
    for (let i = start; i < end; i++) {
      const byte = bytes[i] as number;
      if (byte !== CR && ++this.#extensionBytes > this.#limits.chunkExtensionBytes) {
        throw extensionsTooLarge();
      }
      state = nextExtensionState(state, byte);
      if (state === EXTENSION_REFUSED) throw badChunk('size line');
      if (state === EXTENSION_DONE) {
        this.#state = SIZE_LF;
        return i + 1;
      }
    }
    this.#extensionState = state;
    return end;
  }

  #readData(bytes: Buffer, start: number, end: number, sink: BodySink): number {
    const taken = Math.min(this.#remaining, end - start);
    this.#remaining -= taken;
    if (this.#remaining === 0) this.#state = DATA_CR;
    sink.bodyData(bytes, start, start + taken);
    return start + taken;
  }

  #readLineEnd(byte: number): void {
    const expected = this.#state === DATA_CR ? CR : LF;
    if (byte !== expected) throw badChunk(this.#state === SIZE_LF ? 'size line' : 'end of data');
    if (this.#state === DATA_CR) this.#state = DATA_LF;
    else if (this.#state === DATA_LF) this.#state = SIZE;
    else this.#state = this.#remaining === 0 ? TRAILER_START : DATA;
  }

  #readTrailer(bytes: Buffer, start: number, end: number): number {
    const byte = bytes[start] as number;
    switch (this.#state) {
      case TRAILER_START:
        if (byte === CR) {
          this.#state = LAST_LF;
          return start + 1;
        }
        if (TCHAR[byte] !== 1) throw refusedByte(byte, 'ERR_RYEGATE_BAD_TRAILER');
        this.#state = TRAILER_NAME;
        return start;
      case TRAILER_NAME:
      case TRAILER_VALUE:
        return this.#readTrailerText(bytes, start, end);
      default:
        if (byte !== LF) throw refusedByte(CR, 'ERR_RYEGATE_BAD_TRAILER');
        if (this.#state === LAST_LF) this.#state = DONE;
        else this.#endTrailer();
        return start + 1;
    }
  }

  /** A run of the name or value, and the colon or CR after it. */
  #readTrailerText(bytes: Buffer, start: number, end: number): number {
    const isName = this.#state === TRAILER_NAME;
    let i = start;
    while (i < end && (isName ? TCHAR[bytes[i] as number] === 1 : isFieldValue(bytes[i] as number)))
      i++;
    const text = latin1(bytes, start, i);
    this.#countTrailerBytes(i - start);
    if (isName) this.#trailerName += text;
    else this.#trailerValue += text;
    if (i === end) return i;
    this.#countTrailerBytes(1);
    const byte = bytes[i] as number;
    if (byte !== (isName ? COLON : CR)) throw refusedByte(byte, 'ERR_RYEGATE_BAD_TRAILER');
    this.#state = isName ? TRAILER_VALUE : TRAILER_LF;
    return i + 1;
  }

  #endTrailer(): void {
    this.#countTrailerBytes(1);
    const name = this.#trailerName.toLowerCase();
    if (isForbiddenTrailer(name)) throw forbiddenTrailer(name);
    if (!isHidden(name, this.#limits)) this.trailers.push(name, trimOWS(this.#trailerValue));
    this.#trailerName = '';
    this.#trailerValue = '';
    this.#state = TRAILER_START;
  }

  #countTrailerBytes(count: number): void {
    this.#trailerBytes += count;
    if (this.#trailerBytes > this.#limits.trailerBytes) throw trailersTooLarge();
  }
}

function badChunk(place: string): HTTPError {
  return new HTTPError(
    400,
    'ERR_RYEGATE_BAD_CHUNK',
    `The chunked body is broken at the ${place} of a chunk: send hexadecimal size, CRLF, ` +
      'that many bytes, CRLF (RFC 9112 section 7.1).',
  );
}

function extensionsTooLarge(): HTTPError {
  return new HTTPError(
    400,
    'ERR_RYEGATE_CHUNK_EXTENSIONS_TOO_LARGE',
    'The chunk extensions of the body are too long: leave them out, or raise chunkExtensionBytes.',
  );
}

function trailersTooLarge(): HTTPError {
  return new HTTPError(
    431,
    'ERR_RYEGATE_TRAILERS_TOO_LARGE',
    'The trailers of the body are too long: send less, or raise trailerBytes.',
  );
}

function forbiddenTrailer(name: string): HTTPError {
  return new HTTPError(
    400,
    'ERR_RYEGATE_BAD_TRAILER',
    `The field ${name} has no place in a trailer: send it in the header (RFC 9110 section 6.5.1).`,
  );
}
