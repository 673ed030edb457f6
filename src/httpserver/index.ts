export { BaseHTTPRequestHandler } from './basehttprequesthandler.ts';
export { HTTPServer, type HTTPServerOptions } from './httpserver.ts';
export type { ResponseFile } from './responsefile.ts';
