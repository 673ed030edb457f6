import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readArguments } from '../../src/cli/arguments.ts';
import { FETCH_HELP, FETCH_TABLE } from '../../src/cli/fetchoptions.ts';
import { HELP, parseArguments } from '../../src/cli/options.ts';
import { DEFAULT_CACHE } from '../../src/files/index.ts';
import {
  type Application,
  BaseServer,
  LIMITS,
  makeServer,
  StreamRequestHandler,
  TCPServer,
  TIMEOUTS,
} from '../../src/index.ts';
import { codeBlocks, pages, readPage, section, tableRows } from '../support/pages.ts';
import { root } from '../support/programs.ts';

const CODE = /ERR_RYEGATE_[A-Z]+(?:_[A-Z]+)*/g;

/** Every source with its text, but for what only compiles to types. */
function sources(): string[] {
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(root, 'src', name), 'utf8'));
}

/** The names in an interface of options. */
function optionsOf(name: string, file: string): string[] {
  const source = readFileSync(join(root, 'src', file), 'utf8');
  const [, body = ''] = new RegExp(`interface ${name} [^{]*\\{(.*?)^\\}`, 'ms').exec(source) ?? [];
  return [...body.matchAll(/^ {2}(\w+)\?:/gm)].map(([, option = '']) => option);
}

/** The first cell of each row, its code marks taken off. */
function firstCells(page: string): string[] {
  return tableRows(readPage(page)).map(([first = '']) => first.replaceAll('`', ''));
}

describe('docs/errors.md', () => {
  const thrown = new Set(sources().flatMap((text) => text.match(CODE) ?? []));

  it('has each code of the sources once, and no other', () => {
    const documented = firstCells('docs/errors.md').filter((cell) => cell.startsWith('ERR_'));
    expect(documented.sort()).toEqual([...thrown].sort());
  });

  it.each(pages())('%s names no other codes', (page) => {
    expect((readPage(page).match(CODE) ?? []).filter((code) => !thrown.has(code))).toEqual([]);
  });
});

