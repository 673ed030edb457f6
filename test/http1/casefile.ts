import { DEFAULT_LIMITS, type Limits, type PartialLimits } from '../../src/http/limits.ts';

/**
 * The files of the corpus: a header of `# name: value` lines, an empty line, the request.
 *
 * In the request, and in the values that stand for bytes, `\r`, `\n`, `\t`, `\\` and `\xHH` are
 * single bytes, `\{N*text}` is `text` N times; the ends of the file's own lines count for nothing.
 * All else is printable ASCII, so that a file shows every byte it sends. A header line that begins
 * with `#` and three spaces goes on with the one before.
 *
 * - `reason`: what is tested, and the rule or attack that justifies the outcome.
 * - `expect`: one for each answer, in order: a refusal as `400 ERR_RYEGATE_...`, or `200`, with
 *   what the application was given below it. `100` is an interim answer; `(100)` one that comes
 *   only when the body does not come with the head. Last may be `incomplete`, nothing is answered
 *   before more bytes come, or `closed`, the connection ends without an answer.
 * - `method`, `path` (both required below 200), `query`, `body` (default empty).
 *   Below a refusal, a `method` of `HEAD` says that its answer has no body.
 * - `environ`: `NAME=value`, any number. `HTTP_*` and `CONTENT_*` are complete, but for an
 *   `HTTP_HOST` of `a`, which need not be told; `HTTP_HOST` alone says that there is none.
 * - `trailer`: `name=value`, any number: the trailers are complete as well.
 * - `keep`: `yes` (default), the connection goes on and is said to; `no`, it ends and is said to;
 *   `broken`, it ends although the answer, which went before, says that it goes on.
 * - `limits`: settings of the server, as JSON.
 * - `behind`: what is expected instead when another request has come before on the connection.
 *
 * The application reads the body, then answers; at `/unread` it answers at once without reading,
 * at `/slow` some turns of the reactor after it has read, or failed to.
 */
export interface Case {
  /** Its path in the corpus, without `.http`. */
  readonly name: string;
  readonly reason: string;
  readonly bytes: Buffer;
  readonly expected: readonly Expected[];
  /** As `expected`, behind another request. */
  readonly behind: readonly Expected[];
  readonly limits: PartialLimits;
}

export type Expected =
  | { readonly kind: 'run'; readonly run: ExpectedRun; readonly keep: Keep }
  | { readonly kind: 'refusal'; readonly status: number; readonly code: string; method: string }
  | { readonly kind: 'interim'; readonly optional: boolean }
  | { readonly kind: 'incomplete' | 'closed' };

export type Keep = 'yes' | 'no' | 'broken';

/** What the application is given. */
export interface ExpectedRun {
  method: string;
  path: string;
  query: string;
  body: string;
  /** All of `HTTP_*` and `CONTENT_*`, and others as far as the file names them. */
  environ: Record<string, string>;
  trailers: [name: string, value: string][];
}

/** Variables of environ that a request decides about, apart from those of its fields. */
export const OTHER_VARIABLES: readonly string[] = [
  'RAW_URI',
  'REQUEST_URI',
  'SCRIPT_NAME',
  'SERVER_PROTOCOL',
  'wsgi.url_scheme',
];

