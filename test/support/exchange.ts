import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import {
  type Application,
  type HeaderList,
  type MakeServerOptions,
  StringErrorStream,
  validator,
  WSGIRequestHandler,
  WSGIServer,
} from '../../src/index.ts';
import type { ServerAddress } from '../../src/socketserver/index.ts';
import { eventually, RawClient, type RawResponse } from './rawclient.ts';

export interface ExchangeOptions extends MakeServerOptions {
  /** Default 127.0.0.1 and a port that the system chooses, or a unix socket; see `OVER_UNIX`. */
  address?: ServerAddress;
  /** Whether the application is wrapped by `validator`; false for one that breaks its rules. */
  validate?: boolean;
}

/** Whether this run is over unix sockets: `RYEGATE_TEST_ADDRESS=unix`. */
export const OVER_UNIX: boolean = process.env.RYEGATE_TEST_ADDRESS === 'unix';

/** For tests of resets, which unix sockets do not have. */
export const TCP: ServerAddress = ['127.0.0.1', 0];

/** As it was at first: a test may set another. */
const TEMPORARY: string = tmpdir();
let folder: string | null = null;
let unixSockets = 0;

function defaultAddress(): ServerAddress {
  if (!OVER_UNIX) return TCP;
  folder ??= makeFolder();
  unixSockets += 1;
  return join(folder, `${unixSockets}`);
}

function makeFolder(): string {
  const made = mkdtempSync(join(TEMPORARY, 'ryegate-test-'));
  process.on('exit', () => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** A serving server with raw clients for it. */
export class Exchange {
  readonly server: WSGIServer;
  /** What was written to `wsgi.errors`. */
  readonly errors: StringErrorStream;
  readonly #clients: RawClient[] = [];

  constructor(server: WSGIServer, errors: StringErrorStream) {
    this.server = server;
    this.errors = errors;
  }

  /** A client whose connection the server has accepted. */
  async client(): Promise<RawClient> {
    const { sockets } = this.server.reactor;
    const before = new Set(sockets.values());
    const client = await RawClient.connect(this.server.serverAddress);
    this.#clients.push(client);
    const accepted = (): boolean => [...sockets.values()].some((socket) => !before.has(socket));
    await eventually(accepted, 'the server has accepted');
    return client;
  }

  /** The answer to `request` on a connection of its own. */
  async ask(request: string | Uint8Array, method = 'GET'): Promise<RawResponse> {
    const client = await this.client();
    await client.send(request);
    const response = await client.response(method);
    client.destroy();
    return response;
  }

  /** Sends and waits until the server has had a turn, so that the pieces arrive apart. */
  async sendApart(client: RawClient, pieces: readonly (string | Uint8Array)[]): Promise<void> {
    const { reactor } = this.server;
    for (const piece of pieces) {
      if (piece.length === 0) continue;
      const { turns } = reactor;
      await client.send(piece);
      // A server that has refused already and closed has no more turns.
      const seen = (): boolean => reactor.turns > turns || client.ending !== null;
      await eventually(seen, 'the server has had a turn');
    }
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.reset();
    await this.server.serverClose();
  }
}

/** A function that makes serving servers, closed after each test. */
export function exchanges(): (app: Application, options?: ExchangeOptions) => Exchange {
  const open: Exchange[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((exchange) => exchange.close()));
  });
  return (app, options = {}) => {
    const { address = defaultAddress(), validate = true, ...rest } = options;
    const { serverClass, handlerClass, ...settings } = rest;
    const errors = new StringErrorStream();
    class Handler extends WSGIRequestHandler {
      static {
        // Passes for the class itself, which lets go of its requests.
        Handler.prototype.constructor = WSGIRequestHandler;
      }

      override getStderr(): StringErrorStream {
        return errors;
      }
    }
    const server = new (serverClass ?? WSGIServer)(address, handlerClass ?? Handler, settings);
    server.setApp(validate ? validator(app) : app);
    const exchange = new Exchange(server, errors);
    open.push(exchange);
    server.serveForever().catch((error) => errors.write(`serveForever: ${error}\n`));
    return exchange;
  };
}

export const PLAIN: HeaderList = [['Content-Type', 'text/plain']];

/** Answers with what it was sent, as JSON. */
export const echo: Application = async (environ, startResponse) => {
  const body = await environ['wsgi.input'].read();
  const headers = Object.entries(environ).filter(([key]) => key.startsWith('HTTP_'));
  startResponse('200 OK', [['Content-Type', 'application/json']]);
  return JSON.stringify({
    method: environ.REQUEST_METHOD,
    path: environ.PATH_INFO,
    query: environ.QUERY_STRING,
    type: environ.CONTENT_TYPE,
    length: environ.CONTENT_LENGTH,
    headers,
    body: body.toString('latin1'),
  });
};

/** A request without a body. */
export function get(target = '/', ...fields: string[]): string {
  return request('GET', target, fields);
}

export function request(method: string, target: string, fields: string[] = [], body = ''): string {
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: test', ...fields];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** A request with a body of known length. */
export function post(body: string, ...fields: string[]): string {
  return request('POST', '/', [...fields, `Content-Length: ${body.length}`], body);
}

/** An HTTP/1.0 request. */
export function get10(target = '/', ...fields: string[]): string {
  return get(target, ...fields).replace('HTTP/1.1', 'HTTP/1.0');
}
