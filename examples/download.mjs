// Downloads for those who have a link with a valid token: the application checks it, and the
// server sends the file without reading it into the process.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileWrapper, formatAddress, makeServer, openFile } from 'ryegate';

const LIFETIME = 3600;
const secret = randomBytes(32);
const folder = mkdtempSync(join(tmpdir(), 'ryegate-download-'));
const path = join(folder, '1.csv');
writeFileSync(path, 'day,sold\n'.repeat(100_000));
// Clients name a key, never a path.
const downloads = new Map([
  ['sales', { path, name: 'Umsätze "2026".csv', type: 'text/csv; charset=utf-8' }],
]);

/** @param {string} claim */
function sign(claim) {
  return createHmac('sha256', secret).update(claim).digest();
}

/** @param {string} key */
function linkTo(key) {
  const expires = Math.floor(Date.now() / 1000) + LIFETIME;
  return `/${key}?expires=${expires}&token=${sign(`${key} ${expires}`).toString('base64url')}`;
}

/**
 * @param {string} key
 * @param {URLSearchParams} query
 */
function isAllowed(key, query) {
  const expires = query.get('expires') ?? '';
  const expected = sign(`${key} ${expires}`);
  const token = Buffer.from(query.get('token') ?? '', 'base64url');
  if (token.length !== expected.length || !timingSafeEqual(token, expected)) return false;
  return Number(expires) * 1000 > Date.now();
}

/**
 * The field for a file name of any characters (RFC 6266): one in ASCII for old clients, and the
 * real one as RFC 8187 encodes it.
 *
 * @param {string} name
 */
function attachment(name) {
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(name).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}

/** @type {import('ryegate').Application} */
async function app(environ, startResponse) {
  const key = environ.PATH_INFO.slice(1);
  const download = downloads.get(key);
  // One answer for both, so that nobody can find out which keys there are.
  if (!isAllowed(key, new URLSearchParams(environ.QUERY_STRING)) || download === undefined) {
    startResponse('403 Forbidden', [['Content-Type', 'text/plain']]);
    return 'This link is not valid, or not any more.\n';
  }
  const file = await openFile(download.path);
  startResponse('200 OK', [
    ['Content-Type', download.type],
    ['Content-Disposition', attachment(download.name)],
    ['Cache-Control', 'private, no-store'],
    ['X-Content-Type-Options', 'nosniff'],
  ]);
  return new FileWrapper(file);
}

const server = makeServer('127.0.0.1', 0, app);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.shutdown());
console.log(`http://${formatAddress(server.serverAddress)}${linkTo('sales')}`);
await server.serveForever();
await server.serverClose();
rmSync(folder, { recursive: true });
