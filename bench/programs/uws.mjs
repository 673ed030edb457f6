// uWebSockets.js, from the folder in RYEGATE_BENCH_UWS: `uws.mjs`.
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

const { App, us_socket_local_port: localPort } = createRequire(import.meta.url)(
  process.env.RYEGATE_BENCH_UWS,
);
const PIECE = 'x'.repeat(1024);

function hello(response) {
  response.writeHeader('Content-Type', 'text/plain').end('Hello, World!');
}

function echo(response) {
  const chunks = [];
  response.onAborted(() => {});
  response.onData((chunk, isLast) => {
    // The memory is only lent.
    chunks.push(Buffer.from(chunk.slice(0)));
    if (!isLast) return;
    response.cork(() => {
      response.writeHeader('Content-Type', 'application/octet-stream').end(Buffer.concat(chunks));
    });
  });
}

function chunked(response) {
  response.writeHeader('Content-Type', 'text/plain');
  for (let i = 0; i < 8; i++) response.write(PIECE);
  response.end();
}

async function later(response, wait) {
  let aborted = false;
  response.onAborted(() => {
    aborted = true;
  });
  await wait;
  if (!aborted) response.cork(() => hello(response));
}

App()
  .get('/', hello)
  .post('/echo', echo)
  .get('/chunked', chunked)
  .get('/promise', (response) => later(response, Promise.resolve()))
  .get('/timer', (response) => later(response, sleep(1)))
  .listen('127.0.0.1', 0, (socket) => console.log(`listening on ${localPort(socket)}`));
