import { mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { forking, Supervisor, type SupervisorSettings } from '../../src/index.ts';
import { Crashes } from '../../src/supervisor/crashes.ts';
import { OutputLines } from '../../src/supervisor/outputlines.ts';
import { EarlyRetirements } from '../../src/supervisor/retirements.ts';
import { resolveSettings } from '../../src/supervisor/settings.ts';
import { startFolder } from '../../src/supervisor/startfolder.ts';
import { readPage, section, tableRows } from '../support/pages.ts';
import { root } from '../support/programs.ts';

const application = './app.js';

describe('the settings of a supervisor', () => {
  it.each([
    ['application', { application: '' }],
    ['application', { application: undefined }],
    ['workers', { workers: -1 }],
    ['workers', { workers: 1.5 }],
    ['timeout', { timeout: Number.NaN }],
    ['gracefulTimeout', { gracefulTimeout: -1 }],
    ['drainDelay', { drainDelay: Number.POSITIVE_INFINITY }],
    ['maxRequests', { maxRequests: 0.5 }],
    ['maxRss', { maxRss: '1g' as never }],
    ['preload', { preload: 1 as never }],
    ['bind', { bind: [] }],
    ['bind', { bind: [{ fd: -1 }] }],
    ['env', { env: { PORT: 80 } as never }],
    ['env', { env: { 'A=B': 'x' } }],
    ['env', { env: { A: 'x\0y' } }],
    ['nodeOptions', { nodeOptions: '--inspect' as never }],
    ['server', { server: { limits: () => {} } as never }],
    ['workerData', { workerData: { log: () => {} } }],
    ['worker', { worker: 2 } as never],
  ])('are refused when they make no sense: %s of %o', (name, settings) => {
    const make = (): Supervisor => new Supervisor({ application, ...settings });
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_RYEGATE_OPTION' }));
    expect(make).toThrow(name);
  });

  it('are refused with an address that is none', () => {
    const make = (): Supervisor => new Supervisor({ application, bind: [['127.0.0.1', -1]] });
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_RYEGATE_ADDRESS' }));
  });

  it('are documented, with their defaults', () => {
    const rows = tableRows(section(readPage('docs/supervisor.md'), 'Settings'));
    const names = rows.flatMap(([first = '']) => first.replaceAll('`', '').split(', '));
    const source = readFileSync(join(root, 'src/supervisor/settings.ts'), 'utf8');
    const [, body = ''] = /interface SupervisorSettings \{(.*?)^\}/ms.exec(source) ?? [];
    const settings = [...body.matchAll(/^ {2}(\w+)\?:/gm)].map(([, name]) => name);
    expect(names.sort()).toEqual(settings.sort());
    const defaults = resolveSettings({ application });
    for (const [name = '', standard = ''] of rows) {
      const value = defaults[name.replaceAll('`', '') as keyof SupervisorSettings];
      if (standard === '0') expect([0, Number.POSITIVE_INFINITY], name).toContain(value);
      else if (/^\d+$/.test(standard)) expect(value, name).toBe(Number(standard));
    }
  });

  it('of forking() are those of ForkingMixIn', () => {
    const { workers, timeout, gracefulTimeout } = forking({ application });
    expect(workers).toBeGreaterThan(0);
    expect(workers).toBeLessThanOrEqual(40);
    expect([timeout, gracefulTimeout]).toEqual([300, 30]);
    const other = forking({ application, maxChildren: 1, blockOnClose: false });
    expect([other.workers, other.gracefulTimeout]).toEqual([1, 0]);
    expect(() => new Supervisor(other)).not.toThrow();
    expect(() => forking({ application, maxChildren: 0 })).toThrow('maxChildren');
  });
});

it('workers that grow too large soon are replaced after ever longer waits, up to a minute', () => {
  const early = new EarlyRetirements();
  const waits = Array.from({ length: 10 }, () => early.add(1));
  expect(waits).toEqual([0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
  // One that took its time.
  expect(early.add(61)).toBe(null);
  expect(early.add(59)).toBe(0);
});

describe('the folder that a program was started in', () => {
  const at = mkdtempSync(join(tmpdir(), 'ryegate-folder-'));
  const link = join(at, 'link');
  symlinkSync(process.cwd(), link);
  afterAll(() => rmSync(at, { recursive: true }));

  it('is PWD where that is the same, by whatever name', () => {
    expect(startFolder({ PWD: link })).toBe(link);
    for (const PWD of [undefined, '', '.', at, join(at, 'missing'), join(link, 'package.json')]) {
      expect(startFolder({ PWD })).toBe(process.cwd());
    }
  });

  it('is where cwd is seen from, and links are followed', () => {
    const { cwd } = resolveSettings({ application }, link);
    expect(cwd).toBe(realpathSync(process.cwd()));
    expect(resolveSettings({ application, cwd: 'src' }, link).cwd).toBe(join(cwd, 'src'));
    // Told by the start of a worker.
    expect(resolveSettings({ application, cwd: 'x' }, link).cwd).toBe(join(link, 'x'));
  });
});

describe('crashes', () => {
  const limits = { unready: 3, crashes: 6, seconds: 30 };

  it('are mended at once, then after ever longer waits', () => {
    const crashes = new Crashes({ ...limits, crashes: 20 });
    const waits = Array.from({ length: 12 }, () => crashes.add(true));
    expect(waits[0]).toBe(0);
    for (const [index, wait] of waits.slice(1).entries()) {
      const longest = Math.min(0.1 * 2 ** index, 5);
      expect(wait).toBeGreaterThanOrEqual(longest / 2);
      expect(wait).toBeLessThanOrEqual(longest);
    }
    expect(crashes.hopeless).toBe(null);
  });

  it('are hopeless when there are too many, or too many before any worker was ready', () => {
    const late = new Crashes(limits);
    for (let i = 0; i < 5; i++) late.add(true);
    expect(late.hopeless).toBe(null);
    late.add(true);
    expect(late.hopeless).toBe('workers crashed 6 times within 30 seconds');
    const early = new Crashes(limits);
    for (let i = 0; i < 2; i++) early.add(false);
    early.ready();
    early.add(false);
    early.add(false);
    expect(early.hopeless).toBe(null);
    early.add(false);
    expect(early.hopeless).toBe('3 workers in a row ended before they were ready');
    expect(early.total).toBe(5);
  });

  it('are forgotten after a while', async () => {
    const crashes = new Crashes({ ...limits, crashes: 2, seconds: 0.02 });
    crashes.add(true);
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(crashes.add(true)).toBe(0);
    expect(crashes.hopeless).toBe(null);
  });
});

describe('the output of a worker', () => {
  function collect(): { lines: OutputLines; passed: string[] } {
    const passed: string[] = [];
    return { lines: new OutputLines((text) => passed.push(text)), passed };
  }

  it('is passed on in whole lines', () => {
    const { lines, passed } = collect();
    for (const piece of ['a', 'b\nc', '', '\nd\ne\nf']) lines.write(piece);
    expect(passed).toEqual(['ab\n', 'c\nd\ne\n']);
    lines.end();
    expect(passed.join('')).toBe('ab\nc\nd\ne\nf\n');
    expect(lines.last).toEqual(['ab', 'c', 'd', 'e', 'f']);
  });

  it('is passed on also when a line has no end', () => {
    const { lines, passed } = collect();
    for (let i = 0; i < 20; i++) lines.write('x'.repeat(1000));
    expect(passed.join('').length).toBeGreaterThan(16_000);
  });

  it('is remembered from its last error on, else its end', () => {
    const { lines } = collect();
    for (let i = 0; i < 100; i++) lines.write(`line ${i}\n`);
    expect(lines.last).toEqual(Array.from({ length: 10 }, (_, i) => `line ${90 + i}`));
    lines.write('app.js:3\nTypeError: no\n    at one\n\n    at two\n');
    expect(lines.last).toEqual(['TypeError: no', '    at one', '    at two']);
  });
});
