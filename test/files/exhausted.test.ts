import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.ts';
import { get } from '../support/exchange.ts';
import { type Program, programStarter } from '../support/programs.ts';
import { RawClient } from '../support/rawclient.ts';
import { dist, requireDist } from '../support/servers.ts';
import { pattern, type SiteFolder, siteFolders } from './sitefolder.ts';

/** Few enough that the process can use them all up. */
const LIMIT = 100;

/** Serves a folder; `/fill` uses up the descriptors, `/free` gives them back and counts the rest. */
const SCRIPT = `
  import { closeSync, openSync, readdirSync } from 'node:fs';
  const [dist, root, selector] = process.argv.slice(1);
  const { makeServer } = await import(dist);
  const { staticFiles } = await import(new URL('files/index.js', dist));
  const fillers = [];
  const actions = {
    '/fill': () => {
      try {
        for (;;) fillers.push(openSync('/dev/null'));
      } catch (error) {
        return error.code;
      }
    },
    '/free': () => {
      for (const fd of fillers.splice(0)) closeSync(fd);
      return readdirSync('/proc/self/fd').length;
    },
  };
  const next = (environ, startResponse) => {
    const { PATH_INFO } = environ;
    const action = actions[PATH_INFO];
    startResponse(action === undefined ? '404 Not Found' : '200 OK', []);
    return [String(action?.())];
  };
  const site = staticFiles(root, { next, listing: true, precompressed: true, cache: { entries: 30 } });
  const server = makeServer('127.0.0.1', 0, site, { selector, logRequests: false });
  console.log(server.serverAddress[1]);
  await server.serveForever();
`;

const start = programStarter();
const makeFolder = siteFolders();

interface Limited {
  program: Program;
  /** The status of an answer, and its body if that is short, else its size. */
  ask(target: string): Promise<[status: number, body: number | string]>;
}

async function limited(folder: SiteFolder, selector: string): Promise<Limited> {
  requireDist();
  const script = ['--input-type=module', '--eval', SCRIPT, dist, folder.root, selector];
  const command = `ulimit -n ${LIMIT}; exec "$0" "$@"`;
  const program = start('bash', ['-c', command, process.execPath, ...script]);
  const [, port] = await program.says(/^(\d+)\n/, 'stdout');
  const client = await RawClient.connect(['127.0.0.1', Number(port)]);
  return {
    program,
    ask: async (target) => {
      await client.send(get(target));
      const { status, body } = await client.response();
      return [status, body.length > 1000 ? body.length : body.toString()];
    },
  };
}

describeBackends('without descriptors', (selector) => {
  it('the cache gives up what it holds', async () => {
    const folder = makeFolder();
    const large = pattern(100_000);
    for (let i = 0; i < 10; i += 1) folder.write(`large${i}`, large);
    folder.link('absolute', folder.path('large9'));
    const { program, ask } = await limited(folder, selector);
    // The thread pool, which is needed for this, has descriptors of its own.
    await ask('/absolute');
    const [, before] = await ask('/free');
    for (let round = 0; round < 3; round += 1) {
      for (let i = 0; i < 10; i += 1) expect(await ask(`/large${i}`)).toEqual([200, 100_000]);
      expect(await ask('/fill')).toEqual([200, 'EMFILE']);
      expect(await ask('/large0')).toEqual([200, 100_000]);
      // It makes room for what is new to it.
      folder.write(`new${round}`, large);
      expect(await ask(`/new${round}`)).toEqual([200, 100_000]);
      expect(await ask('/absolute')).toEqual([200, 100_000]);
      expect((await ask('/free'))[0]).toBe(200);
    }
    const [, after] = await ask('/free');
    // Those files may be in the cache by now.
    expect(Number(after) - Number(before)).toBeLessThanOrEqual(10);
    expect(program.stderr).toBe('');
  });

  it('of which not even the cache has one, files are answered 503 until there are some', async () => {
    const folder = makeFolder();
    folder.write('large', pattern(100_000));
    folder.write('new', 'new');
    folder.write('small', 'small');
    folder.write('a/file', 'x');
    folder.link('absolute', folder.path('large'));
    const { program, ask } = await limited(folder, selector);
    expect(await ask('/small')).toEqual([200, 'small']);
    expect((await ask('/a/'))[0]).toBe(200);
    const [, before] = await ask('/free');
    const busy = ['/large', '/absolute', '/new', '/a/'];
    for (let round = 0; round < 3; round += 1) {
      expect(await ask('/fill')).toEqual([200, 'EMFILE']);
      for (const target of busy) {
        expect(await ask(target), target).toEqual([503, expect.stringContaining('busy')]);
      }
      expect((await ask('/missing'))[0]).toBe(404);
      expect(await ask('/small')).toEqual([200, 'small']);
      expect((await ask('/free'))[0]).toBe(200);
    }
    expect((await ask('/free'))[1]).toBe(before);
    for (const target of busy) expect((await ask(target))[0], target).toBe(200);
    expect(program.stderr).toMatch(/ERR_RYEGATE_BUSY/);
    expect(program.stderr).not.toMatch(/\n {4}at /);
  });
});
