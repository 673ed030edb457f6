import { byteString } from '../bytestring.ts';
import { BACKSLASH, DOT, SLASH, SP } from '../http/grammar.ts';
import { checkOption } from '../options.ts';
import type { Environ } from '../wsgi/types.ts';

// Paths are byte strings here: one character per byte, as PEP 3333 has them in the environ.

/** What the file systems of Linux and macOS take as a name. */
const MOST_NAME_BYTES = 255;
/** What their system calls take as a path: PATH_MAX without the NUL at its end. */
const MOST_PATH_BYTES = 4095;
const DEL = 0x7f;
const LAST_BYTE = 0xff;

/** Which names that begin with a dot are served: all, none, or these byte strings. */
export type DotfileRule = boolean | ReadonlySet<string>;

/** Where a request leads below the root. */
export interface FilePath {
  /** Names with single slashes between, and none at either end; empty for the root. */
  readonly path: string;
  /** Whether a folder is asked for: the path in the request ended with a slash. */
  readonly isFolder: boolean;
}

/** Names with a slash before each, and perhaps one at the end; nothing that a URL would encode. */
const PREFIX = /^(?:\/(?!\.{1,2}(?:\/|$))[^/%?#\\\p{Cc}\p{Cs}]+)*\/?$/u;

/**
 * The option `prefix` as `filePath()` takes it: without a slash at its end, in UTF-8.
 *
 * @throws RyegateError `ERR_RYEGATE_OPTION`
 */
export function normalizePrefix(prefix: unknown): string {
  checkOption(
    'prefix',
    prefix ?? null,
    (value) => typeof value === 'string' && PREFIX.test(value),
    "'', or a path such as '/assets': a slash before each name, not percent-encoded, without " +
      "'//', '.' and '..'",
  );
  return byteString((prefix as string).replace(/\/$/, ''));
}

/**
 * The option `dotfiles` as `filePath()` takes it.
 *
 * @throws RyegateError `ERR_RYEGATE_OPTION`
 */
export function normalizeDotfiles(dotfiles: unknown): DotfileRule {
  if (typeof dotfiles === 'boolean') return dotfiles;
  checkOption(
    'dotfiles',
    dotfiles ?? null,
    (value) => Array.isArray(value) && value.every(isDotfileName),
    "true, false, or a list of names such as ['.well-known']",
  );
  return new Set((dotfiles as string[]).map(byteString));
}

function isDotfileName(name: unknown): boolean {
  return typeof name === 'string' && /^\.[^/\0]+$/.test(name) && name !== '..';
}

/** Whether a file or folder of this name is served as far as dots are concerned. */
function isVisible(name: string, dotfiles: DotfileRule): boolean {
  if (name.charCodeAt(0) !== DOT || dotfiles === true) return true;
  return dotfiles !== false && dotfiles.has(name);
}

/**
 * Where the request leads; null when that is nowhere, since its path is not under `prefix` or is
 * one that could be read in more ways than one: with `.`, `..` or an empty name, a backslash, a
 * control character, an encoded slash, a name or path too long for the system, a name that begins
 * with a dot and is not among `dotfiles`.
 *
 * `prefix` and `dotfiles`: from `normalizePrefix()` and `normalizeDotfiles()`.
 */
export function filePath(
  environ: Pick<Environ, 'SCRIPT_NAME' | 'PATH_INFO' | 'REQUEST_URI'>,
  prefix: string,
  dotfiles: DotfileRule,
): FilePath | null {
  const { PATH_INFO: pathInfo, REQUEST_URI: target } = environ;
  if (!pathInfo.startsWith(prefix) || hidesSlash(target, pathInfo)) return null;
  const end = pathInfo.length;
  const start = prefix.length;
  if (end === start) return environ.SCRIPT_NAME + prefix === '' ? null : ROOT_WITHOUT_SLASH;
  if (pathInfo.charCodeAt(start) !== SLASH) return null;
  if (end === start + 1) return ROOT;
  const isFolder = pathInfo.charCodeAt(end - 1) === SLASH;
  const path = pathInfo.slice(start + 1, isFolder ? end - 1 : end);
  return areNames(path, dotfiles) ? { path, isFolder } : null;
}

const ROOT: FilePath = Object.freeze({ path: '', isFolder: true });
const ROOT_WITHOUT_SLASH: FilePath = Object.freeze({ path: '', isFolder: false });

/**
 * Whether the path of a request target has what PATH_INFO no longer shows: an encoded slash, or
 * several slashes at its start, which became one.
 */
function hidesSlash(target: string, pathInfo: string): boolean {
  if (target === pathInfo) return false;
  const path = target.replace(/^https?:\/\/[^/?]*/i, '').replace(/\?.*$/s, '');
  return /^\/\/|%2f/i.test(path);
}

/** Whether each of the names with a slash between is one that is served. */
export function areNames(path: string, dotfiles: DotfileRule): boolean {
  if (path.length > MOST_PATH_BYTES) return false;
  let start = 0;
  for (let at = 0; at < path.length; at++) {
    const byte = path.charCodeAt(at);
    if (byte === SLASH) {
      if (!isName(path, start, at, dotfiles)) return false;
      start = at + 1;
    } else if (byte < SP || byte === DEL || byte === BACKSLASH || byte > LAST_BYTE) return false;
  }
  return isName(path, start, path.length, dotfiles);
}

function isName(path: string, start: number, end: number, dotfiles: DotfileRule): boolean {
  const length = end - start;
  if (length === 0 || length > MOST_NAME_BYTES) return false;
  if (path.charCodeAt(start) !== DOT) return true;
  const name = path.slice(start, end);
  return name !== '.' && name !== '..' && isVisible(name, dotfiles);
}

/** pchar (RFC 3986 section 3.3) without what HTML, a shell or a proxy might take for its own. */
const PLAIN = /[\w.~!$+,=:@-]/;

const ENCODED: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return PLAIN.test(character) ? character : `%${Buffer.of(byte).toString('hex').toUpperCase()}`;
});

/** A name percent-encoded byte by byte, for an address. */
export function encodeName(name: string): string {
  let encoded = '';
  for (let at = 0; at < name.length; at++) encoded += ENCODED[name.charCodeAt(at)] ?? '%3F';
  return encoded;
}

/**
 * The address of the same request with a slash at the end of its path, for Location. It begins
 * with one slash and then a name, whatever was asked for, so that it never leads to another site:
 * clients take `//host` and `/\host` for one (RFC 3986 section 4.2; CPython gh-87389).
 */
export function slashRedirect(
  environ: Pick<Environ, 'SCRIPT_NAME' | 'PATH_INFO' | 'QUERY_STRING'>,
): string {
  const { SCRIPT_NAME: script, PATH_INFO: info, QUERY_STRING: query } = environ;
  const names = (script + info).split('/').filter((name) => name !== '');
  const path = names.map((name) => `/${encodeName(name)}`).join('');
  // What no request target holds may come from another gateway, and no field could hold it.
  const asSent = query.replace(/[^\x21-\x7e]|#/g, encodeName);
  return asSent === '' ? `${path}/` : `${path}/?${asSent}`;
}
