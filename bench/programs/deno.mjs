// Deno.serve(): `deno run --allow-net --allow-read deno.mjs ROOT`.
const PIECE = new TextEncoder().encode('x'.repeat(1024));
const TEXT = { headers: { 'Content-Type': 'text/plain' } };
const BYTES = { headers: { 'Content-Type': 'application/octet-stream' } };
const root = Deno.args[0];

const hello = () => new Response('Hello, World!', TEXT);

function chunked() {
  const pieces = new ReadableStream({
    start(controller) {
      for (let i = 0; i < 8; i++) controller.enqueue(PIECE);
      controller.close();
    },
  });
  return new Response(pieces, TEXT);
}

async function timer() {
  await new Promise((resolve) => setTimeout(resolve, 1));
  return hello();
}

async function file(path) {
  const opened = await Deno.open(root + path);
  const { size } = await opened.stat();
  const headers = { ...BYTES.headers, 'Content-Length': size };
  return new Response(opened.readable, { headers });
}

function handle(request) {
  // To parse the URL would cost as much as the rest.
  const path = request.url.slice(request.url.indexOf('/', 'http://'.length));
  switch (path) {
    case '/':
      return hello();
    case '/echo':
      return request.bytes().then((body) => new Response(body, BYTES));
    case '/chunked':
      return chunked();
    case '/promise':
      return Promise.resolve(hello());
    case '/timer':
      return timer();
    default:
      return file(path);
  }
}

const onListen = ({ port }) => console.log(`listening on ${port}`);
Deno.serve({ hostname: '127.0.0.1', port: 0, onListen }, handle);
