// Makes what is missing or out of date, and asks the build tools themselves what that is.
// `node scripts/make.mjs TARGET...`, with the targets of the table at the end. No dependencies: on
// a fresh clone this installs them.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Runs a command to its end in the project's folder. Returns its exit status. */
export function run(command, args, env = {}) {
  const options = { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } };
  const { status, signal, error } = spawnSync(command, args, options);
  if (error) console.error(`cannot run ${command}: ${error.message}`);
  if (signal) console.error(`${command} was ended by ${signal}`);
  return status ?? 1;
}

/** Runs a step that must succeed. Its output is shown only when it fails. */
function must(what, command, args, hint) {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (status === 0) return;
  console.error([stdout, stderr, error?.message, `${what} failed. ${hint}`].join('\n'));
  process.exit(1);
}

function binary(name, script) {
  return join(root, 'node_modules', name, script);
}

function readPackages(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : undefined;
}

/** Whether node_modules holds what the lockfile asks for, but for what is optional. */
function isInstalled() {
  const wanted = readPackages(join(root, 'package-lock.json'));
  const present = readPackages(join(root, 'node_modules', '.package-lock.json'));
  if (!wanted || !present) return false;
  return Object.entries(wanted).every(
    ([path, { optional, devOptional, version }]) =>
      path === '' || optional || devOptional || present[path]?.version === version,
  );
}

function install() {
  if (isInstalled()) return;
  console.error('installing dependencies');
  const command = existsSync(join(root, 'package-lock.json')) ? 'ci' : 'install';
  // npm says here where it is; a bare `node scripts/make.mjs` takes the one on the PATH.
  const npm = process.env.npm_execpath;
  const [program, ...args] = npm?.endsWith('.js') ? [process.execPath, npm] : ['npm'];
  must('npm', program, [...args, command], 'Is the package registry reachable?');
}

/** Whether CMake has been here for this tree: the cache of a copied one leads to the original. */
function isConfigured(path) {
  const cache = join(path, 'CMakeCache.txt');
  if (!existsSync(cache)) return false;
  return readFileSync(cache, 'utf8').split('\n').includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${root}`);
}

function cmake(folder, config, settings) {
  install();
  const hint =
    `It needs CMake >= 3.18 and a C++17 compiler. If the compiler or this folder's path changed ` +
    `since the last build, remove ${folder}/ and try again.`;
  const path = join(root, folder);
  if (!isConfigured(path)) {
    // What node-gyp left there would be taken for this build's own.
    rmSync(path, { recursive: true, force: true });
    console.error(`building ${folder}/${config}/ryegate.node`);
    const cmakeJS = binary('cmake-js', 'bin/cmake-js');
    const args = ['configure', '-O', path, '--config', config, ...settings];
    must('Configuring the native addon', process.execPath, [cmakeJS, ...args], hint);
  }
  must('Building the native addon', 'cmake', ['--build', path], hint);
}

function gyp() {
  install();
  const nodeGyp = binary('node-gyp', 'bin/node-gyp.js');
  const prefix = resolve(process.execPath, '../..');
  const headers = join(prefix, 'include', 'node', 'node_api.h');
  // Distributions that ship no headers with Node.js let node-gyp fetch them.
  const args = existsSync(headers) ? [`--nodedir=${prefix}`] : [];
  process.exitCode = run(process.execPath, [nodeGyp, 'rebuild', ...args]);
}

/** Removes from dist what no source makes any more: it would be packed. */
function prune() {
  const dist = join(root, 'dist');
  for (const name of readdirSync(dist, { recursive: true })) {
    const stem = name.replace(/\.(d\.ts|js)$/, '');
    if (stem !== name && !existsSync(join(root, 'src', `${stem}.ts`))) rmSync(join(dist, name));
  }
}

function typescript() {
  install();
  const tsc = binary('typescript', 'bin/tsc');
  must('Compiling TypeScript', process.execPath, [tsc, '-p', root], 'Mend the errors above.');
  prune();
}

const targets = {
  install,
  /** The addon that users run. */
  native: () => cmake('build', 'Release', []),
  /** With the kqueue backend over the tests' shim. */
  kqueue: () => cmake('build-kqueue', 'Release', ['--CDRYEGATE_KQUEUE_SHIM=ON']),
  asan: () => cmake('build-asan', 'Debug', ['--CDRYEGATE_SANITIZE=address,undefined']),
  /** The second way to build the addon; it replaces the folder build. */
  gyp,
  ts: typescript,
};

/** Makes the named targets in order. */
export function make(...names) {
  for (const name of names) {
    const target = targets[name];
    if (!target) {
      console.error(`no target ${name}: there are ${Object.keys(targets).join(', ')}`);
      process.exit(2);
    }
    target();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) make(...process.argv.slice(2));
