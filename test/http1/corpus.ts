import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Case, parseCase } from './casefile.ts';

const folder = import.meta.dirname;

/** Every `<group>/<name>.http` beside this file, in the order of their names. */
export function loadCorpus(): Case[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.http'))
    .sort()
    .map((path) =>
      parseCase(path.slice(0, -'.http'.length), readFileSync(join(folder, path), 'latin1')),
    );
}

/** Whether the last answer of a case is a refusal. */
export function isRefused(item: Case): boolean {
  return item.expected.at(-1)?.kind === 'refusal';
}
