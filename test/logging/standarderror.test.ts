import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { commandLine } from '../support/commandline.ts';
import type { Program } from '../support/programs.ts';
import { childrenOf, memoryOf, until } from '../support/supervised.ts';

const LINE = `${'x'.repeat(999)}\n`;
const LINES = 256;

const { ryegate } = commandLine({
  // Is answered with what waits for standard error.
  'flood.mjs': `
    const text = ${JSON.stringify(LINE)}.repeat(${LINES} / 16);
    export function app(environ, startResponse) {
      if (environ.PATH_INFO === '/flood') {
        for (let i = 0; i < 16; i++) environ['wsgi.errors'].write(text);
      }
      startResponse('200 OK', [['Content-Type', 'text/plain']]);
      return String(process.stderr.writableLength);
    }
  `,
});

async function ask(url: string, path: string): Promise<number> {
  return Number(await (await fetch(url + path)).text());
}

/** Has it write while nobody reads; gives the most that ever waited. */
async function flood(program: Program, url: string, requests: number): Promise<number> {
  program.child.stderr?.pause();
  let most = 0;
  for (let i = 0; i < requests; i++) most = Math.max(most, await ask(url, '/flood'));
  return most;
}

/** The same by a worker, which itself loses nothing: its supervisor reads all of it. */
async function floodByWorker(program: Program, url: string, requests: number): Promise<void> {
  for (let i = 0; i < requests; i++) {
    await flood(program, url, 1);
    for (let waiting = 1; waiting > 0; ) waiting = await ask(url, '/');
  }
}

function linesIn({ stderr }: Program): number {
  return stderr.split(LINE).length - 1;
}

function lostBy({ stderr }: Program): number {
  const told = [...stderr.matchAll(/^ryegate: (\d+) lines were lost$/gm)];
  return told.reduce((sum, [, lines]) => sum + Number(lines), 0);
}

describe('standard error that nobody reads', () => {
  it('keeps no more than it may; its reader is told what is missing', async () => {
    const program = ryegate(['-q', '-b', '127.0.0.1:0', 'flood.mjs']);
    const url = await program.url();
    const most = await flood(program, url, 40);
    expect(most).toBeGreaterThan(500_000);
    expect(most).toBeLessThanOrEqual(1024 * 1024);
    program.child.stderr?.resume();
    await until(() => lostBy(program) + linesIn(program) === 40 * LINES, 'all is told of');
    expect(lostBy(program)).toBeGreaterThan(0);
    expect(program.stderr.match(/RyegateWarning/g)).toHaveLength(1);
    // It goes on, and can fail again.
    await flood(program, url, 10);
    program.child.stderr?.resume();
    await until(() => lostBy(program) + linesIn(program) === 50 * LINES, 'all is told of');
    expect(await ask(url, '/')).toBe(0);
    expect(await program.stop()).toEqual([0, null]);
  });

  it('does not keep it from ending', async () => {
    const program = ryegate(['-q', '-b', '127.0.0.1:0', 'flood.mjs']);
    await flood(program, await program.url(), 4);
    program.child.kill('SIGTERM');
    await once(program.child, 'exit');
    program.child.stderr?.resume();
    expect(program.child.exitCode).toBe(0);
  });

  it('has what still waits at the end, if it is but slow', async () => {
    const program = ryegate(['-q', '-b', '127.0.0.1:0', 'flood.mjs']);
    const url = await program.url();
    expect(await flood(program, url, 2)).toBeGreaterThan(100_000);
    program.child.kill('SIGTERM');
    // It ends sooner, and waits for a second.
    setTimeout(() => program.child.stderr?.resume(), 100);
    expect(await program.exit).toEqual([0, null]);
    expect(linesIn(program)).toBe(2 * LINES);
  });

  it('keeps no supervisor from passing on what its workers write, in bounded memory', {
    timeout: 60_000,
  }, async () => {
    const program = ryegate(['-q', '-b', '127.0.0.1:0', '--workers', '1', 'flood.mjs']);
    const url = await program.url();
    await program.says(/serves/);
    const pid = program.child.pid as number;
    await floodByWorker(program, url, 50);
    const before = memoryOf(pid);
    await floodByWorker(program, url, 150);
    // 38 MB have come meanwhile.
    expect(memoryOf(pid)).toBeLessThan(before + 20);
    expect(childrenOf(pid).alive).toHaveLength(1);
    program.child.stderr?.resume();
    await until(() => lostBy(program) + linesIn(program) === 200 * LINES, 'all is told of');
    expect(lostBy(program)).toBeGreaterThan(0);
    expect(await program.stop()).toEqual([0, null]);
  });
});
