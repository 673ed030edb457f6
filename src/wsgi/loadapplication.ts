import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { RyegateError } from '../errors.ts';
import { findSyntaxError, headingPlace, type Place } from './syntaxerror.ts';
import type { Application } from './types.ts';

/** No application could be loaded; the message is one line (`ERR_RYEGATE_APPLICATION`). */
export class ApplicationError extends RyegateError {
  override readonly name: string = 'ApplicationError';
  /** Where a syntax error is, or what else failed while it was loaded; null where that is not known. */
  readonly place: Place | null;

  constructor(message: string, options: ErrorOptions & { place?: Place | null } = {}) {
    super('ERR_RYEGATE_APPLICATION', message.replace(/\s*[\r\n]+\s*/g, ' '), options);
    this.place = options.place ?? null;
  }
}

/** Imports a module by file URL or, for what only Node can resolve, by package name. */
export type ImportModule = (specifier: string) => Promise<unknown>;

const DEFAULT_EXPORTS = ['app', 'default'];
const EXTENSIONS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts'];
const EXAMPLE = './app.js or ./app.js:app';

function parseTarget(target: string): { module: string; exportName: string | null } {
  const match = /^(.*):([\p{ID_Start}$_][\p{ID_Continue}$]*)$/su.exec(target);
  const [module, exportName] = match === null ? [target, null] : [match[1], match[2]];
  if (!module || exportName === undefined) {
    throw new ApplicationError(`"${target}" names no module; write one such as ${EXAMPLE}`);
  }
  return { module, exportName };
}

function withExtension(file: string): string | undefined {
  return EXTENSIONS.find((extension) => existsSync(file + extension));
}

function resolveFile(module: string, file: string): string {
  if (!existsSync(file)) {
    const extension = withExtension(file);
    const hint = extension === undefined ? 'check the path' : `did you mean ${module}${extension}?`;
    throw new ApplicationError(`there is no file ${file}; ${hint}`);
  }
  if (statSync(file).isDirectory()) {
    const example = `${module.replace(/[\\/]+$/, '')}/app.js`;
    throw new ApplicationError(`${module} is a folder; name the file in it, such as ${example}`);
  }
  return pathToFileURL(file).href;
}

function resolvePackage(module: string, cwd: string): string {
  try {
    const found = createRequire(join(cwd, 'ryegate')).resolve(module);
    return isAbsolute(found) ? pathToFileURL(found).href : found;
  } catch (error) {
    // Packages that can only be imported are left to import(), which has no notion of `cwd`.
    if (codeOf(error) === 'ERR_PACKAGE_PATH_NOT_EXPORTED') {
      return module;
    }
    const file = `./${module}${withExtension(resolve(cwd, module)) ?? ''}`;
    throw new ApplicationError(
      `no package ${module} is found from ${cwd}; install it, or write ${file} for a file`,
      { cause: error },
    );
  }
}

function resolveModule(module: string, cwd: string): string {
  const file = resolve(cwd, module);
  const isPath = /^\.|[\\/]/.test(module) && !module.startsWith('@');
  return isPath || existsSync(file) ? resolveFile(module, file) : resolvePackage(module, cwd);
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null | undefined)?.code;
}

/** A stack frame in a file. */
const FRAME = /^\s+at (?:.* \()?(?:async )?((?:file:\/\/|\/|[A-Za-z]:\\).+?):(\d+):\d+\)?$/;

/** Where the module that was being loaded failed. */
function placeOf(error: unknown): Place | null {
  const stack = error instanceof Error ? String(error.stack) : '';
  for (const line of stack.split('\n')) {
    const [, where, number] = FRAME.exec(line) ?? [];
    const place = where === undefined ? headingPlace(line) : placeAt(where, Number(number));
    // From this module on the frames are those of the importing program.
    if (place !== null) return place.file === fileURLToPath(import.meta.url) ? null : place;
  }
  return null;
}

function placeAt(where: string, line: number): Place {
  return { file: where.startsWith('file:') ? fileURLToPath(where) : where, line };
}

/** `FILE:LINE`, as seen from `cwd`. */
function showPlace({ file, line }: Place, cwd: string): string {
  const near = relative(cwd, file);
  return `${near.startsWith('..') || isAbsolute(near) ? file : near}:${line}`;
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) {
    return `${inspect(error, { depth: 0 })} (not an Error)`;
  }
  const [message = ''] = error.message.split('\n');
  return message === '' ? error.name : `${error.name}: ${message}`;
}

