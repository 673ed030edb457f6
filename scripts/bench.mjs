// `npm run bench:NAME [-- OPTION...]`: makes the package and runs bench/NAME.ts. See bench/README.md.
import { join } from 'node:path';
import { make, root, run } from './make.mjs';

const [name, ...args] = process.argv.slice(2);
make('native', 'ts');
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
process.exitCode =
  run(process.execPath, [tsc, '-p', join(root, 'bench')]) ||
  run(process.execPath, [join(root, 'build-bench', `${name}.js`), ...args]);
