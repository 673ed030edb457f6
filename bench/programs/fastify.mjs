// Fastify: `fastify.mjs ROOT`.
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import files from '@fastify/static';
import fastify from 'fastify';

const HELLO = 'Hello, World!';
const PIECE = 'x'.repeat(1024);

function* pieces() {
  for (let i = 0; i < 8; i++) yield PIECE;
}

const app = fastify({ keepAliveTimeout: 65_000 });
// Whatever the body says that it is, it comes as a Buffer.
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
app.get('/', (_request, reply) => {
  reply.type('text/plain').send(HELLO);
});
app.post('/echo', (request, reply) => {
  reply.type('application/octet-stream').send(request.body);
});
app.get('/chunked', (_request, reply) => {
  reply.type('text/plain').send(Readable.from(pieces()));
});
app.get('/promise', async (_request, reply) => {
  reply.type('text/plain');
  return HELLO;
});
app.get('/timer', async (_request, reply) => {
  await sleep(1);
  reply.type('text/plain');
  return HELLO;
});
app.register(files, { root: process.argv[2] });
await app.listen({ host: '127.0.0.1', port: 0 });
console.log(`listening on ${app.server.address().port}`);
