import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** A place in a source. */
export interface Place {
  readonly file: string;
  /** From 1 on. */
  readonly line: number;
}

/** How Node heads what it says of a syntax error. */
const HEADING = /^((?:file:\/\/|\/|[A-Za-z]:\\).+):(\d+)$/m;
/** A relative path in an import or a re-export. */
const IMPORT = /\b(?:from|import)\s*\(?\s*(['"])(\.{1,2}\/[^'"\n]+)\1/g;
/** How Node heads what it says of a module from its standard input. */
const PARSED = /^\[stdin\]:(\d+)$/m;
/** Node would not parse these as JavaScript. */
const TYPESCRIPT = /\.[mc]?ts$/;
/** Milliseconds that it may take to find a place, and how many files are parsed for it. */
const PATIENCE = 5000;
const MOST_FILES = 200;

/** The place that heads what Node says of a syntax error; null when it does not tell. */
export function headingPlace(text: string): Place | null {
  const [, where = '', line = ''] = HEADING.exec(text) ?? [];
  if (line === '') return null;
  try {
    return { file: where.startsWith('file:') ? fileURLToPath(where) : where, line: Number(line) };
  } catch {
    return null;
  }
}

/**
 * Where the syntax error is that the import of an ES module has failed with. Node tells that only
 * when nobody catches it. Nothing is run to find it: Node parses the module and those that it
 * imports by relative paths, one by one, each in a process of its own.
 *
 * @param specifier the URL of its file
 */
export async function findSyntaxError(error: Error, specifier: string): Promise<Place | null> {
  const files = new Set([fileURLToPath(specifier)]);
  const signal = AbortSignal.timeout(PATIENCE);
  for (const file of files) {
    if (signal.aborted) return null;
    const source = await sourceOf(file);
    if (source === null) continue;
    const said = TYPESCRIPT.test(file) ? '' : await parse(source, signal);
    const [, line] = PARSED.exec(said) ?? [];
    if (line !== undefined && said.includes(error.message)) return { file, line: Number(line) };
    for (const found of importsOf(file, source)) if (files.size < MOST_FILES) files.add(found);
  }
  return null;
}

async function sourceOf(file: string): Promise<string | null> {
  try {
    // A FIFO would be waited for.
    return (await stat(file)).isFile() ? await readFile(file, 'utf8') : null;
  } catch {
    return null;
  }
}

function importsOf(file: string, source: string): string[] {
  const base = pathToFileURL(file);
  const urls = [...source.matchAll(IMPORT)].map(([, , path = '']) => new URL(path, base));
  return urls.flatMap((url) => {
    try {
      return [fileURLToPath(url)];
    } catch {
      return [];
    }
  });
}

/** What Node says of a module that it parses and does not run. */
function parse(source: string, signal: AbortSignal): Promise<string> {
  // Options of Node could name modules that it would run first.
  const env = { ...process.env, NODE_OPTIONS: '' };
  // From its standard input, as it would not take every file for a module.
  const args = ['--check', '--input-type=module', '-'];
  return new Promise((resolve) => {
    const options = { env, signal, killSignal: 'SIGKILL' } as const;
    const child = execFile(process.execPath, args, options, (_error, _stdout, stderr) => {
      resolve(stderr);
    });
    // It may have been killed before it has read all.
    child.stdin?.on('error', () => {});
    child.stdin?.end(source);
  });
}
