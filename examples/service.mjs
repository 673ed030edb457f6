// A program for systemd, Docker or Kubernetes: the folders beside this file have what they need.
// It serves on a socket that systemd has opened, or else on HOST and PORT.
import {
  formatAddress,
  healthChecks,
  listenDescriptors,
  makeServer,
  Notifier,
  Reaper,
  Watchdog,
} from 'ryegate';

const { HOST = '127.0.0.1', PORT = '0', DRAIN_DELAY = '0' } = process.env;
if (!(Number(DRAIN_DELAY) >= 0)) throw new Error(`DRAIN_DELAY=${DRAIN_DELAY}: expected seconds`);

/** @type {import('ryegate').Application} */
function app(_environ, startResponse) {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return `served by process ${process.pid}\n`;
}

const [inherited] = listenDescriptors(process.env, { unset: true });
const notifier = new Notifier(process.env, { unset: true });
const server = makeServer(HOST, Number(PORT), app, { fd: inherited?.fd ?? null });
// Of the server that it asks about.
server.setApp(healthChecks(app, { server }));
const watchdog = new Watchdog(notifier, { servers: [server], unset: true });

async function stop() {
  // A second signal waits for nobody but requests under way.
  if (server.draining) return server.serverClose();
  notifier.stopping();
  // From now on /readyz says 503. Until everybody has heard of it, clients are still sent here.
  const { aborted } = await server.drain({ delay: Number(DRAIN_DELAY) });
  if (aborted > 0) process.exitCode = 1;
}
// Process 1 of a container is not ended by these unless it listens to them.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, stop);

// Where this is process 1; elsewhere it does nothing.
new Reaper().start();
const serving = server.serveForever();
notifier.ready();
notifier.status(`serving on ${formatAddress(server.serverAddress)}`);
watchdog.start();
console.log(`http://${formatAddress(server.serverAddress)}/`);
await serving;
