import { detached } from '../http/grammar.ts';
import type { RequestHead } from '../http/head.ts';
import type { HTTPRequest } from '../http/request.ts';
import type { Response } from '../http/response.ts';
import { FileWrapper } from './filewrapper.ts';
import type { Environ, ErrorStream } from './types.ts';

/** What the environs of one server have in common. */
export interface BaseEnviron {
  SERVER_NAME: string;
  SERVER_PORT: string;
  SERVER_SOFTWARE: string;
  [key: string]: unknown;
}

/** The client, as text. */
export interface Remote {
  readonly address: string;
  readonly port: string;
}

const VERSION: readonly [1, 0] = Object.freeze([1, 0]) as readonly [1, 0];

/** Leads from an environ to its request, for what is made when it is first asked for. */
const REQUEST = Symbol('ryegate.request');

/**
 * An own property as any other, so that it is listed and survives a spread, but made on demand: an
 * AbortController costs as much as a third of a whole request, and few applications look at it.
 */
const LAZY_SIGNAL: PropertyDescriptor & ThisType<Environ & { [REQUEST]: HTTPRequest }> = {
  configurable: true,
  enumerable: true,
  get() {
    return this[REQUEST].signal;
  },
  set(value: unknown) {
    Object.defineProperty(this, 'ryegate.signal', {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  },
};

/** `HTTP_*` by field name, so that the same few are not made again for every request. */
const variables = new Map<string, string>();
const MOST_VARIABLES = 1024;

function variableOf(name: string): string {
  let variable = variables.get(name);
  if (variable === undefined) {
    variable = `HTTP_${name.toUpperCase().replaceAll('-', '_')}`;
    if (variables.size < MOST_VARIABLES) variables.set(detached(name), variable);
  }
  return variable;
}

/**
 * The environment of a request (PEP 3333; RFC 3875 section 4.1). Repeated fields are joined by
 * ", ", cookies by "; ".
 *
 * @param base of which the usual keys are taken; for others see `addOthers()`
 * @param usesSignal whether the application has a use for `ryegate.signal`
 */
export function makeEnviron(
  request: HTTPRequest,
  base: BaseEnviron,
  remote: Remote,
  errors: ErrorStream,
  usesSignal: boolean,
): Environ {
  const { head } = request;
  const { target } = head;
  const origin = originOf(head);
  const environ = {
    REQUEST_METHOD: head.method,
    SCRIPT_NAME: '',
    PATH_INFO: origin.path,
    QUERY_STRING: origin.query,
    REQUEST_URI: target,
    RAW_URI: target,
    SERVER_NAME: base.SERVER_NAME,
    SERVER_PORT: base.SERVER_PORT,
    SERVER_PROTOCOL: head.minor === 1 ? 'HTTP/1.1' : 'HTTP/1.0',
    SERVER_SOFTWARE: base.SERVER_SOFTWARE,
    GATEWAY_INTERFACE: 'CGI/1.1',
    REMOTE_ADDR: remote.address,
    REMOTE_PORT: remote.port,
    'wsgi.version': VERSION,
    'wsgi.url_scheme': 'http',
    'wsgi.input': request.body,
    'wsgi.errors': errors,
    'wsgi.multithread': false,
    'wsgi.multiprocess': false,
    'wsgi.run_once': false,
    'wsgi.input_terminated': true,
    'wsgi.file_wrapper': FileWrapper,
    'ryegate.blocking': request.connection.socket.blocking,
    [REQUEST]: request,
  } as unknown as Environ;
  if (usesSignal) addSignal(environ);
  if (request.response.takesTrailers) addTrailers(environ, request.response);
  addFields(environ, head.fields);
  if (origin.host !== null) environ.HTTP_HOST = origin.host;
  return environ;
}

function addSignal(environ: Environ): void {
  Object.defineProperty(environ, 'ryegate.signal', LAZY_SIGNAL);
}

function addTrailers(environ: Environ, response: Response): void {
  environ['ryegate.trailers'] = response.setTrailers.bind(response);
}

/** Adds what somebody has added to `base`; the request's own counts for more. */
export function addOthers(environ: Environ, base: BaseEnviron): void {
  for (const key in base) {
    if (environ[key] === undefined) environ[key] = base[key];
  }
}

function addFields(environ: Environ, fields: readonly string[]): void {
  for (let i = 0; i < fields.length; i += 2) {
    addField(environ, fields[i] as string, fields[i + 1] as string);
  }
}

/**
 * Fields that nearly every request has; the first four never repeat. Keys that are written out save
 * a tenth of a browser's request, as V8 is slow to add a key that varies.
 */
function addField(environ: Environ, name: string, value: string): void {
  switch (name) {
    case 'host':
      environ.HTTP_HOST = value;
      break;
    case 'user-agent':
      environ.HTTP_USER_AGENT = value;
      break;
    case 'content-type':
      environ.CONTENT_TYPE = value;
      break;
    case 'content-length':
      environ.CONTENT_LENGTH = value;
      break;
    case 'accept':
      environ.HTTP_ACCEPT = joined(environ.HTTP_ACCEPT, ', ', value);
      break;
    case 'accept-encoding':
      environ.HTTP_ACCEPT_ENCODING = joined(environ.HTTP_ACCEPT_ENCODING, ', ', value);
      break;
    case 'accept-language':
      environ.HTTP_ACCEPT_LANGUAGE = joined(environ.HTTP_ACCEPT_LANGUAGE, ', ', value);
      break;
    case 'connection':
      environ.HTTP_CONNECTION = joined(environ.HTTP_CONNECTION, ', ', value);
      break;
    case 'cookie':
      environ.HTTP_COOKIE = joined(environ.HTTP_COOKIE, '; ', value);
      break;
    default: {
      const variable = variableOf(name) as `HTTP_${string}`;
      environ[variable] = joined(environ[variable], ', ', value);
    }
  }
}

function joined(before: string | undefined, separator: string, value: string): string {
  return before === undefined ? value : before + separator + value;
}

const SLASH = 0x2f;

/** What a request is for. */
class Origin {
  /** Percent-decoded to one character per byte. */
  readonly path: string;
  readonly query: string;
  /** Which host is meant, whatever Host says; null where Host says it. */
  readonly host: string | null;

  constructor(pathAndQuery: string, host: string | null) {
    const question = pathAndQuery.indexOf('?');
    this.path = decodePath(question < 0 ? pathAndQuery : pathAndQuery.substring(0, question));
    this.query = question < 0 ? '' : pathAndQuery.substring(question + 1);
    this.host = host;
  }
}

/** Made once for heads that come again. */
function originOf(head: RequestHead): Origin {
  return (head.derived ?? deriveOrigin(head)) as Origin;
}

function deriveOrigin(head: RequestHead): Origin {
  const origin = parseTarget(head.target);
  head.derived = origin;
  return origin;
}

/** The forms of RFC 9112 section 3.2; `*` and CONNECT's authority have no path. */
function parseTarget(target: string): Origin {
  if (target.charCodeAt(0) === SLASH) return new Origin(target, null);
  const absolute = /^https?:\/\/([^/?]*)(.*)$/i.exec(target);
  if (absolute === null) return new Origin('', null);
  const [, authority = '', rest = ''] = absolute;
  return new Origin(rest.startsWith('/') ? rest : `/${rest}`, authority);
}

/**
 * Percent-decoded to one character per byte. Leading slashes become one: a path of `//host` would
 * be taken for another site by whoever redirects to it (CPython gh-87389).
 */
function decodePath(path: string): string {
  let decoded = path;
  if (path.includes('%')) {
    decoded = path.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 16)),
    );
  }
  return decoded.charCodeAt(1) === SLASH ? decoded.replace(/^\/+/, '/') : decoded;
}
