import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HELP } from '../../src/cli/options.ts';
import { VERSION } from '../../src/version.ts';
import { commandLine, listenerMaker } from '../support/commandline.ts';
import { main, root } from '../support/programs.ts';

/** An application that says `text`. */
function says(text: string): string {
  return `(environ, startResponse) => {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return [${JSON.stringify(text)}];
  }`;
}

const MODULES: Record<string, string> = {
  'app.mjs': `export const app = ${says('app')};\nexport const other = ${says('other')};`,
  'default.mjs': `export default ${says('default')};`,
  'whole.cjs': `module.exports = ${says('whole')};`,
  'named.cjs': `exports.app = ${says('named')};`,
  'node_modules/pkg/package.json': '{ "name": "pkg", "type": "module", "main": "index.js" }',
  'node_modules/pkg/index.js': `export default ${says('package')};\nexport const one = ${says('one')};`,
  'node_modules/@scope/pkg/package.json': '{ "name": "@scope/pkg", "main": "index.js" }',
  'node_modules/@scope/pkg/index.js': `exports.app = ${says('scoped')};`,
  'slow.mjs': `
    export async function app(environ, startResponse) {
      console.log('begun');
      // Only a signal lets it go on, so the answer is never there before the signal.
      await new Promise((resolve) => {
        const later = () => setTimeout(resolve, 50);
        process.once('SIGTERM', later).once('SIGINT', later);
      });
      startResponse('200 OK', [['Content-Type', 'text/plain']]);
      return ['finished'];
    }`,
  'stuck.mjs': `export const app = () => {
      console.log('begun');
      return new Promise(() => {});
    };`,
  'busy.mjs': `setInterval(() => {}, 1000);\nexport const app = ${says('busy')};`,
  'ticking.mjs': `
    import { WSGIServer } from ${JSON.stringify(`${root}/dist/index.js`)};
    WSGIServer.prototype.serviceActions = () => console.log('tick');
    export const app = ${says('ticking')};`,
  'failing.mjs': `export const app = () => { throw new Error('of the application'); };`,
};

const { folder, start, ryegate, serving } = commandLine(MODULES);
const listener = listenerMaker();

async function get(url: string): Promise<string> {
  const response = await fetch(url);
  expect(response.status).toBe(200);
  return await response.text();
}

function curl(...args: string[]): string {
  return execFileSync('curl', ['-sS', '--max-time', '10', ...args], { encoding: 'utf8' });
}

async function connects(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

describe('where it listens', () => {
  it('says one line with the real port and the selector, once it accepts', async () => {
    const program = serving('--quiet');
    const url = await program.url();
    expect(await get(`${url}/x?y=1`)).toMatch(/^Hello world!\n\n[\s\S]*QUERY_STRING = 'y=1'\n/);
    expect(await program.stop()).toEqual([0, null]);
    expect(program.stderr).toMatch(
      /^ryegate: listening on http:\/\/127\.0\.0\.1:[1-9]\d* \((epoll|kqueue|poll|select)\)\n$/,
    );
    expect(program.stdout).toBe('');
  });

  it('says a line for each listener, and serves on all', async () => {
    const path = join(folder, 'several.sock');
    const program = serving('-b', `unix:${path}`, '-b', 'localhost:0', '--quiet', 'app.mjs');
    await program.says(/(listening.*\n){1}.*listening.*\n.*listening.*\n/);
    const lines = program.stderr.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[1]).toBe(
      `ryegate: listening on unix:${path} (${/\((.*)\)/.exec(lines[0] ?? '')?.[1]})`,
    );
    for (const line of [lines[0], lines[2]]) {
      expect(await get(/http:\S+/.exec(line ?? '')?.[0] ?? '')).toBe('app');
    }
    expect(curl('--unix-socket', path, 'http://x/')).toBe('app');
    expect(await program.stop()).toEqual([0, null]);
    expect(existsSync(path)).toBe(false);
  });

  it('takes an abstract unix socket', async () => {
    const name = `ryegate-test-${process.pid}`;
    const program = ryegate(['--bind', `unix:@${name}`, 'app.mjs']);
    await program.says(new RegExp(`listening on unix:@${name} \\(`));
    expect(curl('--abstract-unix-socket', name, 'http://x/')).toBe('app');
  });

  it('takes an IPv6 address in brackets', async (context) => {
    const addresses = Object.values(networkInterfaces()).flat();
    if (!addresses.some((entry) => entry?.address === '::1')) {
      console.warn('this machine has no ::1: not tested');
      context.skip();
    }
    const program = ryegate(['--bind', '[::1]:0', 'app.mjs']);
    const url = await program.url();
    expect(url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    expect(await get(url)).toBe('app');
  });

  it('takes all interfaces', async () => {
    const program = ryegate(['--bind', ':0', 'app.mjs']);
    const { port } = new URL(await program.url());
    expect(await get(`http://127.0.0.1:${port}`)).toBe('app');
    expect(await get(`http://127.0.0.2:${port}`)).toBe('app');
  });

  it('takes an inherited listening socket', async () => {
    const { port, fd, close } = await listener();
    const program = start(process.execPath, [main, '--bind', 'fd://3', 'app.mjs'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe', fd],
    });
    expect(await program.url()).toBe(`http://127.0.0.1:${port}`);
    // The connections are to be the child's.
    close();
    expect(await get(`http://127.0.0.1:${port}`)).toBe('app');
  });
});

describe('options', () => {
  it.each(['epoll', 'poll', 'select'])('--selector %s', async (name) => {
    const program = serving('--selector', name, 'app.mjs');
    await program.says(new RegExp(`\\(${name}\\)\\n`));
    expect(await get(await program.url())).toBe('app');
    expect(await program.stop()).toEqual([0, null]);
  });

  it('--selector kqueue, through the shim', async () => {
    const addon = join(root, 'build-kqueue', 'Release', 'ryegate.node');
    const args = ['--bind', '127.0.0.1:0', '-s', 'kqueue', 'app.mjs'];
    const program = ryegate(args, { RYEGATE_NATIVE: addon });
    await program.says(/\(kqueue\)\n/);
    expect(await get(await program.url())).toBe('app');
  });

  it('--poll-interval: a long one does not delay anything', async () => {
    const program = serving('--poll-interval', '3600', 'app.mjs');
    expect(await get(await program.url())).toBe('app');
    expect(await program.stop()).toEqual([0, null]);
  });

  it.each([[[]], [['--workers', '1']]])(
    '--poll-interval is that of serviceActions: %j',
    async (by) => {
      const program = serving('--poll-interval', '10ms', ...by, 'ticking.mjs');
      // By the default it would take ten seconds.
      await program.says(/(tick\n){20}/, 'stdout', 8000);
      expect(await program.stop()).toEqual([0, null]);
    },
  );

  it('logs a line for each request, and none when --quiet', async () => {
    const loud = serving('app.mjs');
    await get(`${await loud.url()}/a%0Ab?q`);
    await loud.says(
      /\n127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4} \d\d:\d\d:\d\d\] "GET \/a%0Ab\?q HTTP\/1\.1" 200 3\n$/,
    );
    const quiet = serving('--quiet', 'app.mjs');
    await get(await quiet.url());
    await quiet.stop();
    expect(quiet.stderr.split('\n')).toHaveLength(2);
  });

  it('--quiet does not hide what goes wrong', async () => {
    const program = serving('--quiet', 'failing.mjs');
    expect((await fetch(await program.url())).status).toBe(500);
    await program.says(/Error: of the application\n\s+at /);
    expect((await fetch(await program.url())).status).toBe(500);
  });

  it.each(['--help', '-h'])('%s', async (option) => {
    const program = ryegate([option]);
    expect(await program.exit).toEqual([0, null]);
    expect(program.stdout).toBe(HELP);
    expect(program.stderr).toBe('');
  });

  it.each(['--version', '-V'])('%s', async (option) => {
    const program = ryegate([option]);
    expect(await program.exit).toEqual([0, null]);
    expect(program.stdout).toBe(`ryegate ${VERSION}\n`);
  });
});

