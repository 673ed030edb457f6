import { parseDecimal } from '../../http/grammar.ts';
import type { Environ } from '../types.ts';
import { shown, violation, warn } from './violation.ts';

/** PEP 3333, "environ Variables"; `wsgi.url_scheme` and the rest of `wsgi.*` included. */
const REQUIRED = [
  'REQUEST_METHOD',
  'SERVER_NAME',
  'SERVER_PORT',
  'SERVER_PROTOCOL',
  'wsgi.version',
  'wsgi.url_scheme',
  'wsgi.input',
  'wsgi.errors',
  'wsgi.multithread',
  'wsgi.multiprocess',
  'wsgi.run_once',
] as const;

const FLAGS = [
  'wsgi.multithread',
  'wsgi.multiprocess',
  'wsgi.run_once',
  'wsgi.input_terminated',
] as const;

/** RFC 9110 section 9.3, and PATCH (RFC 5789). */
const KNOWN_METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
]);

/** Their targets may be `*` and an authority, which have no path. */
const PATHLESS_METHODS: ReadonlySet<string> = new Set(['OPTIONS', 'CONNECT']);

/** @throws RyegateError `ERR_RYEGATE_VALIDATION` for an environ that no server may make */
export function checkEnviron(environ: unknown): asserts environ is Environ {
  checkPlain(environ);
  checkKeys(environ);
  checkVariables(environ);
  checkExtensions(environ);
  const checked = environ as Environ;
  checkMethods('wsgi.input', checked['wsgi.input'], [
    'read',
    'readline',
    'readlines',
    Symbol.asyncIterator,
  ]);
  checkMethods('wsgi.errors', checked['wsgi.errors'], ['flush', 'write', 'writelines']);
  checkRequest(checked);
}

type Variables = Record<string, unknown>;

function checkPlain(environ: unknown): asserts environ is Variables {
  if (typeof environ !== 'object' || environ === null) {
    throw violation(`environ is ${shown(environ)}: it must be a plain object`);
  }
  const prototype = Object.getPrototypeOf(environ);
  // That of another realm is not this one's Object.prototype, but has no prototype either.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw violation(
      'environ is an instance of a class: it must be a plain object, as applications list, copy ' +
        'and change it (PEP 3333 wants a built-in dictionary)',
    );
  }
  if (!Object.isExtensible(environ)) {
    throw violation(
      'environ is frozen, sealed or not extensible: applications and middleware may change it, ' +
        'so pass a copy',
    );
  }
}

function checkKeys(environ: Variables): void {
  for (const key of REQUIRED) {
    if (!Object.hasOwn(environ, key)) {
      throw violation(`environ has no key ${key}: PEP 3333 requires it in every environ`);
    }
  }
  for (const key of ['CONTENT_TYPE', 'CONTENT_LENGTH']) {
    if (Object.hasOwn(environ, `HTTP_${key}`)) {
      throw violation(`environ has the key HTTP_${key}: its name in an environ is ${key}`);
    }
  }
  if (!Object.hasOwn(environ, 'QUERY_STRING')) {
    warn(
      'environ has no key QUERY_STRING: PEP 3333 allows that, but applications may count on it; ' +
        "set it to '' when there is no query",
    );
  }
}

/** Keys without a dot are variables of CGI; what the others hold is up to who defined them. */
function checkVariables(environ: Variables): void {
  for (const key of Object.keys(environ)) {
    if (key.includes('.')) continue;
    const value = environ[key];
    if (typeof value !== 'string') {
      throw violation(
        `environ.${key} is ${shown(value)}: keys without a dot hold strings; use String(value), ` +
          'delete the key, or give it a name with a dot',
      );
    }
    const wide = value.search(/[^\0-\xff]/);
    if (wide >= 0) {
      throw violation(
        `environ.${key} has a character above U+00FF at index ${wide}: environ strings hold ` +
          "bytes as Latin-1; encode text with Buffer.from(text).toString('latin1')",
      );
    }
  }
}

