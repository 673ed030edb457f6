import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

/** Imports the loader of `folder` in a new process: its error's code and message. */
function loadFrom(folder: string, override?: string): { code: string; message: string } {
  const loader = pathToFileURL(join(folder, 'dist', 'native.js')).href;
  const script =
    `import(${JSON.stringify(loader)}).then(() => ({ code: 'none', message: '' }), (error) => error)` +
    `.then(({ code, message }) => console.log(JSON.stringify({ code, message })))`;
  const { RYEGATE_NATIVE: _, ...env } = process.env;
  if (override !== undefined) env.RYEGATE_NATIVE = override;
  const { stdout } = spawnSync(process.execPath, ['-e', script], { env, encoding: 'utf8' });
  return JSON.parse(stdout);
}

describe('the loader of the native addon', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ryegate-loader-'));
    mkdirSync(join(folder, 'dist'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    for (const name of ['native.js', 'errors.js']) {
      cpSync(join(root, 'dist', name), join(folder, 'dist', name));
    }
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('loads what RYEGATE_NATIVE names', () => {
    expect(loadFrom(folder, join(root, 'build', 'Release', 'ryegate.node')).code).toBe('none');
  });

  it('names the path of RYEGATE_NATIVE when nothing is there', () => {
    const path = join(folder, 'missing.node');
    const { code, message } = loadFrom(folder, path);
    expect(code).toBe('ERR_RYEGATE_NATIVE');
    expect(message).toContain(`${path}: not found`);
    expect(message).toContain('RYEGATE_NATIVE');
  });

  it('says why a file is not an addon', () => {
    const path = join(folder, 'text.node');
    writeFileSync(path, 'not a shared object');
    const { code, message } = loadFrom(folder, path);
    expect(code).toBe('ERR_RYEGATE_NATIVE');
    expect(message).toMatch(/text\.node: (?!not found)\S+/);
  });

  it('names every path tried and the command that builds, where there is no addon', () => {
    const { code, message } = loadFrom(folder);
    expect(code).toBe('ERR_RYEGATE_NATIVE');
    const platform = `${process.platform}-${process.arch}`;
    for (const path of [
      join('prebuilds', `${platform}.node`),
      join('prebuilds', `${platform}-musl.node`),
      join('build', 'Release', 'ryegate.node'),
      join('build', 'Debug', 'ryegate.node'),
    ]) {
      expect(message).toContain(`${join(folder, path)}: not found`);
    }
    expect(message).toContain(`\`npx cmake-js build -d ${folder}\``);
  });

  it('prefers a prebuilt addon and passes over a broken one', () => {
    const prebuilt = join(folder, 'prebuilds', `${process.platform}-${process.arch}.node`);
    mkdirSync(join(folder, 'prebuilds'));
    cpSync(join(root, 'build', 'Release', 'ryegate.node'), prebuilt);
    expect(loadFrom(folder).code).toBe('none');

    writeFileSync(prebuilt, 'for another system');
    expect(loadFrom(folder).message).toMatch(/prebuilds\S+\.node: (?!not found)\S+/);
    mkdirSync(join(folder, 'build', 'Release'), { recursive: true });
    cpSync(
      join(root, 'build', 'Release', 'ryegate.node'),
      join(folder, 'build', 'Release', 'ryegate.node'),
    );
    expect(loadFrom(folder).code).toBe('none');
  });
});
