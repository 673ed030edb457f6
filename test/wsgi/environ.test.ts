import { describe, expect, it } from 'vitest';
import { type Application, type Environ, VERSION, WSGIServer } from '../../src/index.ts';
import type { BaseEnviron } from '../../src/wsgi/environ.ts';
import { exchanges, get, get10, PLAIN, request } from '../support/exchange.ts';

const serve = exchanges();

/** The environ that the application gets for `message`. */
async function environOf(
  message: string,
  options: Parameters<typeof serve>[1] = {},
): Promise<Environ> {
  let seen: Environ | undefined;
  const app: Application = (environ, startResponse) => {
    seen = environ;
    startResponse('200 OK', PLAIN);
    return [];
  };
  const response = await serve(app, options).ask(message, message.split(' ')[0]);
  expect(response.status).toBe(200);
  return seen as Environ;
}

describe('the environ as a plain object', () => {
  it('has own enumerable string keys, which can be listed and tested', async () => {
    const environ = await environOf(get('/', 'X-Custom: 1'));
    expect(Object.getPrototypeOf(environ)).toBe(Object.prototype);
    const keys = Object.keys(environ);
    expect(keys).toEqual(expect.arrayContaining(['PATH_INFO', 'HTTP_X_CUSTOM', 'wsgi.input']));
    expect(keys).toContain('ryegate.signal');
    for (const key of keys) {
      expect(key in environ).toBe(true);
      expect(Object.hasOwn(environ, key)).toBe(true);
    }
    const listed: string[] = [];
    for (const key in environ) listed.push(key);
    expect(listed).toEqual(keys);
    expect('HTTP_X_OTHER' in environ).toBe(false);
    expect(environ.HTTP_X_OTHER).toBeUndefined();
  });

  it('can be assigned, added to and deleted from', async () => {
    const environ = await environOf(get());
    environ.SCRIPT_NAME = '/app';
    environ['myapp.user'] = { name: 'x' };
    delete environ.HTTP_HOST;
    expect(environ.SCRIPT_NAME).toBe('/app');
    expect(environ['myapp.user']).toEqual({ name: 'x' });
    expect('HTTP_HOST' in environ).toBe(false);
    const own = new AbortController().signal;
    environ['ryegate.signal'] = own;
    expect(environ['ryegate.signal']).toBe(own);
    expect(Object.keys(environ).filter((key) => key === 'ryegate.signal')).toHaveLength(1);
  });

  it.each([
    [false, false],
    [true, true],
    [undefined, true],
  ])('has the signal where `usesSignal` is %s: %s', async (usesSignal, expected) => {
    let has: boolean | undefined;
    const app: Application = (environ, startResponse) => {
      has = 'ryegate.signal' in environ;
      startResponse('200 OK', PLAIN);
      return [];
    };
    app.usesSignal = usesSignal;
    // The validator is an application of its own, which uses it.
    await serve(app, { validate: false }).ask(get());
    expect(has).toBe(expected);
  });

  it('survives a spread, with the signal', async () => {
    const environ = await environOf(get('/path'));
    const copy: Environ = { ...environ, SCRIPT_NAME: '/mounted' };
    expect(copy.PATH_INFO).toBe('/path');
    expect(copy['ryegate.signal']).toBeInstanceOf(AbortSignal);
    expect(copy['ryegate.signal']).toBe(environ['ryegate.signal']);
    expect(Object.assign({}, environ)['ryegate.signal']).toBe(environ['ryegate.signal']);
    const derived = Object.create(environ) as Environ;
    expect(derived['ryegate.signal']).toBe(environ['ryegate.signal']);
    expect(environ.SCRIPT_NAME).toBe('');
  });

  it('has its strings in JSON', async () => {
    const environ = await environOf(get('/path?q', 'X-Custom: 1'));
    const parsed = JSON.parse(JSON.stringify(environ));
    expect(parsed).toMatchObject({ PATH_INFO: '/path', QUERY_STRING: 'q', HTTP_X_CUSTOM: '1' });
  });

  it('is a new one for each request', async () => {
    const seen: Environ[] = [];
    const app: Application = (environ, startResponse) => {
      expect(environ['test.mark']).toBeUndefined();
      environ['test.mark'] = true;
      seen.push(environ);
      startResponse('200 OK', PLAIN);
      return [];
    };
    const client = await serve(app).client();
    await client.send(get() + get());
    expect((await client.response()).status).toBe(200);
    expect((await client.response()).status).toBe(200);
    expect(seen[0]).not.toBe(seen[1]);
  });
});

