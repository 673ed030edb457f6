// Bun.serve(): `bun bun.mjs ROOT`.
const PIECE = 'x'.repeat(1024);
const TEXT = { headers: { 'Content-Type': 'text/plain' } };
const BYTES = { headers: { 'Content-Type': 'application/octet-stream' } };
const root = Bun.argv[2];

const hello = () => new Response('Hello, World!', TEXT);

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  idleTimeout: 65,
  routes: {
    '/': hello,
    '/echo': { POST: async (request) => new Response(await request.arrayBuffer(), BYTES) },
    '/chunked': () => {
      const pieces = new ReadableStream({
        start(controller) {
          for (let i = 0; i < 8; i++) controller.enqueue(PIECE);
          controller.close();
        },
      });
      return new Response(pieces, TEXT);
    },
    '/promise': async () => hello(),
    '/timer': async () => {
      await Bun.sleep(1);
      return hello();
    },
  },
  fetch: (request) => new Response(Bun.file(root + new URL(request.url).pathname)),
});
console.log(`listening on ${server.port}`);
