import { availableParallelism } from 'node:os';
import { RyegateError } from '../errors.ts';
import { normalizePrefix } from '../files/paths.ts';
import type { InputBuffering } from '../http/intake.ts';
import { LIMITS, type NumericLimit, type PartialLimits, resolveLimits } from '../http/limits.ts';
import { type PartialTimeouts, resolveTimeouts } from '../http/timeouts.ts';
import { compileFormat } from '../logging/index.ts';
import type { SelectorName } from '../selectors/index.ts';
import { nearest } from './nearest.ts';
import { refuse, toBytes, toSeconds, toWhole } from './units.ts';
import { UsageError } from './usageerror.ts';

// What the values of options mean. Each throws UsageError with what is wrong with a senseless one.

export type SelectorChoice = SelectorName | 'auto';
export type ThreadMode = 'listener' | 'acceptor';
export type Severity = 'debug' | 'info' | 'warning' | 'error' | 'critical';

const SELECTORS: readonly SelectorChoice[] = ['auto', 'epoll', 'kqueue', 'poll', 'select'];
const BUFFERINGS: readonly InputBuffering[] = ['stream', 'buffer'];
const THREAD_MODES: readonly ThreadMode[] = ['listener', 'acceptor'];
/** From the least to the most serious. */
export const SEVERITIES: readonly Severity[] = ['debug', 'info', 'warning', 'error', 'critical'];
const LOG_PRESETS = ['common', 'combined', 'json'];

/** The longest time that poll(2) can wait: 2^31 - 1 milliseconds. */
const LONGEST = 2147483;
/** Beyond that a machine has no memory. */
const MOST_WORKERS = 1024;
const LARGEST_ID = 2 ** 32 - 2;

export function parseSelector(text: string): SelectorChoice {
  return choose(SELECTORS, text);
}

export function parseInputBuffering(text: string): InputBuffering {
  return choose(BUFFERINGS, text);
}

export function parseThreadMode(text: string): ThreadMode {
  return choose(THREAD_MODES, text);
}

export function parseLogLevel(text: string): Severity {
  return choose(SEVERITIES, text);
}

function choose<Choice extends string>(choices: readonly Choice[], text: string): Choice {
  const choice = choices.find((name) => name === text);
  if (choice !== undefined) return choice;
  throw new UsageError(`choose one of ${choices.join(', ')}`);
}

/** Text that is not empty; `expected` says of what. */
export function parseText(expected: string): (text: string) => string {
  return (text) => (text === '' ? refuse(expected) : text);
}

/** A whole number. */
export function count(what: string, least: number, most: number): (text: string) => number {
  const expected = `a whole number of ${what} from ${least} to ${most}`;
  return (text) => {
    const value = toWhole(text);
    return value === null || value < least || value > most ? refuse(expected) : value;
  };
}

/** A whole number, or `auto` for the processors that this process may use. */
export function countOrAuto(what: string): (text: string) => number {
  const parseCount = count(what, 0, MOST_WORKERS);
  return (text) => (text === 'auto' ? availableParallelism() : parseCount(text));
}

/** Bytes: 0, or from `least` on. */
export function sizeFrom(least: number): (text: string) => number {
  const expected = `a number of bytes from ${least}, such as 512m, or 0 for no limit`;
  return (text) => {
    const value = toBytes(text);
    return value === null || (value !== 0 && value < least) ? refuse(expected) : value;
  };
}

/** Seconds, from `least` up to what a timer can wait. */
export function duration(least: number): (text: string) => number {
  const expected = `a duration from ${least} to ${LONGEST} seconds, such as 30s, 5m or 500ms`;
  return (text) => {
    const seconds = toSeconds(text);
    return seconds === null || seconds < least || seconds > LONGEST ? refuse(expected) : seconds;
  };
}

export function parsePollInterval(text: string): number {
  const seconds = toSeconds(text);
  if (seconds !== null && seconds > 0 && seconds <= LONGEST) return seconds;
  return refuse(`a duration above 0 and up to ${LONGEST} seconds, such as 500ms`);
}

/** Octal digits, as chmod(1) takes them. */
export function parseMode(most: number, example: string): (text: string) => number {
  return (text) => {
    const [, digits] = /^(?:0o)?([0-7]{1,5})$/i.exec(text) ?? [];
    const mode = digits === undefined ? Number.NaN : Number.parseInt(digits, 8);
    return mode <= most ? mode : refuse(`octal permission bits, such as ${example}`);
  };
}

