import { RyegateError } from '../../errors.ts';
import { describe } from '../../io/chunk.ts';

/** A breach of the contract: `rule` says what was got, what was expected and how to mend it. */
export function violation(rule: string, options?: ErrorOptions): RyegateError {
  return new RyegateError('ERR_RYEGATE_VALIDATION', rule, options);
}

/** Texts may hold what a client has sent, so that their number has to be bounded. */
const MOST_TEXTS = 256;
const warned = new Set<string>();

/** Warns of what is doubtful, though allowed: each text once in a process. */
export function warn(text: string): void {
  if (warned.has(text) || warned.size >= MOST_TEXTS) return;
  warned.add(text);
  process.emitWarning(text, { type: 'WSGIWarning', code: 'RYEGATE_WSGI' });
}

const LONGEST_SHOWN = 60;

/** What was got, for a message: short and on one line. */
export function shown(value: unknown): string {
  if (typeof value !== 'string') return describe(value);
  const short = value.length > LONGEST_SHOWN ? `${value.slice(0, LONGEST_SHOWN)}...` : value;
  return JSON.stringify(short);
}
