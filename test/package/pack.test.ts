import { type ChildProcess, execFileSync, execSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const { RYEGATE_NATIVE: _, ...env } = process.env;

/** The package as a user gets it: packed, then installed into an empty project. */
describe('the packed package', () => {
  let folder: string;
  let project: string;
  let installed: string;
  let packed: string[];
  let server: ChildProcess | undefined;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ryegate-pack-'));
    // A space, as a path of a user may have one.
    project = join(folder, 'the project');
    installed = join(project, 'node_modules', 'ryegate');
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }');
    const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
    const [tarball] = JSON.parse(execFileSync('npm', pack, { cwd: root, encoding: 'utf8', env }));
    packed = tarball.files.map(({ path }: { path: string }) => path);
    // The one dependency comes from this folder, so that no registry is needed.
    const packages = [join(folder, tarball.filename), join(root, 'node_modules/node-addon-api')];
    execFileSync(
      'npm',
      ['install', '--ignore-scripts', '--install-links', '--offline', ...packages],
      { cwd: project, env, stdio: 'pipe' },
    );
  }, 120_000);

  afterAll(() => {
    server?.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  it('holds what every source compiles to, and nothing else in dist', () => {
    const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => name.slice(0, -'.ts'.length));
    const expected = sources.flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`]);
    expect(packed.filter((name) => name.startsWith('dist/')).sort()).toEqual(expected.sort());
  });

  it('holds the native sources with both ways to build them', () => {
    const sources = readdirSync(join(root, 'native')).map((name) => `native/${name}`);
    expect(packed.filter((name) => name.startsWith('native/')).sort()).toEqual(sources.sort());
    expect(packed).toEqual(expect.arrayContaining(['CMakeLists.txt', 'binding.gyp', 'LICENSE']));
  });

  it('holds no tests, no build folder and no tools', () => {
    const room = /^(dist|native|docs|prebuilds)\//;
    const single = /^(CMakeLists\.txt|LICENSE|README\.md|binding\.gyp|package\.json)$/;
    expect(packed.filter((name) => !room.test(name) && !single.test(name))).toEqual([]);
  });

  it('has an exports map and a manifest that publint finds no fault with', async () => {
    const { messages, pkg } = await publint({ pkgDir: installed, pack: false, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
  });

  it('gives its types to a strict TypeScript project', () => {
    writeFileSync(
      join(project, 'use.ts'),
      `import { demoApp, makeServer } from 'ryegate';\n` +
        `import { type StaticFilesOptions, staticFiles } from 'ryegate/static';\n` +
        `const options: StaticFilesOptions = { prefix: '/p', next: demoApp };\n` +
        `const server = makeServer('127.0.0.1', 0, staticFiles('.', options));\n` +
        `const served: Promise<void> = server.serveForever();\n` +
        `// @ts-expect-error: an application is a function\n` +
        `makeServer('127.0.0.1', 0, 'demoApp');\n` +
        `// @ts-expect-error: the name of an option is another\n` +
        `staticFiles('.', { prefixes: '/p' });\n` +
        `export { served };\n`,
    );
    const types = join(root, 'node_modules', '@types');
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023'];
    const args = [...options, '--typeRoots', types, '--types', 'node', 'use.ts'];
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const checked = spawnSync(process.execPath, [tsc, ...args], { cwd: project, encoding: 'utf8' });
    expect(checked.stdout).toBe('');
    expect(checked.status).toBe(0);
  });

  it('says how to build the addon, and serves once that is done', async () => {
    const command = join(project, 'node_modules', '.bin', 'ryegate');
    const args = ['--bind', '127.0.0.1:0'];
    const unbuilt = spawnSync(command, args, { cwd: project, env, encoding: 'utf8' });
    expect(unbuilt.status).not.toBe(0);
    expect(unbuilt.stderr).toContain(join(installed, 'build', 'Release', 'ryegate.node'));

    const [, advice = ''] = /`npx (cmake-js [^`]*)`/.exec(unbuilt.stderr) ?? [];
    // As it is pasted into a shell, in whatever folder, by somebody who has cmake-js.
    const PATH = `${join(root, 'node_modules', '.bin')}:${env.PATH}`;
    execSync(advice, { cwd: tmpdir(), env: { ...env, PATH }, stdio: 'pipe' });

    server = spawn(command, args, { cwd: project, env, stdio: ['ignore', 'inherit', 'pipe'] });
    const exit = once(server, 'exit');
    const url = await listening(server);
    const response = await fetch(`${url}/x?y=1`);
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('Hello world!');
    server.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
  }, 120_000);

  // The addon is built by now.
  it('says how to install mime-types, and serves files by ryegate/static', async () => {
    writeFileSync(join(project, 'page.html'), 'a page');
    writeFileSync(
      join(project, 'static.js'),
      `import { createRequire } from 'node:module';\n` +
        `import { staticFiles } from 'ryegate/static';\n` +
        `staticFiles('.', { contentType: () => 'text/plain' }).close();\n` +
        `try {\n` +
        `  staticFiles('.').close();\n` +
        `  console.log('made');\n` +
        `} catch ({ code, message }) {\n` +
        `  console.log(code, message);\n` +
        `}\n`,
    );
    const run = (): string =>
      execFileSync(process.execPath, ['static.js'], { cwd: project, env, encoding: 'utf8' });
    const without = run();
    expect(without).toMatch(/^ERR_RYEGATE_PEER the package mime-types, .*cannot be loaded/);
    const [, advice = ''] = /`(npm install mime-types)`/.exec(without) ?? [];
    expect(advice).not.toBe('');
    const args = ['--bind', '127.0.0.1:0', '--static', '/=.'];
    const command = join(project, 'node_modules', '.bin', 'ryegate');
    const refused = spawnSync(command, args, { cwd: project, env, encoding: 'utf8' });
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining(advice)]);
    expect(refused.stderr).toMatch(/^ryegate: [^\n]+\n$/);

    // From this folder, so that no registry is needed.
    const packages = ['mime-types', 'mime-db'].map((name) => join(root, 'node_modules', name));
    const [npm, ...words] = advice.replace('mime-types', '').trim().split(' ');
    execFileSync(
      npm as string,
      [...words, '--ignore-scripts', '--install-links', '--offline', ...packages],
      { cwd: project, env, stdio: 'pipe' },
    );
    expect(run()).toBe('made\n');
    server = spawn(command, args, { cwd: project, env, stdio: ['ignore', 'inherit', 'pipe'] });
    const exit = once(server, 'exit');
    const response = await fetch(`${await listening(server)}/page.html`);
    expect(await response.text()).toBe('a page');
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    server.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
  }, 60_000);
});

/** The address in the line that a server writes once it accepts. Its later lines are discarded. */
function listening(server: ChildProcess): Promise<string> {
  return new Promise((found, fail) => {
    let text = '';
    server.stderr?.on('data', (chunk) => {
      text += chunk;
      const address = /listening on (http:\S+)/.exec(text)?.[1];
      if (address) found(address);
    });
    server.once('exit', () => fail(new Error(`the server ended before it listened: ${text}`)));
  });
}
