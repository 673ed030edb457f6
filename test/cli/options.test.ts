import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { HELP, parseArguments } from '../../src/cli/options.ts';
import { TABLE } from '../../src/cli/table/table.ts';
import { UsageError } from '../../src/cli/usageerror.ts';
import { LIMITS } from '../../src/http/limits.ts';
import { TIMEOUTS } from '../../src/http/timeouts.ts';

const DEFAULTS = {
  bind: [{ kind: 'inet', host: '127.0.0.1', port: 8000 }],
  backlog: 1024,
  reusePort: false,
  socketMode: null,
  selector: 'auto',
  pollInterval: 0.5,
  application: null,
  chdir: null,
  env: {},
  envFile: [],
  static: [],
  listing: false,
  sendfile: true,
  health: false,
  healthPath: '/healthz',
  readyPath: '/readyz',
  limits: {},
  timeouts: {},
  keepAlive: null,
  inputBuffering: 'stream',
  serverHeader: true,
  workers: 0,
  threads: 0,
  threadMode: 'listener',
  workerTimeout: 30,
  gracefulTimeout: 30,
  drainDelay: 0,
  maxRequests: 0,
  maxRequestsJitter: 0,
  maxRss: 0,
  maxAge: 0,
  preload: false,
  nodeOption: [],
  pidFile: null,
  user: null,
  group: null,
  umask: null,
  accessLog: null,
  accessLogFormat: null,
  errorLog: null,
  logLevel: 'info',
  quiet: false,
  reload: false,
  reloadDir: [],
  reloadIgnore: [],
  development: false,
  config: null,
  noConfig: false,
  checkConfig: false,
  printConfig: false,
  help: false,
  version: false,
};

const WORN_OUT = { workers: 1, maxRss: 512 * 1024 ** 2, maxAge: 86_400 };
const WITH_NODE_OPTIONS = { workers: 1, nodeOption: ['--no-opt', '--a=b'] };
const WITH_VARIABLES = { env: { A: '', B: 'x=y' }, envFile: ['f'] };
const LOGGED = { accessLog: '-', accessLogFormat: 'json' };

function refusal(argv: string[]): string {
  try {
    parseArguments(argv);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).code).toBe('ERR_RYEGATE_USAGE');
    expect((error as UsageError).message).not.toContain('\n');
    return (error as UsageError).message;
  }
  return expect.unreachable(`accepted ${argv.join(' ')}`);
}