describe('the keys of PEP 3333', () => {
  it('are all there', async () => {
    const exchange = serve((_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return [];
    });
    const port = exchange.server.serverPort;
    const environ = await environOf(
      request('PUT', '/a/b?c=d', ['Content-Type: text/x', 'Content-Length: 2'], 'hi'),
    );
    expect(environ).toMatchObject({
      REQUEST_METHOD: 'PUT',
      SCRIPT_NAME: '',
      PATH_INFO: '/a/b',
      QUERY_STRING: 'c=d',
      REQUEST_URI: '/a/b?c=d',
      CONTENT_TYPE: 'text/x',
      CONTENT_LENGTH: '2',
      SERVER_NAME: '127.0.0.1',
      SERVER_PROTOCOL: 'HTTP/1.1',
      SERVER_SOFTWARE: `ryegate/${VERSION}`,
      GATEWAY_INTERFACE: 'CGI/1.1',
      REMOTE_ADDR: '127.0.0.1',
      HTTP_HOST: 'test',
      'wsgi.version': [1, 0],
      'wsgi.url_scheme': 'http',
      'wsgi.multithread': false,
      'wsgi.multiprocess': false,
      'wsgi.run_once': false,
      'wsgi.input_terminated': true,
    });
    expect(environ.SERVER_PORT).toMatch(/^\d+$/);
    expect(environ.REMOTE_PORT).toMatch(/^\d+$/);
    expect(environ.SERVER_PORT).not.toBe(String(port));
    expect(environ.HTTP_CONTENT_TYPE).toBeUndefined();
    expect(environ.HTTP_CONTENT_LENGTH).toBeUndefined();
    for (const method of ['read', 'readline', 'readlines'] as const) {
      expect(environ['wsgi.input'][method]).toBeTypeOf('function');
    }
    for (const method of ['write', 'writelines', 'flush'] as const) {
      expect(environ['wsgi.errors'][method]).toBeTypeOf('function');
    }
  });

  it('that are strings are strings, and nothing else is there', async () => {
    const environ = await environOf(get());
    for (const [key, value] of Object.entries(environ)) {
      if (!key.includes('.')) expect(value, key).toBeTypeOf('string');
    }
    // Nothing of the server's own process.
    expect(Object.keys(environ)).not.toContain('PATH');
    expect(Object.keys(environ)).not.toContain('HOME');
    const known =
      /^(HTTP_|RAW_URI|REQUEST_|SERVER_|REMOTE_|SCRIPT_NAME|PATH_INFO|QUERY_STRING|GATEWAY_)/;
    for (const key of Object.keys(environ)) {
      expect(known.test(key) || /^(wsgi|ryegate)\./.test(key), key).toBe(true);
    }
  });

  it('leave out what the request has not', async () => {
    const environ = await environOf(get10());
    expect(environ.SERVER_PROTOCOL).toBe('HTTP/1.0');
    expect('CONTENT_TYPE' in environ).toBe(false);
    expect('CONTENT_LENGTH' in environ).toBe(false);
  });

  it('come from the server as well, when a subclass adds to them', async () => {
    class Server extends WSGIServer {
      override setupEnviron(): BaseEnviron {
        return { ...super.setupEnviron(), 'site.name': 'example', SERVER_NAME: 'named' };
      }
    }
    const environ = await environOf(get(), { serverClass: Server });
    expect(environ.SERVER_NAME).toBe('named');
    expect(environ['site.name']).toBe('example');
  });
});

