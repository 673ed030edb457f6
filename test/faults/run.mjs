// Runs fault cases, one after the other, and prints a line for each.
import { Arena } from './support/arena.mjs';
import { bounded } from './support/measure.mjs';

/** Seconds for a case that does not say otherwise. */
const PATIENCE = 60;

const modules = [
  'slowclients',
  'bodies',
  'accepting',
  'endings',
  'outside',
  'files',
  'termination',
  'threads',
  'tested',
];

/** All cases, by number: `{ number, title, pass, run(arena) }`, see the modules in cases/. */
export async function loadCases() {
  const loaded = await Promise.all(modules.map((name) => import(`./cases/${name}.mjs`)));
  return loaded.flatMap((module) => Object.values(module)).sort((a, b) => a.number - b.number);
}

/** Runs one case; returns its figures, `[text, fits]` each. */
async function runCase({ run, seconds = PATIENCE }, setting) {
  const arena = new Arena(setting);
  const stop = () => arena.close().finally(() => process.exit(130));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop);
  try {
    return await bounded(run(arena), 'the case', seconds * 1000);
  } catch (error) {
    console.error(error);
    return [[error.message, false]];
  } finally {
    await arena.close();
    for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, stop);
  }
}

/**
 * Runs `cases` on the servers that `setting` describes: `{ selector, unix }`. Resolves with how
 * many failed.
 */
export async function runCases(cases, setting) {
  const began = performance.now();
  let failures = 0;
  for (const each of cases) {
    const figures = await runCase(each, setting);
    const passed = figures.every(([, fits]) => fits);
    if (!passed) failures += 1;
    const shown = figures.map(([text, fits]) => (fits ? text : `!! ${text} !!`)).join('; ');
    const number = String(each.number).padStart(2);
    console.log(`${number} ${each.title} [${each.pass}]: ${shown}: ${passed ? 'PASS' : 'FAIL'}`);
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  const where = `${setting.selector}, ${setting.unix ? 'unix sockets' : 'TCP'}`;
  console.log(`${cases.length - failures} passed, ${failures} failed (${where}, ${seconds} s)`);
  return failures;
}
