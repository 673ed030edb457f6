import { expect, it } from 'vitest';
import { programStarter } from '../support/programs.ts';
import { RawClient, text } from '../support/rawclient.ts';
import { dist, requireDist } from '../support/servers.ts';

const REQUESTS = 2000;
const MIB = 1024 * 1024;
const MOST_GROWTH = 20 * MIB;

/** Tells its memory in use, when nothing is left to collect. */
const SERVER = `
  const { makeServer } = await import(process.argv[1]);
  const app = (environ, startResponse) => {
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    if (environ.PATH_INFO !== '/memory') return ['' + Object.keys(environ).length];
    globalThis.gc();
    globalThis.gc();
    const { heapUsed, external } = process.memoryUsage();
    return [String(heapUsed + external)];
  };
  const server = makeServer('127.0.0.1', 0, app);
  console.log('http://127.0.0.1:' + server.serverPort + '/');
  await server.serveForever();
`;

const start = programStarter();

/**
 * A head of 60 KB with a header name of 60 bytes that no other request has. It is in lower case: to
 * fold it need not make a copy, so that who keeps the name may keep the head that it is a slice of.
 */
function request(count: number): string {
  const name = `x-${String(count).padStart(58, 'n')}`;
  const padding = 'p'.repeat(14_900);
  const fields = ['a', 'b', 'c', 'd'].map((letter) => `X-Padding-${letter}: ${padding}\r\n`);
  return `GET / HTTP/1.1\r\nHost: x\r\n${name}: ${count}\r\n${fields.join('')}\r\n`;
}

it('2,000 header names of their own, in heads of 60 KB, do not stay in memory', async () => {
  requireDist();
  const program = start(process.execPath, [
    '--expose-gc',
    '--input-type=module',
    '--eval',
    SERVER,
    dist,
  ]);
  const { port } = new URL(await program.url('stdout'));
  const client = await RawClient.connect(['127.0.0.1', Number(port)]);
  const memory = async (): Promise<number> => {
    await client.send('GET /memory HTTP/1.1\r\nHost: x\r\n\r\n');
    return Number(text(await client.response()));
  };
  const ask = async (count: number): Promise<void> => {
    await client.send(request(count));
    expect((await client.response()).status).toBe(200);
  };
  for (let i = 0; i < 20; i++) await ask(REQUESTS + i);
  const before = await memory();
  for (let i = 0; i < REQUESTS; i++) await ask(i);
  const growth = (await memory()) - before;
  client.destroy();
  expect(growth).toBeLessThan(MOST_GROWTH);
});
