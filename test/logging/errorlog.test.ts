import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import {
  type Application,
  LogFile,
  RyegateError,
  StringErrorStream,
  WSGIRequestHandler,
  WSGIServer,
} from '../../src/index.ts';
import { ErrorLog } from '../../src/logging/outputs.ts';
import { type ExchangeOptions, exchanges, get, PLAIN } from '../support/exchange.ts';
import { logPlace, logWarnings } from '../support/logs.ts';
import { eventually } from '../support/rawclient.ts';
import { expectNoUnhandledRejections } from '../support/unhandled.ts';

const serve = exchanges();
const place = logPlace();
const warnings = logWarnings();
expectNoUnhandledRejections();

const app: Application = (environ, startResponse) => {
  environ['wsgi.errors'].writelines(['one\n', 'two\n']);
  if (environ.PATH_INFO === '/fails') throw new Error('on purpose');
  startResponse('200 OK', PLAIN);
  return 'ok';
};

/** Serves by the class itself: that of the tests has a `wsgi.errors` of its own. */
function start(errorLog: ExchangeOptions['errorLog'], options: ExchangeOptions = {}) {
  return serve(app, { errorLog, handlerClass: WSGIRequestHandler, ...options });
}

const NOTICE = new RyegateError('ERR_RYEGATE_TLS_ON_PLAIN', 'somebody spoke TLS');

describe('the error log of a server', () => {
  it('has what applications write and fail with, notices and faults, in a file', async () => {
    const path = place.path();
    const file = place.keep(new LogFile(path));
    const { server, ask } = await Promise.resolve(start(file)).then((exchange) => ({
      server: exchange.server,
      ask: (path: string) => exchange.ask(get(path)),
    }));
    await ask('/');
    expect((await ask('/fails')).status).toBe(500);
    server.notice(NOTICE);
    server.notice(NOTICE);
    server.handleError({} as never, ['192.0.2.1', 1], new Error('of a handler'));
    await file.flush();
    const log = place.read(path);
    expect(log).toMatch(/^one\ntwo\none\ntwo\nError: on purpose\n {4}at /);
    expect(log.match(/^ryegate: ERR_RYEGATE_TLS_ON_PLAIN: somebody spoke TLS$/gm)).toHaveLength(1);
    expect(log).toMatch(
      /^ryegate: a request from 192\.0\.2\.1 failed: Error: of a handler\n {4}at /m,
    );
  });

  it('has the lines of logRequests', async () => {
    const errors = new StringErrorStream();
    await start(errors, { logRequests: true }).ask(get('/x'));
    await eventually(() => errors.getValue().includes('GET /x'), 'it is logged');
    expect(errors.getValue()).toMatch(
      /^one\ntwo\n127\.0\.0\.1 - - \[.*\] "GET \/x HTTP\/1\.1" 200 2\n$/,
    );
  });

  it('may be a logger, whose error() gets messages without their end', async () => {
    const messages: unknown[] = [];
    const error = (message: unknown): number => messages.push(message);
    await start({ error }).ask(get('/'));
    expect(messages).toEqual(['one', 'two']);
  });

  it('is refused when it cannot be one, before anything is opened', () => {
    for (const errorLog of [null, 'error.log', {}, { error: 1 }]) {
      const make = (): WSGIServer =>
        new WSGIServer(['127.0.0.1', 0], WSGIRequestHandler, { errorLog: errorLog as never });
      expect(make).toThrow(expect.objectContaining({ code: 'ERR_RYEGATE_OPTION' }));
    }
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('no log');
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('no log');
      },
    ],
  ])('that %s is told of by one warning, and harms nobody', async (_how, error) => {
    const exchange = start({ error });
    for (let i = 0; i < 3; i++) expect((await exchange.ask(get('/'))).status).toBe(200);
    expect((await exchange.ask(get('/fails'))).status).toBe(500);
    await eventually(() => warnings.length > 0, 'the warning');
    expect(warnings).toEqual([expect.stringContaining('no log')]);
  });
});

describe('a Node stream as the error log', () => {
  it('may fail: its error event ends nothing, and is told of by one warning', async () => {
    const failing = new Writable({ write: (_chunk, _encoding, done) => done(new Error('broken')) });
    const exchange = start(failing);
    for (let i = 0; i < 3; i++) expect((await exchange.ask(get('/'))).status).toBe(200);
    await eventually(() => warnings.length > 0, 'the warning');
    expect(warnings).toEqual([expect.stringContaining('broken')]);
  });

  it('keeps no more than it may when it takes nothing', () => {
    const stalled = new Writable({ write: () => {} });
    const log = new ErrorLog(stalled, () => false);
    for (let i = 0; i < 100; i++) log.write(`${'x'.repeat(100_000)}\n`);
    expect(stalled.writableLength).toBeGreaterThan(900_000);
    expect(stalled.writableLength).toBeLessThanOrEqual(1024 * 1024);
  });
});

it('an error log has all that wsgi.errors has', () => {
  const texts: string[] = [];
  const log = new ErrorLog({ write: (text) => texts.push(text) }, () => false);
  log.write('a');
  log.writelines(['b\n', 'c']);
  log.flush();
  expect(texts).toEqual(['a', 'b\n', 'c']);
});
