export {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  formatAddress,
  type ServerAddress,
} from '../reactor/address.ts';
export {
  BaseRequestHandler,
  CONTINUES,
  type Handling,
  type RequestHandlerClass,
} from './baserequesthandler.ts';
export { BaseServer, type BaseServerOptions, type ServeOptions } from './baseserver.ts';
export type { SocketWriter } from './socketwriter.ts';
export type { ConnectionStats, ServerStats } from './stats.ts';
export { StreamRequestHandler } from './streamrequesthandler.ts';
export { TCPServer, type TCPServerOptions, UnixStreamServer } from './tcpserver.ts';
