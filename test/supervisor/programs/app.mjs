// An application that answers with its process, and can be asked to harm it.
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const LARGE = Buffer.alloc(4 * 1024 * 1024, 'x');

function exhaust() {
  const kept = [];
  for (;;) kept.push(new Array(100_000).fill(kept.length));
}

/** For longer than any test waits; one that is left behind ends by itself. */
function block() {
  const end = performance.now() + 30_000;
  while (performance.now() < end);
}

/** What an application may send over the channel to its parent. */
const rubbish = [
  null,
  'ready',
  [],
  new Map([['type', 'heartbeat']]),
  { type: 'ready' },
  { type: 'drained' },
  { type: 'retire', reason: 'is tired' },
  ...[
    null,
    'retire',
    {},
    { type: 'toString' },
    { type: { toString: 1 } },
    { type: 'heartbeat' },
    { type: 'heartbeat', requests: 'many', rss: Number.NaN },
    { type: 'heartbeat', requests: -1, rss: 5 },
    { type: 'ready' },
    { type: 'failed', message: 5 },
    { type: 'retire', reason: 5 },
    { type: 'retire', limit: {}, reason: 'is tired' },
    { type: 'drained' },
    { type: 'drained', summary: null },
    { type: 'drained', summary: { finished: 'all', aborted: undefined } },
  ].map((ryegate) => ({ ryegate })),
];

const pages = {
  '/': () => `${process.pid}`,
  '/multiprocess': (environ) => `${environ['wsgi.multiprocess']}`,
  '/env': () => JSON.stringify([process.env.FLAVOUR, process.execArgv]),
  '/slow': async () => {
    await sleep(300);
    return `${process.pid}`;
  },
  '/stuck': () => new Promise(() => {}),
  '/block': block,
  '/exit': () => process.exit(1),
  '/throw': () => {
    setImmediate(() => {
      throw new Error('thrown on purpose');
    });
    return 'soon';
  },
  '/abort': () => process.abort(),
  '/exhaust': exhaust,
  '/large': () => LARGE,
  '/rubbish': () => {
    for (const message of rubbish) process.send(message);
    return 'sent';
  },
  '/say': () => {
    writeSync(2, 'half a line, ');
    writeSync(2, 'and the rest\n');
    return 'said';
  },
};

export function app(environ, startResponse) {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return pages[environ.PATH_INFO](environ);
}