const PRINTABLE = /^[\x20-\x7e]*$/;
const HEADER_LINE = /^# ([a-z]+): (\S.*)$/;
const CONTINUED = /^# {3}(\S.*)$/;
const REFUSAL = /^([45][0-9]{2}) (ERR_RYEGATE_[A-Z_]+)$/;
const FIELD_VARIABLE = /^(HTTP|CONTENT)_[A-Z0-9_.!#$%&'*+^`|~]+$/;
/** A rule, an attack, or the page of this project that decides. */
const JUSTIFIED = /RFC \d{4}|CVE-\d{4}-\d+|GHSA-|PEP 3333|limits\.ts|design/;
const ESCAPE = /\\(?:([rnt\\])|x([0-9a-f]{2})|\{([1-9][0-9]{0,6})\*([^{}]+)\})/y;
const SINGLE: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', '\\': '\\' };

/** Reads a file of the corpus; anything that it does not know throws. */
export function parseCase(name: string, source: string): Case {
  const fail = (problem: string): never => {
    throw new Error(`${name}.http: ${problem}`);
  };
  const lines = source.split('\n');
  if (lines.pop() !== '') fail('the file must end with a line end');
  lines.forEach((line, index) => {
    if (!PRINTABLE.test(line)) fail(`line ${index + 1} is not printable ASCII`);
    if (/\s$/.test(line)) fail(`line ${index + 1} ends with a space: write \\x20`);
  });
  const empty = lines.indexOf('');
  if (empty < 0) fail('an empty line must part header and request');
  const request = lines.slice(empty + 1);
  if (request.length === 0) fail('there is no request');
  if (request.includes('')) fail('an empty line in the request means nothing: leave it out');
  try {
    const bytes = Buffer.from(request.map(unescapeBytes).join(''), 'latin1');
    return { name, bytes, ...readHeader(joinContinued(lines.slice(0, empty))) };
  } catch (error) {
    return fail((error as Error).message);
  }
}

function joinContinued(lines: readonly string[]): string[] {
  const joined: string[] = [];
  for (const line of lines) {
    const more = CONTINUED.exec(line);
    if (more === null) joined.push(line);
    else if (joined.length === 0) throw new Error('the header begins with a continued line');
    else joined[joined.length - 1] += ` ${more[1]}`;
  }
  return joined;
}

/** One character per byte. */
export function unescapeBytes(text: string): string {
  let bytes = '';
  for (let at = 0; at < text.length; ) {
    if (text[at] !== '\\') {
      bytes += text[at++];
      continue;
    }
    ESCAPE.lastIndex = at;
    const match = ESCAPE.exec(text);
    if (match === null) throw new Error(`unknown escape: ${text.slice(at, at + 8)}`);
    const [all, single, hex, count, repeated] = match;
    if (single !== undefined) bytes += SINGLE[single];
    else if (hex !== undefined) bytes += String.fromCharCode(Number.parseInt(hex, 16));
    else bytes += unescapeBytes(repeated as string).repeat(Number(count));
    at += all.length;
  }
  return bytes;
}

/** What a header is read into. */
interface Header {
  reason: string | null;
  expected: Expected[];
  behind: Expected[] | null;
  limits: PartialLimits | null;
  /** What has been told of the run at the end of `expected`. */
  told: Set<string>;
}

function readHeader(lines: readonly string[]): Omit<Case, 'name' | 'bytes'> {
  const header: Header = {
    reason: null,
    expected: [],
    behind: null,
    limits: null,
    told: new Set(),
  };
  for (const line of lines) {
    const match = HEADER_LINE.exec(line);
    if (match === null) throw new Error(`no header line: ${line}`);
    readDirective(header, match[1] as string, match[2] as string);
  }
  endRun(header);
  const { reason, expected, behind, limits } = header;
  if (reason === null) throw new Error('reason is missing');
  if (!JUSTIFIED.test(reason)) throw new Error('the reason names no rule, attack or page');
  checkOrder(expected);
  return { reason, expected, behind: behind ?? expected, limits: limits ?? {} };
}

function readDirective(header: Header, name: string, value: string): void {
  switch (name) {
    case 'reason':
      header.reason = once(name, header.reason, value);
      break;
    case 'limits':
      header.limits = once(name, header.limits, readLimits(value));
      break;
    case 'behind':
      header.behind = once(name, header.behind, [readExpected(value)]);
      break;
    case 'expect':
      endRun(header);
      header.told.clear();
      header.expected.push(readExpected(value));
      break;
    default:
      readRun(header, name, value);
  }
}

function once<T>(name: string, before: T | null, value: T): T {
  if (before !== null) throw new Error(`${name} is there twice`);
  return value;
}

function readLimits(text: string): PartialLimits {
  const limits = JSON.parse(text) as PartialLimits;
  const entries = Object.entries(limits);
  if (entries.length === 0) throw new Error('limits is empty: leave it out');
  for (const [name, value] of entries) {
    if (!Object.hasOwn(DEFAULT_LIMITS, name)) throw new Error(`unknown limit: ${name}`);
    if (value === DEFAULT_LIMITS[name as keyof Limits]) {
      throw new Error(`limit ${name} is the default: leave it out`);
    }
  }
  return limits;
}

function readExpected(value: string): Expected {
  if (value === 'incomplete' || value === 'closed') return { kind: value };
  if (value === '100' || value === '(100)') {
    return { kind: 'interim', optional: value !== '100' };
  }
  if (value === '200') {
    const environ = { HTTP_HOST: 'a' };
    const run = { method: '', path: '', query: '', body: '', environ, trailers: [] };
    return { kind: 'run', run, keep: 'yes' };
  }
  const refusal = REFUSAL.exec(value);
  if (refusal === null) throw new Error(`unknown expectation: ${value}`);
  const [, status, code = ''] = refusal;
  return { kind: 'refusal', status: Number(status), code, method: 'GET' };
}

function readRun(header: Header, name: string, value: string): void {
  const last = header.expected.at(-1);
  if (last?.kind === 'refusal' && name === 'method' && value === 'HEAD') {
    last.method = value;
    return;
  }
  if (last?.kind !== 'run') throw new Error(`${name} does not follow expect: 200`);
  const { run } = last;
  if (name === 'environ') readVariable(run.environ, value, header.told);
  else if (name === 'trailer') run.trailers.push(pairOf(value));
  else {
    if (header.told.has(name)) throw new Error(`${name} is told twice`);
    header.told.add(name);
    if (name === 'keep') Object.assign(last, { keep: readKeep(value) });
    else if (name === 'method' || name === 'path' || name === 'query' || name === 'body') {
      run[name] = unescapeBytes(value === '""' ? '' : value);
    } else throw new Error(`unknown header line: ${name}`);
  }
}

function readVariable(environ: Record<string, string>, value: string, told: Set<string>): void {
  const [variable, content] = value === 'HTTP_HOST' ? [value, null] : pairOf(value);
  if (!FIELD_VARIABLE.test(variable) && !OTHER_VARIABLES.includes(variable)) {
    throw new Error(`no variable of environ: ${variable}`);
  }
  if (told.has(variable)) throw new Error(`${variable} is told twice`);
  told.add(variable);
  if (content === null) delete environ[variable];
  else environ[variable] = content;
}

function pairOf(value: string): [name: string, value: string] {
  const equals = value.indexOf('=');
  if (equals < 1) throw new Error(`no name=value: ${value}`);
  return [value.slice(0, equals), unescapeBytes(value.slice(equals + 1))];
}

function readKeep(value: string): Keep {
  if (value === 'yes' || value === 'no' || value === 'broken') return value;
  throw new Error(`keep is yes, no or broken, not ${value}`);
}

function endRun({ expected, told }: Header): void {
  if (expected.at(-1)?.kind !== 'run') return;
  for (const name of ['method', 'path']) {
    if (!told.has(name)) throw new Error(`${name} is missing below expect: 200`);
  }
}

function checkOrder(expected: readonly Expected[]): void {
  if (expected.length === 0) throw new Error('expect is missing');
  for (const item of expected.slice(0, -1)) {
    const goesOn = item.kind === 'interim' || (item.kind === 'run' && item.keep === 'yes');
    if (!goesOn) throw new Error('nothing can be expected after the end of the connection');
  }
  if (expected.at(-1)?.kind === 'interim') throw new Error('an interim answer cannot be the last');
}
