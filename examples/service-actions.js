// Periodic work in the server's own loop, by an override of serviceActions().
import { formatAddress, makeServer, WSGIServer } from 'ryegate';

class CountingServer extends WSGIServer {
  requests = 0;
  #nextReport = 0;

  // Runs after every turn of the loop and at least every poll interval, so it has to be quick.
  serviceActions() {
    const now = performance.now();
    if (now < this.#nextReport) return;
    this.#nextReport = now + 1000;
    console.log(`requests since the last report: ${this.requests}`);
    this.requests = 0;
  }
}

const server = /** @type {CountingServer} */ (
  makeServer('127.0.0.1', 0, app, { serverClass: CountingServer })
);

/** @type {import('ryegate').Application} */
function app(_environ, startResponse) {
  server.requests += 1;
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return ['counted\n'];
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.shutdown());
console.log(`http://${formatAddress(server.serverAddress)}/`);
// The poll interval in seconds.
await server.serveForever(0.25);
await server.serverClose();
