import { posix } from 'node:path';
import { RyegateError } from '../errors.ts';
import { StringErrorStream } from '../io/errorstream.ts';
import { emptyInput } from '../io/inputstream.ts';
import type { Environ } from './types.ts';

export { isHopByHop } from '../http/headers.ts';

/**
 * `https` when `HTTPS` is `yes`, `on` or `1`, else `http`: for gateways that run behind a server
 * which says so, such as CGI (`wsgiref.util.guess_scheme`).
 */
export function guessScheme(environ: Readonly<Record<string, unknown>>): 'http' | 'https' {
  const https = environ.HTTPS;
  return https === 'yes' || https === 'on' || https === '1' ? 'https' : 'http';
}

function percentByte(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

/** Percent-encodes what `unsafe` matches; environ strings hold one byte per character. */
function quote(key: string, value: string, unsafe: RegExp): string {
  const wide = /[^\0-\xff]/.exec(value);
  if (wide !== null) {
    throw new RyegateError(
      'ERR_RYEGATE_ENVIRON',
      `${key} has a character above U+00FF at index ${wide.index}: environ strings hold bytes ` +
        `as Latin-1 (PEP 3333); encode text with Buffer.from(text).toString('latin1')`,
    );
  }
  return value.replace(unsafe, percentByte);
}

/** The keys of environ that an application's address is made of. */
export type AddressEnviron = Pick<
  Environ,
  'SCRIPT_NAME' | 'SERVER_NAME' | 'SERVER_PORT' | 'wsgi.url_scheme'
> & { HTTP_HOST?: string | undefined };

function origin(environ: AddressEnviron): string {
  const scheme = environ['wsgi.url_scheme'];
  let host = environ.HTTP_HOST;
  if (!host) {
    const usual = scheme === 'https' ? '443' : '80';
    const port = environ.SERVER_PORT;
    host = port === usual ? environ.SERVER_NAME : `${environ.SERVER_NAME}:${port}`;
  }
  return `${scheme}://${host}`;
}

function applicationPath(environ: Pick<Environ, 'SCRIPT_NAME'>): string {
  return quote('SCRIPT_NAME', environ.SCRIPT_NAME || '/', /[^\w.~/-]/g);
}

function requestPath(environ: Pick<Environ, 'SCRIPT_NAME' | 'PATH_INFO'>): string {
  const path = quote('PATH_INFO', environ.PATH_INFO, /[^\w.~/;=,-]/g);
  // Without SCRIPT_NAME the application's path is the slash that PATH_INFO begins with.
  return applicationPath(environ) + (environ.SCRIPT_NAME ? path : path.slice(1));
}

/**
 * The address of the application, without PATH_INFO and query (PEP 3333, "URL Reconstruction";
 * `wsgiref.util.application_uri`). The host is the client's own word (`HTTP_HOST`) if there is one.
 *
 * `ERR_RYEGATE_ENVIRON`: SCRIPT_NAME has a character above U+00FF.
 */
export function applicationURI(environ: AddressEnviron): string {
  return origin(environ) + applicationPath(environ);
}

/**
 * The address of the request (`wsgiref.util.request_uri`), with the query unless `includeQuery` is
 * false.
 *
 * `ERR_RYEGATE_ENVIRON`: SCRIPT_NAME or PATH_INFO has a character above U+00FF.
 */
export function requestURI(
  environ: AddressEnviron & Pick<Environ, 'PATH_INFO' | 'QUERY_STRING'>,
  includeQuery = true,
): string {
  const query = includeQuery && environ.QUERY_STRING ? `?${environ.QUERY_STRING}` : '';
  return origin(environ) + requestPath(environ) + query;
}

/**
 * Moves the first segment of PATH_INFO to the end of SCRIPT_NAME and returns it
 * (`wsgiref.util.shift_path_info`), so that an application can dispatch to others. `null` when no
 * segment is left. Empty segments and `.` are passed over, but for a PATH_INFO of `/` the result
 * is `''` and SCRIPT_NAME gets a trailing slash: `/x` and `/x/` stay apart. `environ` is changed.
 */
export function shiftPathInfo(environ: Pick<Environ, 'SCRIPT_NAME' | 'PATH_INFO'>): string | null {
  const path = environ.PATH_INFO;
  // `OPTIONS *` has a path without a slash, thus without segments.
  if (!path.startsWith('/')) {
    return null;
  }
  const segments = path.slice(1).split('/');
  const last = segments.pop() as string;
  const rest = segments.filter((segment) => segment !== '' && segment !== '.');
  rest.push(last);
  const name = rest.shift() as string;
  const script = posix.normalize(`${environ.SCRIPT_NAME}/${name}`).replace(/\/$/, '');
  environ.SCRIPT_NAME = name === '' ? `${script}/` : script;
  environ.PATH_INFO = rest.length === 0 ? '' : `/${rest.join('/')}`;
  return name === '.' ? null : name;
}

/**
 * Gives `environ` whatever a server would and it lacks, with made-up values: for tests of
 * applications and gateways only (`wsgiref.util.setup_testing_defaults`). Keys that are set stay.
 */
export function setupTestingDefaults(environ: Partial<Environ>): asserts environ is Environ {
  environ.SERVER_NAME ??= '127.0.0.1';
  environ.SERVER_PROTOCOL ??= 'HTTP/1.0';
  environ.SERVER_SOFTWARE ??= 'Ryegate';
  environ.GATEWAY_INTERFACE ??= 'CGI/1.1';
  environ.HTTP_HOST ??= environ.SERVER_NAME;
  environ.REMOTE_ADDR ??= '127.0.0.1';
  environ.REMOTE_PORT ??= '49152';
  environ.REQUEST_METHOD ??= 'GET';
  environ.PATH_INFO ??= environ.SCRIPT_NAME === undefined ? '/' : '';
  environ.SCRIPT_NAME ??= '';
  environ.QUERY_STRING ??= '';
  environ['wsgi.version'] ??= [1, 0];
  environ['wsgi.run_once'] ??= false;
  environ['wsgi.multithread'] ??= false;
  environ['wsgi.multiprocess'] ??= false;
  environ['wsgi.input'] ??= emptyInput;
  environ['wsgi.input_terminated'] ??= true;
  environ['wsgi.errors'] ??= new StringErrorStream();
  environ['wsgi.url_scheme'] ??= guessScheme(environ);
  environ['ryegate.signal'] ??= new AbortController().signal;
  environ.SERVER_PORT ??= environ['wsgi.url_scheme'] === 'https' ? '443' : '80';
  const query = environ.QUERY_STRING === '' ? '' : `?${environ.QUERY_STRING}`;
  environ.REQUEST_URI ??= requestPath(environ as Environ) + query;
}
