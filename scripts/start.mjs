// `npm start [-- ARGUMENT...]`: makes the server and becomes it, so that signals reach it.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { make, root } from './make.mjs';

make('native', 'ts');
const main = join(root, 'dist', 'cli', 'main.js');
process.argv[1] = main;
await import(pathToFileURL(main).href);
