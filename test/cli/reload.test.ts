import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Browser } from '../support/browser.ts';
import { LATE, Load } from '../support/load.ts';
import { cleanEnvironment, main, type Program, programStarter } from '../support/programs.ts';
import { childrenOf, isAlive, until } from '../support/supervised.ts';

const SCREEN = { width: 1000, height: 700 };
const HTML = { accept: 'text/html' };

const run = programStarter();
let folder: string;
const groups: number[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ryegate-reload-'));
  write('app.mjs', serving('one'));
});

afterEach(() => {
  // Workers whose parent a failed test has left.
  for (const pid of groups.splice(0)) {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // All have ended.
    }
  }
  rmSync(folder, { recursive: true, force: true });
});

function write(name: string, text: string): void {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), text);
}

/** As many editors save: beside it, then by a rename. */
function save(name: string, text: string): void {
  write(`.${name}.new`, text);
  renameSync(join(folder, `.${name}.new`), join(folder, name));
}

function serving(text: string): string {
  return `export function app(environ, startResponse) {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return ${JSON.stringify(text)};
}
`;
}

/** In a process group of its own, as a shell has it. */
function start(args: readonly string[] = ['--reload'], env: NodeJS.ProcessEnv = {}): Program {
  const all = [main, '--bind', '127.0.0.1:0', ...args, './app.mjs'];
  const options = { cwd: folder, env: { ...cleanEnvironment(), ...env }, detached: true };
  const program = run(process.execPath, all, options);
  groups.push(program.child.pid as number);
  return program;
}

interface Answer {
  status: number;
  body: string;
}

/**
 * By a new connection. Rejects when that is refused or breaks off; asks again when the server has
 * ended it in good order and the request was late.
 */
function ask(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const since = performance.now();
    let isLate = false;
    const request = get(url, { agent: false, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode as number, body }));
      response.on('error', reject);
    });
    request.on('socket', (socket) => {
      // The request is sent by then.
      socket.on('connect', () => {
        isLate = performance.now() - since > LATE;
      });
    });
    request.on('error', (error) => {
      if (isLate && error.message === 'socket hang up') resolve(ask(url, headers));
      else reject(error);
    });
  });
}

/** Milliseconds until it answers with such a body. */
async function answers(url: string, body: string): Promise<number> {
  const since = performance.now();
  let last = '';
  await until(
    async () => {
      last = (await ask(url)).body;
      return last.includes(body);
    },
    () => `it answers ${body}, not ${last}`,
  );
  return performance.now() - since;
}

/** Until there is one worker, the new one. */
async function alone({ child }: Program): Promise<void> {
  await until(() => childrenOf(child.pid as number).alive.length === 1, 'the old worker has ended');
  // What it has sent is received by then, the ends of its connections too.
  await turn();
}

/** Asks every 10 ms. */
class Poll {
  readonly statuses = new Set<number>();
  readonly failures: unknown[] = [];
  count = 0;
  #timer: NodeJS.Timeout;
  readonly #asked: Promise<void>[] = [];

  constructor(url: string) {
    this.#timer = setInterval(() => this.#asked.push(this.#ask(url)), 10);
  }

  async #ask(url: string): Promise<void> {
    this.count += 1;
    try {
      this.statuses.add((await ask(url)).status);
    } catch (error) {
      this.failures.push(error);
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#asked);
  }
}

