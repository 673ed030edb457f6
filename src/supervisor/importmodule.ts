import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Imports a module of a worker's or a thread's: a file URL, or a path or a package seen from `cwd`. */
export function importModule<Module>(module: string, cwd: string): Promise<Module> {
  if (module.startsWith('file:')) return import(module);
  const found = createRequire(join(cwd, 'ryegate')).resolve(module);
  return import(pathToFileURL(found).href);
}
