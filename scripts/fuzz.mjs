// `npm run fuzz [-- --cases N] [--seed S] [--case N]`: a long run of the generated streams in
// test/fuzz, or a single one of them again.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { make, root, run } from './make.mjs';

const OPTIONS = { cases: { type: 'string' }, seed: { type: 'string' }, case: { type: 'string' } };

/** A whole number from 0 on, or undefined when the option was not given. */
function number(values, name) {
  const text = values[name];
  if (text === undefined) return undefined;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new Error(`--${name} is '${text}': give a whole number from 0 on.`);
}

function settings() {
  const { values } = parseArgs({ options: OPTIONS });
  const only = number(values, 'case');
  const seed = number(values, 'seed');
  if (only !== undefined && seed === undefined) {
    throw new Error('--case needs the --seed of its run.');
  }
  const random = Math.floor(Math.random() * 2 ** 31);
  return { seed: seed ?? random, cases: number(values, 'cases') ?? 200_000, only };
}

function fuzz() {
  const env = { RYEGATE_FUZZ: JSON.stringify(settings()) };
  make('native');
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const files = ['differential', 'randombytes'].map((name) => `test/fuzz/${name}.test.ts`);
  const args = ['run', '--project', 'main', '--disable-console-intercept', '--no-file-parallelism'];
  return run(process.execPath, [vitest, ...args, ...files], env);
}

try {
  process.exitCode = fuzz();
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}
