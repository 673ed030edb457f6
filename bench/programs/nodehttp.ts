// node:http, as its users write it: `nodehttp.js ROOT`.
import { createReadStream, stat } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const HELLO = 'Hello, World!';
const PIECE = 'x'.repeat(1024);
const root = process.argv[2] ?? '.';

function sendHello(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': text.length });
  response.end(text);
}

function echo(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    response.writeHead(200, {
      'Content-Type': 'application/octet-stream',
      'Content-Length': body.length,
    });
    response.end(body);
  });
}

function sendChunked(response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'text/plain' });
  for (let i = 0; i < 8; i++) response.write(PIECE);
  response.end();
}

async function sendLater(response: ServerResponse, text: Promise<string>): Promise<void> {
  sendHello(response, await text);
}

function sendFile(path: string, response: ServerResponse): void {
  stat(path, (error, stats) => {
    if (error || !stats.isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      'Content-Type': 'application/octet-stream',
      'Content-Length': stats.size,
      'Last-Modified': stats.mtime.toUTCString(),
    });
    createReadStream(path).pipe(response);
  });
}

const server = createServer((request, response) => {
  switch (request.url) {
    case '/':
      return sendHello(response, HELLO);
    case '/echo':
      return echo(request, response);
    case '/chunked':
      return sendChunked(response);
    case '/promise':
      return void sendLater(response, Promise.resolve(HELLO));
    case '/timer':
      return void sendLater(response, sleep(1, HELLO));
    default:
      return sendFile(root + request.url, response);
  }
});
server.keepAliveTimeout = 65_000;
server.listen(0, '127.0.0.1', () => {
  console.log(`listening on ${(server.address() as AddressInfo).port}`);
});