describe('the application', () => {
  it.each([
    ['./app.mjs', 'app'],
    ['app.mjs', 'app'],
    ['app.mjs:other', 'other'],
    ['./default.mjs', 'default'],
    ['./default.mjs:default', 'default'],
    ['./whole.cjs', 'whole'],
    ['./named.cjs', 'named'],
    ['./named.cjs:app', 'named'],
    ['pkg', 'package'],
    ['pkg:one', 'one'],
    ['@scope/pkg', 'scoped'],
  ])('%s', async (target, expected) => {
    const program = serving(target);
    expect(await get(await program.url())).toBe(expected);
  });

  it('may be named by an absolute path', async () => {
    const program = serving(`${join(folder, 'app.mjs')}:other`);
    expect(await get(await program.url())).toBe('other');
  });

  it('may keep timers: the end comes all the same', async () => {
    const program = serving('busy.mjs');
    expect(await get(await program.url())).toBe('busy');
    expect(await program.stop()).toEqual([0, null]);
  });
});

describe.each(['SIGTERM', 'SIGINT'] as const)('on %s', (signal) => {
  it('ends with status 0 and says nothing', async () => {
    const program = serving();
    await program.url();
    expect(await program.stop(signal)).toEqual([0, null]);
    expect(program.stderr.split('\n')).toHaveLength(2);
  });

  it('finishes the request that is being answered', async () => {
    const program = serving('slow.mjs');
    const answer = get(await program.url());
    await program.says(/begun/, 'stdout');
    program.child.kill(signal);
    expect(await answer).toBe('finished');
    expect(await program.exit).toEqual([0, null]);
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('and %s once more, does not wait', async (second, status) => {
    const program = serving('stuck.mjs');
    const url = await program.url();
    const answer = fetch(url).catch(() => 'broken off');
    await program.says(/begun/, 'stdout');
    program.child.kill(signal);
    // The listener closes at once; that shows that the first signal has been seen.
    await expect.poll(() => connects(url), { timeout: 10_000 }).toBe(false);
    expect(program.ended).toBe(false);
    expect(await program.stop(second)).toEqual([status, null]);
    expect(await answer).toBe('broken off');
  });
});

describe('a closed standard error', () => {
  it('does not end it while it serves', async () => {
    const program = serving('app.mjs');
    const url = await program.url();
    program.child.stderr?.destroy();
    for (let i = 0; i < 5; i += 1) expect(await get(url)).toBe('app');
    expect(await program.stop()).toEqual([0, null]);
  });

  it('does not keep it from starting', async () => {
    const path = join(folder, 'silent.sock');
    const program = ryegate(['--bind', `unix:${path}`, 'app.mjs']);
    program.child.stderr?.destroy();
    await expect.poll(() => existsSync(path), { timeout: 10_000 }).toBe(true);
    expect(curl('--retry', '5', '--retry-connrefused', '--unix-socket', path, 'http://x/')).toBe(
      'app',
    );
    expect(await program.stop()).toEqual([0, null]);
  });
});
