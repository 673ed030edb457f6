import { setImmediate } from 'node:timers/promises';
import type { HTTPError } from '../../src/http/httperror.ts';
import type { HTTPRequest } from '../../src/http/request.ts';
import {
  type Application,
  type Environ,
  type MakeServerOptions,
  StringErrorStream,
  validator,
  WSGIRequestHandler,
  WSGIServer,
} from '../../src/index.ts';
import type { Protocol } from '../../src/reactor/protocol.ts';
import type { Handling, ServerAddress } from '../../src/socketserver/index.ts';
import { eventually, RawClient } from '../support/rawclient.ts';
import { OTHER_VARIABLES } from './casefile.ts';

/** One request that the application ran. */
export interface Run {
  method: string;
  path: string;
  query: string;
  body: string;
  /** What the client can decide about. */
  environ: Record<string, string>;
  trailers: [name: string, value: string][];
  /** The application waits for the body, or has not got it. */
  reading: boolean;
}

/** One connection: the client's end, and what the server made of what it sent. */
export interface Connection {
  readonly client: RawClient;
  readonly log: ConnectionLog;
}

/** What happens on one connection at the server. */
export class ConnectionLog {
  readonly runs: Run[] = [];
  /** Codes of refusals. */
  readonly refusals: string[] = [];
  /** Bytes that have been taken from the socket. */
  received = 0;
  /** Whether what comes is not looked at any more. */
  over = false;
}

/** Stands before the protocol of a connection and counts what comes through. */
class Meter implements Protocol {
  readonly #protocol: Protocol;
  readonly #log: ConnectionLog;

  constructor(protocol: Protocol, log: ConnectionLog) {
    this.#protocol = protocol;
    this.#log = log;
  }

  dataReceived(bytes: Buffer, start: number, end: number): void {
    this.#log.received += end - start;
    this.#protocol.dataReceived(bytes, start, end);
  }

  eofReceived(): void {
    this.#protocol.eofReceived();
  }

  drained(): void {
    this.#protocol.drained();
  }

  deadlinePassed(): void {
    this.#protocol.deadlinePassed();
  }

  serverClosing(): void {
    this.#protocol.serverClosing();
  }

  endIfIdle(patiently: boolean): boolean {
    return this.#protocol.endIfIdle?.(patiently) ?? false;
  }

  connectionLost(error: Error | null): void {
    this.#log.over = true;
    this.#protocol.connectionLost(error);
  }
}

const LOG = 'test.log';

class CorpusHandler extends WSGIRequestHandler {
  declare readonly server: CorpusServer;
  readonly #log = new ConnectionLog();

  override run(): Handling {
    const handling = super.run();
    const { request } = this;
    request.attach(new Meter(request.protocol as Protocol, this.#log));
    this.server.logs.push(this.#log);
    return handling;
  }

  override refuse(request: HTTPRequest, error: HTTPError): void {
    this.#log.refusals.push(error.code);
    super.refuse(request, error);
  }

  override getEnviron(): Environ {
    return Object.assign(super.getEnviron(), { [LOG]: this.#log });
  }

  override getStderr(): StringErrorStream {
    return this.server.errors;
  }
}

/** Answers with what it was given, as JSON, and notes it. */
const application: Application = (environ, startResponse) => {
  const log = environ[LOG] as ConnectionLog;
  const run = describeRun(environ);
  log.runs.push(run);
  const answer = (): string => {
    startResponse('200 OK', [['Content-Type', 'application/json']]);
    return JSON.stringify(run);
  };
  // At once, so that the body is still to come however the request was split.
  if (run.path === '/unread') return answer();
  const reading = readBody(environ, log, run);
  return (run.path === '/slow' ? slowly(reading) : reading).then(answer);
};

async function readBody(environ: Environ, log: ConnectionLog, run: Run): Promise<void> {
  const input = environ['wsgi.input'];
  run.reading = true;
  try {
    run.body = (await input.read()).toString('latin1');
  } catch (error) {
    log.refusals.push((error as HTTPError).code);
    throw error;
  }
  run.trailers = input.trailers.map(([name, value]) => [name, value]);
  run.reading = false;
}

/** Rounds of Node's loop: several bytes that are sent one by one come meanwhile. */
const SLOWNESS = 30;

/** Settles as `promise` does, some turns of the reactor later. */
async function slowly(promise: Promise<void>): Promise<void> {
  try {
    await promise;
  } finally {
    for (let round = 0; round < SLOWNESS; round++) await setImmediate();
  }
}

function describeRun(environ: Environ): Run {
  const told: Record<string, string> = {};
  for (const [name, value] of Object.entries(environ)) {
    const shown = /^(HTTP|CONTENT)_/.test(name) || OTHER_VARIABLES.includes(name);
    if (shown) told[name] = value as string;
  }
  return {
    method: environ.REQUEST_METHOD,
    path: environ.PATH_INFO,
    query: environ.QUERY_STRING,
    body: '',
    environ: told,
    trailers: [],
    reading: false,
  };
}

/** A serving server and its clients. */
export class CorpusServer extends WSGIServer {
  /** One for each connection, in the order of their coming. */
  readonly logs: ConnectionLog[] = [];
  readonly errors: StringErrorStream = new StringErrorStream();
  /** Of the server itself, not of its clients. */
  readonly failures: string[] = [];
  readonly #clients: RawClient[] = [];

  constructor(address: ServerAddress, options: MakeServerOptions) {
    super(address, CorpusHandler, options);
    this.setApp(validator(application));
  }

  override handleError(_request: unknown, _address: unknown, error: unknown): void {
    this.failures.push(`handleError: ${error}`);
  }

  async connect(): Promise<Connection> {
    const place = this.logs.length;
    const client = await RawClient.connect(this.serverAddress);
    this.#clients.push(client);
    await eventually(() => this.logs.length > place, 'the server has accepted');
    return { client, log: this.logs[place] as ConnectionLog };
  }

  /** Ends all connections. */
  disconnect(): void {
    for (const client of this.#clients.splice(0)) client.reset();
    this.logs.length = 0;
  }
}

/**
 * Sends each connection its piece and waits until the server has taken it, so that what is sent
 * next is received by itself. A server that has ended the connection is not waited for.
 */
export async function sendPieces(
  connections: readonly Connection[],
  pieceFor: (index: number) => Uint8Array | undefined,
): Promise<void> {
  const waiting: [Connection, received: number][] = [];
  for (const [index, connection] of connections.entries()) {
    const piece = pieceFor(index);
    if (piece === undefined || isOver(connection)) continue;
    waiting.push([connection, connection.log.received + piece.length]);
    connection.client.socket.write(piece);
  }
  await eventually(() => {
    for (;;) {
      const last = waiting.at(-1);
      if (last === undefined) return true;
      const [connection, received] = last;
      if (connection.log.received < received && !isOver(connection)) return false;
      waiting.pop();
    }
  }, 'the server has received what was sent');
}

function isOver({ client, log }: Connection): boolean {
  return log.over || client.ending !== null;
}