describe('while files are edited', () => {
  it('no connection is refused or broken off, and new code is served within a second', async () => {
    const program = start();
    const url = await program.url();
    await answers(url, 'one');
    const { hostname, port } = new URL(url);
    const poll = new Poll(url);
    const load = new Load([hostname, Number(port)], { clients: 4, rate: 100 });
    const times: number[] = [];
    for (const text of ['two', 'three', 'four', 'five']) {
      save('app.mjs', serving(text));
      times.push(await answers(url, text));
      // Connections of before have been told by then.
      await alone(program);
      load.bodies.clear();
      await load.until(load.answered + load.failures.length + 20);
      expect([...load.bodies.keys()]).toEqual([text]);
    }
    await poll.stop();
    await load.stop();
    expect(poll.failures).toEqual([]);
    expect(load.failures).toEqual([]);
    expect([...poll.statuses]).toEqual([200]);
    expect(poll.count).toBeGreaterThan(50);
    // The machine may be busy with something else once.
    expect(Math.min(...times)).toBeLessThan(1000);
  });

  it('a connection that idled meanwhile does not lead to the old code', async () => {
    const program = start();
    const url = await program.url();
    const overOne = async (): Promise<string> => await (await fetch(url)).text();
    expect(await overOne()).toBe('one');
    save('app.mjs', serving('two'));
    await answers(url, 'two');
    // The old worker has a moment for what is on its way.
    await alone(program);
    expect(await overOne()).toBe('two');
  });

  it('all of several workers have the new code', async () => {
    const program = start(['--reload', '--workers', '2', '--access-log', 'requests.txt']);
    const url = await program.url();
    await answers(url, 'one');
    const { alive } = childrenOf(program.child.pid as number);
    expect(alive).toHaveLength(2);
    save('app.mjs', serving('two'));
    // By the answers alone it cannot be told: one of the two may have loaded the new code already.
    await until(() => !alive.some(isAlive), 'both are replaced');
    const asked = await Promise.all(Array.from({ length: 20 }, () => ask(url)));
    expect(new Set(asked.map(({ body }) => body))).toEqual(new Set(['two']));
    expect(readFileSync(join(folder, 'requests.txt'), 'utf8')).toMatch(/"GET \/ HTTP\/1.1" 200 3/);
    expect(program.stderr.match(/changed/g)).toHaveLength(1);
  });

  it('a save during a reload is served as well, in the end', async () => {
    const program = start();
    const url = await program.url();
    await answers(url, 'one');
    for (let round = 0; round < 8; round++) {
      save('app.mjs', serving(`round ${round}`));
      await sleep(60);
    }
    await answers(url, 'round 7');
  });

  it('an application that never comes to the end of its loading is given up by a save', async () => {
    const program = start();
    const url = await program.url();
    await answers(url, 'one');
    save('app.mjs', 'for (;;);');
    await program.says(/app\.mjs changed/);
    await sleep(200);
    expect((await ask(url)).body).toBe('one');
    save('app.mjs', serving('two'));
    await answers(url, 'two');
  });

  it('what the application imports counts, and what is ignored does not', async () => {
    write('app.mjs', `export { app } from './lib/two.mjs';`);
    write('lib/two.mjs', serving('before'));
    const program = start(['--reload', '--reload-ignore', '*.txt']);
    const url = await program.url();
    await answers(url, 'before');
    write('notes.txt', 'x');
    write('node_modules/p/i.js', 'x');
    await sleep(300);
    expect(program.stderr).not.toContain('changed');
    write('lib/two.mjs', serving('after'));
    await answers(url, 'after');
    expect(program.stderr).toContain(
      'ryegate: lib/two.mjs changed: loading the application again\n',
    );
  });
});

