import { describe, expect, it } from 'vitest';
import {
  type Application,
  BaseHandler,
  type Environ,
  SimpleHandler,
  type StartResponse,
  StringErrorStream,
  util,
  validator,
} from '../../src/index.ts';
import { emptyInput, InputStream } from '../../src/io/inputstream.ts';
import { PLAIN } from '../support/exchange.ts';
import { eventually, field, parseResponse, type RawResponse } from '../support/rawclient.ts';

interface Run {
  /** Everything written to stdout. */
  output: Buffer;
  response: RawResponse;
  errors: string;
  handler: SimpleHandler;
}

function environFor(changes: Partial<Environ> = {}): Environ {
  const environ = { SERVER_PROTOCOL: 'HTTP/1.1', ...changes };
  util.setupTestingDefaults(environ);
  return environ;
}

/** Runs `application` over buffers. */
async function run(
  application: Application,
  changes: Partial<Environ> = {},
  handlerClass: typeof SimpleHandler = SimpleHandler,
): Promise<Run> {
  const written: Uint8Array[] = [];
  const errors = new StringErrorStream();
  const environ = environFor({ ...changes, 'wsgi.errors': errors });
  const stdout = { write: (bytes: Uint8Array) => written.push(Buffer.from(bytes)) };
  const handler = new handlerClass(environ['wsgi.input'], stdout, errors, environ);
  handler.run(validator(application));
  await eventually(() => handler.closed, 'the handler has closed');
  const output = Buffer.concat(written);
  const parsed = parseResponse(output, environ.REQUEST_METHOD, true);
  if (parsed === null) throw new Error(`no whole response: ${output}`);
  return { output, response: parsed.response, errors: errors.getValue(), handler };
}

describe('SimpleHandler over buffers', () => {
  it('answers with what the application returns, and closes', async () => {
    const { response, errors, handler } = await run((environ, startResponse) => {
      startResponse('200 OK', [...PLAIN, ['X-Path', environ.PATH_INFO]]);
      return ['hello ', 'world'];
    });
    expect(response.status).toBe(200);
    expect(field(response, 'X-Path')).toBe('/');
    expect(field(response, 'Server')).toBe('Ryegate');
    expect(field(response, 'Connection')).toBe('close');
    expect(response.chunks).toEqual([6, 5]);
    expect(errors).toBe('');
    expect(handler.response.over).toBe(true);
    expect(handler.status).toBe('200 OK');
  });

  it('speaks as the SERVER_PROTOCOL of the environ has it', async () => {
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return ['hello ', 'world'];
    };
    const { response } = await run(app, { SERVER_PROTOCOL: 'HTTP/1.0' });
    expect(response.framing).toBe('close');
    expect(response.body.toString()).toBe('hello world');
    expect(field(response, 'Connection')).toBe('close');
  });

  it('gives the application its files and flags', async () => {
    const input = new InputStream(null);
    input.push(Buffer.from('the body'));
    input.end();
    const seen: Environ[] = [];
    const app: Application = async (environ, startResponse) => {
      seen.push(environ);
      environ['wsgi.errors'].write('noted\n');
      startResponse('200 OK', PLAIN);
      return environ['wsgi.input'].read();
    };
    const { response, errors } = await run(app, { 'wsgi.input': input });
    expect(response.body.toString()).toBe('the body');
    expect(errors).toBe('noted\n');
    expect(seen[0]).toMatchObject({
      'wsgi.multithread': true,
      'wsgi.multiprocess': false,
      'wsgi.run_once': false,
    });
  });

  it('takes the flags of threads and processes', () => {
    const environ = environFor();
    const stdout = { write: () => true };
    const stderr = new StringErrorStream();
    const handler = new SimpleHandler(emptyInput, stdout, stderr, environ, false, true);
    handler.run(() => 'x');
    expect(handler.environ).toMatchObject({ 'wsgi.multithread': false, 'wsgi.multiprocess': true });
  });

  it('answers HEAD without a body', async () => {
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return 'hello';
    };
    const { output, response } = await run(app, { REQUEST_METHOD: 'HEAD' });
    expect(field(response, 'Content-Length')).toBe('5');
    expect(output.toString().endsWith('\r\n\r\n')).toBe(true);
  });

  it('answers an exception with 500 and logs it', async () => {
    const { response, errors } = await run(() => {
      throw new TypeError('oh no');
    });
    expect(response.status).toBe(500);
    expect(response.body.toString()).toBe(
      'A server error occurred. Please contact the administrator.\n',
    );
    expect(errors).toMatch(/TypeError: oh no\n\s+at /);
  });

  it('logs a result that does not fit its Content-Length', async () => {
    const { response, errors } = await run((_environ, startResponse) => {
      startResponse('200 OK', [...PLAIN, ['Content-Length', '3']]);
      return 'hello';
    });
    expect(response.body.toString()).toBe('hel');
    expect(errors).toMatch(/longer than its Content-Length/);
  });

  it('closes the result, once', async () => {
    let closes = 0;
    const app: Application = (_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return Object.assign(['a', 'b'], {
        close() {
          closes++;
        },
      });
    };
    await run(app);
    expect(closes).toBe(1);
  });
});

