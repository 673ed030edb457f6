import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HTTPError, HTTPRequest } from '../../src/index.ts';
import { BaseHTTPRequestHandler, HTTPServer } from '../../src/index.ts';
import { bounded, eventually, parseResponse } from '../support/rawclient.ts';
import { newOutcome, type Outcome, type SeenRequest, type Side } from './outcome.ts';

class RecordingServer extends HTTPServer {
  /** In the order of their connections. */
  handlers: RecordingHandler[] = [];
  readsBodies = true;
}

class RecordingHandler extends BaseHTTPRequestHandler {
  declare readonly server: RecordingServer;
  readonly outcome: Outcome = newOutcome();
  /** Of the requests, and of the one that was refused. */
  readonly methods: string[] = [];

  override setup(): void {
    super.setup();
    this.server.handlers.push(this);
  }

  override handleOneRequest(): void {
    const { httpRequest } = this;
    const { method, target, minor } = httpRequest;
    const seen: SeenRequest = {
      method,
      target,
      version: `1.${minor}`,
      fields: [...httpRequest.fields],
      body: '',
      trailers: [],
      bodyEnd: 'incomplete',
    };
    this.outcome.requests.push(seen);
    this.methods.push(method);
    this.#answer(httpRequest, seen);
  }

  async #answer(request: HTTPRequest, seen: SeenRequest): Promise<void> {
    const { outcome } = this;
    try {
      if (this.server.readsBodies) {
        seen.body = (await request.body.read()).toString('latin1');
      }
      seen.trailers = request.trailers.flat();
      seen.bodyEnd = 'complete';
      this.sendResponse(200);
      this.sendHeader('Content-Length', '0');
      this.endHeaders();
      request.response.end();
      if (!request.response.keepAlive) outcome.ending = 'closed';
    } catch (error) {
      const { code, status } = error as HTTPError;
      if (code !== 'ERR_RYEGATE_CLIENT_GONE') {
        seen.bodyEnd = 'broken';
        outcome.ending = 'refused';
        outcome.code = code;
      }
      this.sendError(status);
    }
  }

  override refuse(request: HTTPRequest, error: HTTPError): void {
    this.outcome.ending = 'refused';
    this.outcome.code = error.code;
    this.methods.push(request.method);
    super.refuse(request, error);
  }
}

class Client {
  readonly socket: Socket;
  readonly #received: Buffer[] = [];

  constructor(path: string) {
    this.socket = connect({ path, allowHalfOpen: true });
    this.socket.on('data', (bytes) => this.#received.push(bytes));
    // What it got before counts.
    this.socket.on('error', () => {});
  }

  /** The statuses of the answers; throws for anything but well-formed ones. */
  statuses(methods: readonly string[]): number[] {
    const statuses: number[] = [];
    let rest = Buffer.concat(this.#received);
    while (rest.length > 0) {
      const finals = statuses.filter((status) => status >= 200).length;
      const parsed = parseResponse(rest, methods[finals] ?? 'GET', true);
      if (parsed === null) throw new Error(`half an answer: ${rest.toString('latin1')}`);
      statuses.push(parsed.response.status);
      rest = rest.subarray(parsed.size);
    }
    return statuses.filter((status) => status >= 200);
  }
}

/** Ryegate's own server, on a unix socket. */
export class RyegateSide implements Side {
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'ryegate-fuzz-'));
  readonly #server: RecordingServer;
  readonly #serving: Promise<void>;
  #clients: Client[] = [];

  /** `readsBodies`: whether the handler does. What it leaves, the connection has to discard. */
  constructor(readsBodies = true) {
    this.#server = new RecordingServer(join(this.#folder, 'socket'), RecordingHandler, {
      // The numbers themselves are compared, not what is too much.
      limits: { bodyBytes: Number.MAX_SAFE_INTEGER },
    });
    this.#server.readsBodies = readsBodies;
    this.#serving = this.#server.serveForever();
  }

  /** Connections are accepted in the order in which they were made. */
  async begin(count: number): Promise<void> {
    const server = this.#server;
    server.handlers = [];
    const path = server.serverAddress as string;
    this.#clients = Array.from({ length: count }, () => new Client(path));
    await eventually(() => server.handlers.length === count, 'the connections are accepted');
  }

  feed(index: number, piece: Buffer): void {
    const { socket } = this.#clients[index] as Client;
    if (!socket.writableEnded && !socket.destroyed) socket.write(piece);
  }

  async finish(): Promise<Outcome[]> {
    const clients = this.#clients;
    const closings = clients.map(({ socket }) => {
      const closed = socket.closed || once(socket, 'close');
      socket.end();
      return closed;
    });
    await bounded(Promise.all(closings), 'the end of all connections');
    return this.#server.handlers.map(({ outcome, methods }, index) => {
      checkAnswers(outcome, (clients[index] as Client).statuses(methods));
      return outcome;
    });
  }

  async close(): Promise<void> {
    await this.#server.serverClose();
    await this.#serving;
    rmSync(this.#folder, { recursive: true });
  }
}

/** One answer for each request, 200 if its body was complete, and one for what is refused. */
function checkAnswers(outcome: Outcome, statuses: readonly number[]): void {
  const { requests, ending } = outcome;
  const refusedHead = ending === 'refused' && requests.at(-1)?.bodyEnd !== 'broken';
  const expected = requests.map(({ bodyEnd }) => bodyEnd === 'complete');
  if (refusedHead) expected.push(false);
  const sound =
    statuses.length === expected.length &&
    statuses.every((status, index) => (status === 200) === expected[index]);
  if (!sound) throw new Error(`the answers ${statuses} belie ${JSON.stringify(outcome)}`);
}
