import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ApplicationError,
  type ImportModule,
  loadApplication,
} from '../../src/wsgi/loadapplication.ts';
import type { Environ, StartResponse } from '../../src/wsgi/types.ts';

// The import of Node itself: vitest replaces import() in sources by its own, which compiles.
const NATIVE: string =
  'data:text/javascript,export const importModule = (specifier) => import(specifier);';
const { importModule } = (await import(NATIVE)) as { importModule: ImportModule };

const FILES: Record<string, string> = {
  'app.mjs': 'export const app = () => "app"; export default () => "default";',
  'default.mjs': 'export const other = () => "other"; export default () => "default";',
  'object.mjs': 'export default { app: () => "object app" };',
  'several.mjs':
    'export const create = () => "c"; export const main = () => "m"; export const n = 1;',
  'value.mjs': 'export const app = { listen: true };',
  'valueanddefault.mjs': 'export const app = 1; export default () => "default";',
  'nothing.mjs': 'export const answer = 42;',
  'äpp.mjs': 'export const größe = () => "unicode";',
  'with space.mjs': 'export const app = () => "space";',
  'function.cjs': 'module.exports = () => "cjs function";',
  'object.cjs': 'module.exports = { app: () => "cjs app", create: () => "cjs create" };',
  'computed.cjs': 'module.exports = { ["a" + "pp"]: () => "computed" };',
  'compiled.cjs':
    'Object.defineProperty(exports, "__esModule", { value: true }); exports.default = () => "esm";',
  'cjsnone.cjs': 'module.exports = { create: () => 1 };',
  'throws.mjs': '\n\nthrow new TypeError("no database\\nsecond line");',
  'throws.cjs': '\nthrow new Error("boom");',
  'throwsnull.mjs': 'throw null;',
  'throwsvalue.mjs': 'throw { reason: "odd" };',
  'indirect.mjs': 'import "./src/inner.mjs";',
  'src/inner.mjs': '\nthrow new Error("inner boom");',
  'syntax.mjs': 'export const app = (;',
  'indirectsyntax.mjs': 'process.exit(1); import "./src/broken.mjs";',
  'effect.mjs': `import { appendFileSync } from 'node:fs';
    appendFileSync(new URL('effects.txt', import.meta.url), 'once ');
    setInterval(() => {}, 1000).unref();
    await import('./src/broken.mjs');`,
  'typeless/package.json': '{}',
  'typeless/app.js': 'import "node:fs";\nexport const app = ];',
  'cycle.mjs': 'import "./cycle.mjs"; import "./gone.mjs"; import "./src";',
  'src/broken.mjs': 'export const x = 1;\n\nexport const y = ];',
  'syntax.cjs': '\nmodule.exports = (;',
  'badimport.mjs': '\nimport { zz } from "./app.mjs"; zz();',
  'missingfile.mjs': 'import "./nowhere.mjs";',
  'missingpackage.mjs': 'import "nowhere-at-all";',
  'missing.cjs': '\nrequire("./nowhere.cjs");',
  'notes.txt': 'no module',
  'typed.ts': 'export const app = (): string => "typed";',
  'enum.ts': 'enum A { B }\nexport const app = (): A => A.B;',
  'package.json': '{ "type": "module" }',
  'src/site.js': 'export const app = () => "src";',
  'node_modules/plain/package.json': '{ "name": "plain", "main": "main.js" }',
  'node_modules/plain/main.js': 'exports.app = () => "plain package";',
  'node_modules/@scope/pkg/package.json':
    '{ "name": "@scope/pkg", "type": "module", "exports": "./index.js" }',
  'node_modules/@scope/pkg/index.js': 'export const create = () => "scoped package";',
  'node_modules/importonly/package.json':
    '{ "name": "importonly", "exports": { "import": "./index.mjs" } }',
  'node_modules/importonly/index.mjs': 'export const app = 1;',
};

