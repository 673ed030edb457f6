import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FETCH_HELP } from '../../src/cli/fetchoptions.ts';
import { commandLine } from '../support/commandline.ts';
import { main, type Program, root } from '../support/programs.ts';

const { folder, start, ryegate } = commandLine({
  'app.mjs': `
    import { createHash } from 'node:crypto';
    import { once } from 'node:events';
    import { FileWrapper, openFile } from '${join(root, 'dist', 'index.js')}';
    const PLAIN = [['Content-Type', 'text/plain']];
    const answers = {
      '/404': (environ, start) => { start('404 Not Found', PLAIN); return 'not there'; },
      '/302': (environ, start) => { start('302 Found', [['Location', '/']]); return ''; },
      '/204': (environ, start) => { start('204 No Content', []); return ''; },
      '/throw': () => { throw new Error('thrown'); },
      '/reject': async () => { throw new Error('rejected'); },
      '/never': () => new Promise(() => {}),
      '/nothing': () => 'no start',
      '/short': (environ, start) => { start('200 OK', [['Content-Length', '9']]); return 'abc'; },
      '/list': (environ, start) => { start('200 OK', PLAIN); return ['a', Buffer.from('b'), 'é']; },
      '/write': (environ, start) => { start('200 OK', PLAIN)('before '); return ['after']; },
      *'/generator'(environ, start) { start('200 OK', PLAIN); yield 'one '; yield 'two'; },
      async *'/broken'(environ, start) {
        start('200 OK', PLAIN);
        yield 'begun';
        throw new Error('broken off');
      },
      async *'/signalled'(environ, start) {
        start('200 OK', PLAIN);
        // Listening for a signal does not keep a process.
        const timer = setTimeout(() => {}, 20_000);
        const signalled = once(process, 'SIGUSR2').then(() => clearTimeout(timer));
        yield 'first\\n';
        await signalled;
        yield 'second\\n';
      },
      *'/endless'(environ, start) {
        start('200 OK', PLAIN);
        try { for (;;) yield 'x'.repeat(65536); } finally { console.error('closed'); }
      },
      async '/file'(environ, start) {
        const file = await openFile('large.bin');
        start('200 OK', PLAIN);
        return new FileWrapper(file);
      },
      async '/digest'(environ, start) {
        const hash = createHash('sha256');
        let size = 0;
        for await (const chunk of environ['wsgi.input']) { hash.update(chunk); size += chunk.length; }
        start('200 OK', PLAIN);
        return size + ' ' + hash.digest('hex');
      },
      '/sync'(environ, start) {
        const body = environ['wsgi.input'].readSync();
        start('200 OK', PLAIN);
        return String(body.length);
      },
      '/too-large': async (environ, start) => { start('200 OK', PLAIN); return ''; },
      '/variable': (environ, start) => { start('200 OK', PLAIN); return process.env.OF_TEST ?? ''; },
    };
    export const app = (environ, start) => {
      const answer = answers[environ.PATH_INFO];
      if (answer !== undefined) return answer(environ, start);
      start('200 OK', PLAIN);
      const { 'ryegate.signal': signal, ...rest } = environ;
      return JSON.stringify({ ...rest, 'wsgi.input': null, 'wsgi.errors': null, aborted: signal.aborted });
    };
    export const other = (environ, start) => { start('200 OK', PLAIN); return 'other'; };`,
  'pub/file.txt': 'a static file',
  'config/ryegate.config.mjs': `export default { application: '../app.mjs:other' };`,
});

async function fetched(...args: string[]): Promise<[status: number | null, body: string]> {
  const program = ryegate(['fetch', ...args]);
  const [status] = await program.exit;
  return [status, program.stdout];
}

async function environOf(...args: string[]): Promise<Record<string, unknown>> {
  const [status, body] = await fetched(...args, 'app.mjs');
  expect(status).toBe(0);
  return JSON.parse(body);
}