describe('parseArguments', () => {
  it.each([
    [[], {}],
    [['./app.js:main'], { application: './app.js:main' }],
    [['--', '--odd.js'], { application: '--odd.js' }],
    [['-q', 'app.js'], { quiet: true, application: 'app.js' }],
    [['app.js', '--quiet'], { quiet: true, application: 'app.js' }],
    [['--selector', 'poll'], { selector: 'poll' }],
    [['--selector=kqueue'], { selector: 'kqueue' }],
    [['-s', 'select', '-s', 'epoll'], { selector: 'epoll' }],
    [['-qs', 'select'], { quiet: true, selector: 'select' }],
    [['--poll-interval', '60'], { pollInterval: 60 }],
    [['--poll-interval=.25'], { pollInterval: 0.25 }],
    [['--poll-interval', '1.'], { pollInterval: 1 }],
    [['--limit', 'connections=500'], { limits: { connections: 500 } }],
    [['--limit=bodyBytes=0'], { limits: { bodyBytes: 0 } }],
    [['--limit', 'bodyBytes=1k'], { limits: { bodyBytes: 1024 } }],
    [['--limit', 'bodyBytes=3m'], { limits: { bodyBytes: 3 * 1024 ** 2 } }],
    [['--limit', 'bodyBytes=2g'], { limits: { bodyBytes: 2 * 1024 ** 3 } }],
    [['--limit', 'bodyRate=1k'], { limits: { bodyRate: 1024 } }],
    [['--limit', 'connections=Infinity'], { limits: { connections: Infinity } }],
    [['--limit', 'underscoreHeaders=refuse'], { limits: { underscoreHeaders: 'refuse' } }],
    [['--poll-interval', '500ms'], { pollInterval: 0.5 }],
    [['--poll-interval', '9s'], { pollInterval: 9 }],
    [['--timeout', 'head=10'], { timeouts: { head: 10 } }],
    [['--timeout', 'head=10s'], { timeouts: { head: 10 } }],
    [['--timeout', 'handler=1.5m'], { timeouts: { handler: 90 } }],
    [['--timeout', 'handler=2h'], { timeouts: { handler: 7200 } }],
    [['--timeout', 'handler=1d'], { timeouts: { handler: 86_400 } }],
    [['--timeout', 'linger=250ms'], { timeouts: { linger: 0.25 } }],
    [['--keep-alive', '75s'], { keepAlive: 75 }],
    [['--keep-alive', 'Infinity'], { keepAlive: Infinity }],
    [['-w4', '-t', '1m'], { workers: 4, workerTimeout: 60 }],
    [['-w', 'auto'], { workers: availableParallelism() }],
    [['--threads', '2', '--thread-mode', 'acceptor'], { threads: 2, threadMode: 'acceptor' }],
    [['--threads=2', '-t0'], { threads: 2, workerTimeout: 0 }],
    [
      ['-w1', '--max-requests', '1000', '--max-requests-jitter', '50'],
      { workers: 1, maxRequests: 1000, maxRequestsJitter: 50 },
    ],
    [['-w1', '--max-rss', '512m', '--max-age', '1d'], WORN_OUT],
    [['-w1', '--node-option', '--no-opt', '--node-option=--a=b'], WITH_NODE_OPTIONS],
    [['-u', 'www-data', '-g', '33'], { user: 'www-data', group: '33' }],
    [['-m', '027', '--socket-mode', '0o660'], { umask: 0o27, socketMode: 0o660 }],
    [['-p', 'x.pid', '--chdir', '..'], { pidFile: 'x.pid', chdir: '..' }],
    [['-e', 'A=1', '-e', 'B=x=y', '--env=A=', '--env-file', 'f'], WITH_VARIABLES],
    [['--access-log', '-', '--access-log-format', 'json'], LOGGED],
    [['--access-log-format', '%(h)s, %(s)s'], { accessLogFormat: '%(h)s, %(s)s' }],
    [['--error-log=e', '--log-level', 'debug'], { errorLog: 'e', logLevel: 'debug' }],
    [['--health', '--health-path=/up'], { health: true, healthPath: '/up' }],
    [['--reload', '--reload-dir', 'a', '--reload-dir=b'], { reload: true, reloadDir: ['a', 'b'] }],
    [['--backlog', '64', '--reuse-port'], { backlog: 64, reusePort: true }],
    [['--timeout=handler=.5'], { timeouts: { handler: 0.5 } }],
    [['--timeout', 'keepAlive=Infinity'], { timeouts: { keepAlive: Infinity } }],
    [['--input-buffering', 'buffer'], { inputBuffering: 'buffer' }],
    [['--input-buffering=stream'], { inputBuffering: 'stream' }],
    [['--static', '/=.'], { static: [{ prefix: '/', folder: '.' }] }],
    [['--static=/a b=./x=y'], { static: [{ prefix: '/a b', folder: './x=y' }] }],
    [['--listing', '--static', '/=.'], { listing: true, static: [{ prefix: '/', folder: '.' }] }],
    [['--no-sendfile', 'app.js'], { sendfile: false, application: 'app.js' }],
    [['--no-sendfile', '--sendfile'], { sendfile: true }],
    [['-q', '--no-quiet'], { quiet: false }],
    [['--no-server-header'], { serverHeader: false }],
    [['--no-config', '-c', 'x.js'], { noConfig: true, config: 'x.js' }],
    [['-h'], { help: true }],
    [['--help', '--version'], { help: true, version: true }],
    [['-V'], { version: true }],
  ])('%j', (argv, expected) => {
    expect(parseArguments(argv)).toEqual({ ...DEFAULTS, ...expected });
  });

  it('collects every --bind in order', () => {
    const argv = ['-b', ':80', '--bind', 'unix:@a', '--bind=fd://3', '-b[::1]:0'];
    expect(parseArguments(argv).bind).toEqual([
      { kind: 'inet', host: '', port: 80 },
      { kind: 'unix', path: '\0a' },
      { kind: 'fd', fd: 3 },
      { kind: 'inet', host: '::1', port: 0 },
    ]);
  });

  it('collects every --static in order', () => {
    const argv = ['--static', '/b=two', '--static=/a=one', '--static', '/b=three'];
    expect(parseArguments(argv).static).toEqual([
      { prefix: '/b', folder: 'two' },
      { prefix: '/a', folder: 'one' },
      { prefix: '/b', folder: 'three' },
    ]);
  });

  it('collects every --limit and --timeout; of one name the last counts', () => {
    const limits = ['--limit', 'connections=5', '--limit', 'headerCount=9'];
    const timeouts = ['--timeout', 'head=1', '--timeout', 'body=2', '--timeout', 'head=3'];
    expect(parseArguments([...limits, ...timeouts, '--limit=connections=6'])).toMatchObject({
      limits: { connections: 6, headerCount: 9 },
      timeouts: { head: 3, body: 2 },
    });
  });

  it('leaves its argument as it is', () => {
    const argv = Object.freeze(['-q', 'app.js']);
    parseArguments(argv);
    expect(argv).toEqual(['-q', 'app.js']);
  });

  it.each([
    [['--bin', ':80'], 'unknown option --bin; did you mean --bind? see ryegate --help'],
    [['--blind=:80'], 'unknown option --blind; did you mean --bind? see ryegate --help'],
    [['--poll'], 'unknown option --poll; did you mean --poll-interval? see ryegate --help'],
    [['--pol-intervall=1'], 'did you mean --poll-interval?'],
    [['--selectro', 'poll'], 'did you mean --selector?'],
    [['--verison'], 'did you mean --version?'],
    [['--frobnicate'], 'unknown option --frobnicate; see ryegate --help'],
    [['--__proto__'], 'unknown option --__proto__; see ryegate --help'],
    [['-x'], 'unknown option -x; see ryegate --help'],
    [['-qx'], 'unknown option -x; see ryegate --help'],
    [['-1'], 'unknown option -1; see ryegate --help'],
    [['--bind'], '--bind needs a value; see ryegate --help'],
    [['--bind', '--quiet'], '--bind needs a value; see ryegate --help'],
    [['-s', '-q'], '--selector needs a value; see ryegate --help'],
    [['--bind', 'nonsense'], '--bind nonsense: the port is missing'],
    [['--bind='], '--bind : the port is missing'],
    [['--selector', 'iocp'], '--selector iocp: choose one of auto, epoll, kqueue, poll, select'],
    [['--selector', 'Poll'], 'choose one of auto'],
    [['--quiet=yes'], '--quiet takes no value; leave out =yes'],
    [['--limit'], '--limit needs a value; see ryegate --help'],
    [['--limit', '5'], '--limit 5: write a name, = and a value, such as connections=500'],
    [['--limit', '=5'], '--limit =5: write a name, = and a value, such as connections=500'],
    [['--timeout', 'head'], '--timeout head: write a name, = and a value, such as head=10'],
    [['--input-buffering', 'no'], '--input-buffering no: choose one of stream, buffer'],
    [['--static'], '--static needs a value; see ryegate --help'],
    [['--static', '--listing'], '--static needs a value; see ryegate --help'],
    [
      ['--static', './public'],
      '--static ./public: write a name, = and a value, such as /assets=./public',
    ],
    [['--static', '=./public'], '--static =./public: write a name, = and a value'],
    [['--static', '/assets='], '--static /assets=: name a folder after the ='],
    [['--static', 'assets=.'], "the option prefix is 'assets': give"],
    [['--static', '/a/../b=.'], "the option prefix is '/a/../b': give"],
    [['--static', '/a//b=.'], "the option prefix is '/a//b': give"],
    [['--listing'], '--listing needs a folder to list: give --static PREFIX=DIR as well'],
    [['--listing=yes'], '--listing takes no value; leave out =yes'],
    [['--no-sendfile=1'], '--no-sendfile takes no value; leave out =1'],
    [['--no-sendfil'], 'unknown option --no-sendfil; did you mean --no-sendfile?'],
    [['--bnid', ':80', 'app.js', 'b.js'], 'unknown option --bnid; did you mean --bind?'],
    [['--port', '80'], 'unknown option --port; did you mean --bind?'],
    [['--access-logfile=x'], 'did you mean --access-log?'],
    [['--no-bind'], 'unknown option --no-bind;'],
    [['-w', 'many'], '--workers many: give a whole number of workers from 0 to 1024'],
    [['-w', '1.5'], '--workers 1.5: give a whole number'],
    [['-w', '1025'], 'from 0 to 1024'],
    [['--backlog', '0'], '--backlog 0: give a whole number of connections from 1 to'],
    [['-w1', '--max-rss', '1k'], '--max-rss 1k: give a number of bytes from 1048576'],
    [['-w1', '--max-rss', '1mb'], 'such as 512m, or 0 for no limit'],
    [['-w1', '-t', '5x'], '--worker-timeout 5x: give a duration from 0 to 2147483 seconds'],
    [['-w1', '-t', '25d'], '--worker-timeout 25d: give a duration'],
    [['--drain-delay=-1s'], '--drain-delay -1s: give a duration'],
    [['--timeout', '30'], "such as head=30; a worker's is --worker-timeout 30"],
    [['--keep-alive', '0'], '--keep-alive 0: the timeout keepAlive is 0: give a number of seconds'],
    [['-m', '8'], '--umask 8: give octal permission bits, such as 027'],
    [['-m', '1777'], '--umask 1777: give octal permission bits'],
    [['-u', 'a b'], '--user a b: give the name or number of a user'],
    [['-u', ''], '--user : give the name or number of a user'],
    [['-u', '4294967295'], '--user 4294967295: give the name or number'],
    [['-e', 'A'], '--env: write a name, = and a value, such as TZ=UTC'],
    [['-e', '1A=x'], '--env: give a name of letters, digits and _'],
    [['--access-log-format', 'combind'], 'or write atoms such as %(h)s; did you mean combined?'],
    [['--log-level', 'loud'], 'choose one of debug, info, warning, error, critical'],
    [['--health', '--health-path', 'up'], '--health-path up: give a path that begins with /'],
    [['-w1', '--node-option', 'x'], '--node-option x: give an option of node'],
    [['--pid-file='], '--pid-file : give a file'],
    [['--max-requests', '5'], '--max-requests needs workers to replace: give --workers N as well'],
    [['-w1', '--max-requests-jitter=5'], '--max-requests-jitter needs a number to vary: give'],
    [['--threads', '1', '--poll-interval', '1'], '--poll-interval does not go with --threads'],
    [
      ['--threads=1', '--reuse-port', '-u', '33', '-b', ':80'],
      '--reuse-port does not go with --threads, --user and a port below 1024',
    ],
    [['--thread-mode', 'acceptor'], '--thread-mode needs threads: give --threads N as well'],
    [['--reload-dir', 'x'], '--reload-dir needs the option --reload as well'],
    [['--ready-path', '/x'], '--ready-path needs the option --health as well'],
    [['-t', '5'], '--worker-timeout needs workers: give --workers N or --threads N as well'],
    [['--preload'], '--preload needs workers: give --workers N as well'],
    [['--list'], 'unknown option --list; did you mean --listing?'],
    [['--statics=/=.'], 'did you mean --static?'],
    [['a.js', 'b.js'], 'b.js is one argument too many: the application is a.js'],
  ])('refuses %j', (argv, message) => {
    expect(refusal(argv)).toContain(message);
  });

  it.each([
    '0',
    '-1',
    '0.0',
    '',
    'x',
    '1w',
    '0ms',
    '1 s',
    '1e3',
    'NaN',
    'Infinity',
    '0x1',
    ' 1',
    '9999999999',
  ])('refuses the poll interval %j', (text) => {
    expect(refusal(['--poll-interval', text])).toMatch(
      /^--poll-interval .*: give a duration above 0 and up to 2147483 seconds, such as 500ms$/,
    );
  });
});

