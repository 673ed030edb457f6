import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import type { ServerAddress } from '../../src/index.ts';
import { parseResponse } from './rawclient.ts';

/** How long an answer may take, in milliseconds. */
const PATIENCE = 10_000;
/**
 * Milliseconds that a client has for its first request: a server that ends may take a new connection
 * for idle on which nothing has come for 25.
 */
export const LATE = 20;

export interface LoadOptions {
  /** Persistent connections. */
  clients: number;
  /** Requests a second, of all together; a client that waits for its answer sends none. */
  rate: number;
  path?: string;
}

/** What went wrong, and what the connection had been answered before; null for a new one. */
export interface Failure {
  what: string;
  before: string | null;
}

/**
 * Clients that ask again and again over persistent connections. Everything but a complete 200 is a
 * failure: a refused connection, a reset, an end in the middle. A connection whose answer said
 * `Connection: close`, or that the server ended before the client asked, is replaced.
 */
export class Load {
  readonly failures: Failure[] = [];
  /**
   * Requests that met the end of an idle connection on their way, or of a new one when they were
   * late. Nobody can rule that out, so clients ask again (RFC 9112 section 9.3.1), and so do these.
   */
  readonly crossed: Failure[] = [];
  /** Answers by their body. */
  readonly bodies = new Map<string, number>();
  answered = 0;
  /** A server that is told to end refuses connections: then a client is done, without a failure. */
  ending = false;
  readonly #address: ServerAddress;
  readonly #options: Required<LoadOptions>;
  readonly #clients: Promise<void>[];
  #stopped = false;

  constructor(address: ServerAddress, { clients, rate, path = '/' }: LoadOptions) {
    this.#address = address;
    this.#options = { clients, rate, path };
    this.#clients = Array.from({ length: clients }, (_, index) => this.#run(index));
  }

  /** Resolves when so many have been answered, or have failed. */
  async until(count: number): Promise<void> {
    while (this.answered + this.failures.length < count) await sleep(5);
  }

  /** Resolves when the last answer has come. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }

  async #run(index: number): Promise<void> {
    const { clients, rate, path } = this.#options;
    const interval = (1000 * clients) / rate;
    const began = performance.now() + (interval * index) / clients;
    let connection: Connection | null = null;
    for (let round = 0; !this.#stopped; round++) {
      await sleep(Math.max(0, began + round * interval - performance.now()));
      // What the server has told already is heard before more is sent.
      await turn();
      if (this.#stopped) break;
      if (connection?.ended !== false) {
        connection?.close();
        connection = await this.#open();
      }
      if (connection === null && this.ending) break;
      if (connection === null) continue;
      connection = await this.#ask(connection, path);
    }
    connection?.close();
  }

  async #open(): Promise<Connection | null> {
    try {
      return await Connection.open(this.#address);
    } catch (error) {
      const what = `no connection: ${(error as NodeJS.ErrnoException).code}`;
      if (!this.ending) this.failures.push({ what, before: null });
      return null;
    }
  }

  /** The connection, if it can be used again. */
  async #ask(connection: Connection, path: string): Promise<Connection | null> {
    try {
      const { body, last } = await connection.ask(path);
      this.answered += 1;
      this.bodies.set(body, (this.bodies.get(body) ?? 0) + 1);
      if (!last) return connection;
      connection.close();
      return null;
    } catch (error) {
      connection.close();
      const failure = { what: (error as Error).message, before: connection.before };
      const isCrossed = connection.endedIdle;
      (isCrossed ? this.crossed : this.failures).push(failure);
      const next = isCrossed ? await this.#open() : null;
      return next && (await this.#ask(next, path));
    }
  }
}

/** One persistent connection, for one request at a time. */
class Connection {
  readonly #socket: Socket;
  /** When it began to connect. */
  readonly #since: number;
  /** Whether the machine has held this process up before the first request. */
  #late = false;
  /** The last answer. */
  before: string | null = null;
  #bytes = Buffer.alloc(0);
  #requests = 0;
  /** How the server has ended it. */
  #end: string | null = null;
  #wake: () => void = () => {};

  constructor(socket: Socket, since: number) {
    this.#socket = socket;
    this.#since = since;
    socket.on('data', (bytes) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes]);
      this.#wake();
    });
    const end = (how: string): void => {
      this.#end ??= how;
      this.#wake();
    };
    socket.on('end', () => end('end'));
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
    socket.on('close', () => end('close'));
  }

  static async open(address: ServerAddress): Promise<Connection> {
    const since = performance.now();
    const socket =
      typeof address === 'string'
        ? connect({ path: address })
        : connect({ host: address[0], port: address[1], noDelay: true });
    await once(socket, 'connect');
    return new Connection(socket, since);
  }

  get ended(): boolean {
    return this.#end !== null;
  }

  /** Whether the server ended it in good order, with nothing of the last answer sent. */
  get endedIdle(): boolean {
    const hasIdled = this.before !== null || this.#late;
    return this.#end === 'end' && this.#bytes.length === 0 && hasIdled;
  }

  close(): void {
    this.#socket.destroy();
  }

  async ask(path: string): Promise<{ body: string; last: boolean }> {
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: load\r\n\r\n`);
    this.#late = this.#requests === 0 && performance.now() - this.#since > LATE;
    this.#requests += 1;
    const deadline = performance.now() + PATIENCE;
    for (;;) {
      const parsed = parseResponse(this.#bytes, 'GET', this.ended);
      if (parsed !== null) {
        const { response, size } = parsed;
        this.#bytes = this.#bytes.subarray(size);
        if (response.status !== 200) throw new Error(`status ${response.status}`);
        const last = response.fields.some(([name, value]) => {
          return name.toLowerCase() === 'connection' && value.toLowerCase() === 'close';
        });
        this.before = response.body.toString();
        return { body: this.before, last };
      }
      if (this.ended) {
        const got = `${this.#bytes.length} bytes of answer ${this.#requests}`;
        throw new Error(`${this.#end} after ${got}`);
      }
      if (performance.now() > deadline) throw new Error(`no answer in ${PATIENCE} ms`);
      await this.#more(deadline);
    }
  }

  #more(deadline: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, deadline - performance.now());
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