describe('ryegate fetch', () => {
  it.each([
    ['/list', 0, 'abé'],
    ['/write', 0, 'before after'],
    ['/generator', 0, 'one two'],
    ['/204', 0, ''],
    ['/404', 22, 'not there'],
    ['/302', 22, ''],
  ])('%s: status %i', async (path, status, body) => {
    const program = ryegate(['fetch', path, 'app.mjs']);
    expect(await program.exit).toEqual([status, null]);
    expect(program.stdout).toBe(body);
    expect(program.stderr).toBe('');
  });

  it.each([
    ['/throw', /^Error: thrown\n {4}at /, /^A server error occurred/],
    ['/reject', /^Error: rejected\n {4}at /, /^A server error occurred/],
    ['/nothing', /ERR_RYEGATE_NO_START_RESPONSE/, /^A server error occurred/],
    ['/broken', /^Error: broken off\n {4}at /, /^begun$/],
    ['/short', /^ERR_RYEGATE_RESULT_TOO_SHORT: /, /^abc$/],
    ['/never', /^ryegate: the application has not answered, and waits for nothing\n$/, /^$/],
  ])('%s: status 1, and why', async (path, stderr, stdout) => {
    const program = ryegate(['fetch', path, 'app.mjs']);
    expect(await program.exit).toEqual([1, null]);
    expect(program.stderr).toMatch(stderr);
    expect(program.stdout).toMatch(stdout);
  });

  it('gives the application the environ of a request', async () => {
    const environ = await environOf('-H', 'X-A: 1', '-H', 'X-A: 2', '/a%20b/ü?q=ä&r#part');
    expect(environ).toMatchObject({
      REQUEST_METHOD: 'GET',
      SCRIPT_NAME: '',
      PATH_INFO: '/a b/\u00c3\u00bc',
      QUERY_STRING: 'q=%C3%A4&r',
      RAW_URI: '/a%20b/%C3%BC?q=%C3%A4&r',
      SERVER_PROTOCOL: 'HTTP/1.1',
      SERVER_NAME: '127.0.0.1',
      SERVER_PORT: '8000',
      REMOTE_ADDR: '127.0.0.1',
      HTTP_HOST: '127.0.0.1:8000',
      HTTP_X_A: '1, 2',
      'wsgi.url_scheme': 'http',
      aborted: false,
    });
  });

  it('has the method, the fields and the address that it is told', async () => {
    const args = ['-X', 'PURGE', '-H', 'Host: x.test', '--bind', '[::1]:9000', '/'];
    expect(await environOf(...args)).toMatchObject({
      REQUEST_METHOD: 'PURGE',
      HTTP_HOST: 'x.test',
      SERVER_NAME: '::1',
      SERVER_PORT: '9000',
    });
    const posted = await environOf('-d', '-a=1', '/');
    expect(posted).toMatchObject({
      REQUEST_METHOD: 'POST',
      CONTENT_TYPE: 'application/x-www-form-urlencoded',
      CONTENT_LENGTH: '4',
    });
    expect(await environOf('-X', 'PUT', '-d', '', '-H', 'content-type: a/b', '/')).toMatchObject({
      REQUEST_METHOD: 'PUT',
      CONTENT_TYPE: 'a/b',
      CONTENT_LENGTH: '0',
    });
  });

  it('-i prints the head as well, for HEAD nothing else', async () => {
    const [status, text] = await fetched('-i', '/list', 'app.mjs');
    expect(status).toBe(0);
    expect(text).toMatch(
      /^HTTP\/1\.1 200 OK\r\nContent-Type: text\/plain\r\nDate: [^\r]+\r\nServer: ryegate\/[\d.]+\r\nConnection: close\r\n\r\nabé$/,
    );
    const [, head] = await fetched('-iX', 'HEAD', '/list', 'app.mjs');
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n$/);
    expect(await fetched('-X', 'HEAD', '/list', 'app.mjs')).toEqual([0, '']);
  });

  it('sends a file, standard input, or neither, as the body', async () => {
    const bytes = Buffer.alloc(3_000_000, 'abc');
    writeFileSync(join(folder, 'body.bin'), bytes);
    const [, ofFile] = await fetched('-d', '@body.bin', '/digest', 'app.mjs');
    expect(ofFile).toMatch(/^3000000 [0-9a-f]{64}$/);
    const program = ryegate(['fetch', '-d', '@-', '/digest', 'app.mjs']);
    program.child.stdin?.end(bytes);
    await program.exit;
    expect(program.stdout).toBe(ofFile);
    writeFileSync(join(folder, 'empty.bin'), '');
    const [, ofNothing] = await fetched('-d', '@empty.bin', '/digest', 'app.mjs');
    expect(ofNothing).toMatch(/^0 e3b0c442/);
  });

  it('lets a body be read synchronously as a server does', async () => {
    writeFileSync(join(folder, 'body.txt'), 'of eight');
    const buffered = ['--input-buffering', 'buffer', '-d', '@body.txt', '/sync', 'app.mjs'];
    expect(await fetched(...buffered)).toEqual([0, '8']);
    expect((await fetched('-d', '@body.txt', '/sync', 'app.mjs'))[0]).toBe(1);
  });

  it('sends large files', async () => {
    writeFileSync(join(folder, 'large.bin'), Buffer.alloc(2_000_000, 'l'));
    const [status, body] = await fetched('/file', 'app.mjs');
    expect([status, body.length]).toEqual([0, 2_000_000]);
  });

  it('prints as it comes', async () => {
    const program = ryegate(['fetch', '/signalled', 'app.mjs']);
    await program.says(/^first\n$/, 'stdout');
    program.child.kill('SIGUSR2');
    expect(await program.exit).toEqual([0, null]);
    expect(program.stdout).toBe('first\nsecond\n');
  });

  it('ends when nobody reads any more, and closes the result', async () => {
    const command = `'${process.execPath}' '${main}' fetch /endless app.mjs | head -c 100000 | wc -c`;
    const program = start('sh', ['-c', command], { cwd: folder });
    expect(await program.exit).toEqual([0, null]);
    expect(program.stdout.trim()).toBe('100000');
    await program.says(/closed/);
  });

  it('asks the folders first, and takes the config module and variables', async () => {
    expect(await fetched('--static', '/=pub', '/file.txt', 'app.mjs')).toEqual([
      0,
      'a static file',
    ]);
    expect(await fetched('--static', '/=pub', '/missing')).toEqual([22, expect.any(String)]);
    expect(await fetched('/', 'app.mjs:other')).toEqual([0, 'other']);
    const config = ['-c', 'config/ryegate.config.mjs', '--chdir', 'config'];
    expect(await fetched(...config, '/')).toEqual([0, 'other']);
    expect(await fetched('-e', 'OF_TEST=variable', '/variable', 'app.mjs')).toEqual([
      0,
      'variable',
    ]);
    expect(await fetched('/')).toEqual([0, expect.stringMatching(/^Hello world!/)]);
  });

  it('helps', async () => {
    expect(await fetched('--help')).toEqual([0, FETCH_HELP]);
    expect(FETCH_HELP.split('\n').filter((line) => line.length > 88)).toEqual([]);
  });
});

