import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasKey } from '../../src/cli/configfile.ts';
import { FETCH_TABLE } from '../../src/cli/fetchoptions.ts';
import { spelling } from '../../src/cli/help.ts';
import { readSettings } from '../../src/cli/settings.ts';
import type { Option } from '../../src/cli/table/row.ts';
import { type Options, TABLE } from '../../src/cli/table/table.ts';
import { readPage, section, tableRows } from '../support/pages.ts';

/** What each option is given, and what else it needs, as it is on the command line. */
const SAMPLES: { readonly [Key in keyof Options]?: readonly string[] } = {
  bind: [':8080', 'unix:/run/x.sock'],
  backlog: ['64'],
  reusePort: ['true'],
  socketMode: ['660'],
  selector: ['poll'],
  pollInterval: ['250ms'],
  application: ['./app.js'],
  chdir: ['/srv'],
  env: ['A=1', 'B=x y'],
  envFile: ['one.env', 'two.env'],
  static: ['/a=one', '/b=two'],
  listing: ['true'],
  sendfile: ['false'],
  health: ['true'],
  healthPath: ['/up'],
  readyPath: ['/ready'],
  limits: ['connections=5', 'bodyBytes=1m'],
  timeouts: ['head=10s', 'body=5m'],
  keepAlive: ['75s'],
  inputBuffering: ['buffer'],
  serverHeader: ['false'],
  workers: ['4'],
  threads: ['2'],
  threadMode: ['acceptor'],
  workerTimeout: ['1m'],
  gracefulTimeout: ['10s'],
  drainDelay: ['5s'],
  maxRequests: ['1000'],
  maxRequestsJitter: ['50'],
  maxRss: ['512m'],
  maxAge: ['1d'],
  preload: ['true'],
  nodeOption: ['--max-old-space-size=512', '--no-opt'],
  pidFile: ['x.pid'],
  user: ['www-data'],
  group: ['33'],
  umask: ['027'],
  accessLog: ['-'],
  accessLogFormat: ['%(h)s, %(s)s'],
  errorLog: ['e.log'],
  logLevel: ['debug'],
  quiet: ['true'],
  reload: ['true'],
  reloadDir: ['src', 'lib'],
  reloadIgnore: ['*.log'],
  development: ['true'],
};
/** Where the others are tried out: config.test.ts. */
const ABOUT_MODULES = ['config', 'noConfig'];
/** What some of them need. */
const NEEDED = ['--workers=2', '--threads=2', '--max-requests=9', '--health', '--reload'];

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ryegate-table-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function argumentsOf({ name, kind, positional }: Option, texts: readonly string[]): string[] {
  if (positional) return [...texts];
  if (kind.shape === 'flag') return [texts[0] === 'true' ? `--${name}` : `--no-${name}`];
  return texts.map((text) => `--${name}=${text}`);
}

/** The value of the option, read from one source only. */
async function valueFrom(
  { key }: Option,
  sources: { argv?: readonly string[]; env?: Record<string, string> },
): Promise<unknown> {
  const needed = NEEDED.filter((argument) => !argument.startsWith(`--${kebab(key)}`));
  const argv = [...needed, ...(sources.argv ?? [])];
  const read = { argv, env: sources.env ?? {}, folder, command: 'ryegate' };
  const { values, faults } = await readSettings(TABLE, read);
  expect(
    faults.filter(({ message }) => !/listing.* needs a folder|does not go with/.test(message)),
  ).toEqual([]);
  return values[key as keyof Options];
}

function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

const settings = TABLE.options.filter(({ commandLineOnly }) => !commandLineOnly);

describe('the command line, the environment and a config module mean the same', () => {
  const samples = settings
    .filter(({ key }) => !ABOUT_MODULES.includes(key))
    .map((option) => [option.name, option] as const);

  it.each(samples)('by %s', async (_, option) => {
    const texts = SAMPLES[option.key as keyof Options] as readonly string[];
    const isList = option.kind.shape === 'list' || option.kind.shape === 'pairs';
    const byLine = await valueFrom(option, { argv: argumentsOf(option, texts) });
    const byVariable = await valueFrom(option, {
      env: { [option.variable as string]: texts.join(',') },
    });
    const given = option.kind.shape === 'flag' ? texts[0] === 'true' : isList ? texts : texts[0];
    const path = join(folder, `${option.name}.mjs`);
    writeFileSync(path, `export default ${JSON.stringify({ [option.key]: given })};`);
    const byModule = await valueFrom(option, { argv: ['--config', path] });
    expect(byLine).not.toEqual(option.kind.none);
    expect(byVariable).toEqual(byLine);
    expect(byModule).toEqual(byLine);
  });
});

describe('the table', () => {
  it('has no name, short name, variable or key twice', () => {
    for (const field of ['name', 'short', 'variable', 'key'] as const) {
      const given = FETCH_TABLE.options.map((option) => option[field]).filter((name) => name);
      expect(given.filter((name, at) => given.indexOf(name) !== at)).toEqual([]);
    }
  });

  it('has the short names that gunicorn has', () => {
    const shorts = settings.filter(({ short }) => short !== undefined);
    expect(Object.fromEntries(shorts.map(({ short, name }) => [short, name]))).toEqual({
      b: 'bind',
      s: 'selector',
      e: 'env',
      w: 'workers',
      t: 'worker-timeout',
      p: 'pid-file',
      u: 'user',
      g: 'group',
      m: 'umask',
      q: 'quiet',
      c: 'config',
    });
  });

  it('has only options without a variable that are about one run', () => {
    const names = TABLE.options.filter(({ variable }) => variable === null).map(({ name }) => name);
    expect(names).toEqual(['check-config', 'print-config', 'help', 'version']);
  });
});

/** The row of an option in docs/cli.md. */
function documentedRow(option: Option): string[] {
  const { positional, metavar, variable, key, kind } = option;
  const name = positional ? `${metavar}` : spelling(option);
  const standard = kind.standard ?? '';
  return [name, variable ?? '', hasKey(option) ? key : '', standard].map((cell) =>
    cell === '' ? '' : `\`${cell}\``,
  );
}

it('docs/cli.md has a row for each option: its variable, its key and its default', () => {
  const rows = tableRows(section(readPage('docs/cli.md'), 'Options'));
  expect(rows).toEqual(TABLE.options.map(documentedRow));
});
