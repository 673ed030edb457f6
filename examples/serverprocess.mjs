// A server in a process of its own, which the parent drains by a signal.
//   node examples/serverprocess.mjs
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { makeServer } from 'ryegate';

async function main() {
  const child = fork(fileURLToPath(import.meta.url), ['serve']);
  const [{ port }] = await once(child, 'message');
  const answers = [1, 2, 3].map((number) => fetch(`http://127.0.0.1:${port}/${number}`));
  // All of them are being answered now.
  await once(child, 'message');
  child.kill('SIGTERM');
  const [[summary], [status]] = await Promise.all([once(child, 'message'), once(child, 'exit')]);
  for (const answer of answers) console.log(await (await answer).text());
  console.log(`drained: ${summary.finished} finished, ${summary.aborted} aborted`);
  console.log(`exit status ${status}`);
}

let begun = 0;

/** @type {import('ryegate').Application} */
async function app(environ, startResponse) {
  begun += 1;
  if (begun === 3) process.send?.('busy');
  // Work that takes a while.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return `answer ${environ.PATH_INFO.slice(1)}`;
}

async function serve() {
  const server = makeServer('127.0.0.1', 0, app);
  const stop = async () => {
    const summary = await server.drain({ deadline: 10 });
    process.exitCode = summary.aborted === 0 ? 0 : 1;
    if (process.connected) process.send?.(summary, () => process.disconnect());
  };
  process.once('SIGTERM', stop);
  // The parent has ended without a word.
  process.once('disconnect', stop);
  await server.start();
  process.send?.({ port: server.serverPort });
}

await (process.argv[2] === 'serve' ? serve() : main());
