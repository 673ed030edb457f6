// Makes a server, serves and closes it, again and again, and tells what is left behind.
// `node --expose-gc cycles.mjs SELECTOR COUNT`
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { makeServer } from '../../dist/index.js';

const [selector, count] = process.argv.slice(2);
const LARGE = Buffer.alloc(1024 * 1024);

function application(environ, startResponse) {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return environ.PATH_INFO === '/large' ? LARGE : ['hello'];
}

async function cycle() {
  const server = makeServer('127.0.0.1', 0, application, { selector });
  const serving = server.serveForever();
  const sockets = ['/', '/large', '/'].map((path) => {
    const socket = connect(server.serverAddress[1], '127.0.0.1').on('error', () => {});
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return socket;
  });
  await Promise.all(sockets.map((socket) => once(socket, 'data')));
  await server.serverClose();
  await serving;
  for (const socket of sockets) socket.destroy();
}

/** Descriptors and megabytes in use. */
async function usage() {
  await new Promise((resolve) => setTimeout(resolve, 50));
  globalThis.gc();
  await new Promise((resolve) => setTimeout(resolve, 50));
  globalThis.gc();
  const descriptors = readdirSync('/proc/self/fd').length;
  return { descriptors, megabytes: process.memoryUsage().rss / 2 ** 20 };
}

async function cycles(number) {
  for (let i = 0; i < number; i += 1) await cycle();
  return await usage();
}

const before = await cycles(Math.ceil(count / 3));
const after = await cycles(count);
console.log(
  JSON.stringify({
    descriptors: after.descriptors - before.descriptors,
    megabytes: Math.round(after.megabytes - before.megabytes),
  }),
);
