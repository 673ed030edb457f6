import { afterAll, describe, expect, it } from 'vitest';
import { type Application, WSGIRequestHandler } from '../../src/index.ts';
import { describeBackends } from '../support/backends.ts';
import { exchanges, get, PLAIN, post, request } from '../support/exchange.ts';
import { cleanEnvironment, programStarter, root } from '../support/programs.ts';
import { eventually, RawClient } from '../support/rawclient.ts';
import { dist, requireDist } from '../support/servers.ts';

const unhandled: unknown[] = [];
const note = (error: unknown): number => unhandled.push(error);
process.on('unhandledRejection', note);
afterAll(() => {
  process.off('unhandledRejection', note);
});

const BODY = 'x'.repeat(100);
const CHUNKED = request('POST', '/', ['Transfer-Encoding: chunked']);

/** How far a client gets before it goes. */
const STAGES: [title: string, sent: string][] = [
  ['before it says anything', ''],
  ['within the head', 'GET / HTTP/1.1\r\nHo'],
  ['before the body', post(BODY).slice(0, -100)],
  ['within the body', post(BODY).slice(0, -50)],
  ['within a chunk', `${CHUNKED}a\r\n01234`],
  ['before the last chunk', `${CHUNKED}5\r\n01234\r\n`],
  ['within the trailers', `${CHUNKED}0\r\nX-S`],
  [
    'while it waits for 100 Continue',
    request('POST', '/', ['Expect: 100-continue', 'Content-Length: 4']),
  ],
  ['after its request', get()],
  ['with a second request begun', `${get()}GET /`],
  ['after a request that is refused', 'broken\r\n\r\n'],
];

const LEAVES: [title: string, leave: (client: RawClient) => void][] = [
  ['a reset', (client) => client.reset()],
  ['a close', (client) => client.destroy()],
  ['a FIN', (client) => client.halfClose()],
];

describeBackends('a client that goes away', (selector) => {
  const serve = exchanges();
  const app: Application = async (environ, startResponse) => {
    await environ['wsgi.input'].read();
    startResponse('200 OK', PLAIN);
    return 'hello';
  };

  it.each(
    STAGES.flatMap(([stage, sent]) =>
      LEAVES.map(([how, leave]) => [stage, how, sent, leave] as const),
    ),
  )('%s, by %s, leaves nothing and is no fault', async (_stage, _how, sent, leave) => {
    for (const inputBuffering of ['stream', 'buffer'] as const) {
      let ended = 0;
      const failures: unknown[] = [];
      class Watched extends WSGIRequestHandler {
        override finish(): void {
          ended++;
        }

        override getStderr() {
          return exchange.errors;
        }
      }
      const exchange = serve(app, { selector, inputBuffering, handlerClass: Watched });
      exchange.server.handleError = (_request, _address, error) => failures.push(error);
      const client = await exchange.client();
      if (sent !== '') await exchange.sendApart(client, [sent]);
      leave(client);
      await eventually(() => exchange.server.reactor.sockets.size === 0, 'the connection is over');
      expect([ended, failures, exchange.errors.getValue(), unhandled]).toEqual([1, [], '', []]);
    }
  });
});

/** Serves until its standard input ends. */
const SERVER = `
  const { makeServer } = await import(process.argv[1]);
  const app = (environ, startResponse) => {
    startResponse('200 OK', []);
    return environ['wsgi.input'].read().then(() => 'hello');
  };
  const server = makeServer('127.0.0.1', 0, app);
  process.stdin.on('end', () => server.serverClose()).resume();
  console.log('http://127.0.0.1:' + server.serverPort + '/');
  await server.serveForever();
`;

describe('NODE_DEBUG=ryegate', () => {
  const start = programStarter();

  /** What a server says on standard error when clients have gone in the middle. */
  async function said(debug: string): Promise<string> {
    requireDist();
    const program = start(process.execPath, ['--input-type=module', '--eval', SERVER, dist], {
      cwd: root,
      env: { ...cleanEnvironment(), NODE_DEBUG: debug },
    });
    const { port } = new URL(await program.url('stdout'));
    const address = ['127.0.0.1', Number(port)] as const;
    for (const message of ['GET / HT', post(BODY).slice(0, -1)]) {
      const client = await RawClient.connect([...address]);
      await client.send(message);
      client.reset();
    }
    const last = await RawClient.connect([...address]);
    await last.send(get('/', 'Connection: close'));
    await last.rest();
    last.destroy();
    program.child.stdin?.end();
    expect(await program.exit).toEqual([0, null]);
    return program.stderr;
  }

  it('tells of clients that went away, who otherwise are not spoken of', async () => {
    const told = await said('ryegate');
    expect(told.match(/RYEGATE .*client .*127\.0\.0\.1.* has gone/g)).toHaveLength(2);
    expect(told).toMatch(/has gone \((idle|head|responding)\)/);
    expect(await said('')).toBe('');
  });
});