/** One line and the status. */
async function fails(program: Program, status: number, message: RegExp): Promise<void> {
  expect(await program.exit).toEqual([status, null]);
  expect(program.stderr).toMatch(/^ryegate: [^\n]+\n$/);
  expect(program.stderr).toMatch(message);
  expect(program.stdout).toBe('');
}

describe('what cannot be fetched', () => {
  it.each([
    [[], 2, /fetch needs the path of a request, such as \/; see ryegate fetch --help/],
    [['x', 'app.mjs'], 2, /x: give a path that begins with \//],
    [['/', 'app.mjs', 'more'], 2, /more is one argument too many: the application is app\.mjs/],
    [['-H', 'no field', '/'], 2, /--header: give a field as 'Name: value'/],
    [['-H', 'A: b\nC: d', '/'], 2, /--header: give a field/],
    [['-X', 'A B', '/'], 2, /--request A B: give a method/],
    [['--methd', '/'], 2, /unknown option --methd; see ryegate fetch --help/],
    [['--workers', 'x', '/'], 2, /--workers x: give a whole number/],
    [['-d', '@missing', '/', 'app.mjs'], 1, /--data @missing: the file cannot be read: ENOENT/],
    [['/', './missing.mjs'], 1, /there is no file .*missing\.mjs/],
    [['-H', 'Host: a', '-H', 'Host: b', '/', 'app.mjs'], 1, /host came twice/],
    [['--limit', 'bodyBytes=2', '-d', 'abc', '/', 'app.mjs'], 1, /larger than|bodyBytes/],
  ])('%j: status %i', async (args, status, message) => {
    await fails(ryegate(['fetch', ...args]), status, message);
  });
});

it('a package called fetch can still be served', async () => {
  mkdirSync(join(folder, 'node_modules', 'fetch'), { recursive: true });
  writeFileSync(join(folder, 'node_modules', 'fetch', 'index.js'), 'exports.app = () => [];');
  const program = ryegate(['--bind', '127.0.0.1:0', 'fetch']);
  expect(await program.url()).toMatch(/^http:/);
});
