// `npm test [-- ARGUMENT...]` and, with --asan first, `npm run test:asan`: makes what the tests need
// and runs vitest with the arguments.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { make, root, run } from './make.mjs';

const vitest = [join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run'];
// Where native code runs most: threads, hooks, descriptors, batches. All of the exchange would take
// several times as long and run the same native code again.
const nativeTests = [
  'native',
  'selectors',
  'reactor',
  'threads',
  'supervisor/threadpool',
  'exchange/shutdown',
  'exchange/pipelining',
  'exchange/streaming',
  'exchange/cold',
  'files/closing',
].map((name) => `test/${name}`);

function test(args) {
  make('native', 'kqueue', 'ts');
  return run(process.execPath, [...vitest, ...args]);
}

/** A report of AddressSanitizer on any process of the run, a test's child too, fails the run. */
function showReports(folder) {
  const reports = readdirSync(folder);
  for (const name of reports) console.error(readFileSync(join(folder, name), 'utf8'));
  return reports.length > 0 ? 1 : 0;
}

function testSanitized(args) {
  make('asan', 'ts');
  const runtime = execFileSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
  const reports = join(root, 'build-asan', 'reports');
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports);
  const env = {
    RYEGATE_NATIVE: join(root, 'build-asan', 'Debug', 'ryegate.node'),
    RYEGATE_SANITIZED: '1',
    LD_PRELOAD: runtime,
    ASAN_OPTIONS: `detect_leaks=0:log_path=${join(reports, 'report')}`,
    UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
  };
  const named = args.some((arg) => !arg.startsWith('-'));
  const chosen = named ? [] : nativeTests;
  const status = run(process.execPath, [...vitest, '--project', 'main', ...chosen, ...args], env);
  return showReports(reports) || status;
}

const args = process.argv.slice(2);
process.exitCode = args[0] === '--asan' ? testSanitized(args.slice(1)) : test(args);
