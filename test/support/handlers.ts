import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach } from 'vitest';
import {
  BaseHTTPRequestHandler,
  HTTPServer,
  type HTTPServerOptions,
  type ServerHandler,
  WSGIRequestHandler,
} from '../../src/index.ts';
import { RawClient, type RawResponse } from './rawclient.ts';

/** A server that keeps what its handlers fail with. */
export class Server extends HTTPServer {
  readonly failures: unknown[] = [];

  override handleError(_request: unknown, _address: unknown, error: unknown): void {
    this.failures.push(error);
  }
}

/** A handler that logs nothing. */
export class Handler extends BaseHTTPRequestHandler {
  override logMessage(_message: string): void {}
}

/** A request handler that has its requests answered by handlers of a class. */
export function answeringBy(handlerClass: typeof ServerHandler): typeof WSGIRequestHandler {
  return class extends WSGIRequestHandler {
    override handleOneRequest(): void {
      const handler = new handlerClass(this, this.httpRequest.response, this.getEnviron());
      handler.run(this.server.getApp());
    }
  };
}

export interface HandlerKeeper {
  /** A serving server. */
  serve(handlerClass: typeof BaseHTTPRequestHandler, options?: HTTPServerOptions): Server;
  connect(server: Server): Promise<RawClient>;
  /** The answer to `message` on a connection of its own. */
  ask(server: Server, message: string, method?: string): Promise<RawResponse>;
}

/** Servers and clients that are closed after each test. */
export function handlerKeeper(): HandlerKeeper {
  const servers: Server[] = [];
  const clients: RawClient[] = [];
  afterEach(async () => {
    for (const client of clients.splice(0)) client.reset();
    await Promise.all(servers.splice(0).map((server) => server.serverClose()));
  });
  const connect = async (server: Server): Promise<RawClient> => {
    const client = await RawClient.connect(server.serverAddress);
    clients.push(client);
    return client;
  };
  return {
    connect,
    serve(handlerClass, options) {
      const server = new Server(['127.0.0.1', 0], handlerClass, options);
      servers.push(server);
      server.serveForever().catch((error) => server.failures.push(error));
      return server;
    },
    async ask(server, message, method) {
      const client = await connect(server);
      await client.send(message);
      return client.response(method);
    },
  };
}

/** Answers GET at once and POST later. */
export class Hello extends Handler {
  doGET(): void {
    const body = Buffer.from(`${this.command} ${this.path} ${this.requestVersion}`);
    this.sendResponse(200);
    this.sendHeader('Content-Type', 'text/plain');
    this.sendHeader('Content-Length', String(body.length));
    this.endHeaders();
    this.wfile.write(body);
  }

  async doPOST(): Promise<void> {
    const body = await this.rfile.read();
    await sleep(1);
    this.sendResponse(201, 'Made');
    this.sendHeader('X-Type', this.headers.get('content-type', 'none'));
    this.endHeaders();
    await this.wfile.write(`${body.length} bytes: `);
    await this.wfile.writelines([body.subarray(0, 2), body.subarray(2)]);
  }
}
