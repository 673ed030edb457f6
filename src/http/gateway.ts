import type { RyegateError } from '../errors.ts';
import type { HTTPError } from './httperror.ts';
import type { HTTPRequest } from './request.ts';

/** What answers the requests of a connection: all that the connection knows of what is behind. */
export interface Gateway {
  /** Answers by `request.response`, now or later; that ends the request. */
  respond(request: HTTPRequest): void;
  /** Answers a request that is refused; its connection closes afterwards. */
  refuse(request: HTTPRequest, error: HTTPError): void;
  /** The client has gone before the request was complete, so that nothing answers it. */
  abandon(request: HTTPRequest): void;
  /** Something to be logged: a fault of the application that was dealt with. */
  fault(error: RyegateError): void;
  /** Something about clients that the operator should know; may come very often. */
  notice(error: RyegateError): void;
  /** The connection is over. The last call. */
  connectionLost(error: Error | null): void;
}
