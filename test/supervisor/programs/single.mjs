// A server without a supervisor, which drains on SIGTERM.
import { makeServer } from '../../../dist/index.js';
import { app } from './app.mjs';

const server = makeServer('127.0.0.1', 0, app);
process.once('SIGTERM', async () => {
  await server.drain();
  process.exit(0);
});
await server.start();
process.stderr.write(`listening on http://127.0.0.1:${server.serverPort}\n`);