function unloadable(module: string, message: string): string {
  const [, extension = '', file = module] = /extension "(.*?)" for (.+)$/.exec(message) ?? [];
  if (!/^\.[mc]?ts$/.test(extension)) {
    return `Node cannot load ${file}: it takes ${EXTENSIONS.slice(0, 3).join(', ')}`;
  }
  return (
    `Node ${process.versions.node} cannot load TypeScript (${file}): use Node 22.18 or newer, ` +
    '22.6 or newer with NODE_OPTIONS=--experimental-strip-types, or compile it to JavaScript'
  );
}

async function importError(
  module: string,
  specifier: string,
  error: unknown,
  cwd: string,
): Promise<ApplicationError> {
  const isFile = specifier.startsWith('file:');
  let place = placeOf(error);
  if (place === null && isFile && error instanceof SyntaxError) {
    place = await findSyntaxError(error, specifier);
  }
  const at = place === null ? '' : ` at ${showPlace(place, cwd)}`;
  const what = describeError(error);
  const refuse = (message: string): ApplicationError =>
    new ApplicationError(message, { cause: error, place });
  switch (codeOf(error)) {
    case 'ERR_MODULE_NOT_FOUND':
    case 'MODULE_NOT_FOUND':
      return refuse(`${module} imports what cannot be found${at}: ${what}; install or correct it`);
    case 'ERR_UNKNOWN_FILE_EXTENSION':
      return refuse(unloadable(module, (error as Error).message));
    case 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX':
      return refuse(
        `${module} has TypeScript syntax that Node cannot strip: ${what}; ` +
          'set NODE_OPTIONS=--experimental-transform-types, or compile it to JavaScript',
      );
  }
  if (error instanceof SyntaxError) {
    const file = isFile ? fileURLToPath(specifier) : module;
    const hint = place === null ? `; the command "node ${file}" shows the line` : '';
    return refuse(`${module} has a syntax error${at}: ${what}${hint}`);
  }
  return refuse(`${module} failed while it was loaded${at}: ${what}`);
}

/**
 * The objects whose properties count as exports: the namespace, then what a CommonJS module (or
 * one compiled to it) hides behind its default export.
 */
function exportHolders(namespace: unknown): object[] {
  const holders: object[] = [];
  let holder = namespace;
  while (holders.length < 3 && holder !== null && /^(object|function)$/.test(typeof holder)) {
    holders.push(holder as object);
    holder = (holder as { default?: unknown }).default;
  }
  return holders;
}

function functionNames(holders: readonly object[]): string[] {
  const names = new Set<string>();
  for (const holder of holders) {
    for (const [name, value] of Object.entries(holder)) {
      if (typeof value === 'function' && name !== 'module.exports') {
        names.add(name);
      }
    }
  }
  return [...names].sort();
}

function pickExport(module: string, exportName: string | null, namespace: unknown): Application {
  const holders = exportHolders(namespace);
  const names = exportName === null ? DEFAULT_EXPORTS : [exportName];
  const found: string[] = [];
  for (const name of names) {
    for (const holder of holders) {
      const value: unknown = Object.hasOwn(holder, name) ? Reflect.get(holder, name) : undefined;
      if (typeof value === 'function') {
        return value as Application;
      }
      if (value !== undefined && !holders.includes(value as object)) {
        found.push(`its export ${name} is no function but of type ${typeof value}`);
      }
    }
  }
  const functions = functionNames(holders);
  const problem = found[0] ?? `it exports no function ${names.join(' or ')}`;
  const remedy =
    functions.length === 0
      ? 'export function app(environ, startResponse) from it'
      : `its functions are ${functions.join(', ')}: choose one, such as ${module}:${functions[0]}`;
  throw new ApplicationError(`${module} gives no application: ${problem}; ${remedy}`);
}

/**
 * Loads the application that `target` names: `MODULE[:EXPORT]`, where MODULE is a path (it begins
 * with `.`, contains a slash, or is a file in `cwd`) or a package as `cwd` sees it, and EXPORT is
 * by default `app`, then `default`. CommonJS modules are reached into; TypeScript is loaded where
 * Node can load it. `importModule` replaces `import()` for those who instrument or reload modules.
 *
 * @throws ApplicationError (`ERR_RYEGATE_APPLICATION`) with one line that says what is wrong and
 *   how to mend it; `cause` is the error of the import
 */
export async function loadApplication(
  target: string,
  cwd: string,
  importModule: ImportModule = (specifier) => import(specifier),
): Promise<Application> {
  const { module, exportName } = parseTarget(target);
  const specifier = resolveModule(module, cwd);
  let namespace: unknown;
  try {
    namespace = await importModule(specifier);
  } catch (error) {
    throw await importError(module, specifier, error, cwd);
  }
  return pickExport(module, exportName, namespace);
}
