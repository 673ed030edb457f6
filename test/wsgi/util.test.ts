import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { StringErrorStream, WritableErrorStream } from '../../src/io/errorstream.ts';
import type { Environ } from '../../src/wsgi/types.ts';
import {
  applicationURI,
  guessScheme,
  isHopByHop,
  requestURI,
  setupTestingDefaults,
  shiftPathInfo,
} from '../../src/wsgi/util.ts';

function makeEnviron(values: Partial<Environ> = {}): Environ {
  const environ: Partial<Environ> = { ...values };
  setupTestingDefaults(environ);
  return environ;
}

describe('isHopByHop', () => {
  it.each([
    'Connection',
    'keep-alive',
    'PROXY-AUTHENTICATE',
    'Proxy-Authorization',
    'TE',
    'Trailers',
    'Transfer-Encoding',
    'Upgrade',
  ])('knows %s', (name) => {
    expect(isHopByHop(name)).toBe(true);
  });

  it.each(['Accept', 'Date', 'Content-Length', '', 'constructor'])('passes %j', (name) => {
    expect(isHopByHop(name)).toBe(false);
  });
});

describe('guessScheme', () => {
  it.each([
    [{}, 'http'],
    [{ HTTPS: 'off' }, 'http'],
    [{ HTTPS: '' }, 'http'],
    [{ HTTPS: '0' }, 'http'],
    [{ HTTPS: 'on' }, 'https'],
    [{ HTTPS: '1' }, 'https'],
    [{ HTTPS: 'yes' }, 'https'],
  ])('%j is %s', (environ, scheme) => {
    expect(guessScheme(environ)).toBe(scheme);
  });
});

describe('applicationURI and requestURI', () => {
  it.each<[Partial<Environ>, string, string]>([
    [{}, 'http://127.0.0.1/', 'http://127.0.0.1/'],
    [{ SCRIPT_NAME: '/foo' }, 'http://127.0.0.1/foo', 'http://127.0.0.1/foo'],
    [{ PATH_INFO: '/foo' }, 'http://127.0.0.1/', 'http://127.0.0.1/foo'],
    [{ SCRIPT_NAME: '/a', PATH_INFO: '/b' }, 'http://127.0.0.1/a', 'http://127.0.0.1/a/b'],
    [{ HTTP_HOST: 'example.com:8080' }, 'http://example.com:8080/', 'http://example.com:8080/'],
    [{ HTTP_HOST: '' }, 'http://127.0.0.1/', 'http://127.0.0.1/'],
    [
      { HTTP_HOST: '', SERVER_NAME: 'host', SERVER_PORT: '8000' },
      'http://host:8000/',
      'http://host:8000/',
    ],
    [
      { HTTP_HOST: '', SERVER_NAME: 'host', 'wsgi.url_scheme': 'https' },
      'https://host/',
      'https://host/',
    ],
    [
      { HTTP_HOST: '', SERVER_PORT: '80', 'wsgi.url_scheme': 'https' },
      'https://127.0.0.1:80/',
      'https://127.0.0.1:80/',
    ],
    [
      { SCRIPT_NAME: '/sp\xe4m', PATH_INFO: '/a b/\xe4;x=1,2~-_.%' },
      'http://127.0.0.1/sp%E4m',
      'http://127.0.0.1/sp%E4m/a%20b/%E4;x=1,2~-_.%25',
    ],
    [{ SCRIPT_NAME: '/a;b' }, 'http://127.0.0.1/a%3Bb', 'http://127.0.0.1/a%3Bb'],
    [{ PATH_INFO: '/\0\x0a\x7f' }, 'http://127.0.0.1/', 'http://127.0.0.1/%00%0A%7F'],
    [{ PATH_INFO: '/x', QUERY_STRING: 'y=1' }, 'http://127.0.0.1/', 'http://127.0.0.1/x?y=1'],
  ])('%j', (values, application, request) => {
    const environ = makeEnviron(values);
    expect(applicationURI(environ)).toBe(application);
    expect(requestURI(environ)).toBe(request);
    expect(requestURI(environ, false)).toBe(request.replace(/\?.*/, ''));
  });

  it('refuse what is no byte', () => {
    const refusal = expect.objectContaining({ code: 'ERR_RYEGATE_ENVIRON' });
    expect(() =>
      applicationURI(makeEnviron({ SCRIPT_NAME: '/a\u010d', REQUEST_URI: '/' })),
    ).toThrow(refusal);
    expect(() => requestURI(makeEnviron({ PATH_INFO: '/a\u010d', REQUEST_URI: '/' }))).toThrow(
      refusal,
    );
  });
});

