// A server that serves some clients only: the others are disconnected before anything is read.
import { formatAddress, makeServer, WSGIServer } from 'ryegate';

class GuardedServer extends WSGIServer {
  // Static, so that it is there before the constructor of the base class has returned.
  static admitted = new Set(['127.0.0.1', '::1']);

  /**
   * @param {import('ryegate').StreamSocket} _request
   * @param {import('ryegate').ClientAddress} clientAddress
   */
  verifyRequest(_request, clientAddress) {
    const [host = ''] = clientAddress;
    return GuardedServer.admitted.has(host);
  }
}

/** @type {import('ryegate').Application} */
function app(environ, startResponse) {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return [`welcome, ${environ.REMOTE_ADDR}\n`];
}

const server = makeServer('127.0.0.1', 0, app, { serverClass: GuardedServer });
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.shutdown());
console.log(`http://${formatAddress(server.serverAddress)}/`);
await server.serveForever();
await server.serverClose();
