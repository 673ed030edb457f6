import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Duplex } from 'node:stream';
import {
  lowerCaseNames,
  newOutcome,
  type Outcome,
  type SeenRequest,
  type Side,
} from './outcome.ts';

/** What node:http takes for a connection. */
class MemorySocket extends Duplex {
  readonly outcome: Outcome = newOutcome();

  /** What comes after the first end has no meaning. */
  over(ending: Outcome['ending'], code: string): void {
    if (this.outcome.ending !== 'waiting') return;
    this.outcome.ending = ending;
    this.outcome.code = code;
  }

  override _read(): void {}

  override _write(_bytes: Buffer, _encoding: string, done: () => void): void {
    done();
  }

  /** node:http asks sockets for it. */
  setTimeout(): this {
    return this;
  }
}

function see(request: IncomingMessage): SeenRequest {
  const seen: SeenRequest = {
    method: request.method ?? '',
    target: request.url ?? '',
    version: request.httpVersion,
    fields: lowerCaseNames(request.rawHeaders),
    body: '',
    trailers: [],
    bodyEnd: 'incomplete',
  };
  socketOf(request).outcome.requests.push(seen);
  return seen;
}

function socketOf(request: IncomingMessage): MemorySocket {
  return request.socket as Duplex as MemorySocket;
}

function respond(request: IncomingMessage, response: ServerResponse): void {
  const seen = see(request);
  request.on('data', (bytes: Buffer) => {
    seen.body += bytes.toString('latin1');
  });
  request.on('end', () => {
    seen.bodyEnd = 'complete';
    seen.trailers = lowerCaseNames(request.rawTrailers);
    response.end();
    if (!response.shouldKeepAlive) socketOf(request).over('closed', '');
  });
  request.on('error', () => {});
}

/** Node's own server with its strict parser, fed without sockets. */
export class NodeSide implements Side {
  readonly #server: Server;
  #sockets: MemorySocket[] = [];

  constructor() {
    this.#server = createServer({
      insecureHTTPParser: false,
      maxHeaderSize: 128 * 1024,
      keepAliveTimeout: 0,
      // Nor is Host.
      requireHostHeader: false,
    });
    this.#server.on('request', respond);
    // What is to be expected is no matter of the parser.
    this.#server.on('checkExpectation', respond);
    this.#server.on('connect', (request: IncomingMessage) => {
      // The rest of the connection belongs to the tunnel.
      see(request).bodyEnd = 'complete';
      socketOf(request).over('closed', '');
    });
    this.#server.on('clientError', ({ code = '' }: NodeJS.ErrnoException, socket: Duplex) => {
      const ending = code === 'HPE_CLOSED_CONNECTION' ? 'closed' : 'refused';
      (socket as MemorySocket).over(ending, ending === 'closed' ? '' : code);
    });
  }

  async begin(count: number): Promise<void> {
    this.#sockets = Array.from({ length: count }, () => new MemorySocket());
    for (const socket of this.#sockets) this.#server.emit('connection', socket);
  }

  feed(index: number, piece: Buffer): void {
    const socket = this.#sockets[index] as MemorySocket;
    if (socket.outcome.ending === 'waiting') socket.push(piece);
  }

  async finish(): Promise<Outcome[]> {
    const outcomes = this.#sockets.map(({ outcome }) => outcome);
    for (const socket of this.#sockets) socket.destroy();
    for (const { requests, ending } of outcomes) {
      const last = requests.at(-1);
      if (ending === 'refused' && last?.bodyEnd === 'incomplete') last.bodyEnd = 'broken';
    }
    return outcomes;
  }

  async close(): Promise<void> {
    this.#server.close();
  }
}
