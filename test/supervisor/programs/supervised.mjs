// A supervisor whose settings are in a file, which a reload reads again. `node supervised.mjs FILE`
import { readFileSync } from 'node:fs';
import { Supervisor } from '../../../dist/index.js';

const [, , file] = process.argv;
const read = () => JSON.parse(readFileSync(file, 'utf8'));
const supervisor = new Supervisor(read(), { reload: read });
process.exitCode = await supervisor.run();
