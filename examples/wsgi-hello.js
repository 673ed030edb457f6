// A WSGI application and its server. Run it with `node examples/wsgi-hello.js`, or the application
// alone with `ryegate examples/wsgi-hello.js`.
import { fileURLToPath } from 'node:url';
import { formatAddress, makeServer } from 'ryegate';

/** @type {import('ryegate').Application} */
export function app(environ, startResponse) {
  startResponse('200 OK', [['Content-Type', 'text/plain; charset=utf-8']]);
  return [`Hello from ${environ.PATH_INFO}\n`];
}

async function main() {
  // Port 0 lets the system choose a free one; serverAddress has the real one.
  const server = makeServer('127.0.0.1', 0, app);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.shutdown());
  console.log(`http://${formatAddress(server.serverAddress)}/`);
  await server.serveForever();
  await server.serverClose();
}

// Not when another program imports the application.
if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
