// A worker thread with a serving reactor, over the compiled package. It never closes anything.
import { parentPort, workerData } from 'node:worker_threads';
import { makeServer } from '../../dist/index.js';

const { selector, mode } = workerData;

function* endless() {
  for (;;) yield Buffer.alloc(65_536);
}

function spin() {
  parentPort.postMessage('spinning');
  for (;;);
}

const pages = {
  '/': (environ) => [`hello from ${environ.SERVER_PORT}`],
  '/endless': () => endless(),
  '/never': () => {
    parentPort.postMessage('waiting');
    return new Promise(() => {});
  },
  '/spin': spin,
  '/throw': () => {
    setImmediate(() => {
      throw new Error('thrown in a worker');
    });
    return ['thrown soon'];
  },
  '/close': () => {
    server.serverClose();
    return ['closing'];
  },
};

function application(environ, startResponse) {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return pages[environ.PATH_INFO](environ);
}

let server = makeServer('127.0.0.1', 0, application, { selector });

async function serveAndClose() {
  for (;;) {
    server.serveForever();
    await server.serverClose();
    server = makeServer('127.0.0.1', 0, application, { selector });
  }
}

const modes = {
  loop: () => server.serveForever(),
  sync: () => server.serveForeverSync(),
  // Makes servers, serves and closes them, on and on.
  churn: serveAndClose,
};

parentPort.postMessage(server.serverAddress[1]);
modes[mode]();
