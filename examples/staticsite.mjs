// A site: assets with a hash in their names, which clients keep for ever, pages that they ask for
// again each time, and an application for everything else.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { formatAddress, makeServer } from 'ryegate';
import { staticFiles } from 'ryegate/static';

/** Makes what a build of the site leaves behind, and returns the folder. */
function build() {
  const folder = mkdtempSync(join(tmpdir(), 'ryegate-site-'));
  const assets = join(folder, 'assets');
  const pages = join(folder, 'pages');
  for (const each of [assets, pages]) mkdirSync(each);
  const style = 'body { max-width: 40rem; margin: auto; font: 1.25rem/1.5 sans-serif }\n'.repeat(9);
  const hash = createHash('sha256').update(style).digest('hex').slice(0, 8);
  writeFileSync(join(assets, `site.${hash}.css`), style);
  // After the file itself: a variant that is older is not used.
  writeFileSync(join(assets, `site.${hash}.css.br`), brotliCompressSync(style));
  const head = `<title>A site</title><link rel="stylesheet" href="/assets/site.${hash}.css">`;
  const page = `<!doctype html><html lang="en">${head}<p>See <a href="/time">the time</a>.</p>\n`;
  writeFileSync(join(pages, 'index.html'), page);
  return folder;
}

/** @type {import('ryegate').Application} */
function app(environ, startResponse) {
  const found = environ.PATH_INFO === '/time';
  startResponse(found ? '200 OK' : '404 Not Found', [
    ['Content-Type', 'text/plain; charset=utf-8'],
    ['Cache-Control', 'no-store'],
  ]);
  return found ? `${new Date().toISOString()}\n` : 'There is nothing here.\n';
}

const folder = build();
// Each passes on what it does not find.
const pages = staticFiles(join(folder, 'pages'), { next: app });
const assets = staticFiles(join(folder, 'assets'), {
  prefix: '/assets',
  immutable: true,
  precompressed: true,
  next: pages,
});

const server = makeServer('127.0.0.1', 0, assets);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.shutdown());
console.log(`http://${formatAddress(server.serverAddress)}/`);
await server.serveForever();
await server.serverClose();
for (const each of [assets, pages]) each.close();
rmSync(folder, { recursive: true });
