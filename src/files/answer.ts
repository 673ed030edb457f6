import { httpDate } from '../http/date.ts';
import { checkHeaders, type HeaderList } from '../http/headers.ts';
import type { BodyPart } from '../wsgi/filewrapper.ts';
import type { Representation } from './conditions.ts';
import type { OpenFile } from './openfile.ts';
import type { CachedFile } from './openfilecache.ts';
import { type ByteRange, contentRange, multipartByteRanges } from './ranges.ts';
import type { StaticSettings } from './staticoptions.ts';

/** Tells clients not to guess at the type; https://fetch.spec.whatwg.org/#x-content-type-options-header */
export const NO_SNIFF: [string, string] = ['X-Content-Type-Options', 'nosniff'];

/**
 * The answers that one file gives, as one representation (RFC 9110 section 3.2): their header lists
 * are made once, and frozen, so that they are checked and rendered once as well.
 */
export class Answer implements Representation {
  readonly file: CachedFile;
  readonly etag: string;
  readonly lastModified: number;
  readonly size: number;
  /** Of a 200. */
  readonly whole: HeaderList;
  /** Of a 304; RFC 9110 section 15.4.5. */
  readonly notModified: HeaderList;
  readonly #type: string;
  readonly #described: HeaderList;

  /** `coding`: of a compressed variant. */
  constructor(file: CachedFile, type: string, coding: string | null, settings: StaticSettings) {
    this.file = file;
    this.#type = type;
    this.size = file.size;
    this.lastModified = tellable(file.lastModified);
    this.etag = coding === null ? file.etag : `${file.etag.slice(0, -1)}-${coding}"`;
    const validators: HeaderList = [['ETag', this.etag]];
    if (!Number.isNaN(this.lastModified)) {
      validators.push(['Last-Modified', httpDate(this.lastModified)]);
    }
    const shared: HeaderList = [...settings.fields];
    // A variant may appear later.
    if (settings.precompressed) shared.push(['Vary', 'Accept-Encoding']);
    this.#described = [
      ...validators,
      ['Accept-Ranges', settings.mostRanges > 0 ? 'bytes' : 'none'],
      NO_SNIFF,
      ...shared,
    ];
    if (coding !== null) this.#described.push(['Content-Encoding', coding]);
    this.whole = frozen([
      ['Content-Type', type],
      ['Content-Length', String(this.size)],
      ...this.#described,
    ]);
    this.notModified = frozen([...validators, ...shared]);
  }

  /** The header list and body of a 206. */
  partial(ranges: readonly ByteRange[]): [headers: HeaderList, parts: readonly BodyPart[]] {
    const [only] = ranges;
    if (ranges.length === 1 && only !== undefined) {
      const headers: HeaderList = [
        ['Content-Type', this.#type],
        ['Content-Length', String(only.end - only.start)],
        ['Content-Range', contentRange(only, this.size)],
        ...this.#described,
      ];
      return [headers, [this.part(only)]];
    }
    const multipart = multipartByteRanges(ranges, this.size, this.#type);
    const parts = ranges.flatMap((range, i) => [multipart.heads[i] as Buffer, this.part(range)]);
    const headers: HeaderList = [
      ['Content-Type', multipart.contentType],
      ['Content-Length', String(multipart.contentLength)],
      ...this.#described,
    ];
    return [headers, [...parts, multipart.tail]];
  }

  part({ start, end }: ByteRange): BodyPart {
    const { body, file } = this.file;
    if (body !== null) return body.subarray(start, end);
    return (file as OpenFile).part(start, end);
  }
}

/**
 * NaN, which is equal to no date, for a time that must not be told: one to come (RFC 9110 section
 * 8.8.2.1), or from before there were such times.
 */
function tellable(modified: number): number {
  return modified >= 0 && modified <= Date.now() ? modified : Number.NaN;
}

/** Checked, also as what is written into the heads of parts, and rendered only once. */
function frozen(headers: HeaderList): HeaderList {
  for (const pair of headers) Object.freeze(pair);
  return checkHeaders(Object.freeze(headers) as HeaderList);
}