describe('an application that does not load', () => {
  const BROKEN = 'export const x = 1;\nexport function app(] {\n';

  it('is shown in the terminal and the browser, and the next save recovers', async () => {
    write('app.mjs', `export { app } from './lib.mjs';`);
    write('lib.mjs', serving('one'));
    const program = start();
    const url = await program.url();
    await answers(url, 'one');
    const poll = new Poll(url);
    save('lib.mjs', BROKEN);
    await program.says(
      /ryegate: SyntaxError: [^\n]+\n\nlib\.mjs:2\n.*\n> +2 \| export function app\(\] \{/s,
    );
    await answers(url, 'SyntaxError');
    const browser = await Browser.launch();
    try {
      await browser.open(url, SCREEN);
      const text = (): Promise<string> => browser.evaluate('document.body.innerText');
      expect(await text()).toMatch(
        /SyntaxError: [\s\S]*lib\.mjs:2[\s\S]*export function app\(\] \{/,
      );
      const { image } = await browser.screenshot();
      const colours = new Set<number>();
      for (let at = 0; at < image.data.length; at += 4) colours.add(image.data.readUInt32BE(at));
      // Text, and the line that is meant on its own ground.
      expect(colours.size).toBeGreaterThan(20);
      expect(await colourOf(browser, 'span.it')).not.toBe(await colourOf(browser, 'span'));
      // It loads itself anew.
      save('lib.mjs', serving('mended'));
      await until(
        async () => (await text().catch(() => '')) === 'mended',
        'the page is mended',
        25,
      );
    } finally {
      await browser.close();
    }
    await poll.stop();
    expect(poll.failures).toEqual([]);
    expect([...poll.statuses].sort()).toEqual([200, 500]);
  }, 60_000);

  it('is shown from the start, and does not end the command', async () => {
    write('app.mjs', BROKEN);
    const program = start();
    const url = await program.url();
    const { status, body } = await ask(url);
    expect(status).toBe(500);
    expect(body).toMatch(/^SyntaxError: .*\n\napp\.mjs:2\n/);
    save('app.mjs', serving('mended'));
    await answers(url, 'mended');
  });

  it.each([
    ['throws', `throw new TypeError('at load <1>');`, 'TypeError: at load <1>'],
    ['imports what is not there', `import './none.mjs';`, 'Cannot find module'],
    ['exports nothing', 'export const x = 1;', 'it exports no function app or default'],
    [
      'rejects beside',
      `Promise.reject(new Error('beside')); ${serving('x')}`,
      'crashed: Error: beside',
    ],
    ['imports broken CommonJS', `import './b.cjs';`, 'SyntaxError'],
  ])('when it %s', async (_, source, message) => {
    write('b.cjs', 'const a = {;');
    write('app.mjs', source);
    const program = start();
    const url = await program.url();
    await answers(url, message);
    const { status, body } = await ask(url, HTML);
    expect(status).toBe(500);
    expect(body).toContain(message.replaceAll('<', '&lt;').replaceAll('>', '&gt;'));
    await until(() => program.stderr.includes(message), 'the terminal shows it');
    save('app.mjs', serving('mended'));
    await answers(url, 'mended');
  });

  it('as it ends its process is tried again, and mended by a save', async () => {
    write('app.mjs', 'process.exit(7);');
    const program = start();
    const url = await program.url();
    const asked = ask(url);
    await program.says(/ended with status 7; it is replaced in/);
    save('app.mjs', serving('mended'));
    // It has waited.
    expect((await asked).body).toBe('mended');
    await answers(url, 'mended');
    save('app.mjs', 'process.exit(8);');
    await program.says(/ended with status 8 before it served; the next save is tried again/);
    expect((await ask(url)).body).toBe('mended');
    save('app.mjs', serving('again'));
    await answers(url, 'again');
  });

  it('that crashes later is shown until the next save', async () => {
    write('app.mjs', `setTimeout(() => { throw new Error('later'); }, 2000);\n${serving('one')}`);
    const program = start();
    const url = await program.url();
    await answers(url, 'one');
    await answers(url, 'the application crashed: Error: later');
    save('app.mjs', serving('mended'));
    await answers(url, 'mended');
  });
});

async function colourOf(browser: Browser, selector: string): Promise<string> {
  const element = `document.querySelector(${JSON.stringify(selector)})`;
  return await browser.evaluate(`getComputedStyle(${element}).backgroundColor`);
}

describe('an exception of the application', () => {
  const FAILING = `export function app(environ, startResponse) {
  const write = startResponse('200 OK', [['Content-Type', 'text/plain']]);
  if (environ.PATH_INFO === '/begun') write('begun');
  return environ.PATH_INFO === '/async' ? late() : helper(environ.QUERY_STRING);
}
async function late() { throw new RangeError('too late'); }
function helper(text) {
  throw new TypeError('no <' + text + '>');
}
`;

  it.each([[['--development']], [['--reload']]])('is explained with %j', async (args) => {
    write('app.mjs', FAILING);
    const program = start(args);
    const url = await program.url();
    const headers = { ...HTML, cookie: 'session=s3cret', 'x-mine': 'shown' };
    const { status, body } = await ask(`${url}/?b`, headers);
    expect(status).toBe(500);
    expect(body).toContain('<h1><small>GET /?b HTTP/1.1</small>TypeError: no &lt;b&gt;</h1>');
    expect(body).toContain('<h2>app.mjs:8 in helper</h2>');
    expect(body).toContain('<h2>app.mjs:4 in app</h2>');
    expect(body).toMatch(/<span class="it"><i>8<\/i> {2}throw new TypeError/);
    expect(body).toMatch(/<details><summary>\d+ frames of packages, Node and the server/);
    expect(body).toContain('<td>x-mine</td><td>shown</td>');
    expect(body).not.toContain('s3cret');
    expect((await ask(`${url}/async`, HTML)).body).toContain('RangeError: too late');
    const plain = await ask(`${url}/?c`);
    expect(plain.body).toMatch(/^GET \/\?c HTTP\/1\.1\n\nTypeError: no <c>\n {4}at helper/);
    await program.says(/TypeError: no <b>/);
    await expect(ask(`${url}/begun`)).rejects.toThrow();
  });

  it('is nobody else’s business without', async () => {
    write('app.mjs', FAILING);
    const url = await start([]).url();
    const { status, body } = await ask(`${url}/?b`, HTML);
    expect(status).toBe(500);
    expect(body).toBe('A server error occurred. Please contact the administrator.\n');
  });
});

describe('the terminal', () => {
  it('has a line for each request, in colours where they are wanted', async () => {
    write(
      'app.mjs',
      `export const app = (environ, startResponse) => {
        startResponse(environ.PATH_INFO.slice(1), []);
        return '';
      };`,
    );
    const program = start(['--reload'], { FORCE_COLOR: '1' });
    const url = await program.url();
    const colours: [string, string, string][] = [
      ['200%20OK', '200', ''],
      ['304%20Not', '304', '\x1b[36m'],
      ['404%20Not', '404', '\x1b[33m'],
      ['503%20Not', '503', '\x1b[1;31m'],
    ];
    for (const [path, status, colour] of colours) {
      await ask(`${url}/${path}`);
      const [line = ''] = await program.says(new RegExp(`^.*/${path} .*$`, 'm'));
      const text = line.slice(colour.length).replace('\x1b[0m', '');
      expect(line).toBe(colour === '' ? text : `${colour}${text}\x1b[0m`);
      const time = /^\[\d\d\/\w{3}\/\d{4} \d\d:\d\d:\d\d\] /;
      expect(text).toMatch(time);
      expect(text.replace(time, '')).toBe(`"GET /${path} HTTP/1.1" ${status} 0`);
    }
  });

  it('warns of what is not for production, and of others who can connect', async () => {
    const program = start(['--reload', '--bind', '0.0.0.0:0']);
    await program.url();
    expect(program.stderr).toContain('ryegate: warning: this is for development');
    expect(program.stderr).toMatch(/warning: 0\.0\.0\.0:\d+ can be reached by others/);
    expect(program.stderr).not.toMatch(/warning: 127/);
  });

  it('is not watched, when it is a file', async () => {
    const args = [main, '--bind', '127.0.0.1:0', '--reload', './app.mjs'];
    const command = `exec "$0" "$@" 2>output.txt`;
    write('output.txt', '');
    const shell = run('sh', ['-c', command, process.execPath, ...args], { cwd: folder });
    const output = (): string => readFileSync(join(folder, 'output.txt'), 'utf8');
    await until(() => /listening/.test(output()), 'it listens');
    save('app.mjs', serving('two'));
    await until(() => output().includes('changed'), 'it tells of the change');
    // It would tell of its own line next.
    await sleep(1000);
    expect((await shell.stop('SIGINT'))[0]).toBe(0);
    const said = output();
    expect(said.match(/changed/g)).toHaveLength(1);
    expect(said).toContain('app.mjs changed');
  });
});

describe('Ctrl-C', () => {
  it('ends it at once, by one line, however idle its connections are', async () => {
    const program = start();
    const url = await program.url();
    await answers(url, 'one');
    const pid = program.child.pid as number;
    const workers = childrenOf(pid).alive;
    expect(workers).toHaveLength(1);
    // Keeps its connection.
    await (await fetch(url)).text();
    await program.says(/200 3\n.*200 3\n/s);
    const before = program.stderr.length;
    const since = performance.now();
    // As the terminal does it: every process of the group gets it.
    process.kill(-pid, 'SIGINT');
    expect(await program.exit).toEqual([0, null]);
    expect(performance.now() - since).toBeLessThan(8000);
    // It tells of a worker as well that the machine has held up meanwhile.
    const said = program.stderr.slice(before).replace(/^.* did not end in time.*\n/m, '');
    expect(said).toBe('ryegate: stopped\n');
    expect(workers.filter(isAlive)).toEqual([]);
  });

  it('is not needed where the terminal is closed', async () => {
    const program = start();
    await answers(await program.url(), 'one');
    const workers = childrenOf(program.child.pid as number).alive;
    const spawned = 'import pty, sys; pty.spawn(sys.argv[1:])';
    const args = [main, '--bind', '127.0.0.1:0', '--reload', './app.mjs'];
    const options = { cwd: folder, env: cleanEnvironment() };
    const terminal = run('python3', ['-c', spawned, process.execPath, ...args], options);
    await answers(await terminal.url('stdout'), 'one');
    const [pid = 0] = childrenOf(terminal.child.pid as number).alive;
    process.kill(pid, 'SIGHUP');
    await until(() => !isAlive(pid), 'it has ended');
    // Without a terminal it loads the application again.
    program.child.kill('SIGHUP');
    await until(() => !workers.some(isAlive), 'the worker is replaced');
    expect(isAlive(program.child.pid as number)).toBe(true);
  });

  it('ends --development alone as well', async () => {
    const program = start(['--development']);
    const url = await program.url();
    await (await fetch(url)).text();
    const since = performance.now();
    process.kill(-(program.child.pid as number), 'SIGINT');
    expect(await program.exit).toEqual([0, null]);
    expect(performance.now() - since).toBeLessThan(8000);
  });

  it('ends it as well while the application hangs', async () => {
    write('app.mjs', 'for (;;);');
    const program = start();
    await program.url();
    process.kill(-(program.child.pid as number), 'SIGINT');
    expect(await program.exit).toEqual([0, null]);
  });
});

it('an address that is taken is told, with status 1', async () => {
  const first = start();
  const { port } = new URL(await first.url());
  const args = [main, '--reload', '--bind', `127.0.0.1:${port}`, './app.mjs'];
  const second = run(process.execPath, args, { cwd: folder });
  expect((await second.exit)[0]).toBe(1);
  expect(second.stderr).toMatch(/^ryegate: bind failed with EADDRINUSE[^\n]*\n$/);
});
