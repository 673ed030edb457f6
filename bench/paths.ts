import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. This runs in build-bench, which lies beside bench. */
export const root: string = fileURLToPath(new URL('..', import.meta.url));

/** A compiled program of bench/programs. */
export function program(name: string): string {
  return join(root, 'build-bench', 'programs', `${name}.js`);
}

/** One that is run as it is, with what is installed in bench. */
export function script(name: string): string {
  return join(root, 'bench', 'programs', name);
}

/** A package that is installed in bench. */
export function installed(...path: string[]): string {
  return join(root, 'bench', 'node_modules', ...path);
}
