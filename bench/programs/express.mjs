// Express: `express.mjs ROOT`.
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';

// A Buffer, as Express adds a charset to the Content-Type of a string.
const HELLO = Buffer.from('Hello, World!');
const PIECE = 'x'.repeat(1024);

function sendHello(response) {
  response.setHeader('Content-Type', 'text/plain').send(HELLO);
}

const app = express();
// Both are often turned off, and no other server here hashes its answers.
app.disable('x-powered-by');
app.disable('etag');
app.get('/', (_request, response) => sendHello(response));
app.post('/echo', express.raw({ type: () => true, limit: '1mb' }), (request, response) => {
  response.type('application/octet-stream').send(request.body);
});
app.get('/chunked', (_request, response) => {
  response.setHeader('Content-Type', 'text/plain');
  for (let i = 0; i < 8; i++) response.write(PIECE);
  response.end();
});
app.get('/promise', async (_request, response) => {
  await Promise.resolve();
  sendHello(response);
});
app.get('/timer', async (_request, response) => {
  await sleep(1);
  sendHello(response);
});
app.use(express.static(process.argv[2]));
const server = app.listen(0, '127.0.0.1', () => {
  console.log(`listening on ${server.address().port}`);
});
server.keepAliveTimeout = 65_000;
