// `npm run faults [-- NUMBER... --selector epoll|poll|select --unix]`: makes the package and runs
// the fault cases of test/faults, all or those with the numbers.
import { parseArgs } from 'node:util';
import { make } from './make.mjs';

function usage(message) {
  console.error(`${message}\nusage: npm run faults -- [NUMBER...] [--selector NAME] [--unix]`);
  process.exit(2);
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        selector: { type: 'string', default: 'epoll' },
        unix: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    return usage(error.message);
  }
}

const { values, positionals } = parse();
if (!['epoll', 'poll', 'select'].includes(values.selector)) {
  usage(`no selector ${values.selector}: there are epoll, poll, select`);
}
make('native', 'ts');
const { loadCases, runCases } = await import('../test/faults/run.mjs');
const cases = await loadCases();
const unknown = positionals.filter((name) => !cases.some(({ number }) => String(number) === name));
if (unknown.length > 0) {
  usage(`no case ${unknown.join(', ')}: there are ${cases.map(({ number }) => number).join(', ')}`);
}
const wanted = cases.filter(
  ({ number }) => positionals.length === 0 || positionals.includes(String(number)),
);
// A case that failed may have left clients open.
process.exit((await runCases(wanted, { ...values })) > 0 ? 1 : 0);
