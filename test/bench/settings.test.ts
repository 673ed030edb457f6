import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readResults } from '../../bench/harness/results.ts';
import { LOAD_NAMES, parseSettings } from '../../bench/harness/settings.ts';
import { RESULTS } from './sampleresults.ts';

const folder = mkdtempSync(join(tmpdir(), 'ryegate-settings-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the options', () => {
  it('are by default five rounds of everything', () => {
    const settings = parseSettings([]);
    expect(settings).toMatchObject({ rounds: 5, seconds: 2, only: null, loads: LOAD_NAMES });
    expect(settings.chart).toMatch(/build-bench\/chart\.svg$/);
  });

  it('are few with --quick, which others override', () => {
    const quick = parseSettings(['--quick']);
    expect(quick).toMatchObject({ rounds: 3, seconds: 0.75, idle: { rounds: 1 } });
    expect(quick.loads).toEqual(['hello-64', 'varied', 'pipelined', 'file-4k', 'idle']);
    expect(parseSettings(['--quick', '--rounds', '7', '--only', 'bun,node'])).toMatchObject({
      rounds: 7,
      seconds: 0.75,
      only: ['bun', 'node'],
    });
  });

  it.each([
    [['--json', '/'], /^--json \/: that is a folder, give the name of a file in it/],
    [['--json', '/proc/none/x.json'], /^--json .*: \/proc\/none cannot be written to \(ENOENT\)/],
    [['--chart', '/dev/null/x.svg'], /^--chart .*: \/dev\/null cannot be written to \(E[A-Z]+\)/],
    [['--rounds', '0'], /--rounds is 0: give a whole number from 1 to 9999/],
    [['--rounds', ''], /--rounds is : give a whole number from 1 to 9999/],
    [['--seconds', ''], /--seconds is : give a whole number from 1 to 9999/],
    [['--seconds', '1.5'], /--seconds is 1\.5/],
    [['--loads', 'hello-64,hello-65'], /--loads: there is no 'hello-65', only hello-1, /],
    [['--fast'], /Unknown option '--fast'/],
    [['fast'], /Unexpected argument 'fast'/],
  ])('%j are refused', (args, message) => {
    expect(() => parseSettings(args)).toThrow(message);
  });
});

describe('results', () => {
  it('can be read again', () => {
    const file = join(folder, 'results.json');
    writeFileSync(file, JSON.stringify(RESULTS));
    expect(readResults(file)).toEqual(RESULTS);
  });

  it('of several runs go together, each load from one of them', () => {
    const write = (name: string, results: object): string => {
      const file = join(folder, name);
      writeFileSync(file, JSON.stringify(results));
      return file;
    };
    const [hello, ...rest] = RESULTS.comparisons;
    const again = { ...hello, title: 'measured again' };
    const server = { name: 'other', version: '2', description: 'of the later run' };
    const later = { ...RESULTS, servers: [server], failures: [], comparisons: [again], idle: null };
    const both = readResults(`${write('one.json', RESULTS)},${write('two.json', later)}`);
    expect(both).toEqual({
      ...RESULTS,
      servers: [server, ...RESULTS.servers],
      failures: [],
      comparisons: [again, ...rest],
    });
    const longer = write('longer.json', { ...later, settings: { rounds: 3, seconds: 2 } });
    expect(() => readResults(`${join(folder, 'one.json')},${longer}`)).toThrow(/differ/);
  });

  it.each([
    ['missing.json', null, /^--from .*missing.json: ENOENT/],
    ['broken.json', '{', /^--from .*broken.json: .*JSON/],
    ['null.json', 'null', /^--from: .* is not the result of a run: see --json$/],
    ['half.json', '{ "comparisons": [] }', /^--from: .* is not the result of a run: see --json$/],
    ['other.json', '{ "description": [] }', /^--from: .* is not the result of a run: see --json$/],
  ])('%s are refused', (name, text, message) => {
    const file = join(folder, name);
    if (text !== null) writeFileSync(file, text);
    expect(() => readResults(file)).toThrow(message);
  });
});
