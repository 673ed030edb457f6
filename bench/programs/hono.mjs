// Hono on @hono/node-server: `hono.mjs ROOT`.
import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from '@hono/node-server';
import { serveStatic } from '@hono/node-server/serve-static';
import { Hono } from 'hono';

const PIECE = new TextEncoder().encode('x'.repeat(1024));
const TEXT = { 'Content-Type': 'text/plain' };
const BYTES = { 'Content-Type': 'application/octet-stream' };

const hello = (context) => context.body('Hello, World!', 200, TEXT);

const app = new Hono();
app.get('/', hello);
app.post('/echo', async (context) => context.body(await context.req.arrayBuffer(), 200, BYTES));
app.get('/chunked', (context) => {
  const pieces = new ReadableStream({
    start(controller) {
      for (let i = 0; i < 8; i++) controller.enqueue(PIECE);
      controller.close();
    },
  });
  return context.body(pieces, 200, TEXT);
});
app.get('/promise', async (context) => hello(context));
app.get('/timer', async (context) => {
  await sleep(1);
  return hello(context);
});
app.use(serveStatic({ root: process.argv[2] }));
const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, ({ port }) => {
  console.log(`listening on ${port}`);
});
server.keepAliveTimeout = 65_000;