describe('shiftPathInfo', () => {
  it.each([
    ['', '/', '', '/', ''],
    ['', '/x', 'x', '/x', ''],
    ['/', '', null, '/', ''],
    ['/a', '/x/y', 'x', '/a/x', '/y'],
    ['/a', '/x/', 'x', '/a/x', '/'],
    ['/a/x', '/', '', '/a/x/', ''],
    ['/a', '/x//y', 'x', '/a/x', '/y'],
    ['/a', '//x', 'x', '/a/x', ''],
    ['/a', '///', '', '/a/', ''],
    ['/a', '/./x', 'x', '/a/x', ''],
    ['/a', '/x/./y/.', 'x', '/a/x', '/y/.'],
    ['/a', '/.', null, '/a', ''],
    ['/a/b', '/../x', '..', '/a', '/x'],
    ['', '/..', '..', '', ''],
    ['/', '/x', 'x', '/x', ''],
    ['/a', '', null, '/a', ''],
    ['', '*', null, '', '*'],
  ])('SCRIPT_NAME %j and PATH_INFO %j give %j', (script, path, name, newScript, newPath) => {
    const environ = { SCRIPT_NAME: script, PATH_INFO: path };
    expect(shiftPathInfo(environ)).toBe(name);
    expect(environ).toEqual({ SCRIPT_NAME: newScript, PATH_INFO: newPath });
  });

  it('consumes a path to its end', () => {
    const environ = { SCRIPT_NAME: '', PATH_INFO: '/a/b/c/' };
    const names: (string | null)[] = [];
    for (let step = 0; step < 6; step += 1) {
      names.push(shiftPathInfo(environ));
    }
    expect(names).toEqual(['a', 'b', 'c', '', null, null]);
    expect(environ).toEqual({ SCRIPT_NAME: '/a/b/c/', PATH_INFO: '' });
  });
});

describe('setupTestingDefaults', () => {
  it('gives everything that a request has', async () => {
    const environ = makeEnviron();
    expect(environ).toMatchObject({
      REQUEST_METHOD: 'GET',
      SCRIPT_NAME: '',
      PATH_INFO: '/',
      QUERY_STRING: '',
      REQUEST_URI: '/',
      SERVER_NAME: '127.0.0.1',
      SERVER_PORT: '80',
      SERVER_PROTOCOL: 'HTTP/1.0',
      HTTP_HOST: '127.0.0.1',
      'wsgi.version': [1, 0],
      'wsgi.url_scheme': 'http',
      'wsgi.multithread': false,
      'wsgi.multiprocess': false,
      'wsgi.run_once': false,
    });
    expect((await environ['wsgi.input'].read()).length).toBe(0);
    expect(environ['ryegate.signal'].aborted).toBe(false);
    environ['wsgi.errors'].write('to nowhere');
  });

  it('keeps what is there and derives the rest from it', () => {
    expect(
      makeEnviron({ SERVER_NAME: 'host', HTTPS: 'on', PATH_INFO: '/a b', QUERY_STRING: 'q' }),
    ).toMatchObject({
      HTTP_HOST: 'host',
      SERVER_PORT: '443',
      'wsgi.url_scheme': 'https',
      SCRIPT_NAME: '',
      REQUEST_URI: '/a%20b?q',
    });
    expect(makeEnviron({ SCRIPT_NAME: '/app' })).toMatchObject({ PATH_INFO: '' });
  });

  it('shares no error stream', () => {
    expect(makeEnviron()['wsgi.errors']).not.toBe(makeEnviron()['wsgi.errors']);
  });
});

describe('error streams', () => {
  it('keep text in memory', () => {
    const stream = new StringErrorStream();
    stream.write('a\n');
    stream.writelines(['b\n', 'c\n']);
    stream.flush();
    expect(stream.getValue()).toBe('a\nb\nc\n');
  });

  it('write to a Node stream', () => {
    const written: string[] = [];
    const sink = new Writable({
      decodeStrings: false,
      write(chunk, _encoding, done) {
        written.push(chunk);
        done();
      },
    });
    const stream = new WritableErrorStream(sink);
    stream.write('a\n');
    stream.writelines(new Set(['b\n', 'c\n']));
    stream.flush();
    expect(written).toEqual(['a\n', 'b\n', 'c\n']);
  });

  it('survive a closed pipe and drop what follows', async () => {
    let writes = 0;
    const sink = new Writable({
      write(_chunk, _encoding, done) {
        writes += 1;
        done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
      },
    });
    const stream = new WritableErrorStream(sink);
    const closed = new Promise((resolve) => sink.once('close', resolve));
    stream.write('lost');
    await closed;
    stream.write('dropped');
    stream.writelines(['dropped']);
    await new Promise((resolve) => setImmediate(resolve));
    expect(writes).toBe(1);
  });

  it('survive a stream that was ended', async () => {
    const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
    const stream = new WritableErrorStream(sink);
    sink.end();
    stream.write('late');
    await new Promise((resolve) => setImmediate(resolve));
    expect(sink.errored).toBeNull();
  });

  it('listen to one stream only once', () => {
    const sink = new Writable();
    for (let index = 0; index < 20; index += 1) {
      new WritableErrorStream(sink);
    }
    expect(sink.listenerCount('error')).toBe(1);
  });
});
