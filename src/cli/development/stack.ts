import { readFileSync, statSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isInstance } from '../../errors.ts';
import type { Place } from '../../wsgi/syntaxerror.ts';

/** A line of a stack. */
export interface Frame {
  /** As Node writes it, without `at`. */
  readonly text: string;
  /** The function's name; '' for none. */
  readonly name: string;
  /** Where it is in a source of the application; null for packages, Node and this server. */
  readonly own: Place | null;
}

/** A line of a source. */
export interface SourceLine extends Place {
  readonly text: string;
  /** It is the one that is meant. */
  readonly isIt: boolean;
}

const FRAME = /^\s+at (?:(.*) \()?(?:async )?((?:file:\/\/|\/|[A-Za-z]:\\)[^()]*?):(\d+):\d+\)?$/;
/** Nothing else is read, whatever a stack may say. */
const SOURCE = /\.[mc]?[jt]sx?$/;
/** The folder of this server's own modules. */
const HERE: string = fileURLToPath(new URL('../..', import.meta.url));

const MOST_FRAMES = 50;
const MOST_BYTES = 2 ** 20;
const MOST_CHARACTERS = 400;
/** Lines before the one that is meant, and after. */
const AROUND = 4;

/** The stack of an error; none for what else was thrown. */
export function framesOf(error: unknown): Frame[] {
  if (!isInstance(error, Error)) return [];
  return linesBelowMessage(error)
    .filter((line) => /^\s+at /.test(line))
    .slice(0, MOST_FRAMES)
    .map(parseFrame);
}

/** A message may have lines that look like frames: a client could choose what is shown. */
function linesBelowMessage({ message, stack }: Error): string[] {
  const text = String(stack);
  const at = message === '' ? -1 : text.indexOf(message);
  return text.slice(at < 0 ? 0 : at + message.length).split('\n');
}

function parseFrame(line: string): Frame {
  const [, name = '', where = '', number = ''] = FRAME.exec(line) ?? [];
  const text = line.trim().replace(/^at /, '');
  return { text, name: name.replace(/^async /, ''), own: ownPlace(where, Number(number)) };
}

function ownPlace(where: string, line: number): Place | null {
  const file = pathOf(where);
  const isOwn = SOURCE.test(file) && !/[\\/]node_modules[\\/]/.test(file) && !file.startsWith(HERE);
  return isOwn ? { file, line } : null;
}

function pathOf(where: string): string {
  try {
    return where.startsWith('file:') ? fileURLToPath(where.replace(/\?.*$/, '')) : where;
  } catch {
    return '';
  }
}

/** The place, if it is in a source: else nothing of its file is shown. */
export function sourcePlace(place: Place | null): Place | null {
  return place !== null && SOURCE.test(place.file) ? place : null;
}

/** `FILE:LINE`, as seen from the current folder. */
export function showPlace({ file, line }: Place): string {
  const near = relative(process.cwd(), file);
  return `${near.startsWith('..') ? file : near}:${line}`;
}

/** The line and those around it, as they are in the file by now; none if it cannot be read. */
export function sourceLines({ file, line }: Place): SourceLine[] {
  const first = Math.max(1, line - AROUND);
  return readLines(file)
    .slice(first - 1, line + AROUND)
    .map((text, index) => {
      const shown = text.slice(0, MOST_CHARACTERS);
      return { file, line: first + index, text: shown, isIt: first + index === line };
    });
}

function readLines(file: string): string[] {
  try {
    return statSync(file).size > MOST_BYTES ? [] : readFileSync(file, 'utf8').split(/\r?\n/);
  } catch {
    return [];
  }
}

/** The lines for a terminal. */
export function excerpt(place: Place): string {
  const lines = sourceLines(place).map(({ line, text, isIt }) => {
    return `${isIt ? '>' : ' '} ${String(line).padStart(5)} | ${text}`.trimEnd();
  });
  return [`${showPlace(place)}`, ...lines].join('\n');
}
