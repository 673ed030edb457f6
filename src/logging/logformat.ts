import { RyegateError, showValue } from '../errors.ts';
import {
  type AccessEntry,
  pathOf,
  protocolOf,
  queryOf,
  requestField,
  responseField,
  userOf,
} from './accessentry.ts';
import { type AccessRecord, jsonLine, recordOf } from './jsonformat.ts';
import { commonTime, quotable, word } from './logtext.ts';

/** Makes the lines of an access log. */
export interface LogFormat {
  /** Whether it looks at `AccessEntry.responseFields`. */
  readonly usesResponseFields: boolean;
  /** Whether it looks at `AccessEntry.environ`. */
  readonly usesEnviron: boolean;
  /** One line, without its end. What comes from a client is escaped: the line is ASCII. */
  line(entry: AccessEntry): string;
  /** The same for a logger that takes objects; only JSON has it. */
  record?(entry: AccessEntry): AccessRecord;
}

type Atom = (entry: AccessEntry) => string;

const NONE = '-';

/** By the letters that gunicorn gives them, which are mostly Apache's. */
const ATOMS: Readonly<Record<string, Atom>> = {
  h: ({ client }) => word(client),
  l: () => NONE,
  u: (entry) => {
    const user = userOf(entry);
    return user === null ? NONE : word(user);
  },
  t: ({ time }) => commonTime(time),
  r: (entry) => {
    const { method, target } = entry.head;
    return method === '' ? NONE : quotable(`${method} ${target} ${protocolOf(entry)}`);
  },
  m: ({ head }) => quotable(head.method || NONE),
  U: (entry) => quotable(pathOf(entry) || NONE),
  q: (entry) => quotable(queryOf(entry)),
  H: (entry) => (entry.head.method === '' ? NONE : protocolOf(entry)),
  s: ({ status }) => (status === 0 ? NONE : String(status)),
  B: ({ bytes }) => String(bytes),
  b: ({ bytes }) => (bytes === 0 ? NONE : String(bytes)),
  f: (entry) => shown(requestField(entry, 'referer')),
  a: (entry) => shown(requestField(entry, 'user-agent')),
  T: ({ seconds }) => String(Math.floor(seconds)),
  M: ({ seconds }) => String(Math.floor(seconds * 1e3)),
  D: ({ seconds }) => String(Math.floor(seconds * 1e6)),
  L: ({ seconds }) => seconds.toFixed(6),
  p: () => `<${process.pid}>`,
};

const COMMON = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s';

const PRESETS: Readonly<Record<string, string>> = {
  common: COMMON,
  combined: `${COMMON} "%(f)s" "%(a)s"`,
};

const JSON_FORMAT: LogFormat = {
  usesResponseFields: false,
  usesEnviron: false,
  line: jsonLine,
  record: recordOf,
};

function shown(value: string | null): string {
  return value === null ? NONE : quotable(value);
}

/** What is named in braces: a field of the request or the response, or a key of the environ. */
function named(name: string, kind: string): Atom {
  const field = name.toLowerCase();
  if (kind === 'i') return (entry) => shown(requestField(entry, field));
  if (kind === 'o') return (entry) => shown(responseField(entry, field));
  // gunicorn's keys have no case either.
  const key = name.toUpperCase();
  return ({ environ }) => shownVariable(environ?.[name] ?? environ?.[key]);
}

/** Objects have nothing to show. */
function shownVariable(value: unknown): string {
  const isShown = typeof value === 'string' || typeof value === 'number';
  return isShown || typeof value === 'boolean' ? quotable(String(value)) : NONE;
}

/**
 * Compiles the format of an access log: `common`, `combined` or `json`, or a text with gunicorn's
 * atoms: `%(h)s` the client's address, `l` a hyphen, `u` the user of `Authorization: Basic`, `t` the
 * time, `r` the request line, `m` method, `U` path, `q` query, `H` protocol, `s` status, `B` bytes of
 * the body, `b` the same with a hyphen for 0, `f` Referer, `a` User-Agent, `T` seconds, `M`
 * milliseconds, `D` microseconds, `L` seconds with six decimals, `p` the process; `%({Name}i)s` a
 * field of the request, `%({Name}o)s` of the response, `%({KEY}e)s` a key of the environ; `%%` a
 * percent sign. What is missing is a hyphen.
 *
 * @throws RyegateError `ERR_RYEGATE_LOG_FORMAT` for an atom that does not exist, and for none at all
 */
export function compileFormat(format: string): LogFormat {
  if (format === 'json') return JSON_FORMAT;
  const text =
    typeof format === 'string' && Object.hasOwn(PRESETS, format) ? PRESETS[format] : format;
  if (typeof text !== 'string') throw formatError(`is ${showValue(format)}`);
  const pieces: (string | Atom)[] = [];
  let kinds = '';
  let end = 0;
  for (const match of text.matchAll(/%(?:%|\((?:\{([^{}]+)\}([ioe])|([A-Za-z]))\)s)?/g)) {
    const [whole, name = '', kind = '', letter = ''] = match;
    const atom = kind === '' ? ATOMS[letter] : named(name, kind);
    if (atom === undefined && whole !== '%%') throw unknownAtom(text.slice(match.index));
    pieces.push(text.slice(end, match.index), atom ?? '%');
    kinds += kind + letter;
    end = match.index + whole.length;
  }
  if (kinds === '') throw formatError(`${showValue(format)} has no atoms`);
  pieces.push(text.slice(end));
  return textFormat(pieces, kinds);
}

/** `kinds`: the letters of all atoms. */
function textFormat(pieces: readonly (string | Atom)[], kinds: string): LogFormat {
  return {
    usesResponseFields: kinds.includes('o'),
    usesEnviron: kinds.includes('e'),
    line(entry) {
      let line = '';
      for (const piece of pieces) line += typeof piece === 'string' ? piece : piece(entry);
      return line;
    },
  };
}

/** `rest`: from the percent sign on. */
function unknownAtom(rest: string): RyegateError {
  const [atom = ''] = /^%(\([^)]*\)?\w?)?/.exec(rest) ?? [];
  const why = atom === '%' ? 'a percent sign alone' : showValue(atom);
  return formatError(`has ${why}`);
}

function formatError(fault: string): RyegateError {
  const atoms = Object.keys(ATOMS).map((letter) => `%(${letter})s`);
  return new RyegateError(
    'ERR_RYEGATE_LOG_FORMAT',
    `the format of the access log ${fault}: give common, combined or json, or a text with ` +
      `${atoms.join(' ')} %({Name}i)s %({Name}o)s %({NAME}e)s, and %% for a percent sign`,
  );
}
