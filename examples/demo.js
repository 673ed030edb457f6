// The demo application: answers with "Hello world!" and the environ of the request.
import { demoApp, formatAddress, makeServer } from 'ryegate';

const server = makeServer('127.0.0.1', 0, demoApp, { logRequests: true });
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.shutdown());
console.log(`http://${formatAddress(server.serverAddress)}/`);
await server.serveForever();
await server.serverClose();
