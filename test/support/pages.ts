import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './programs.ts';

/** A fenced block of code. */
export interface Block {
  /** The page's path from the root. */
  readonly page: string;
  /** The line where the fence opens. */
  readonly line: number;
  readonly language: string;
  readonly text: string;
}

/** The pages that readers get. */
export function pages(): string[] {
  const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
  return ['README.md', ...docs.sort().map((name) => `docs/${name}`)];
}

export function readPage(page: string): string {
  return readFileSync(join(root, page), 'utf8');
}

export function codeBlocks(page: string): Block[] {
  const text = readPage(page);
  return [...text.matchAll(/^```(\S*)\n([\s\S]*?)^```$/gm)].map(
    ({ 1: language, 2: code, index }) => ({
      page,
      line: text.slice(0, index).split('\n').length,
      language: language as string,
      text: code as string,
    }),
  );
}

/** What stands below a heading of the second level, up to the next one. */
export function section(text: string, title: string): string {
  const [, after = ''] = text.split(`\n## ${title}\n`);
  return after.split('\n## ')[0] as string;
}

/** The rows of all tables of a page, without heads: cells with their code marks taken off. */
export function tableRows(text: string): string[][] {
  const lines = text.split('\n').filter((line) => line.startsWith('|'));
  return lines
    .filter(
      (line, index) => !/^\|[ :|-]+\|$/.test(line) && !/^\|[ :|-]+\|$/.test(lines[index + 1] ?? ''),
    )
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    );
}