function checkExtensions(environ: Variables): void {
  const version = environ['wsgi.version'];
  if (!Array.isArray(version) || version.length !== 2 || version[0] !== 1 || version[1] !== 0) {
    throw violation('wsgi.version is not [1, 0]: that is the version of the contract');
  }
  const scheme = environ['wsgi.url_scheme'];
  if (scheme !== 'http' && scheme !== 'https') {
    throw violation(`wsgi.url_scheme is ${shown(scheme)}: expected 'http' or 'https'`);
  }
  for (const key of FLAGS) {
    if (Object.hasOwn(environ, key) && typeof environ[key] !== 'boolean') {
      throw violation(`${key} is ${shown(environ[key])}: expected true or false`);
    }
  }
  const wrapper = environ['wsgi.file_wrapper'];
  if (wrapper !== undefined && !isClass(wrapper)) {
    throw violation(
      `wsgi.file_wrapper is ${shown(wrapper)}: expected a class, of which file results are ` +
        'instances',
    );
  }
  const trailers = environ['ryegate.trailers'];
  if (trailers !== undefined && typeof trailers !== 'function') {
    throw violation(`ryegate.trailers is ${shown(trailers)}: expected a function`);
  }
  checkSignal(environ);
}

function isClass(value: unknown): boolean {
  return typeof value === 'function' && (value.prototype ?? null) !== null;
}

/** A getter is left alone: it makes the signal when it is first asked for. */
function checkSignal(environ: Variables): void {
  const signal = Object.getOwnPropertyDescriptor(environ, 'ryegate.signal');
  if (signal === undefined || signal.get !== undefined) return;
  if (!(signal.value instanceof AbortSignal)) {
    throw violation(`ryegate.signal is ${shown(signal.value)}: expected an AbortSignal`);
  }
}

function checkMethods(key: string, stream: unknown, methods: readonly (string | symbol)[]): void {
  for (const method of methods) {
    const found = (stream as Record<string | symbol, unknown> | null | undefined)?.[method];
    if (typeof found !== 'function') {
      throw violation(`${key} has no method ${String(method)}: PEP 3333 requires it`);
    }
  }
}

function checkRequest(environ: Environ): void {
  const { REQUEST_METHOD, SERVER_NAME, SERVER_PORT, CONTENT_LENGTH } = environ;
  if (!KNOWN_METHODS.has(REQUEST_METHOD)) {
    warn(`REQUEST_METHOD is ${shown(REQUEST_METHOD)}: no method of RFC 9110 or RFC 5789`);
  }
  for (const [key, value] of Object.entries({ REQUEST_METHOD, SERVER_NAME, SERVER_PORT })) {
    if (value === '') throw violation(`environ.${key} is empty: PEP 3333 requires a value`);
  }
  if (CONTENT_LENGTH && parseDecimal(CONTENT_LENGTH) < 0) {
    throw violation(
      `CONTENT_LENGTH is ${shown(CONTENT_LENGTH)}: expected a whole number of bytes, or no key`,
    );
  }
  checkPaths(REQUEST_METHOD, environ.SCRIPT_NAME ?? '', environ.PATH_INFO ?? '');
}

function checkPaths(method: string, script: string, path: string): void {
  for (const [key, value] of Object.entries({ SCRIPT_NAME: script, PATH_INFO: path })) {
    if (value !== '' && !value.startsWith('/')) {
      throw violation(`${key} is ${shown(value)}: expected '' or a path that begins with /`);
    }
  }
  if (script === '/') {
    throw violation("SCRIPT_NAME is '/': for the root it is '', and PATH_INFO begins with the /");
  }
  if (script === '' && path === '' && !PATHLESS_METHODS.has(method)) {
    throw violation(
      "SCRIPT_NAME and PATH_INFO are both empty or missing: for the root PATH_INFO is '/' (only " +
        'OPTIONS and CONNECT have targets without a path)',
    );
  }
}
