// `npm run lint`: every check that needs no running server. `npm run format` mends the formatting.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { make, root, run } from './make.mjs';

const bin = (name) => join(root, 'node_modules', '.bin', name);

function nativeFiles(...endings) {
  return ['native', 'test/native', 'bench', 'bench/load', 'test/bench'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((name) => endings.some((ending) => name.endsWith(ending)))
      .map((name) => join(folder, name)),
  );
}

/** One clang-tidy for each processor, each with its share of the files. */
async function tidyAll(command, files) {
  const shares = Array.from({ length: availableParallelism() }, () => []);
  files.forEach((file, index) => {
    shares[index % shares.length].push(file);
  });
  const statuses = await Promise.all(shares.map((share) => tidy(command, share)));
  return statuses.find((status) => status !== 0) ?? 0;
}

/** Findings are on standard output; what it counts on standard error matters when it fails. */
async function tidy(command, files) {
  const args = ['--quiet', '-p', 'build-kqueue', ...files];
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'pipe'] });
  const closed = once(child, 'close');
  const said = await text(child.stderr);
  const [status] = await closed;
  if (status !== 0) console.error(said);
  return status;
}

function clangTidy() {
  const found = ['clang-tidy', 'clang-tidy-14'].find(
    (name) => spawnSync(name, ['--version']).status === 0,
  );
  if (!found) {
    console.error('clang-tidy is not installed (Debian: apt-get install clang-tidy): not run');
    return 0;
  }
  // The build with the shim compiles every source, the kqueue backend too.
  make('kqueue');
  return tidyAll(found, nativeFiles('.cc'));
}

async function check() {
  const steps = [
    ['biome', () => run(bin('biome'), ['check', '--error-on-warnings'])],
    [
      'clang-format',
      () => run(bin('clang-format'), ['--dry-run', '-Werror', ...nativeFiles('.cc', '.h', '.c')]),
    ],
    [
      'tsc',
      () => {
        // The examples import the package by its name, and so the declarations that this makes.
        make('ts');
        return run(bin('tsc'), ['-p', 'test']) || run(bin('tsc'), ['-p', 'bench', '--noEmit']);
      },
    ],
    ['clang-tidy', clangTidy],
  ];
  const failed = [];
  for (const [name, step] of steps) {
    if ((await step()) !== 0) failed.push(name);
  }
  if (failed.length > 0) console.error(`failed: ${failed.join(', ')}`);
  return failed.length > 0 ? 1 : 0;
}

function format() {
  const typescript = run(bin('biome'), ['check', '--write']);
  return run(bin('clang-format'), ['-i', ...nativeFiles('.cc', '.h', '.c')]) || typescript;
}

make('install');
process.exitCode = process.argv[2] === '--write' ? format() : await check();