describe('what a subclass overrides', () => {
  it('the error page, by its settings', async () => {
    class Handler extends SimpleHandler {
      override errorStatus = '503 Sorry';
      override errorHeaders: [string, string][] = [['Retry-After', '5']];
      override errorBody = 'später';
    }
    const { response } = await run(() => 5 as unknown as string, {}, Handler);
    expect(response.status).toBe(503);
    expect(response.reason).toBe('Sorry');
    expect(field(response, 'Retry-After')).toBe('5');
    expect(response.body.toString()).toBe('später');
  });

  it('the error page, as a whole', async () => {
    class Handler extends SimpleHandler {
      protected override errorOutput(error: unknown): void {
        const page = `failed: ${(error as Error).message}`;
        this.response.start('502 Bad Gateway', PLAIN, page.length);
        this.response.write(page);
        this.response.end();
      }
    }
    const { response } = await run(() => Promise.reject(new Error('why')), {}, Handler);
    expect(response.status).toBe(502);
    expect(response.body.toString()).toBe('failed: why');
  });

  it('an error page that fails itself ends the response, and both are logged', async () => {
    const written: Uint8Array[] = [];
    class Handler extends SimpleHandler {
      protected override errorOutput(): void {
        throw new Error('the page failed');
      }
    }
    const errors = new StringErrorStream();
    const stdout = { write: (bytes: Uint8Array) => written.push(bytes) };
    const handler = new Handler(emptyInput, stdout, errors, environFor());
    handler.run(() => {
      throw new Error('the application failed');
    });
    expect(handler.closed).toBe(true);
    expect(written).toEqual([]);
    expect(errors.getValue()).toContain('the application failed');
    expect(errors.getValue()).toContain('the page failed');
  });

  it('the log', async () => {
    const logged: unknown[] = [];
    class Handler extends SimpleHandler {
      override logException(error: unknown): void {
        logged.push(error);
      }
    }
    const failure = new Error('x');
    const { errors } = await run(() => Promise.reject(failure), {}, Handler);
    expect(logged).toEqual([failure]);
    expect(errors).toBe('');
  });

  it('a log that fails does not keep the answer back', async () => {
    class Handler extends SimpleHandler {
      protected override getStderr(): StringErrorStream {
        throw new Error('no log');
      }
    }
    const errors = new StringErrorStream();
    const handler = new Handler(emptyInput, { write: () => true }, errors, environFor());
    handler.run(() => 'x');
    expect(handler.closed).toBe(true);
    expect(handler.response.status).toBe(500);
  });

  it('the environ and the end', async () => {
    const steps: string[] = [];
    class Handler extends SimpleHandler {
      override setupEnviron(): void {
        super.setupEnviron();
        (this.environ as Environ)['site.name'] = 'mine';
        steps.push('setup');
      }

      override close(): void {
        if (!this.closed) steps.push('close');
        super.close();
      }
    }
    const app: Application = (environ, startResponse) => {
      steps.push('application');
      startResponse('200 OK', PLAIN);
      return String(environ['site.name']);
    };
    const { response } = await run(app, {}, Handler);
    expect(response.body.toString()).toBe('mine');
    expect(steps).toEqual(['setup', 'application', 'close']);
  });

  it('BaseHandler is what it is built on', () => {
    const stderr = new StringErrorStream();
    const handler = new SimpleHandler(emptyInput, { write: () => true }, stderr, environFor());
    expect(handler).toBeInstanceOf(BaseHandler);
  });
});