describe('docs/api.md', () => {
  const text = readPage('docs/api.md');

  /** Names that an index file exports, those of the index files that it passes on included. */
  function exported(file: string): string[] {
    const source = readFileSync(join(root, 'src', file), 'utf8');
    const names = [...source.matchAll(/^export (?:type )?\{([^}]*)\}/gms)].flatMap(
      ([, list = '']) => list.split(',').map((name) => name.replace('type ', '').trim()),
    );
    const passed = [...source.matchAll(/^export \* from '\.\/(.*)';/gm)].flatMap(([, path = '']) =>
      exported(path),
    );
    const spaces = [...source.matchAll(/^export \* as (\w+)/gm)].map(([, name = '']) => name);
    return [...names, ...passed, ...spaces].filter((name) => name !== '');
  }

  it('has a section or a row for every export, and for nothing else', () => {
    const exports = [...exported('index.ts'), ...exported('files/index.ts')];
    const sections = [...text.matchAll(/^#{3,4} (.*)$/gm)].flatMap(([, title = '']) =>
      [...title.matchAll(/`(\w+)/g)].map(([, name]) => name),
    );
    const rows = firstCells('docs/api.md').filter((cell) => /^\w+$/.test(cell));
    const missing = exports.filter((name) => !sections.includes(name) && !rows.includes(name));
    expect(missing).toEqual([]);
    expect(sections.filter((name) => !exports.includes(name as string))).toEqual([]);
  });

  it.each([
    ['TCPServer', TCPServer],
    ['BaseServer', BaseServer],
    ['StreamRequestHandler', StreamRequestHandler],
  ])('has every static setting of %s, with its default', (_, holder) => {
    for (const [name, value] of Object.entries(holder)) {
      const row = new RegExp(`^.*\\b${name}\\b.*\\b${value}\\b.*$`, 'm');
      expect(text).toMatch(row);
    }
  });

  it('has every option of HTTPServer', () => {
    const options = optionsOf('HTTPServerOptions', 'httpserver/httpserver.ts');
    expect(options).toContain('limits');
    expect(firstCells('docs/api.md')).toEqual(expect.arrayContaining(options));
  });
});

it('docs/static.md has every option of staticFiles(), and no other; the cache with its defaults', () => {
  const rows = tableRows(section(readPage('docs/static.md'), 'Options'));
  const shown = rows.map(([name = '', value]) => [name.replaceAll('`', ''), value] as const);
  const options = optionsOf('StaticFilesOptions', 'files/staticoptions.ts');
  const cache = Object.entries(DEFAULT_CACHE).map(([name, value]) => [`cache.${name}`, value]);
  const others = shown.filter(([name]) => !name.startsWith('cache.'));
  expect([...others.map(([name]) => name), 'cache'].sort()).toEqual(options.sort());
  expect(shown.slice(others.length)).toEqual(cache.map(([name, value]) => [name, `${value}`]));
});

it('docs/threads.md has every option of a ThreadPool, and no other', () => {
  const rows = tableRows(section(readPage('docs/threads.md'), 'Options'));
  const options = optionsOf('ThreadPoolOptions', 'supervisor/poolsettings.ts');
  const names = rows.map(([name = '']) => name.replaceAll('`', ''));
  expect(names).toEqual(options);
});

// What the rows say that happens is tried out in limits.test.ts.
describe.each([
  ['Limits', LIMITS],
  ['Timeouts', TIMEOUTS],
])('the table %s of docs/limits.md', (title, settings) => {
  it('has the rows of the source, with name, default, unit and reason, and no other', () => {
    const rows = tableRows(section(readPage('docs/limits.md'), title));
    const shown = rows.map(([name, standard, counts = '', , reason]) => {
      return [name, standard, /^(bytes per second|[a-z]+)/.exec(counts)?.[0], reason];
    });
    const expected = Object.entries(settings).map(([name, row]) => {
      return [`\`${name}\``, String(row.default), row.unit, row.reason];
    });
    expect(shown).toEqual(expected);
  });
});

it('docs/cli.md shows the help as it is', () => {
  expect(readPage('docs/cli.md')).toContain(HELP.trimEnd());
  expect(readPage('docs/cli.md')).toContain(FETCH_HELP.trimEnd());
});

it.each(pages())('%s: the command lines in it are right', (page) => {
  const commands = codeBlocks(page)
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text }) => [...text.matchAll(/^(?:ryegate|npm start --) (.*)$/gm)]);
  for (const [, line = ''] of commands) {
    const [first, ...rest] = line.split(' ');
    if (first === 'fetch') expect(readArguments(FETCH_TABLE, rest, '').faults, line).toEqual([]);
    else expect(() => parseArguments(line.split(' ')), line).not.toThrow();
  }
});

it('docs/wsgi.md has every key of an environ, and no other', async () => {
  let keys: string[] = [];
  const app: Application = (environ, startResponse) => {
    keys = Object.keys(environ);
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return 'ok';
  };
  const server = makeServer('127.0.0.1', 0, app, { responseTrailers: true });
  const serving = server.serveForever();
  const url = `http://127.0.0.1:${server.serverPort}/`;
  await (await fetch(url, { method: 'POST', body: 'x', headers: { TE: 'trailers' } })).text();
  await server.serverClose();
  await serving;
  const documented = firstCells('docs/wsgi.md').filter((cell) =>
    /^([A-Z]+(_[A-Z]+)+|\w+\.\w+)$/.test(cell),
  );
  const served = keys.filter((key) => !key.startsWith('HTTP_'));
  expect(documented.sort()).toEqual(served.sort());
});

describe.each(pages())('the links of %s', (page) => {
  const links = [...readPage(page).matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => link);

  it('lead somewhere', () => {
    for (const link of links.filter((link) => !link.startsWith('https:'))) {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : join(dirname(page), path);
      expect(existsSync(join(root, target)), link).toBe(true);
      if (anchor === undefined) continue;
      const titles = [...readPage(target).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => title);
      expect(titles.map(slug)).toContain(anchor);
    }
  });
});

/** As the usual renderers of Markdown name a heading. */
function slug(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}
