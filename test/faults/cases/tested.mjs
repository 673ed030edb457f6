// Cases whose proof is in the tests: vitest runs them, and they are counted here.
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const run = promisify(execFile);

/** Runs test files; resolves with the tests whose full name fits `pattern`. */
async function runTests(arena, files, pattern, variables) {
  const missing = files.filter((file) => !existsSync(join(root, file)));
  if (missing.length > 0) throw new Error(`missing: ${missing.join(', ')}`);
  const report = join(arena.folder, 'report.json');
  const args = ['run', '--project', 'main', '--reporter=json', `--outputFile.json=${report}`];
  const filter = pattern === '' ? [] : ['-t', pattern];
  const env = { ...process.env, RYEGATE_TEST_BACKENDS: arena.selector, ...variables };
  const options = { cwd: root, env, timeout: 120_000, maxBuffer: 1 << 26 };
  // Failures are in the report as well.
  await run(process.execPath, [vitest, ...args, ...filter, ...files], options).catch(() => {});
  const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
  return testResults.flatMap(({ assertionResults }) => assertionResults);
}

function tested(number, title, pass, files, { pattern = '', least, also, variables = {} }) {
  return {
    number,
    title,
    pass: `${pass} (at least ${least} tests)`,
    seconds: 130,
    async run(arena) {
      const results = await runTests(arena, files, pattern, variables);
      const passed = results.filter(({ status }) => status === 'passed').length;
      const failed = results.filter(({ status }) => status === 'failed');
      const said = failed.length > 0 ? ` (${failed[0].fullName})` : '';
      return [
        [`${passed} tests passed`, passed >= least],
        [`${failed.length} failed${said}`, failed.length === 0],
        ...(also ? [also()] : []),
      ];
    },
  };
}

export const corpus = tested(
  5,
  'the corpus in segments of one byte, and in two at every offset',
  'the same answers as unsplit',
  ['test/http1/corpus.test.ts'],
  { pattern: 'one byte|every offset', least: 4 },
);

const REFUSALS = 160;

export const rejected = tested(
  10,
  'every form that must be rejected',
  `${REFUSALS} forms refused, a pipelined second request is never run`,
  ['test/http1/corpus.test.ts'],
  { pattern: 'unsplit|before a valid|behind a valid', least: 6, also: countRefusals },
);

/** How many requests of the corpus expect a refusal. */
function countRefusals() {
  const folder = join(root, 'test', 'http1');
  const files = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.http'));
  const refused = files.filter((name) =>
    /^# expect:.*\b[45][0-9]{2}\b/m.test(readFileSync(join(folder, name), 'latin1')),
  );
  return [`${refused.length} of ${files.length} forms are refused`, refused.length >= REFUSALS];
}

export const reuse = tested(
  19,
  'descriptor used again within one batch',
  'the new connection never gets the old event',
  ['test/reactor/turn.test.ts'],
  { pattern: 'descriptor|same turn', least: 4 },
);

export const failing = tested(
  20,
  'handlers that throw',
  '500 or abort, close() called once, the next connection is fine',
  ['test/exchange/contract.test.ts', 'test/exchange/closing.test.ts'],
  { pattern: 'that fails|closed exactly once|does not wait for', least: 40 },
);

export const lengths = tested(
  22,
  'results longer or shorter than Content-Length',
  'cut and closed, or aborted; logged',
  ['test/exchange/responses.test.ts'],
  { pattern: 'does not fit its Content-Length', least: 10 },
);

export const injection = tested(
  23,
  'injection by response headers',
  'rejected with a code, 500',
  ['test/defects/headerinjection.test.ts'],
  { least: 20 },
);

export const terminated = tested(
  24,
  'SIGTERM under 200 requests a second',
  'no request fails, also of those in the backlog; exit 0',
  ['test/supervisor/load.test.ts'],
  { pattern: 'SIGTERM', least: 2 },
);

export const stuck = tested(
  25,
  'SIGTERM with a handler that is stuck, or blocks its worker',
  'exit soon after the deadline, with status 1',
  ['test/supervisor/lifecycle.test.ts'],
  { pattern: 'soon after the deadline', least: 2 },
);

export const crashing = tested(
  26,
  'workers that crash: SIGKILL, abort, exit 1, an exception, out of memory, hung',
  'replaced within 1 s; a crash loop backs off and ends with status 3',
  ['test/supervisor/crashes.test.ts'],
  { pattern: 'a worker|a crash loop', least: 9 },
);

export const reloading = tested(
  27,
  'HUP every 200 ms for 30 s, and USR2, under load',
  'no request fails, no zombie, descriptors and memory flat',
  ['test/supervisor/load.test.ts'],
  { pattern: 'HUP|USR2', least: 2, variables: { RYEGATE_TEST_SECONDS: '30' } },
);
