// The application of the thread pools under test. A query names a file: FILE.begun is made when the
// request is handled, and some pages are held until FILE is there, or twenty seconds have passed.
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';

const HELD = 20_000;

function isHeld({ QUERY_STRING }, begun) {
  return !existsSync(QUERY_STRING) && performance.now() < begun + HELD;
}

function hold(environ) {
  const begun = performance.now();
  const nap = new Int32Array(new SharedArrayBuffer(4));
  while (isHeld(environ, begun)) Atomics.wait(nap, 0, 0, 5);
}

function work(environ) {
  const begun = performance.now();
  while (isHeld(environ, begun));
}

async function wait(environ) {
  const begun = performance.now();
  while (isHeld(environ, begun)) await sleep(5);
}

// Nothing can interrupt it.
function callNative({ QUERY_STRING }) {
  const script = 'for i in $(seq 400); do [ -e "$0" ] && exit; sleep 0.05; done';
  execFileSync('sh', ['-c', script, QUERY_STRING]);
}

function exhaust() {
  const kept = [];
  for (;;) kept.push(new Array(1000).fill(Math.random()));
}

const pages = {
  '/': () => `${threadId}`,
  '/multiprocess': (environ) => String(environ['wsgi.multiprocess']),
  '/address': ({ SERVER_NAME, SERVER_PORT }) => `${SERVER_NAME}:${SERVER_PORT}`,
  '/blocking': hold,
  '/working': work,
  '/waiting': wait,
  '/native': callNative,
  '/spin': () => {
    for (;;);
  },
  '/never': () => new Promise(() => {}),
  '/exit': () => process.exit(3),
  '/throw': () => {
    queueMicrotask(() => {
      throw new Error('thrown in a thread');
    });
  },
  '/memory': exhaust,
};

export function app(environ, startResponse) {
  const begin = (text) => {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return text ?? `${threadId}`;
  };
  if (environ.QUERY_STRING) writeFileSync(`${environ.QUERY_STRING}.begun`, '');
  const text = pages[environ.PATH_INFO](environ);
  return typeof text?.then === 'function' ? text.then(() => begin()) : begin(text);
}
