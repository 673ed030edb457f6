import { describe, expect, it } from 'vitest';
import { HELP, parseArguments } from '../../src/cli/options.ts';
import { UsageError } from '../../src/cli/usageerror.ts';
import { LIMITS } from '../../src/http/limits.ts';
import { TIMEOUTS } from '../../src/http/timeouts.ts';

const DEFAULTS = {
  bind: [{ kind: 'inet', host: '127.0.0.1', port: 8000 }],
  selector: 'auto',
  pollInterval: 0.5,
  limits: {},
  timeouts: {},
  inputBuffering: 'stream',
  static: [],
  listing: false,
  noSendfile: false,
  quiet: false,
  help: false,
  version: false,
  application: null,
};

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
    [['--timeout', 'head=10'], { timeouts: { head: 10 } }],
    [['--timeout=handler=.5'], { timeouts: { handler: 0.5 } }],
    [['--timeout', 'keepAlive=Infinity'], { timeouts: { keepAlive: Infinity } }],
    [['--input-buffering', 'buffer'], { inputBuffering: 'buffer' }],
    [['--input-buffering=stream'], { inputBuffering: 'stream' }],
    [['--static', '/=.'], { static: [{ prefix: '/', folder: '.' }] }],
    [['--static=/a b=./x=y'], { static: [{ prefix: '/a b', folder: './x=y' }] }],
    [['--listing', '--static', '/=.'], { listing: true, static: [{ prefix: '/', folder: '.' }] }],
    [['--no-sendfile', 'app.js'], { noSendfile: true, application: 'app.js' }],
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
    [['--sendfile'], 'unknown option --sendfile; did you mean --no-sendfile?'],
    [['--list'], 'unknown option --list; did you mean --listing?'],
    [['--statics=/=.'], 'did you mean --static?'],
    [['a.js', 'b.js'], 'b.js is one argument too many: the application is a.js'],
  ])('refuses %j', (argv, message) => {
    expect(refusal(argv)).toContain(message);
  });

  it.each(['0', '-1', '0.0', '', 'x', '1s', '1e3', 'NaN', 'Infinity', '0x1', ' 1', '9999999999'])(
    'refuses the poll interval %j',
    (text) => {
      expect(refusal(['--poll-interval', text])).toMatch(
        /^--poll-interval .*: give seconds above 0 and up to 2147483, such as 0\.5$/,
      );
    },
  );
});

describe('a limit or timeout that makes no sense', () => {
  const anyNumber = 'give a whole number of connections from 1, or Infinity for no limit';

  it.each([
    ['connections=0', `The limit connections is 0: ${anyNumber}.`],
    ['connections=-1', `The limit connections is '-1': ${anyNumber}.`],
    ['connections=1.5', `The limit connections is '1.5': ${anyNumber}.`],
    ['connections=1k', `The limit connections is '1k': ${anyNumber}.`],
    ['connections=', `The limit connections is '': ${anyNumber}.`],
    ['connections= 5', `The limit connections is ' 5': ${anyNumber}.`],
    ['connections=0x5', `The limit connections is '0x5': ${anyNumber}.`],
    ['connections=5=5', `The limit connections is '5=5': ${anyNumber}.`],
    ['headerBytes=32m', 'The limit headerBytes is 33554432: give a whole number of bytes from'],
    ['bodyBytes=1kb', `The limit bodyBytes is '1kb': give a whole number of bytes from 0`],
    ['bodyBytes=Infinity', 'The limit bodyBytes is Infinity: give a whole number of bytes'],
    ['underscoreHeaders=1', `give 'drop' or 'refuse'`],
    ['conections=5', `Unknown limit 'conections': use one of ${Object.keys(LIMITS).join(', ')}`],
    ['head=5', `Unknown limit 'head': use one of`],
    ['__proto__=5', `Unknown limit '__proto__': use one of`],
    ['constructor=5k', `Unknown limit 'constructor': use one of`],
  ])('--limit %s', (text, message) => {
    expect(refusal(['--limit', text])).toContain(message);
  });

  it.each([
    ['head=0', 'The timeout head is 0: give a number of seconds from 0.001, or Infinity'],
    ['head=-1', `The timeout head is '-1': give a number of seconds`],
    ['head=1s', `The timeout head is '1s': give a number of seconds`],
    ['head=1e3', `The timeout head is '1e3': give a number of seconds`],
    ['head=', `The timeout head is '': give a number of seconds`],
    ['haed=5', `Unknown timeout 'haed': use one of ${Object.keys(TIMEOUTS).join(', ')}`],
    ['__proto__=5', `Unknown timeout '__proto__': use one of`],
  ])('--timeout %s', (text, message) => {
    expect(refusal(['--timeout', text])).toContain(message);
  });
});

describe('HELP', () => {
  it.each([
    '-b, --bind ADDRESS',
    '-s, --selector NAME',
    '--poll-interval SECONDS',
    '--limit NAME=VALUE',
    '--timeout NAME=SECONDS',
    '--input-buffering MODE',
    '--static PREFIX=DIR',
    '--listing',
    '--no-sendfile',
    '-q, --quiet',
    '-h, --help',
    '-V, --version',
    'MODULE[:EXPORT]',
  ])('names %s', (text) => {
    expect(HELP).toContain(text);
  });

  it('fits a terminal and ends with one line break', () => {
    expect(HELP).toMatch(/[^\n]\n$/);
    expect(HELP.split('\n').filter((line) => line.length > 88)).toEqual([]);
  });
});
