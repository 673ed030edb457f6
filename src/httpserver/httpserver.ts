import type { HTTPSettings } from '../http/connection.ts';
import { type PartialLimits, resolveLimits } from '../http/limits.ts';
import { keptFields } from '../http/response.ts';
import { checkSeconds } from '../milliseconds.ts';
import type {
  RequestHandlerClass,
  ServerAddress,
  TCPServerOptions,
} from '../socketserver/index.ts';
import { TCPServer } from '../socketserver/index.ts';
import { VERSION } from '../version.ts';

export interface HTTPServerOptions extends TCPServerOptions {
  /** What is taken from a client before it is refused; see `Limits`. */
  limits?: PartialLimits | undefined;
  /** Seconds that an idle connection is kept. Default 65: longer than load balancers keep it. */
  keepAliveTimeout?: number | undefined;
  /** Seconds that the head of a request may take to arrive. Default 60. */
  headTimeout?: number | undefined;
  /** Whether the handlers' default `logRequest()` writes a line for each request. Default false. */
  logRequests?: boolean | undefined;
}

/**
 * `http.server.HTTPServer`: its handlers find `serverName` and `serverPort`, which come from the
 * address as it is: nothing is looked up in DNS.
 */
export class HTTPServer extends TCPServer {
  readonly httpSettings: HTTPSettings;
  readonly logRequests: boolean;

  constructor(
    serverAddress: ServerAddress,
    requestHandlerClass: RequestHandlerClass,
    options: HTTPServerOptions = {},
  ) {
    // Before anything is opened that would have to be closed again.
    const keepAliveTimeout = checkSeconds('keepAliveTimeout', options.keepAliveTimeout ?? 65);
    const httpSettings: HTTPSettings = {
      limits: resolveLimits(options.limits),
      serverSoftware: `ryegate/${VERSION}`,
      keepAliveTimeout,
      keptFields: keptFields(keepAliveTimeout),
      headTimeout: checkSeconds('headTimeout', options.headTimeout ?? 60),
    };
    super(serverAddress, requestHandlerClass, options);
    this.httpSettings = httpSettings;
    this.logRequests = options.logRequests ?? false;
  }

  get serverName(): string {
    return typeof this.serverAddress === 'string' ? 'localhost' : this.serverAddress[0];
  }

  /** 0 for a unix socket. */
  get serverPort(): number {
    return typeof this.serverAddress === 'string' ? 0 : this.serverAddress[1];
  }
}
