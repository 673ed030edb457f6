// A server of files in a process of its own, over the compiled package.
// `node fileserver.mjs SETTINGS`, with JSON of:
//   root     the folder of the files
//   address  where it listens
//   fd       or its listening socket, which it has inherited
//   sync     whether it serves by serveForeverSync()
//   iterate  whether file results are iterated
//   options  of the server
//   cache    of the static application
// It writes its address as a line of JSON.
//   /file/NAME?at=N&length=N&id=N  the file from byte N on, with that Content-Length; 404
//   /static/NAME?id=N              the file by the static application
//   /change/NAME?CHANGES           has the file changed, in this order: `truncate=N`; `write=N`, by
//                                  the bytes of NAME.new from byte N on; `append`, by the same;
//                                  `rename`, of NAME.new over it; `unlink`. Answers as /state does,
//                                  with what was so before, and `begun` and `done`
//   /mark/NNNN                     128 bytes that are `markNNNN` again and again
//   /state                         JSON: descriptors that are open, and when each file result with
//                                  an id was begun and closed, in microseconds of the system's
//                                  monotonic clock
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { staticFiles } from '../../dist/files/index.js';
import {
  FileWrapper,
  ServerHandler,
  validator,
  WSGIRequestHandler,
  WSGIServer,
} from '../../dist/index.js';

const settings = JSON.parse(process.argv[2]);
const { root, address, fd = null, sync = false, iterate = false, options = {}, cache } = settings;
const results = {};

function microseconds() {
  return Number(process.hrtime.bigint() / 1000n);
}

/** Sets the offset of an open file, which Node.js cannot: a child that shares it does. */
function seek(descriptor, offset) {
  const args = [`skip=${offset}`, 'iflag=skip_bytes', 'count=0', 'status=none'];
  const { status } = spawnSync('dd', args, { stdio: [descriptor, 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`dd ended with ${status}`);
}

/** Has it noted when a file result is over. */
function noted(result, id) {
  if (id === null || !(result instanceof FileWrapper)) return result;
  const note = { begun: microseconds() };
  results[id] = note;
  const { close } = result;
  result.close = () => {
    note.closed = microseconds();
    return close.call(result);
  };
  return result;
}

function openFile(path) {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

function file(name, query, startResponse) {
  const descriptor = openFile(join(root, name));
  if (descriptor === null) {
    startResponse('404 Not Found', [['Content-Type', 'text/plain']]);
    return [];
  }
  try {
    const headers = [['Content-Type', 'application/octet-stream']];
    // Else it would be chunked.
    if (iterate) headers.push(['Content-Length', String(fstatSync(descriptor).size)]);
    if (query.has('length')) headers.push(['Content-Length', query.get('length')]);
    if (query.has('at')) seek(descriptor, query.get('at'));
    startResponse('200 OK', headers);
    return noted(new FileWrapper(descriptor), query.get('id'));
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** In pieces, so that a reader may see some and not the others. */
function write(path, bytes, offset) {
  const descriptor = openSync(path, 'r+');
  for (let at = 0; at < bytes.length; ) {
    at += writeSync(descriptor, bytes, at, Math.min(bytes.length - at, 65_536), offset + at);
  }
  closeSync(descriptor);
}

function change(name, query) {
  const path = join(root, name);
  const next = `${path}.new`;
  const before = state();
  const begun = microseconds();
  if (query.has('truncate')) truncateSync(path, Number(query.get('truncate')));
  if (query.has('write')) write(path, readFileSync(next), Number(query.get('write')));
  if (query.has('append')) appendFileSync(path, readFileSync(next));
  if (query.has('rename')) renameSync(next, path);
  if (query.has('unlink')) unlinkSync(path);
  return { ...before, begun, done: microseconds() };
}

function state() {
  // The listing itself holds one while it reads.
  return structuredClone({ descriptors: readdirSync('/proc/self/fd').length - 1, results });
}

const site = staticFiles(root, {
  prefix: '/static',
  contentType: () => 'application/octet-stream',
  ...(cache && { cache }),
});

function application(environ, startResponse) {
  const [, page, name] = environ.PATH_INFO.split('/');
  const query = new URLSearchParams(environ.QUERY_STRING);
  if (page === 'file') return file(name, query, startResponse);
  if (page === 'static') {
    const result = site(environ, startResponse);
    if (!(result instanceof Promise)) return noted(result, query.get('id'));
    return result.then((settled) => noted(settled, query.get('id')));
  }
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  if (page === 'mark') return `mark${name}`.repeat(16);
  return JSON.stringify(page === 'change' ? change(name, query) : state());
}

/** Logs nothing but errors. */
class Handler extends WSGIRequestHandler {
  logRequest() {}

  handleOneRequest() {
    if (!iterate) return super.handleOneRequest();
    const { response } = this.httpRequest;
    new IteratingHandler(this, response, this.getEnviron()).run(this.server.getApp());
  }
}

class IteratingHandler extends ServerHandler {
  sendfile() {
    return false;
  }
}

const server = new WSGIServer(address ?? ['127.0.0.1', 0], Handler, { ...options, fd });
server.setApp(validator(application));
console.log(JSON.stringify(server.serverAddress));
if (sync) server.serveForeverSync();
else await server.serveForever();