describe('the path and the query', () => {
  const TARGETS: [target: string, path: string, query: string][] = [
    ['/', '/', ''],
    ['/?', '/', ''],
    ['/a?b?c', '/a', 'b?c'],
    ['/a%20b', '/a b', ''],
    ['/a%2Fb', '/a/b', ''],
    ['/%C3%A9', '/\u00c3\u00a9', ''],
    ['/%e4%b8%96', '/\u00e4\u00b8\u0096', ''],
    ['/%zz%', '/%zz%', ''],
    ['/%2', '/%2', ''],
    ['/%252F', '/%2F', ''],
    ['/a%3Fb', '/a?b', ''],
    ['/a?x=%20&y=%2F', '/a', 'x=%20&y=%2F'],
    ['/a?é'.replace('é', '%E9'), '/a', '%E9'],
    ['//evil.example/x', '/evil.example/x', ''],
    ['///a//b', '/a//b', ''],
    ['/%2Fevil.example', '/evil.example', ''],
    ['/%2f%2Fevil.example', '/evil.example', ''],
    ['/a/../b/./c', '/a/../b/./c', ''],
    ['/a;p=1', '/a;p=1', ''],
    ['/a+b', '/a+b', ''],
    ['http://test/abs?q', '/abs', 'q'],
    ['http://test', '/', ''],
    ['http://test?q', '/', 'q'],
    ['HTTP://test/x', '/x', ''],
    ['https://test:8443//x', '/x', ''],
  ];

  it.each(TARGETS)('%s', async (target, path, query) => {
    const environ = await environOf(get(target));
    expect(environ.PATH_INFO).toBe(path);
    expect(environ.QUERY_STRING).toBe(query);
    expect(environ.REQUEST_URI).toBe(target);
    expect(environ.SCRIPT_NAME).toBe('');
  });

  it('OPTIONS * has no path', async () => {
    const environ = await environOf(request('OPTIONS', '*'));
    expect(environ.PATH_INFO).toBe('');
    expect(environ.REQUEST_URI).toBe('*');
  });

  it('CONNECT has no path', async () => {
    const environ = await environOf(request('CONNECT', 'example.org:443'));
    expect(environ.PATH_INFO).toBe('');
    expect(environ.REQUEST_URI).toBe('example.org:443');
  });

  it('an absolute target says which host is meant', async () => {
    const environ = await environOf(get('http://other:81/x'));
    expect(environ.HTTP_HOST).toBe('other:81');
  });
});

describe('header fields', () => {
  it('become HTTP_ variables, as bytes', async () => {
    const environ = await environOf(
      get('/', 'X-Custom-Name:  a b \t', 'x-lower: caf\u00e9', 'X-Empty:'),
    );
    expect(environ.HTTP_X_CUSTOM_NAME).toBe('a b');
    expect(environ.HTTP_X_LOWER).toBe('caf\u00e9');
    expect(environ.HTTP_X_EMPTY).toBe('');
  });

  it('that are repeated are joined, cookies by semicolons', async () => {
    const environ = await environOf(
      get('/', 'Accept: a', 'Cookie: x=1', 'accept: b', 'COOKIE: y=2', 'Accept:', 'Cookie: z=3'),
    );
    expect(environ.HTTP_ACCEPT).toBe('a, b, ');
    expect(environ.HTTP_COOKIE).toBe('x=1; y=2; z=3');
  });

  it.each(['Host: other', 'Content-Type: b', 'Authorization: b', 'User-Agent: b', 'Referer: b'])(
    'that may not be repeated are refused: %s',
    async (line) => {
      const name = line.split(':')[0];
      const exchange = serve(() => 'never');
      const response = await exchange.ask(get('/', `${name}: a`, line));
      expect(response.status).toBe(400);
    },
  );

  it('with underscores are dropped', async () => {
    const environ = await environOf(get('/', 'X_Auth_User: evil', 'X-Auth_User: evil', 'X-Ok: 1'));
    expect(environ.HTTP_X_AUTH_USER).toBeUndefined();
    expect(environ.HTTP_X_OK).toBe('1');
  });

  it('with underscores are refused when that is wanted', async () => {
    const exchange = serve(() => 'never', { limits: { underscoreHeaders: 'refuse' } });
    expect((await exchange.ask(get('/', 'X_Auth_User: evil'))).status).toBe(400);
  });

  it('are not renamed by a target in absolute form, whatever their values are', async () => {
    const message =
      'GET http://x_auth_user/ HTTP/1.1\r\nX-First: host\r\nX-Next: 1\r\nHost: b\r\n\r\n';
    const environ = await environOf(message);
    expect(environ.HTTP_X_AUTH_USER).toBeUndefined();
    expect(environ.HTTP_X_FIRST).toBe('host');
    expect(environ.HTTP_X_NEXT).toBe('1');
    expect(environ.HTTP_HOST).toBe('x_auth_user');
  });

  it('of strange but valid names keep apart', async () => {
    const environ = await environOf(
      get('/', '__proto__: x', 'Constructor: y', "X!#$%&'*+.^`|~: z"),
    );
    expect(Object.getPrototypeOf(environ)).toBe(Object.prototype);
    expect(environ.HTTP_CONSTRUCTOR).toBe('y');
    expect(environ["HTTP_X!#$%&'*+.^`|~"]).toBe('z');
  });

  it('about the body of the message are passed on, about its length too', async () => {
    const environ = await environOf(
      request('POST', '/', ['Transfer-Encoding: chunked'], '0\r\n\r\n'),
    );
    expect(environ.CONTENT_LENGTH).toBeUndefined();
    expect(environ.HTTP_TRANSFER_ENCODING).toBe('chunked');
  });
});
