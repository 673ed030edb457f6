import { parseArgs } from 'node:util';
import type { InputBuffering } from '../http/intake.ts';
import type { PartialLimits } from '../http/limits.ts';
import type { PartialTimeouts } from '../http/timeouts.ts';
import { type BindAddress, parseBind } from './bind.ts';
import { nearest } from './nearest.ts';
import { UsageError } from './usageerror.ts';
import * as values from './values.ts';

/** What the command line asks for. */
export interface Options {
  /** Where to listen, in order; default 127.0.0.1:8000. */
  bind: BindAddress[];
  /** Default `auto`. */
  selector: values.SelectorChoice;
  /** Seconds, above 0; default 0.5. */
  pollInterval: number;
  /** Those that are given; they have passed the checks of their table. */
  limits: PartialLimits;
  timeouts: PartialTimeouts;
  /** Default `stream`. */
  inputBuffering: InputBuffering;
  /** Folders to serve, before the application, in order. */
  static: values.StaticFolder[];
  /** Whether folders without an index file are listed. */
  listing: boolean;
  noSendfile: boolean;
  quiet: boolean;
  help: boolean;
  version: boolean;
  /** `MODULE[:EXPORT]`; `null` is the demo application. */
  application: string | null;
}

export const HELP: string = `\
Usage: ryegate [OPTION]... [MODULE[:EXPORT]]

Serves a WSGI application over HTTP. MODULE is a path or a package; EXPORT is the
application in it, by default "app" or else the default export. Without MODULE the
demonstration application answers, unless there are folders to serve.

Options:
  -b, --bind ADDRESS           where to listen, may be repeated (default 127.0.0.1:8000)
                                 HOST:PORT     an IPv4 address or localhost
                                 :PORT         all interfaces, by IPv4
                                 [V6]:PORT     an IPv6 address
                                 unix:PATH     a unix socket; unix:@NAME an abstract one
                                 fd://N        an inherited listening socket
  -s, --selector NAME          auto, epoll, kqueue, poll or select (default auto)
      --poll-interval SECONDS  longest pause between two calls of serviceActions
                                 (default 0.5)
      --limit NAME=VALUE       a limit on clients, such as connections=500; may be
                                 repeated. Those in bytes take k, m and g
      --timeout NAME=SECONDS   a timeout, such as head=10; may be repeated
      --input-buffering MODE   stream: answer requests while their body arrives
                                 buffer: when all of it has (default stream)
      --static PREFIX=DIR      serve the files of a folder at a path, such as
                                 /assets=./public; may be repeated. What is not
                                 found there goes to the application
      --listing                list folders that have no index.html
      --no-sendfile            read files and send them, in place of sendfile(2)
  -q, --quiet                  log no requests
  -h, --help                   show this help
  -V, --version                show the version

Examples:
  ryegate ./app.js
  ryegate --bind :8080 --bind unix:/run/app.sock ./src/site.mjs:create
  ryegate --static /=. --listing
`;

const OPTIONS = {
  bind: { type: 'string', short: 'b' },
  selector: { type: 'string', short: 's' },
  'poll-interval': { type: 'string' },
  limit: { type: 'string' },
  timeout: { type: 'string' },
  'input-buffering': { type: 'string' },
  static: { type: 'string' },
  listing: { type: 'boolean' },
  'no-sendfile': { type: 'boolean' },
  quiet: { type: 'boolean', short: 'q' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'V' },
} as const;

type OptionName = keyof typeof OPTIONS;
/** The options without a value, and where they are kept. */
const FLAGS = {
  listing: 'listing',
  'no-sendfile': 'noSendfile',
  quiet: 'quiet',
  help: 'help',
  version: 'version',
} as const;

type Flag = keyof typeof FLAGS;

/** What the options with a value do to `options`. */
const SETTERS: Readonly<
  Record<Exclude<OptionName, Flag>, (options: Options, value: string) => void>
> = {
  bind: (options, value) => {
    options.bind.push(parseBind(value));
  },
  selector: (options, value) => {
    options.selector = values.parseSelector(value);
  },
  'poll-interval': (options, value) => {
    options.pollInterval = values.parsePollInterval(value);
  },
  limit: (options, value) => {
    options.limits = { ...options.limits, ...values.parseLimit(value) };
  },
  timeout: (options, value) => {
    options.timeouts = { ...options.timeouts, ...values.parseTimeout(value) };
  },
  'input-buffering': (options, value) => {
    options.inputBuffering = values.parseInputBuffering(value);
  },
  static: (options, value) => {
    options.static.push(values.parseStatic(value));
  },
};

function unknownOption(name: string, rawName: string): UsageError {
  const near = name.length > 1 ? nearest(name, Object.keys(OPTIONS)) : undefined;
  const hint = near === undefined ? '' : `did you mean --${near}? `;
  return new UsageError(`unknown option ${rawName}; ${hint}see ryegate --help`);
}

function apply(options: Options, name: OptionName, value: string | undefined): void {
  if (isFlag(name)) {
    if (value !== undefined) {
      throw new UsageError(`--${name} takes no value; leave out =${value}`);
    }
    options[FLAGS[name]] = true;
  } else if (value === undefined) {
    throw new UsageError(`--${name} needs a value; see ryegate --help`);
  } else {
    SETTERS[name](options, value);
  }
}

function isFlag(name: OptionName): name is Flag {
  return Object.hasOwn(FLAGS, name);
}

function isOptionName(name: string): name is OptionName {
  return Object.hasOwn(OPTIONS, name);
}

/**
 * Parses the arguments after the program's name; of a repeated option other than `--bind` and
 * `--static` the last one counts, of `--limit` and `--timeout` the last one of each name.
 *
 * @throws UsageError (`ERR_RYEGATE_USAGE`) with one line that says what is wrong and how to mend it
 */
export function parseArguments(argv: readonly string[]): Options {
  const options: Options = {
    bind: [],
    selector: 'auto',
    pollInterval: 0.5,
    limits: {},
    timeouts: {},
    inputBuffering: 'stream',
    static: [],
    listing: false,
    noSendfile: false,
    quiet: false,
    help: false,
    version: false,
    application: null,
  };
  // Not strict, as the messages of util.parseArgs advise on matters that users do not have.
  const { tokens } = parseArgs({
    args: [...argv],
    options: OPTIONS,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === 'option') {
      if (!isOptionName(token.name)) {
        throw unknownOption(token.name, token.rawName);
      }
      const swallowed = token.inlineValue === false && /^-[^0-9]/.test(token.value);
      apply(options, token.name, swallowed ? undefined : token.value);
    } else if (token.kind === 'positional') {
      if (options.application !== null) {
        throw new UsageError(
          `${token.value} is one argument too many: the application is ${options.application}`,
        );
      }
      options.application = token.value;
    }
  }
  if (options.listing && options.static.length === 0) {
    throw new UsageError('--listing needs a folder to list: give --static PREFIX=DIR as well');
  }
  if (options.bind.length === 0) {
    options.bind.push({ kind: 'inet', host: '127.0.0.1', port: 8000 });
  }
  return options;
}
