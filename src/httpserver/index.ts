export { BaseHTTPRequestHandler } from './basehttprequesthandler.ts';
export { HTTPServer, type HTTPServerOptions, type HTTPServerStats } from './httpserver.ts';
export type { ResponseFile } from './responsefile.ts';
