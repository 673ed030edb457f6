// The application of the thread pools under test.
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';

function burn(milliseconds) {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

function exhaust() {
  const kept = [];
  for (;;) kept.push(new Array(1000).fill(Math.random()));
}

const pages = {
  '/': () => `${threadId}`,
  '/multiprocess': (environ) => String(environ['wsgi.multiprocess']),
  '/address': ({ SERVER_NAME, SERVER_PORT }) => `${SERVER_NAME}:${SERVER_PORT}`,
  '/cpu': () => burn(10),
  '/busy': () => burn(400),
  '/slow': () => sleep(400),
  '/spin': () => burn(Infinity),
  // Nothing can interrupt it.
  '/native': () => execFileSync('sleep', ['3']),
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
  const text = pages[environ.PATH_INFO](environ);
  return typeof text?.then === 'function' ? text.then(() => begin()) : begin(text);
}
