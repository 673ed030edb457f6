import { readFileSync } from 'node:fs';

/** What becomes of a request; see README.md here. */
export type Outcome =
  | { kind: 'refused' | 'redirect' }
  | { kind: 'serves'; name: string }
  | { kind: 'status'; status: number };

export interface TraversalCase {
  /** The line as it stands in the corpus. */
  readonly line: string;
  /** One character per byte. */
  readonly target: string;
  readonly expected: Outcome;
}

/** The cases of a file of the corpus. */
export function traversalCases(name: string): TraversalCase[] {
  const lines = readFileSync(new URL(`${name}.txt`, import.meta.url), 'utf8').split('\n');
  return lines.filter((line) => line !== '' && !line.startsWith('#')).map(parseLine);
}

function parseLine(line: string): TraversalCase {
  const match = /^(?:(refused|redirect)|serves (\S+)|(\d{3})) (.+)$/.exec(line);
  if (match === null) throw new Error(`no line of the corpus: ${line}`);
  const [, kind, name, status, written = ''] = match;
  const target = expand(written);
  if (kind !== undefined) return { line, target, expected: { kind: kind as 'refused' } };
  if (name !== undefined) {
    return { line, target, expected: { kind: 'serves', name: decodeURIComponent(name) } };
  }
  return { line, target, expected: { kind: 'status', status: Number(status) } };
}

function expand(written: string): string {
  return written
    .replace(/\{([^{}]*)\*(\d+)\}/g, (_, text: string, count: string) => text.repeat(Number(count)))
    .replace(/\\x([0-9a-f]{2})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 16)),
    );
}
