import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { get } from '../support/exchange.ts';
import { programStarter } from '../support/programs.ts';
import { RawClient } from '../support/rawclient.ts';
import { dist, requireDist } from '../support/servers.ts';
import { straceIsMissing } from '../support/strace.ts';
import { pattern, siteFolders } from './sitefolder.ts';

const start = programStarter();
const makeFolder = siteFolders();

/** Serves a folder until `/stop` is asked for. */
const SCRIPT = `
  const [dist, root, revalidate] = process.argv.slice(1);
  const { makeServer } = await import(dist);
  const { staticFiles } = await import(new URL('files/index.js', dist));
  const next = (environ, startResponse) => {
    if (environ.PATH_INFO === '/stop') server.shutdown();
    startResponse('200 OK', []);
    return ['next'];
  };
  const site = staticFiles(root, { next, cache: { revalidate: Number(revalidate) } });
  const server = makeServer('127.0.0.1', 0, site, { logRequests: false });
  console.log(server.serverAddress[1]);
  await server.serveForever();
  process.exit();
`;

const REQUESTS = 50;
const SIZES: Record<string, number> = { small: 4096, large: 200_000 };

/** The system calls about files between the looks for two files that are not there. */
async function callsOf(name: string, revalidate: number): Promise<string[]> {
  requireDist();
  const folder = makeFolder();
  const content = pattern(SIZES[name] as number);
  folder.write(name, content);
  const trace = join(folder.base, 'trace');
  const calls = 'trace=%file,fstat,pread64,preadv2,sendfile,getdents64';
  const script = ['--input-type=module', '--eval', SCRIPT, dist, folder.root, `${revalidate}`];
  const program = start('strace', ['-f', '-o', trace, '-e', calls, process.execPath, ...script]);
  const [, port] = await program.says(/^(\d+)\n/, 'stdout');
  const client = await RawClient.connect(['127.0.0.1', Number(port)]);
  const ask = async (target: string): Promise<Buffer> => {
    await client.send(get(target));
    return (await client.response()).body;
  };
  await ask(`/${name}`);
  await ask('/first-mark');
  for (let i = 0; i < REQUESTS; i += 1) {
    expect((await ask(`/${name}`)).equals(content)).toBe(true);
  }
  await ask('/last-mark');
  await ask('/stop');
  client.destroy();
  expect(await program.exit).toEqual([0, null]);
  const lines = readFileSync(trace, 'utf8').split('\n');
  const first = lines.findLastIndex((line) => line.includes('first-mark'));
  const last = lines.findIndex((line) => line.includes('last-mark'));
  expect(last).toBeGreaterThan(first);
  expect(first).toBeGreaterThan(0);
  return lines
    .slice(first + 1, last)
    .map((line) => /^\d+ +(\w+)\(/.exec(line)?.[1] ?? '')
    .filter((call) => call !== '');
}

describe.skipIf(straceIsMissing())('what is asked for again', () => {
  it('a small file that is in the cache costs no system call about files', async () => {
    expect(await callsOf('small', 3600)).toEqual([]);
  });

  it('a large one costs three looks at its open file, and is sent by sendfile(2)', async () => {
    const calls = await callsOf('large', 3600);
    const looks = calls.filter((call) => /^(new)?fstat(at)?$/.test(call));
    expect(looks.length).toBe(3 * REQUESTS);
    // Whether the bytes are in memory is asked too, by calls of which not every strace knows both.
    const probes = /^(new)?fstat(at)?$|^cachestat$|^preadv2$|^syscall_/;
    const others = calls.filter((call) => !probes.test(call));
    expect(new Set(others)).toEqual(new Set(['sendfile']));
  });

  it('strict mode costs two looks: at the root, and at the file', async () => {
    const calls = await callsOf('small', 0);
    expect(calls).toHaveLength(2 * REQUESTS + 1);
    expect(new Set(calls).size).toBe(1);
    expect(calls[0]).toMatch(/^newfstatat$|^stat/);
  });
});
