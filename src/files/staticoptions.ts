import { byteString } from '../bytestring.ts';
import { RyegateError, showValue } from '../errors.ts';
import { checkHeaders, type HeaderList } from '../http/headers.ts';
import { checkFlags, checkNames, checkOption, isWhole } from '../options.ts';
import type { Application } from '../wsgi/types.ts';
import { type ContentTypes, contentTypes } from './contenttypes.ts';
import type { OpenFileCacheSettings } from './openfilecache.ts';
import { type DotfileRule, normalizeDotfiles, normalizePrefix } from './paths.ts';

/** Settings of `staticFiles()`. */
export interface StaticFilesOptions {
  /** Where in the URL space the root is, such as `'/assets'`. Default '': everything. */
  prefix?: string | undefined;
  /** Answers what is not found here, and methods other than GET and HEAD. Default: 404 and 405. */
  next?: Application | undefined;
  /** Names of the files that stand for their folder, in order. Default `['index.html']`. */
  index?: readonly string[] | undefined;
  /** Whether folders without such a file are listed. Default false. */
  listing?: boolean | undefined;
  /** Whether names that begin with a dot are served, or which, such as `['.well-known']`. */
  dotfiles?: boolean | readonly string[] | undefined;
  /**
   * Whether `NAME.br`, `NAME.zst` or `NAME.gz` beside a file, unless it is older, is sent to clients
   * that take it. Default false.
   */
  precompressed?: boolean | undefined;
  /** The field Cache-Control as it is. Default: what `maxAge` and `immutable` say. */
  cacheControl?: string | undefined;
  /** Seconds that clients may keep an answer without asking again. Default 0. */
  maxAge?: number | undefined;
  /** Whether files never change, as those with a hash in their name. Default false. */
  immutable?: boolean | undefined;
  /** Further fields of every file, such as Access-Control-Allow-Origin; none that it has anyway. */
  headers?: HeaderList | undefined;
  /** Says the Content-Type by the name, in place of the package mime-types. */
  contentType?: ((name: string) => string | undefined) | undefined;
  /** Requests for more ranges of a file are answered with all of it; 0: no ranges. Default 16. */
  mostRanges?: number | undefined;
  cache?: Partial<OpenFileCacheSettings> | undefined;
}

const OPTIONS: Readonly<Record<keyof StaticFilesOptions, true>> = {
  prefix: true,
  next: true,
  index: true,
  listing: true,
  dotfiles: true,
  precompressed: true,
  cacheControl: true,
  maxAge: true,
  immutable: true,
  headers: true,
  contentType: true,
  mostRanges: true,
  cache: true,
};

/** What a site is made of. */
export interface StaticSettings {
  readonly prefix: string;
  readonly next: Application | null;
  readonly index: readonly string[];
  readonly listing: boolean;
  readonly dotfiles: DotfileRule;
  readonly precompressed: boolean;
  readonly fields: HeaderList;
  readonly contentType: ContentTypes;
  readonly mostRanges: number;
  readonly cache: OpenFileCacheSettings;
}

/** Defaults of the option `cache`. */
export const DEFAULT_CACHE: OpenFileCacheSettings = {
  entries: 1000,
  bytes: 32 * 1024 * 1024,
  fileBytes: 64 * 1024,
  revalidate: 1,
};

/** RFC 8246: a year stands for ever. */
const YEAR = 31_536_000;

/** Throws `ERR_RYEGATE_OPTION` for what makes no sense, `ERR_RYEGATE_HEADER`, `ERR_RYEGATE_PEER`. */
export function resolveStaticOptions(options: StaticFilesOptions): StaticSettings {
  checkNames(options, OPTIONS);
  checkFlags(options, ['listing', 'precompressed', 'immutable']);
  const { next, index = ['index.html'], mostRanges = 16, contentType } = options;
  const isFunction = (value: unknown): boolean => typeof value === 'function';
  checkOption('next', next, isFunction, 'a WSGI application');
  checkOption('contentType', contentType, isFunction, 'a function of a file name');
  checkOption('index', index, isIndex, "a list of file names, such as ['index.html']");
  checkOption('mostRanges', mostRanges, (most) => isWhole(most, 0, 1000), 'a number up to 1000');
  return {
    prefix: normalizePrefix(options.prefix ?? ''),
    next: next ?? null,
    index: index.map(byteString),
    listing: options.listing ?? false,
    dotfiles: normalizeDotfiles(options.dotfiles ?? false),
    precompressed: options.precompressed ?? false,
    fields: [['Cache-Control', cacheControl(options)], ...furtherFields(options)],
    contentType: contentTypes(contentType),
    mostRanges,
    cache: cacheSettings(options.cache ?? {}),
  };
}

/** What the answers have by themselves, in lower case. */
const OWN_FIELDS: readonly string[] = [
  'accept-ranges',
  'cache-control',
  'content-length',
  'content-range',
  'content-type',
  'etag',
  'last-modified',
  'x-content-type-options',
];

function furtherFields({ headers = [] }: StaticFilesOptions): HeaderList {
  const checked = checkHeaders(headers);
  const own = checked.find(([name]) => OWN_FIELDS.includes(name.toLowerCase()));
  if (own === undefined) return checked;
  throw new RyegateError(
    'ERR_RYEGATE_OPTION',
    `the option headers has ${showValue(own[0])}, which files have anyway: leave it out; for ` +
      'some there is an option, such as cacheControl and contentType',
  );
}

function isIndex(names: unknown): boolean {
  const isName = (name: unknown): boolean =>
    typeof name === 'string' && /^[^/\0]+$/.test(name) && name !== '.' && name !== '..';
  return Array.isArray(names) && names.every(isName);
}

function cacheControl(options: StaticFilesOptions): string {
  const { cacheControl: given, immutable = false } = options;
  const { maxAge = immutable ? YEAR : 0 } = options;
  checkOption('maxAge', maxAge, (age) => isWhole(age, 0, 2 ** 31 - 1), 'whole seconds');
  if (given === undefined) return `max-age=${maxAge}${immutable ? ', immutable' : ''}`;
  if (typeof given === 'string' && options.maxAge === undefined && !immutable) {
    checkHeaders([['Cache-Control', given]]);
    return given;
  }
  throw new RyegateError(
    'ERR_RYEGATE_OPTION',
    `the option cacheControl is ${showValue(given)}: give a string, and neither maxAge nor ` +
      'immutable beside it',
  );
}

function cacheSettings(given: Partial<OpenFileCacheSettings>): OpenFileCacheSettings {
  checkNames(given, DEFAULT_CACHE);
  const settings = { ...DEFAULT_CACHE };
  for (const name of Object.keys(given) as (keyof OpenFileCacheSettings)[]) {
    const value = given[name];
    if (value !== undefined) settings[name as 'bytes'] = value;
  }
  const { entries, bytes, fileBytes, revalidate } = settings;
  const isCount = (value: number): boolean => isWhole(value, 0, Number.MAX_SAFE_INTEGER);
  checkOption(
    'cache.entries',
    entries,
    (value) => isWhole(value, 10, 1_000_000),
    'a number from 10',
  );
  checkOption('cache.bytes', bytes, isCount, 'a whole number of bytes');
  checkOption(
    'cache.fileBytes',
    fileBytes,
    (value) => isWhole(value, 0, 2 ** 30),
    'bytes up to 1g',
  );
  const isDuration = (value: unknown): boolean => typeof value === 'number' && value >= 0;
  checkOption('cache.revalidate', revalidate, isDuration, 'seconds, or 0');
  return settings;
}
