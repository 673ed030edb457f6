// The server under test, over the compiled package. `node --expose-gc server.mjs SETTINGS`, with
// JSON of { address, options }. It tells its address by a message, and answers messages; see
// `answers`.
import { closeSync, createReadStream, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { FileWrapper, validator, WSGIRequestHandler, WSGIServer } from '../../../dist/index.js';

const { address, options } = JSON.parse(process.argv[2]);
const counts = { requests: 0, bodyBytes: 0, received: 0, opened: 0, closed: 0, refused: [] };
const warnings = [];
process.on('warning', ({ name, code, message }) => warnings.push({ name, code, message }));

const small = Buffer.from('hello\n');
const large = Buffer.alloc(10 * 1024, 'x');

/** An iterable whose close() is counted. */
class Counted {
  constructor(chunks) {
    counts.opened += 1;
    this.chunks = chunks;
  }

  [Symbol.iterator]() {
    return this.chunks[Symbol.iterator]();
  }

  close() {
    counts.closed += 1;
  }
}

/** The pieces of a file, which is open until the result is closed. */
async function* pieces(path) {
  counts.opened += 1;
  try {
    yield* createReadStream(path);
  } finally {
    counts.closed += 1;
  }
}

/** A file by its descriptor, which is open until the result is closed. */
function whole(path) {
  counts.opened += 1;
  const fd = openSync(path, 'r');
  const close = () => {
    counts.closed += 1;
    closeSync(fd);
  };
  return new FileWrapper({ fd, close });
}

/** The same with a FileHandle: to open a FIFO waits for who writes to it. */
async function opened(path) {
  counts.opened += 1;
  const handle = await open(path, 'r');
  const close = () => {
    counts.closed += 1;
    return handle.close();
  };
  return new FileWrapper({ fd: handle.fd, close });
}

async function countBody(environ) {
  let length = 0;
  try {
    for await (const chunk of environ['wsgi.input']) {
      length += chunk.length;
      counts.bodyBytes += chunk.length;
    }
  } catch (error) {
    counts.refused.push(error.code);
    throw error;
  }
  return `${length}\n`;
}

const pages = {
  '/': () => small,
  /** 10 KiB. */
  '/large': () => large,
  /** 8 MiB in 128 pieces. */
  '/pieces': () => new Counted(Array.from({ length: 128 }, () => Buffer.alloc(65_536, 'p'))),
  '/file': ({ QUERY_STRING }) => pieces(QUERY_STRING),
  '/sendfile': ({ QUERY_STRING }) => whole(QUERY_STRING),
  '/opened': ({ QUERY_STRING }) => opened(QUERY_STRING),
  /** What is left of a descriptor that was inherited, each time. */
  '/inherited': ({ QUERY_STRING }) => new FileWrapper({ fd: Number(QUERY_STRING) }),
  '/count': countBody,
  /** Answers after so many milliseconds, and does not look at the body. */
  '/later': ({ QUERY_STRING }) =>
    new Promise((resolve) => {
      setTimeout(resolve, Number(QUERY_STRING), small);
    }),
  '/never': () => new Promise(() => {}),
};

function application(environ, startResponse) {
  counts.requests += 1;
  const page = pages[environ.PATH_INFO];
  startResponse(page ? '200 OK' : '404 Not Found', [['Content-Type', 'text/plain']]);
  return page ? page(environ) : 'no such page\n';
}

let metered = false;

/** From now on all connections count what they receive, until they linger. */
function meter({ protocol }) {
  metered = true;
  const prototype = Object.getPrototypeOf(protocol);
  const { dataReceived } = prototype;
  prototype.dataReceived = function countReceived(bytes, start, end) {
    counts.received += end - start;
    dataReceived.call(this, bytes, start, end);
  };
}

class Handler extends WSGIRequestHandler {
  run() {
    const handling = super.run();
    if (!metered) meter(this.request);
    return handling;
  }
}

const server = new WSGIServer(address, Handler, options);
server.setApp(validator(application));

const answers = {
  counts: () => ({
    ...counts,
    sockets: server.reactor.sockets.size,
    turns: server.reactor.turns,
    warnings,
    now: Date.now(),
    /** Of this process so far, in microseconds. */
    cpu: Object.values(process.cpuUsage()).reduce((sum, time) => sum + time),
    timers: process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length,
  }),
  /** Collects garbage; bytes that are in use afterwards. */
  collect: () => {
    globalThis.gc();
    globalThis.gc();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  },
  /** Milliseconds that serverClose() takes. */
  close: async () => {
    const began = performance.now();
    await server.serverClose();
    return performance.now() - began;
  },
};

process.on('message', async (question) => process.send(await answers[question]()));
process.send({ address: server.serverAddress });
await server.serveForever();
