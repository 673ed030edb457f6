// A server inside a program that does other things: a timer ticks and an application waits for
// promises, all in one thread.
import { setTimeout as sleep } from 'node:timers/promises';
import { formatAddress, makeServer } from 'ryegate';

let ticks = 0;
const timer = setInterval(() => {
  ticks += 1;
}, 10);

/** @type {import('ryegate').Application} */
async function app(environ, startResponse) {
  const before = ticks;
  // Fires when the client goes away: nobody waits for the answer any more.
  const signal = environ['ryegate.signal'];
  await sleep(100, undefined, { signal });
  startResponse('200 OK', [['Content-Type', 'application/json']]);
  return JSON.stringify({ ticksMeanwhile: ticks - before });
}

const server = makeServer('127.0.0.1', 0, app);
const serving = server.serveForever();
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    // Stops accepting, lets requests that are being answered finish, and ends the serving.
    await server.serverClose();
    clearInterval(timer);
  });
}
console.log(`http://${formatAddress(server.serverAddress)}/`);
await serving;