describe('the environ of a handler', () => {
  it('has what PEP 3333 asks for, whatever addCGIVars() leaves out', () => {
    class Bare extends SimpleHandler {
      protected override addCGIVars(): void {
        this.environ = Object.assign(this.environ ?? {}, {
          REQUEST_METHOD: 'GET',
          SERVER_PROTOCOL: 'HTTP/1.1',
        }) as Environ;
      }
    }
    const stdout = { write: () => true };
    const handler = new Bare(emptyInput, stdout, new StringErrorStream(), environFor());
    handler.run((_environ, startResponse) => {
      startResponse('200 OK', PLAIN);
      return 'x';
    });
    expect(handler.environ).toMatchObject({
      'wsgi.version': [1, 0],
      'wsgi.url_scheme': 'http',
      'wsgi.run_once': false,
      'wsgi.input': emptyInput,
    });
  });

  it("is not the caller's own object", () => {
    const environ = Object.freeze(environFor({ 'wsgi.multithread': true }));
    const before = { ...environ };
    const stdout = { write: () => true };
    const input = new InputStream(null);
    const stderr = new StringErrorStream();
    const handler = new SimpleHandler(input, stdout, stderr, environ, false, true);
    const seen: Environ[] = [];
    handler.run((given, startResponse) => {
      seen.push(given);
      given.PATH_INFO = '/changed';
      startResponse('200 OK', PLAIN);
      return 'x';
    });
    expect(stderr.getValue()).toBe('');
    expect(seen[0]).toMatchObject({ PATH_INFO: '/changed', 'wsgi.input': input });
    expect(environ).toEqual(before);
  });
});

describe('what SimpleHandler logs over a file', () => {
  const short: Application = (_environ, startResponse) => {
    startResponse('200 OK', [...PLAIN, ['Content-Length', '5']]);
    return ['abc'];
  };

  it('says that a result is too short, once', () => {
    const errors = new StringErrorStream();
    const environ = environFor({ 'wsgi.errors': errors });
    const handler = new SimpleHandler(emptyInput, { write: () => true }, errors, environ);
    handler.run(short);
    expect(errors.getValue().match(/has 3 of the 5 bytes/g)).toHaveLength(1);
    expect(handler.closed).toBe(true);
  });

  it.each<[string, Application]>([
    [
      'a generator',
      function* (_environ, startResponse) {
        startResponse('200 OK', PLAIN);
        yield 'begun';
        throw new Error('oh no');
      } as Application,
    ],
    [
      'an async generator',
      async function* (_environ: Environ, startResponse: StartResponse) {
        startResponse('200 OK', [['Content-Type', 'text/plain']]);
        yield 'begun';
        throw new Error('oh no');
      } as unknown as Application,
    ],
  ])('says once that %s failed after the head', async (_title, app) => {
    const errors = new StringErrorStream();
    const environ = environFor({ 'wsgi.errors': errors });
    const handler = new SimpleHandler(emptyInput, { write: () => true }, errors, environ);
    handler.run(app);
    await eventually(() => handler.closed, 'the handler has closed');
    expect(errors.getValue().match(/oh no/g)).toHaveLength(1);
  });
});