describe('a limit or timeout that makes no sense', () => {
  const anyNumber = 'give a whole number of connections from 1, or Infinity for no limit';

  it.each([
    ['connections=0', `the limit connections is 0: ${anyNumber}`],
    ['connections=-1', `the limit connections is '-1': ${anyNumber}`],
    ['connections=1.5', `the limit connections is '1.5': ${anyNumber}`],
    ['connections=1k', `the limit connections is '1k': ${anyNumber}`],
    ['connections=', `the limit connections is '': ${anyNumber}`],
    ['connections= 5', `the limit connections is ' 5': ${anyNumber}`],
    ['connections=0x5', `the limit connections is '0x5': ${anyNumber}`],
    ['connections=5=5', `the limit connections is '5=5': ${anyNumber}`],
    ['headerBytes=32m', 'the limit headerBytes is 33554432: give a whole number of bytes from'],
    ['bodyBytes=1kb', `the limit bodyBytes is '1kb': give a whole number of bytes from 0`],
    ['bodyBytes=Infinity', 'the limit bodyBytes is Infinity: give a whole number of bytes'],
    ['underscoreHeaders=1', `give 'drop' or 'refuse'`],
    ['conections=5', `unknown limit 'conections': use one of ${Object.keys(LIMITS).join(', ')}`],
    ['head=5', `unknown limit 'head': use one of`],
    ['__proto__=5', `unknown limit '__proto__': use one of`],
    ['constructor=5k', `unknown limit 'constructor': use one of`],
  ])('--limit %s', (text, message) => {
    expect(refusal(['--limit', text])).toContain(message);
  });

  it.each([
    ['head=0', 'the timeout head is 0: give a number of seconds from 0.001, or Infinity'],
    ['head=-1', `the timeout head is '-1': give a number of seconds`],
    ['head=1w', `the timeout head is '1w': give a number of seconds`],
    ['head=soon', 'or Infinity for no limit, such as 30s, 5m or 500ms'],
    ['head=1e3', `the timeout head is '1e3': give a number of seconds`],
    ['head=', `the timeout head is '': give a number of seconds`],
    ['haed=5', `unknown timeout 'haed': use one of ${Object.keys(TIMEOUTS).join(', ')}`],
    ['__proto__=5', `unknown timeout '__proto__': use one of`],
  ])('--timeout %s', (text, message) => {
    expect(refusal(['--timeout', text])).toContain(message);
  });
});

describe('HELP', () => {
  it('names every option, with its short form and its value', () => {
    for (const { name, short, metavar, positional, kind } of TABLE.options) {
      if (positional) continue;
      const dashes = kind.standard === 'true' ? '--no-' : '--';
      const begin = short === undefined ? '      ' : `  -${short}, `;
      const value = metavar === undefined ? '' : ` ${metavar}`;
      expect(HELP).toMatch(new RegExp(`^${begin}${dashes}${name}${value}(  |\n)`, 'm'));
    }
  });

  it('says the defaults', () => {
    expect(HELP).toMatch(/-b, --bind ADDRESS .*\(default 127\.0\.0\.1:8000\)\n/);
    expect(HELP).toMatch(/--graceful-timeout TIME [^-]*\(default 30s\)\n/);
  });

  it('fits a terminal and ends with one line break', () => {
    expect(HELP).toMatch(/[^\n]\n$/);
    expect(HELP.split('\n').filter((line) => line.length > 88)).toEqual([]);
  });
});
