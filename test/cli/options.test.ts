import { describe, expect, it } from 'vitest';
import { HELP, parseArguments } from '../../src/cli/options.ts';
import { UsageError } from '../../src/cli/usageerror.ts';

const DEFAULTS = {
  bind: [{ kind: 'inet', host: '127.0.0.1', port: 8000 }],
  selector: 'auto',
  pollInterval: 0.5,
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

describe('HELP', () => {
  it.each([
    '-b, --bind ADDRESS',
    '-s, --selector NAME',
    '--poll-interval SECONDS',
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
