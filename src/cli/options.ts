import { parseArgs } from 'node:util';
import type { SelectorName } from '../selectors/index.ts';
import { type BindAddress, parseBind } from './bind.ts';
import { UsageError } from './usageerror.ts';

/** What the command line asks for. */
export interface Options {
  /** Where to listen, in order; default 127.0.0.1:8000. */
  bind: BindAddress[];
  /** Default `auto`. */
  selector: SelectorName | 'auto';
  /** Seconds, above 0; default 0.5. */
  pollInterval: number;
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
demonstration application answers.

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
  -q, --quiet                  log no requests
  -h, --help                   show this help
  -V, --version                show the version

Examples:
  ryegate ./app.js
  ryegate --bind :8080 --bind unix:/run/app.sock ./src/site.mjs:create
`;

const OPTIONS = {
  bind: { type: 'string', short: 'b' },
  selector: { type: 'string', short: 's' },
  'poll-interval': { type: 'string' },
  quiet: { type: 'boolean', short: 'q' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'V' },
} as const;

type OptionName = keyof typeof OPTIONS;

const SELECTORS: readonly Options['selector'][] = ['auto', 'epoll', 'kqueue', 'poll', 'select'];

/** The longest time that poll(2) can wait: 2^31 - 1 milliseconds. */
const MAX_POLL_INTERVAL = 2147483;

/** The number of insertions, deletions and replacements between two words (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] as number) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[to.length] as number;
}

/** The word most like `word`: one that it begins, or one at most a third of its letters away. */
function nearest(word: string, known: readonly string[]): string | undefined {
  const begun = known.find((candidate) => word.length > 1 && candidate.startsWith(word));
  if (begun !== undefined) {
    return begun;
  }
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance * 3 <= word.length + 1 ? best.candidate : undefined;
}

function unknownOption(name: string, rawName: string): UsageError {
  const near = name.length > 1 ? nearest(name, Object.keys(OPTIONS)) : undefined;
  const hint = near === undefined ? '' : `did you mean --${near}? `;
  return new UsageError(`unknown option ${rawName}; ${hint}see ryegate --help`);
}

function parseSelector(text: string): Options['selector'] {
  const selector = SELECTORS.find((name) => name === text);
  if (selector === undefined) {
    throw new UsageError(`--selector ${text}: choose one of ${SELECTORS.join(', ')}`);
  }
  return selector;
}

function parsePollInterval(text: string): number {
  const seconds = Number(text);
  if (!/^([0-9]+\.?[0-9]*|\.[0-9]+)$/.test(text) || seconds <= 0 || seconds > MAX_POLL_INTERVAL) {
    throw new UsageError(
      `--poll-interval ${text}: give seconds above 0 and up to ${MAX_POLL_INTERVAL}, such as 0.5`,
    );
  }
  return seconds;
}

function apply(options: Options, name: OptionName, value: string | undefined): void {
  if (name === 'quiet' || name === 'help' || name === 'version') {
    if (value !== undefined) {
      throw new UsageError(`--${name} takes no value; leave out =${value}`);
    }
    options[name] = true;
  } else if (value === undefined) {
    throw new UsageError(`--${name} needs a value; see ryegate --help`);
  } else if (name === 'bind') {
    options.bind.push(parseBind(value));
  } else if (name === 'selector') {
    options.selector = parseSelector(value);
  } else {
    options.pollInterval = parsePollInterval(value);
  }
}

function isOptionName(name: string): name is OptionName {
  return Object.hasOwn(OPTIONS, name);
}

/**
 * Parses the arguments after the program's name; of a repeated option other than `--bind` the last
 * one counts.
 *
 * @throws UsageError (`ERR_RYEGATE_USAGE`) with one line that says what is wrong and how to mend it
 */
export function parseArguments(argv: readonly string[]): Options {
  const options: Options = {
    bind: [],
    selector: 'auto',
    pollInterval: 0.5,
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
  if (options.bind.length === 0) {
    options.bind.push({ kind: 'inet', host: '127.0.0.1', port: 8000 });
  }
  return options;
}
