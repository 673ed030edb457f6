// A server in a thread of its own, which the main thread drains by its handle.
//   node examples/serverthread.mjs
import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { makeServer, ShutdownHandle } from 'ryegate';

async function main() {
  const thread = new Worker(new URL(import.meta.url));
  const [{ port, handle }] = await once(thread, 'message');
  const server = ShutdownHandle.from(handle);
  const answers = [1, 2, 3].map((number) => fetch(`http://127.0.0.1:${port}/${number}`));
  // All of them are being answered now.
  await once(thread, 'message');
  const { finished, aborted } = await server.drain({
    deadline: 10,
    progress: ({ phase, open }) => console.log(`${phase}: ${open} open`),
  });
  for (const answer of answers) console.log(await (await answer).text());
  console.log(`drained: ${finished} finished, ${aborted} aborted`);
}

let begun = 0;

/** @type {import('ryegate').Application} */
async function app(environ, startResponse) {
  begun += 1;
  if (begun === 3) parentPort?.postMessage('busy');
  // Work that takes a while.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return `answer ${environ.PATH_INFO.slice(1)}`;
}

async function serve() {
  const server = makeServer('127.0.0.1', 0, app);
  await server.start();
  parentPort?.postMessage({ port: server.serverPort, handle: server.shutdownHandle });
  await server.ended;
}

await (isMainThread ? main() : serve());