/** How `parseMode()` reads a number that a config module gives, such as 0o660. */
export function writeMode(mode: number): string {
  return Number.isSafeInteger(mode) && mode >= 0
    ? `0o${mode.toString(8).padStart(3, '0')}`
    : String(mode);
}

/** A name of the system's accounts, or a number; whether there is one is seen at the start. */
export function parseAccount(what: string, example: string): (text: string) => string {
  return (text) => {
    if (/^[0-9]+$/.test(text) ? Number(text) <= LARGEST_ID : /^[^\s:/,-][^\s:/,]*$/.test(text)) {
      return text;
    }
    return refuse(`the name or number of a ${what}, such as ${example}`);
  };
}

/** The path of a request. */
export function parsePath(text: string): string {
  if (/^\/[\x21-\x7e]*$/.test(text) && !/[?#]/.test(text)) return text;
  return refuse('a path that begins with / and has no query, such as /healthz');
}

/** One argument of `node`. */
export function parseNodeOption(text: string): string {
  if (/^-./.test(text)) return text;
  return refuse('an option of node, such as --max-old-space-size=512');
}

/** The name of a preset, or a text with gunicorn's atoms. */
export function parseLogFormat(text: string): string {
  const near = text.includes('%(') ? undefined : nearest(text, LOG_PRESETS);
  if (near !== undefined && near !== text) {
    refuse(`${LOG_PRESETS.join(', ')}, or write atoms such as %(h)s; did you mean ${near}?`);
  }
  checkByTable(() => compileFormat(text));
  return text;
}

/** `NAME=VALUE`: a variable of the environment. */
export function parseVariable(text: string): Record<string, string> {
  const [name, value] = parsePair(text, 'TZ=UTC');
  if (!/^[A-Za-z_]\w*$/.test(name)) refuse('a name of letters, digits and _, then =, then a value');
  if (value.includes('\0')) refuse('a value without NUL');
  return { [name]: value };
}

/** `NAME=VALUE`: a limit; those in bytes may end with k, m or g. */
export function parseLimit(text: string): PartialLimits {
  const [name, value] = parsePair(text, 'connections=500');
  const limit = { [name]: limitValue(name, value) } as PartialLimits;
  checkByTable(() => resolveLimits(limit));
  return limit;
}

/** `NAME=TIME`: a timeout. */
export function parseTimeout(text: string): PartialTimeouts {
  const isTime = toSeconds(text) !== null;
  if (isTime) refuse(`NAME=TIME, such as head=${text}; a worker's is --worker-timeout ${text}`);
  const [name, value] = parsePair(text, 'head=10s');
  const timeout = { [name]: toSeconds(value) ?? value } as PartialTimeouts;
  checkByTable(() => resolveTimeouts(timeout), ', such as 30s, 5m or 500ms');
  return timeout;
}

export function parseKeepAlive(text: string): number {
  return parseTimeout(`keepAlive=${text}`).keepAlive as number;
}

/** A folder to serve at a path. */
export interface StaticFolder {
  prefix: string;
  folder: string;
}

/** `PREFIX=DIR`. */
export function parseStatic(text: string): StaticFolder {
  const [prefix, folder] = parsePair(text, '/assets=./public');
  if (folder === '') throw new UsageError('name a folder after the =');
  checkByTable(() => normalizePrefix(prefix));
  return { prefix, folder };
}

function parsePair(text: string, example: string): [name: string, value: string] {
  const equals = text.indexOf('=');
  if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
  throw new UsageError(`write a name, = and a value, such as ${example}`);
}

/** What is no number stays as it is, for the table to refuse. */
function limitValue(name: string, text: string): number | string {
  if (text === 'Infinity') return Infinity;
  const value = isInBytes(name) ? toBytes(text) : toWhole(text);
  return value ?? text;
}

function isInBytes(name: string): boolean {
  return Object.hasOwn(LIMITS, name) && LIMITS[name as NumericLimit].unit.startsWith('bytes');
}

/** `hint` follows what the table says of a value. */
function checkByTable(check: () => void, hint = ''): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof RyegateError)) throw error;
    const message = error.message.replace(/\.$/, '');
    throw new UsageError(`${message[0]?.toLowerCase()}${message.slice(1)}${hint}`);
  }
}
