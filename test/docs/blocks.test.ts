import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Block, codeBlocks, pages } from '../support/pages.ts';
import { main, type Program, programStarter, root, validating } from '../support/programs.ts';

/** What begins a block that is an application and not a program. */
const APPLICATION = /^export (default|const app\b|(async )?function\*? app\b)/m;
/** What a block says that it prints, at the end of the line that does. */
const PRINTS = /\/\/ -> (.*)$/gm;
const ADDRESS = /(http:\/\/)?(127\.0\.0\.1|\[::1\]):(\d+)/;

const start = programStarter();
const blocks = pages().flatMap((page) => codeBlocks(page));
const code = blocks.filter(({ language }) => /^(js|ts)$/.test(language));

let folder: string;

/** A project that has this package installed. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ryegate-docs-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules', 'ryegate'));
  symlinkSync(join(root, 'node_modules', '@types'), join(folder, 'node_modules', '@types'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module", "private": true }');
  for (const block of code) writeFileSync(join(folder, fileOf(block)), runnable(block));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fileOf({ page, line, language }: Block): string {
  return `${page.replace(/\W/g, '-')}-${line}.${language}`;
}

/** The port that readers get may be taken here. */
function runnable({ text }: Block): string {
  return text.replaceAll(/\b8000\b/g, '0');
}

it('are found', () => {
  expect(code.length).toBeGreaterThan(10);
});

it('have a language that is known here', () => {
  const known = new Set(['js', 'ts', 'sh', 'text']);
  expect(blocks.filter(({ language }) => !known.has(language))).toEqual([]);
});

it('pass the type check', () => {
  const options = ['--noEmit', '--allowJs', '--checkJs', '--strict', '--noImplicitAny', 'false'];
  const target = [
    '--module',
    'nodenext',
    '--target',
    'es2023',
    '--lib',
    'es2023,esnext.disposable',
  ];
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const args = [tsc, ...options, ...target, '--types', 'node', ...code.map(fileOf)];
  const { stdout, status } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  expect(stdout).toBe('');
  expect(status).toBe(0);
});

/** A program that serves is asked once and told to end; another has ended by itself. */
async function runToItsEnd(program: Program): Promise<void> {
  const served = program.says(ADDRESS, 'stdout').then(
    ([, , host, port]) => ({ host: host as string, port: port as string }),
    () => null,
  );
  const address = await Promise.race([served, program.exit.then(() => null)]);
  if (address === null) {
    expect(program.stderr).toBe('');
    expect(await program.exit).toEqual([0, null]);
    return;
  }
  const { host, port } = address;
  const request = ['-sS', '--max-time', '10', `http://${host}:${port}/`];
  const { status, stderr } = spawnSync('curl', request, { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  const [code, signal] = await program.stop();
  // One without a handler for signals is ended by it.
  expect([0, 'SIGTERM']).toContain(signal ?? code);
  expect(program.stderr).not.toMatch(/Error/);
}

const scripts = code.filter(({ language }) => language === 'js');

describe('an application', () => {
  const applications = scripts.filter(({ text }) => APPLICATION.test(text));

  it.each(applications)('of $page:$line answers', async (block) => {
    const serving = [main, '--bind', '127.0.0.1:0', '--quiet', `./${fileOf(block)}`];
    const args = [...validating, ...serving];
    const program = start(process.execPath, args, { cwd: folder });
    const [, url = ''] = await program.says(/listening on (http:\S+)/);
    const response = await fetch(url, { method: 'POST', body: 'a body\nof two lines\n' });
    expect(response.status).toBe(200);
    await response.arrayBuffer();
    expect(await program.stop()).toEqual([0, null]);
    expect(program.stderr.split('\n')).toHaveLength(2);
  });
});

describe('a program', () => {
  const programs = scripts.filter(({ text }) => !APPLICATION.test(text));

  it.each(programs)('of $page:$line runs, and prints what it says', async (block) => {
    const program = start(process.execPath, [...validating, fileOf(block)], { cwd: folder });
    await runToItsEnd(program);
    const expected = [...block.text.matchAll(PRINTS)].map(([, text]) => text);
    const printed = program.stdout.split('\n');
    expect(printed.filter((line) => expected.includes(line))).toEqual(expected);
  });
});

it.each(pages())('%s: the commands that it names are there', (page) => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const { text, language } of codeBlocks(page)) {
    if (language !== 'sh') continue;
    for (const [, script = ''] of text.matchAll(/^npm run ([\w:]+)/gm)) {
      expect(Object.keys(scripts)).toContain(script);
    }
  }
});
