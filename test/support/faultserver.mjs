// A server over the compiled package that is asked to harm itself, and tells how it bears that.
// `node faultserver.mjs SELECTOR`
import { closeSync, openSync, readdirSync } from 'node:fs';
import { makeServer, validator } from '../../dist/index.js';

const opened = [];
let latest = 0;
let expected = performance.now() + 10;

setInterval(() => {
  const now = performance.now();
  latest = Math.max(latest, now - expected);
  expected = now + 10;
}, 10).unref();

function* endless() {
  for (;;) yield 'x'.repeat(1000);
}

async function* endlessAsync() {
  for (;;) yield 'x'.repeat(1000);
}

function countDescriptors() {
  try {
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return -1;
  }
}

const pages = {
  '/': () => ['hello'],
  '/stats': () => {
    const { turns, sockets } = server.reactor;
    return [JSON.stringify({ turns, sockets: sockets.size, descriptors: countDescriptors() })];
  },
  /** How late a timer of 10 ms was at worst since it was asked for last. */
  '/lateness': () => {
    const answer = String(latest);
    latest = 0;
    return [answer];
  },
  /** Closes the descriptor of the connection of the client with this port. */
  '/close': ({ QUERY_STRING }) => {
    for (const socket of server.reactor.sockets) {
      if (socket.clientAddress[1] === Number(QUERY_STRING)) closeSync(socket.fd);
    }
    return ['closed'];
  },
  /** Opens so many descriptors. */
  '/open': ({ QUERY_STRING }) => {
    for (let i = 0; i < Number(QUERY_STRING); i += 1) opened.push(openSync('/dev/null'));
    return ['opened'];
  },
  '/release': () => {
    for (const fd of opened.splice(0)) closeSync(fd);
    return ['released'];
  },
  '/endless': endless,
  '/endlessasync': endlessAsync,
};

const application = (environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return pages[environ.PATH_INFO](environ);
};

const server = makeServer('127.0.0.1', 0, validator(application), { selector: process.argv[2] });
console.log(`http://127.0.0.1:${server.serverAddress[1]}/`);
server.serveForever();
