// Uploads: `curl -T FILE http://HOST:PORT/` stores a file, and the answer says where it is to be
// had. The server takes the body into a temporary file first, which then only gets its name.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatAddress, makeServer } from 'ryegate';
import { staticFiles } from 'ryegate/static';

// Beside the temporary files: to another file system they would have to be copied.
const folder = mkdtempSync(join(tmpdir(), 'ryegate-upload-'));

/** @type {import('ryegate').Application} */
async function upload(environ, startResponse) {
  if (environ.REQUEST_METHOD !== 'PUT') {
    startResponse('404 Not Found', [['Content-Type', 'text/plain']]);
    return 'PUT a file here.\n';
  }
  // Never a name that the client chose. It sees the file when all of it is there.
  const name = randomUUID();
  const size = await environ['wsgi.input'].saveTo(join(folder, name), { mode: 0o640 });
  startResponse('201 Created', [
    ['Content-Type', 'application/json'],
    ['Location', `/files/${name}`],
  ]);
  return JSON.stringify({ name, size });
}

const files = staticFiles(folder, {
  prefix: '/files',
  next: upload,
  // What strangers have sent is to be kept, not to be shown as a page of this site.
  contentType: () => 'application/octet-stream',
  headers: [['Content-Disposition', 'attachment']],
});

const server = makeServer('127.0.0.1', 0, files, {
  inputBuffering: 'buffer',
  limits: { bodyBytes: 100 * 1024 ** 2 },
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.shutdown());
console.log(`http://${formatAddress(server.serverAddress)}/`);
await server.serveForever();
await server.serverClose();
files.close();
rmSync(folder, { recursive: true });
