// Many clients at once that send their request slowly or not to its end, or are just there.
// `node crowd.mjs OPTIONS`, with JSON of:
//   address  the server's
//   count    connections
//   first    what each sends when it is connected
//   drip     what each sends after that, once in `every` milliseconds (none: nothing more)
//   answer   what each waits for before the next connect: 'ready' is told when all have got it
// It tells 'ready' when all are connected, and a report when all have been ended by the server, or
// after the message 'report'.
import { connect } from 'node:net';

const { address, count, first, drip = '', every = 1000, answer = '' } = JSON.parse(process.argv[2]);
const target =
  typeof address === 'string' ? { path: address } : { host: address[0], port: address[1] };
/** Connects at once: more than this the backlog of a unix socket might not take. */
const WAVE = 100;
/** Drips do not come all at once: in so many parts, evenly over the time. */
const PARTS = 20;

const report = { connected: 0, failed: 0, ended: 0, earliest: Infinity, latest: 0, statuses: {} };
const open = new Set();
let ready = false;

function note(connection) {
  if (!open.delete(connection)) return;
  const seconds = (performance.now() - connection.began) / 1000;
  report.ended += 1;
  report.earliest = Math.min(report.earliest, seconds);
  report.latest = Math.max(report.latest, seconds);
  const status = /^HTTP\/1\.1 ([0-9]{3}) /.exec(connection.received)?.[1] ?? 'none';
  report.statuses[status] = (report.statuses[status] ?? 0) + 1;
  connection.socket.destroy();
  reportIfOver();
}

function reportIfOver() {
  if (ready && open.size === 0) process.send(report);
}

/** Resolves when the connection is there, and has been answered if it has to be. */
function begin() {
  return new Promise((resolve) => {
    const socket = connect({ ...target, noDelay: true });
    const connection = { socket, index: report.connected, began: 0, received: '' };
    socket.on('connect', () => {
      report.connected += 1;
      connection.began = performance.now();
      open.add(connection);
      socket.write(first);
      if (answer === '') resolve();
    });
    socket.on('data', (bytes) => {
      connection.received = (connection.received + bytes.toString('latin1')).slice(0, 1024);
      if (answer !== '' && connection.received.includes(answer)) resolve();
    });
    for (const event of ['end', 'close']) socket.on(event, () => note(connection));
    socket.on('error', () => {
      if (connection.began === 0) report.failed += 1;
      resolve();
    });
  });
}

process.on('message', () => process.send(report));
if (drip !== '') {
  let tick = 0;
  setInterval(() => {
    const part = tick++ % PARTS;
    for (const { socket, index } of open) if (index % PARTS === part) socket.write(drip);
  }, every / PARTS);
}
for (let begun = 0; begun < count; begun += WAVE) {
  await Promise.all(Array.from({ length: Math.min(WAVE, count - begun) }, begin));
}
ready = true;
process.send('ready');
reportIfOver();