let folder: string;

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'ryegate-load-')));
  for (const [name, content] of Object.entries(FILES)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function answer(target: string): Promise<unknown> {
  const application = await loadApplication(target, folder, importModule);
  return application({} as Environ, (() => {}) as unknown as StartResponse);
}

async function failure(target: string): Promise<ApplicationError> {
  const error = await loadApplication(target, folder, importModule).catch((reason) => reason);
  expect(error).toBeInstanceOf(ApplicationError);
  expect(error.code).toBe('ERR_RYEGATE_APPLICATION');
  expect(error.message).not.toMatch(/[\r\n]/);
  return error;
}

describe('what is loaded', () => {
  it.each([
    ['./app.mjs', 'app'],
    ['app.mjs', 'app'],
    ['./app.mjs:app', 'app'],
    ['./app.mjs:default', 'default'],
    ['./default.mjs', 'default'],
    ['./default.mjs:other', 'other'],
    ['./object.mjs', 'object app'],
    ['several.mjs:main', 'm'],
    ['./valueanddefault.mjs', 'default'],
    ['./äpp.mjs:größe', 'unicode'],
    ['with space.mjs', 'space'],
    ['src/site.js', 'src'],
    ['./src/../src/site.js:app', 'src'],
    ['./function.cjs', 'cjs function'],
    ['./object.cjs', 'cjs app'],
    ['./object.cjs:create', 'cjs create'],
    ['./computed.cjs', 'computed'],
    ['./computed.cjs:app', 'computed'],
    ['./compiled.cjs', 'esm'],
    ['plain', 'plain package'],
    ['plain:app', 'plain package'],
    ['@scope/pkg:create', 'scoped package'],
  ])('%s', async (target, expected) => {
    expect(await answer(target)).toBe(expected);
  });

  it('an absolute path', async () => {
    expect(await answer(join(folder, 'app.mjs'))).toBe('app');
  });

  it('by import() when nothing else is given', async () => {
    const application = await loadApplication('./app.mjs', folder);
    expect(application({} as Environ, (() => {}) as unknown as StartResponse)).toBe('app');
  });
});

describe('what is not found', () => {
  it.each([
    ['', /"" names no module; write one such as \.\/app\.js/],
    [':app', /":app" names no module/],
    ['./nowhere.mjs', /there is no file \/.*nowhere\.mjs; check the path/],
    ['./app', /there is no file \/.*app; did you mean \.\/app\.mjs\?/],
    ['./src', /\.\/src is a folder; name the file in it, such as \.\/src\/app\.js/],
    ['src/', /src\/ is a folder; name the file in it, such as src\/app\.js/],
    ['nowhere', /no package nowhere is found from \/.*; install it, or write \.\/nowhere for/],
    ['app', /no package app is found .* write \.\/app\.mjs for a file/],
    ['@scope/none', /no package @scope\/none is found/],
  ])('%s', async (target, message) => {
    expect((await failure(target)).message).toMatch(message);
  });

  it('a package for import() only, left to where Ryegate is installed', async () => {
    expect((await failure('importonly')).message).toMatch(/importonly/);
  });
});

describe('what cannot be loaded', () => {
  it.each([
    ['./throws.mjs', './throws.mjs failed while it was loaded at throws.mjs:3: TypeError: no data'],
    ['./throws.cjs', './throws.cjs failed while it was loaded at throws.cjs:2: Error: boom'],
    [
      './indirect.mjs',
      './indirect.mjs failed while it was loaded at src/inner.mjs:2: Error: inner',
    ],
    ['./throwsnull.mjs', './throwsnull.mjs failed while it was loaded: null (not an Error)'],
    ['./throwsvalue.mjs', "while it was loaded: { reason: 'odd' } (not an Error)"],
    ['./syntax.cjs', './syntax.cjs has a syntax error at syntax.cjs:2: SyntaxError: Unexpected'],
    ['./badimport.mjs', './badimport.mjs has a syntax error at badimport.mjs:2: SyntaxError: The'],
    ['./missingfile.mjs', './missingfile.mjs imports what cannot be found: Error: Cannot find'],
    ['./missingpackage.mjs', "Cannot find package 'nowhere-at-all'"],
    ['./missing.cjs', './missing.cjs imports what cannot be found at missing.cjs:2: Error: Cannot'],
    ['./notes.txt', 'notes.txt: it takes .js, .mjs, .cjs'],
  ])('%s', async (target, message) => {
    const error = await failure(target);
    expect(error.message).toContain(message);
    expect(error).toHaveProperty('cause');
  });

  it.each([
    ['./syntax.mjs', 'syntax.mjs:1'],
    ['./indirectsyntax.mjs', 'src/broken.mjs:3'],
    ['./typeless/app.js', 'typeless/app.js:2'],
  ])(
    'a syntax error in an ES module, whose line Node shows only itself: %s',
    async (target, at) => {
      const { message, place } = await failure(target);
      expect(message).toContain(
        `${target} has a syntax error at ${at}: SyntaxError: Unexpected token`,
      );
      expect(place).toEqual({ file: join(folder, at.slice(0, -2)), line: Number(at.slice(-1)) });
    },
  );

  it('runs nothing of the application again to find a syntax error, and leaves no process', async () => {
    const { message } = await failure('./effect.mjs');
    expect(message).toContain('./effect.mjs has a syntax error at src/broken.mjs:3: SyntaxError');
    expect(readFileSync(join(folder, 'effects.txt'), 'utf8')).toBe('once ');
    const left = readdirSync('/proc').filter((name) => {
      try {
        return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(folder);
      } catch {
        return false;
      }
    });
    expect(left).toEqual([]);
  });

  it('gives no place for a syntax error that no module has', async () => {
    const error = new SyntaxError('of somebody else');
    const importModule = (): Promise<never> => Promise.reject(Object.assign(error, { stack: '' }));
    const failed = await loadApplication('./cycle.mjs', folder, importModule).catch((e) => e);
    expect(failed.place).toBeNull();
    expect(failed.message).toMatch(/of somebody else; the command "node .*cycle\.mjs" shows/);
  });

  it('leaves out all but the first line of a message', async () => {
    expect((await failure('./throws.mjs')).message).not.toContain('second line');
  });
});

describe('TypeScript', () => {
  const strips = Boolean(Reflect.get(process.features, 'typescript'));

  it('is loaded where Node can, else says which Node can', async () => {
    if (strips) {
      expect(await answer('./typed.ts')).toBe('typed');
    } else {
      expect((await failure('./typed.ts')).message).toMatch(
        /^Node [0-9.]+ cannot load TypeScript \(\/.*typed\.ts\): use Node 22\.18 or newer, 22\.6/,
      );
    }
  });

  it('that cannot be stripped is refused with the flag that helps', async () => {
    const { message } = await failure('./enum.ts');
    expect(message).toMatch(strips ? /--experimental-transform-types/ : /use Node 22\.18/);
  });
});

describe('exports that are no application', () => {
  it.each([
    [
      './several.mjs',
      './several.mjs gives no application: it exports no function app or default; ' +
        'its functions are create, main: choose one, such as ./several.mjs:create',
    ],
    [
      './several.mjs:nope',
      './several.mjs gives no application: it exports no function nope; ' +
        'its functions are create, main: choose one, such as ./several.mjs:create',
    ],
    [
      './several.mjs:n',
      './several.mjs gives no application: its export n is no function but of type number; ' +
        'its functions are create, main: choose one, such as ./several.mjs:create',
    ],
    [
      './value.mjs',
      './value.mjs gives no application: its export app is no function but of type object; ' +
        'export function app(environ, startResponse) from it',
    ],
    [
      './nothing.mjs',
      './nothing.mjs gives no application: it exports no function app or default; ' +
        'export function app(environ, startResponse) from it',
    ],
    [
      './cjsnone.cjs',
      './cjsnone.cjs gives no application: it exports no function app or default; ' +
        'its functions are create: choose one, such as ./cjsnone.cjs:create',
    ],
    [
      './app.mjs:constructor',
      './app.mjs gives no application: it exports no function constructor; ' +
        'its functions are app, default: choose one, such as ./app.mjs:app',
    ],
    [
      './function.cjs:call',
      './function.cjs gives no application: it exports no function call; ' +
        'its functions are default: choose one, such as ./function.cjs:default',
    ],
  ])('%s', async (target, message) => {
    expect((await failure(target)).message).toBe(message);
  });
});
