import { RyegateError } from '../errors.ts';
import { normalizePrefix } from '../files/paths.ts';
import type { InputBuffering } from '../http/intake.ts';
import { LIMITS, type NumericLimit, type PartialLimits, resolveLimits } from '../http/limits.ts';
import { type PartialTimeouts, resolveTimeouts } from '../http/timeouts.ts';
import type { SelectorName } from '../selectors/index.ts';
import { UsageError } from './usageerror.ts';

// What the values of options mean. Each throws UsageError for what makes no sense.

export type SelectorChoice = SelectorName | 'auto';

const SELECTORS: readonly SelectorChoice[] = ['auto', 'epoll', 'kqueue', 'poll', 'select'];
const BUFFERINGS: readonly InputBuffering[] = ['stream', 'buffer'];

/** The longest time that poll(2) can wait: 2^31 - 1 milliseconds. */
const MAX_POLL_INTERVAL = 2147483;

const DECIMAL = /^([0-9]+\.?[0-9]*|\.[0-9]+)$/;
const SIZE = /^([0-9]+)([kmg]?)$/;
const MULTIPLES: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

export function parseSelector(text: string): SelectorChoice {
  return choose('selector', SELECTORS, text);
}

export function parseInputBuffering(text: string): InputBuffering {
  return choose('input-buffering', BUFFERINGS, text);
}

function choose<Choice extends string>(
  option: string,
  choices: readonly Choice[],
  text: string,
): Choice {
  const choice = choices.find((name) => name === text);
  if (choice !== undefined) return choice;
  throw new UsageError(`--${option} ${text}: choose one of ${choices.join(', ')}`);
}

export function parsePollInterval(text: string): number {
  const seconds = Number(text);
  if (!DECIMAL.test(text) || seconds <= 0 || seconds > MAX_POLL_INTERVAL) {
    throw new UsageError(
      `--poll-interval ${text}: give seconds above 0 and up to ${MAX_POLL_INTERVAL}, such as 0.5`,
    );
  }
  return seconds;
}

/** `NAME=VALUE`: a limit; those in bytes may end with k, m or g. */
export function parseLimit(text: string): PartialLimits {
  const [name, value] = parsePair('limit', text, 'connections=500');
  const limit = { [name]: limitValue(name, value) } as PartialLimits;
  checkByTable(() => resolveLimits(limit));
  return limit;
}

/** `NAME=SECONDS`: a timeout. */
export function parseTimeout(text: string): PartialTimeouts {
  const [name, value] = parsePair('timeout', text, 'head=10');
  const timeout = { [name]: isNumber(DECIMAL, value) ? Number(value) : value } as PartialTimeouts;
  checkByTable(() => resolveTimeouts(timeout));
  return timeout;
}

/** A folder to serve at a path. */
export interface StaticFolder {
  prefix: string;
  folder: string;
}

/** `PREFIX=DIR`. */
export function parseStatic(text: string): StaticFolder {
  const [prefix, folder] = parsePair('static', text, '/assets=./public');
  if (folder === '') throw new UsageError(`--static ${text}: name a folder after the =`);
  checkByTable(() => normalizePrefix(prefix));
  return { prefix, folder };
}

function parsePair(option: string, text: string, example: string): [name: string, value: string] {
  const equals = text.indexOf('=');
  if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
  throw new UsageError(`--${option} ${text}: write a name, = and a value, such as ${example}`);
}

function isNumber(pattern: RegExp, text: string): boolean {
  return text === 'Infinity' || pattern.test(text);
}

/** What is no number stays as it is, for the table to refuse. */
function limitValue(name: string, text: string): number | string {
  const [, digits = text, suffix = ''] = SIZE.exec(text) ?? [];
  if (!isNumber(SIZE, text) || (suffix !== '' && !isInBytes(name))) return text;
  return Number(digits) * (MULTIPLES[suffix] ?? 1);
}

function isInBytes(name: string): boolean {
  return Object.hasOwn(LIMITS, name) && LIMITS[name as NumericLimit].unit.startsWith('bytes');
}

function checkByTable(check: () => void): void {
  try {
    check();
  } catch (error) {
    throw error instanceof RyegateError ? new UsageError(error.message) : error;
  }
}
